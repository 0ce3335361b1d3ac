# A small image with the binary and the certificate authorities of Debian; runs as nobody.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake g++ make perl pkg-config
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/tagalong /usr/local/bin/tagalong
USER 65534:65534
ENTRYPOINT ["/usr/local/bin/tagalong"]
CMD ["--help"]

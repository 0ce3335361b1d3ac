# A static binary and the certificate authorities, and nothing else: no shell, no libraries; runs as nobody.
FROM rust:1.95-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates cmake g++ make perl pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN scripts/dist && scripts/rootfs target/dist/tagalong /rootfs

# The same for the jobs of a CI that wants a shell in an image: `--target ci`.
FROM alpine:3.22 AS ci
COPY --from=build /rootfs/usr/local/bin/tagalong /usr/local/bin/tagalong

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tagalong"]
CMD ["--help"]

//! Traces go where the standard variables say, and nowhere without them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};

use crate::world::Story;

/// What a collector got: path, content type and body.
type Got = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

async fn collect(State(got): State<Got>, uri: Uri, headers: HeaderMap, body: Bytes) {
    let kind = headers["content-type"].to_str().unwrap().to_owned();
    got.lock().unwrap().push((uri.path().to_owned(), kind, body.to_vec()));
}

#[test]
fn a_run_is_a_trace() {
    let Story { world, registry, forge: github, .. } = &Story::shop();
    registry.push("acme/shop", &["v1.1.0"]);
    let got = Got::default();
    let listener = world.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(collect).with_state(Arc::clone(&got));
    world.runtime.spawn(async move { axum::serve(listener, router).await });
    github.env(world.bot(["run", "--repo", "acme/fleet"])).run().exits(0);
    assert!(got.lock().unwrap().is_empty());
    let bot =
        world.bot(["run", "--repo", "acme/fleet"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector);
    github.env(bot).run().exits(0);
    let got = std::mem::take(&mut *got.lock().unwrap());
    let has = |text: &str| {
        got.iter().any(|(.., body)| body.windows(text.len()).any(|part| part == text.as_bytes()))
    };
    assert!(
        got.iter().all(|(path, kind, _)| path == "/v1/traces" && kind == "application/x-protobuf")
    );
    for span in ["tagalong", "run", "fetch", "plan", "list", "deliver", "acme/fleet"] {
        assert!(has(span), "{span}");
    }
    assert!(!has(crate::world::TOKEN));
    // What cannot be done is said.
    for (name, value) in
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]
    {
        let bot = world.bot(["run", "--repo", "acme/fleet"]);
        let bot = bot.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value);
        github.env(bot).run().exits(0).says(&["no traces are sent"]);
    }
    // A collector that is not there stops nothing.
    let bot = world
        .bot(["run", "--repo", "acme/fleet"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    github.env(bot).run().exits(0);
}

//! A small registry on loopback: tag lists in pages, and digests. It holds no image.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// So few that the demo's lists have more than one page.
const PAGE: usize = 4;

type ServedTags = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A running registry; it ends with the process.
pub(super) struct EmbeddedRegistry {
    pub(super) address: SocketAddr,
    tags: ServedTags,
}

impl EmbeddedRegistry {
    /// Starts on a free port of the loopback address.
    pub(super) async fn start() -> std::io::Result<Self> {
        let tags = ServedTags::default();
        let router = Router::new().route("/v2/{*rest}", get(answer)).with_state(Arc::clone(&tags));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, tags })
    }

    /// Adds a tag, as a push would.
    pub(super) fn push(&self, repository: &str, tag: &str) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.entry(repository.to_owned()).or_default().push(tag.to_owned());
    }
}

async fn answer(
    State(tags): State<ServedTags>,
    Path(rest): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let tags = tags.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return tags.get(name).map_or_else(not_found, |tags| page(name, tags, query.get("last")));
    }
    let manifest = rest.split_once("/manifests/").filter(|(name, tag)| {
        tags.get(*name).is_some_and(|tags| tags.iter().any(|known| known == tag))
    });
    manifest.map_or_else(not_found, |(name, tag)| {
        let hash = Sha256::digest(format!("{name}:{tag}"));
        let digest =
            hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let digest = HeaderValue::from_str(&digest).unwrap_or(HeaderValue::from_static(""));
        (StatusCode::OK, [("docker-content-digest", digest)]).into_response()
    })
}

fn page(name: &str, tags: &[String], last: Option<&String>) -> Response {
    let start =
        last.and_then(|last| tags.iter().position(|tag| tag == last)).map_or(0, |at| at + 1);
    let shown: Vec<&String> = tags.iter().skip(start).take(PAGE).collect();
    let mut headers = HeaderMap::new();
    if let Some(last) = shown.last().filter(|_| start + PAGE < tags.len()) {
        let link = format!("</v2/{name}/tags/list?last={last}>; rel=\"next\"");
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert("link", link);
        }
    }
    (headers, axum::Json(serde_json::json!({"name": name, "tags": shown}))).into_response()
}

fn not_found() -> Response {
    let body = serde_json::json!({"errors": [{"code": "NAME_UNKNOWN", "message": "unknown name"}]});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

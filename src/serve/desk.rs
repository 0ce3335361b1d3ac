//! The HTTP side: what is asked of the daemon, and webhooks, which are let in, read and handed on in milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{Mutex, RwLock, mpsc};

use super::door::{Door, MOST, Seen};
use super::google::Google;
use super::hint::{self, Hint, Message};
use super::metrics::Metrics;
use crate::policy::HookKind;

/// A body that takes longer does not come from one of the senders.
const PATIENCE: Duration = Duration::from_secs(10);

/// What handlers share.
pub(super) struct Desk {
    pub(super) doors: RwLock<Vec<Door>>,
    pub(super) metrics: Metrics,
    /// Whether everything has begun, and nothing ends.
    pub(super) is_ready: AtomicBool,
    hints: mpsc::Sender<Vec<Hint>>,
    seen: Mutex<Seen>,
    google: Google,
    started: Instant,
}

impl Desk {
    pub(super) fn new(
        metrics: Metrics,
        hints: mpsc::Sender<Vec<Hint>>,
        started: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            doors: RwLock::default(),
            metrics,
            is_ready: AtomicBool::new(false),
            hints,
            seen: Mutex::default(),
            google: Google::default(),
            started,
        })
    }

    /// What is answered at the address.
    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(self)
    }

    fn status(&self, path: &str) -> Option<Response> {
        let text = |status, text: &'static str| Some((status, text).into_response());
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.is_ready.load(Ordering::Relaxed) => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            "/metrics" => {
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                Some(([(CONTENT_TYPE, kind)], self.metrics.text()).into_response())
            }
            _ => None,
        }
    }

    /// Lets a webhook in or not; what became of it, in a word, with the answer.
    async fn ring(&self, door: &Door, request: Request) -> (&'static str, StatusCode) {
        if request.method() != Method::POST {
            return ("refused", StatusCode::METHOD_NOT_ALLOWED);
        }
        let (parts, body) = request.into_parts();
        let behind = door.behind(parts.uri.path()).unwrap_or_default().to_owned();
        let is_admitted = match door.hook.kind {
            HookKind::PubSub => self.google.admits(&door.hook, &parts.headers).await,
            _ => door.is_by_body() || door.admits(&behind, &parts.headers, &[]),
        };
        if !is_admitted {
            return ("refused", StatusCode::UNAUTHORIZED);
        }
        let Ok(_room) = door.room.try_acquire() else {
            return ("full", StatusCode::TOO_MANY_REQUESTS);
        };
        let length =
            parts.headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > MOST) {
            return ("oversized", StatusCode::PAYLOAD_TOO_LARGE);
        }
        let Some(body) = read(body).await else {
            return ("oversized", StatusCode::PAYLOAD_TOO_LARGE);
        };
        if door.is_by_body() && !door.admits(&behind, &parts.headers, &body) {
            return ("refused", StatusCode::UNAUTHORIZED);
        }
        let Some(Message { hints, id }) = hint::read(&door.hook, &parts.headers, &body) else {
            return ("malformed", StatusCode::BAD_REQUEST);
        };
        if hints.is_empty() {
            return ("ignored", StatusCode::OK);
        }
        let mut seen = self.seen.lock().await;
        if id.as_ref().is_some_and(|id| seen.has(id)) {
            return ("replayed", StatusCode::ACCEPTED);
        }
        if self.hints.try_send(hints).is_err() {
            // The sender may come again, and the next interval finds it in any case.
            return ("full", StatusCode::TOO_MANY_REQUESTS);
        }
        if let Some(id) = id {
            seen.take(id, self.started.elapsed());
        }
        ("accepted", StatusCode::ACCEPTED)
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(status) = desk.status(&path) {
        return status;
    }
    let door = desk.doors.read().await.iter().find(|door| door.behind(&path).is_some()).cloned();
    let Some(door) = door else { return StatusCode::NOT_FOUND.into_response() };
    let (outcome, status) = desk.ring(&door, request).await;
    desk.metrics.rung(&door.hook.path, outcome);
    tracing::debug!(hook = door.hook.path, outcome, "webhook");
    status.into_response()
}

/// A body that is not too large and comes in time.
async fn read(body: Body) -> Option<axum::body::Bytes> {
    tokio::time::timeout(PATIENCE, to_bytes(body, MOST)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Webhook;

    /// A push to Harbor with an id.
    fn push(id: &str) -> Request {
        let body = format!(
            r#"{{"id":"{id}","type":"harbor.artifact.pushed","data":{{"resources":[{{"resource_url":"r.io/a/b:v1"}}]}}}}"#
        );
        let request = Request::post("/hooks/harbor").header("authorization", "0123456789abcdef");
        request.body(Body::from(body)).unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_says_so_and_remembers_nothing_of_it() {
        let (hints, mut queue) = mpsc::channel(1);
        let desk = Desk::new(Metrics::new(0.0), hints, Instant::now());
        let hook = Webhook {
            kind: HookKind::Harbor,
            path: "/hooks/harbor".to_owned(),
            secrets: (Vec::new(), vec!["S".to_owned()]),
            header: "authorization".to_owned(),
            registry: None,
            google: None,
        };
        let variables = [("S".to_owned(), "0123456789abcdef".to_owned())].into_iter().collect();
        let door = Door::open(&hook, &variables).unwrap();
        assert_eq!(desk.ring(&door, push("1")).await, ("accepted", StatusCode::ACCEPTED));
        assert_eq!(desk.ring(&door, push("2")).await, ("full", StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(desk.ring(&door, push("1")).await, ("replayed", StatusCode::ACCEPTED));
        assert_eq!(queue.recv().await.map(|hints| hints.len()), Some(1));
        // The sender comes again with the one that was not taken.
        assert_eq!(desk.ring(&door, push("2")).await, ("accepted", StatusCode::ACCEPTED));
        // When everybody is being listened to already, the next one is told.
        let all = door.room.try_acquire_many(64).unwrap();
        assert_eq!(desk.ring(&door, push("3")).await, ("full", StatusCode::TOO_MANY_REQUESTS));
        drop(all);
    }
}

//! The HTTP side: what is asked of the daemon, and webhooks, which are let in, read and handed on in milliseconds.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{Mutex, RwLock, mpsc};

use super::door::{Door, MOST, SeenDeliveries};
use super::google::Google;
use super::hint::{self, Hint, Message};
use super::metrics::Metrics;
use crate::policy::HookKind;

/// A body that takes longer does not come from one of the senders.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a sender waits for a place, where all are taken: GitHub itself waits for ten seconds.
const QUEUE: Duration = Duration::from_secs(6);

/// What is left of a body that nobody wants is passed over up to so many bytes, and for so long.
const PASSED_OVER: usize = 4 << 20;
const REST: Duration = Duration::from_secs(1);

/// What handlers share.
pub(super) struct Desk {
    pub(super) doors: RwLock<Vec<Door>>,
    pub(super) metrics: Metrics,
    /// Whether everything has begun, and nothing ends.
    pub(super) is_ready: AtomicBool,
    hints: mpsc::Sender<Vec<Hint>>,
    seen: Mutex<SeenDeliveries>,
    google: Google,
    started: Instant,
    complaints: Mutex<Complaints>,
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
            complaints: Mutex::default(),
        })
    }

    /// What is answered at the address of webhooks; with `has_status`, probes and metrics are at another one.
    pub(super) fn router(self: Arc<Self>, has_status: bool) -> Router {
        let desk = self;
        let all = move |request: Request| {
            let desk = Arc::clone(&desk);
            async move { answer(&desk, request, has_status).await }
        };
        Router::new().fallback(all)
    }

    /// What is answered at an address of probes and metrics alone.
    pub(super) fn status_router(self: Arc<Self>) -> Router {
        let all = move |request: Request| {
            let status = self.status(request.uri().path());
            async move {
                let status = status.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response());
                ended(status, request.into_body(), false).await
            }
        };
        Router::new().fallback(all)
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

    /// Lets a webhook in or not.
    async fn ring(&self, door: &Door, parts: &Parts, body: &mut Body) -> WebhookVerdict {
        if parts.method != Method::POST {
            return WebhookVerdict::METHOD;
        }
        let behind = door.behind(parts.uri.path()).unwrap_or_default().to_owned();
        let is_admitted = match door.hook.kind {
            HookKind::PubSub => self.google.admits(&door.hook, &parts.headers).await,
            _ => door.is_by_body() || door.admits(&behind, &parts.headers, &[]),
        };
        if !is_admitted {
            return WebhookVerdict::SECRET;
        }
        let Some(place) = door.room.place(QUEUE).await else {
            return WebhookVerdict::FULL;
        };
        let length =
            parts.headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > MOST) {
            return WebhookVerdict::OVERSIZED;
        }
        let Some(body) = place.until_wanted(read(body, MOST, PATIENCE)).await else {
            return WebhookVerdict::SLOW;
        };
        let Some(body) = body else {
            return WebhookVerdict::OVERSIZED;
        };
        if door.is_by_body() && !door.admits(&behind, &parts.headers, &body) {
            return WebhookVerdict::SIGNATURE;
        }
        let Some(Message { hints, id }) = hint::read(&door.hook, &parts.headers, &body) else {
            return WebhookVerdict::MALFORMED;
        };
        if hints.is_empty() {
            return WebhookVerdict::IGNORED;
        }
        let mut seen = self.seen.lock().await;
        if id.as_ref().is_some_and(|id| seen.has(id)) {
            return WebhookVerdict::REPLAYED;
        }
        if self.hints.try_send(hints).is_err() {
            // The sender may come again, and the next interval finds it in any case.
            return WebhookVerdict::FULL;
        }
        if let Some(id) = id {
            seen.take(id, self.started.elapsed());
        }
        WebhookVerdict::ACCEPTED
    }

    /// Writes a line to the log for a webhook that is not taken. Strangers can send any number, so that the lines of a
    /// minute are bounded.
    async fn complain(&self, path: &str, verdict: WebhookVerdict) {
        let minute = self.started.elapsed().as_secs() / 60;
        let mut complaints = self.complaints.lock().await;
        if complaints.minute != minute {
            *complaints = Complaints { minute, lines: 0 };
        }
        complaints.lines += 1;
        let WebhookVerdict { outcome, cause, .. } = verdict;
        match complaints.lines.cmp(&(LINES + 1)) {
            std::cmp::Ordering::Less => tracing::warn!(path, outcome, cause, "webhook not taken"),
            std::cmp::Ordering::Equal => {
                tracing::warn!(
                    "more webhooks are not taken; their lines are left out for this minute"
                );
            }
            std::cmp::Ordering::Greater => {}
        }
    }
}

/// Lines about webhooks that are not taken, in one minute.
const LINES: u32 = 60;

/// The lines of the present minute.
#[derive(Default)]
struct Complaints {
    minute: u64,
    lines: u32,
}

/// The fate of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WebhookVerdict {
    /// The word of the metric.
    outcome: &'static str,
    status: StatusCode,
    /// The cause, which is the body of the answer as well.
    cause: &'static str,
}

impl WebhookVerdict {
    const ACCEPTED: Self = Self::of("accepted", StatusCode::ACCEPTED, "accepted");
    const REPLAYED: Self =
        Self::of("replayed", StatusCode::ACCEPTED, "a delivery of this id was accepted before");
    const IGNORED: Self =
        Self::of("ignored", StatusCode::OK, "the event is none that a run turns on");
    const METHOD: Self =
        Self::of("refused", StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent by POST");
    const SECRET: Self = Self::of(
        "refused",
        StatusCode::UNAUTHORIZED,
        "the secret or token is missing, or is none that is configured for this path",
    );
    const SIGNATURE: Self = Self::of(
        "refused",
        StatusCode::UNAUTHORIZED,
        "the signature is missing, or does not match any secret that is configured for this path",
    );
    const OVERSIZED: Self =
        Self::of("oversized", StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than the limit");
    const SLOW: Self =
        Self::of("slow", StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    const MALFORMED: Self = Self::of(
        "malformed",
        StatusCode::BAD_REQUEST,
        "the body is not what this kind of sender sends; check `kind` of the webhook",
    );
    const FULL: Self = Self::of(
        "full",
        StatusCode::TOO_MANY_REQUESTS,
        "too many webhooks at once; the next interval finds what this one tells",
    );

    const fn of(outcome: &'static str, status: StatusCode, cause: &'static str) -> Self {
        Self { outcome, status, cause }
    }

    /// True if the sender has something to mend.
    fn is_complaint(self) -> bool {
        !matches!(self.outcome, "accepted" | "replayed" | "ignored")
    }
}

async fn answer(desk: &Desk, request: Request, has_status: bool) -> Response {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path();
    // Who wants to be told first whether to send a body at all is not asked for it.
    let is_asking = parts.headers.contains_key(EXPECT);
    if let Some(status) = desk.status(path).filter(|_| !has_status) {
        return ended(status, body, is_asking).await;
    }
    let door = desk.doors.read().await.iter().find(|door| door.behind(path).is_some()).cloned();
    let Some(door) = door else {
        return ended(StatusCode::NOT_FOUND.into_response(), body, is_asking).await;
    };
    let verdict = desk.ring(&door, &parts, &mut body).await;
    desk.metrics.rung(&door.hook.path, verdict.outcome);
    tracing::debug!(path = door.hook.path, outcome = verdict.outcome, "webhook");
    if verdict.is_complaint() {
        desk.complain(&door.hook.path, verdict).await;
    }
    let text = format!("{}: {}\n", verdict.outcome, verdict.cause);
    ended((verdict.status, text).into_response(), body, is_asking).await
}

/// An answer. What is left of the body is passed over, so that the connection can be used for the next request; where that is
/// too much, or does not come, the answer says that it cannot
/// ([RFC 9112, 9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)).
async fn ended(mut answer: Response, mut body: Body, is_asking: bool) -> Response {
    let is_over =
        body.is_end_stream() || !is_asking && passed_over(&mut body, PASSED_OVER, REST).await;
    if !is_over {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Passes over the rest of a body; whether it came to its end.
async fn passed_over(body: &mut Body, most: usize, patience: Duration) -> bool {
    each(body, most, patience, |_piece| {}).await.is_some()
}

/// A body that is not too large and comes in time.
async fn read(body: &mut Body, most: usize, patience: Duration) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    each(body, most, patience, |piece| bytes.extend_from_slice(piece)).await?;
    Some(bytes)
}

/// Hands on the pieces of a body to its end; `None` where it breaks, is too large, or does not come in time.
async fn each(
    body: &mut Body,
    most: usize,
    patience: Duration,
    mut take: impl FnMut(&[u8]),
) -> Option<()> {
    let all = async {
        let mut left = most;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            let piece = frame.ok()?.into_data().unwrap_or_default();
            left = left.checked_sub(piece.len())?;
            take(&piece);
        }
        Some(())
    };
    tokio::time::timeout(patience, all).await.ok()?
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
        let ring = async |id| {
            let (parts, mut body) = push(id).into_parts();
            desk.ring(&door, &parts, &mut body).await
        };
        assert_eq!(ring("1").await, WebhookVerdict::ACCEPTED);
        assert_eq!(ring("2").await, WebhookVerdict::FULL);
        assert_eq!(ring("1").await, WebhookVerdict::REPLAYED);
        assert_eq!(queue.recv().await.map(|hints| hints.len()), Some(1));
        // The sender comes again with the one that was not taken.
        assert_eq!(ring("2").await, WebhookVerdict::ACCEPTED);
        assert_eq!(queue.recv().await.map(|hints| hints.len()), Some(1));
        // When everybody is being listened to already, the next one waits for its turn.
        let all = (0..64).map(|_| door.room.place(Duration::from_secs(1)));
        let all = futures::future::join_all(all).await;
        let (waited, ()) = tokio::join!(ring("3"), async { drop(all) });
        assert_eq!(waited, WebhookVerdict::ACCEPTED);
    }
}

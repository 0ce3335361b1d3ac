//! A registry that holds tags and lies by script.
//!
//! It differs from a real one: there are no blobs and no manifests, only digests made of names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

pub struct Registry {
    pub host: String,
    state: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    tags: BTreeMap<String, Vec<String>>,
    /// Answers to give instead, by a part of the path, in turn; the last one stays.
    lies: Vec<(String, VecDeque<Lie>)>,
    page: Option<usize>,
    requests: Vec<Seen>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
}

/// An answer that is given instead of the truth.
#[derive(Clone, Debug)]
pub enum Lie {
    /// The truth after all.
    Truth,
    /// Status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
    /// The connection breaks in the middle of the body.
    Cut(String),
    /// A body of this many bytes that never ends by itself.
    Flood(usize),
}

impl Lie {
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), "{}".to_owned())
    }

    pub fn header(status: u16, name: &str, value: &str) -> Self {
        Self::Answer(status, vec![(name.to_owned(), value.to_owned())], "{}".to_owned())
    }

    pub fn body(kind: &str, body: &str) -> Self {
        Self::Answer(200, vec![("content-type".to_owned(), kind.to_owned())], body.to_owned())
    }

    pub fn json(body: &str) -> Self {
        Self::body("application/json", body)
    }

    /// A page of tags that names a next one.
    pub fn page(tags: &str, link: &str) -> Self {
        let headers = vec![("link".to_owned(), format!("<{link}>; rel=\"next\""))];
        Self::Answer(200, headers, format!("{{\"tags\": [{tags}]}}"))
    }
}

impl Registry {
    pub fn start(runtime: &tokio::runtime::Runtime) -> Self {
        let state = Arc::new(Mutex::new(Held::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { host, state }
    }

    pub fn push(&self, repository: &str, tags: &[&str]) {
        let mut held = self.state.lock().unwrap();
        let list = held.tags.entry(repository.to_owned()).or_default();
        list.extend(tags.iter().map(|tag| (*tag).to_owned()));
    }

    /// Answers with pages of this many tags.
    pub fn pages_of(&self, size: usize) {
        self.state.lock().unwrap().page = Some(size);
    }

    /// Gives these answers, in turn, to requests whose path contains `part`.
    pub fn lies(&self, part: &str, lies: impl IntoIterator<Item = Lie>) {
        let lies = lies.into_iter().collect();
        self.state.lock().unwrap().lies.insert(0, (part.to_owned(), lies));
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The requests since the last call, as `METHOD path`.
    pub fn seen(&self) -> Vec<String> {
        self.requests().into_iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

impl Held {
    fn lie(&mut self, path: &str) -> Lie {
        let script = self.lies.iter_mut().find(|(part, _)| path.contains(part.as_str()));
        match script {
            Some((_, lies)) if lies.len() > 1 => lies.pop_front().unwrap(),
            Some((_, lies)) => lies.front().cloned().unwrap_or(Lie::Truth),
            None => Lie::Truth,
        }
    }
}

async fn answer(State(state): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let authorization = request.headers().get("authorization");
    let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut held = state.lock().unwrap();
    let method = request.method().to_string();
    held.requests.push(Seen { method, path: path.clone(), authorization });
    match held.lie(&path) {
        Lie::Truth => truth(&held, request.method(), &path),
        Lie::Answer(status, headers, body) => {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                );
            }
            (StatusCode::from_u16(status).unwrap(), map, body).into_response()
        }
        Lie::Cut(start) => {
            let chunks = [Ok(Bytes::from(start)), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures::stream::iter(chunks)).into_response()
        }
        Lie::Flood(size) => {
            let chunk = Bytes::from(vec![b' '; 1 << 16]);
            let chunks = std::iter::repeat_n(chunk, size >> 16).map(Ok::<_, std::io::Error>);
            Body::from_stream(futures::stream::iter(chunks)).into_response()
        }
    }
}

fn truth(held: &Held, method: &Method, path: &str) -> Response {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let Some(rest) = path.strip_prefix("/v2/") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return held.tags.get(name).map_or(unknown(), |tags| page(held.page, name, tags, query));
    }
    match rest.split_once("/manifests/") {
        Some((name, tag))
            if held.tags.get(name).is_some_and(|tags| tags.iter().any(|t| t == tag)) =>
        {
            assert_eq!(method, Method::HEAD, "a pull of {path}");
            [("docker-content-digest", digest_of(&format!("{name}:{tag}")))].into_response()
        }
        _ => unknown(),
    }
}

fn page(size: Option<usize>, name: &str, tags: &[String], query: &str) -> Response {
    let last = query.split('&').find_map(|pair| pair.strip_prefix("last="));
    let start = last.map_or(0, |last| tags.iter().position(|tag| tag == last).unwrap() + 1);
    let size = size.unwrap_or(tags.len().max(1));
    let shown: Vec<&String> = tags.iter().skip(start).take(size).collect();
    let mut headers = HeaderMap::new();
    if start + size < tags.len() {
        let link =
            format!("</v2/{name}/tags/list?last={}&n={size}>; rel=\"next\"", shown.last().unwrap());
        headers.insert("link", HeaderValue::from_str(&link).unwrap());
    }
    (headers, axum::Json(serde_json::json!({"name": name, "tags": shown}))).into_response()
}

fn unknown() -> Response {
    let body = serde_json::json!({"errors": [{"code": "NAME_UNKNOWN"}]});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

pub fn digest_of(content: &str) -> String {
    let hash = Sha256::digest(content.as_bytes());
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

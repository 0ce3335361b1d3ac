//! A registry that holds tags and lies by script.
//!
//! It differs from a real one: there are no blobs and no manifests, only digests made of names.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
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
    host: String,
    page: Option<usize>,
    paging: Paging,
    /// Whether pages have validators.
    etags: bool,
    /// Headers of every answer.
    headers: Vec<(String, String)>,
    hesitates: bool,
    under_way: usize,
    most: usize,
    requests: Vec<Seen>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// The host that it was meant for.
    pub host: String,
    pub path: String,
    pub authorization: Option<String>,
    pub if_none_match: Option<String>,
    pub body: String,
}

/// How a registry divides its lists, as real ones do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paging {
    /// By the number that is asked for, up to 1,000, with a relative link.
    #[default]
    Specified,
    /// All at once, whatever is asked for: docker-registry 2.
    Whole,
    /// All at once without a number: Docker Hub.
    Hub,
    /// 100 a page, with an opaque place in the link: Quay.
    Quay,
    /// Refuses more than 1,000; an absolute link: Amazon.
    Ecr,
    /// In the order of the text: Chainguard.
    Lexical,
    /// The link forgets the first part of the name: Artifactory.
    Artifactory,
    /// Fewer than asked for, long before the end, which the specification allows.
    Short,
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
    /// A body of this many bytes, compressed to very few.
    Bomb(usize),
    /// A byte a second, for ever.
    Drip,
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
        state.lock().unwrap().host.clone_from(&host);
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

    /// Divides lists in some way.
    pub fn paging(&self, paging: Paging) {
        self.state.lock().unwrap().paging = paging;
    }

    /// Gives validators to pages.
    pub fn with_etags(&self) {
        self.state.lock().unwrap().etags = true;
    }

    /// Says something with every answer.
    pub fn says(&self, name: &str, value: &str) {
        self.state.lock().unwrap().headers.push((name.to_owned(), value.to_owned()));
    }

    /// Lets requests that are under way meet.
    pub fn hesitates(&self) {
        self.state.lock().unwrap().hesitates = true;
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most
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
    let (parts, body) = request.into_parts();
    let header =
        |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (authorization, if_none_match) = (header("authorization"), header("if-none-match"));
    let method = parts.method.to_string();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let host = parts.uri.authority().map(ToString::to_string).or_else(|| header("host"));
    let host = host.unwrap_or_default();
    let seen = Seen { method, host, path: path.clone(), authorization, if_none_match, body };
    {
        let mut held = state.lock().unwrap();
        held.under_way += 1;
        held.most = held.most.max(held.under_way);
        held.requests.push(seen.clone());
    }
    // Gives requests that are under way a chance to meet.
    let pauses = if state.lock().unwrap().hesitates { 100 } else { 0 };
    for _ in 0..pauses {
        tokio::task::yield_now().await;
    }
    let mut held = state.lock().unwrap();
    held.under_way -= 1;
    let mut answer = respond(&mut held, &parts.method, &seen);
    for (name, value) in &held.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        answer.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    answer
}

fn respond(held: &mut Held, method: &Method, seen: &Seen) -> Response {
    match held.lie(&seen.path) {
        Lie::Truth => truth(held, method, seen),
        Lie::Bomb(size) => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            let chunk = vec![b' '; 1 << 20];
            (0..size >> 20).for_each(|_| encoder.write_all(&chunk).unwrap());
            ([("content-encoding", "gzip")], encoder.finish().unwrap()).into_response()
        }
        Lie::Drip => {
            let drip = futures::stream::unfold((), |()| async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
            });
            Body::from_stream(drip).into_response()
        }
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

fn truth(held: &Held, method: &Method, seen: &Seen) -> Response {
    let path = &seen.path;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let Some(rest) = path.strip_prefix("/v2/") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return held.tags.get(name).map_or(unknown(), |tags| page(held, (name, tags), query, seen));
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

fn page(held: &Held, (name, tags): (&str, &[String]), query: &str, seen: &Seen) -> Response {
    let value =
        |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let asked = value("n").map(|n| n.parse::<usize>().unwrap());
    let mut tags = tags.to_vec();
    let size = match held.paging {
        Paging::Whole => tags.len(),
        Paging::Hub if asked.is_none() => tags.len(),
        Paging::Ecr if asked.is_some_and(|n| n > 1000) => {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        Paging::Quay => 100,
        Paging::Short => 70,
        _ => asked.unwrap_or(100).min(1000),
    };
    let size = held.page.unwrap_or(size).max(1);
    if held.paging == Paging::Lexical {
        tags.sort();
    }
    let last = value("last").or_else(|| value("next_page"));
    let start = last.map_or(0, |last| tags.iter().position(|tag| tag == last).unwrap() + 1);
    let shown: Vec<&String> = tags.iter().skip(start).take(size).collect();
    let mut headers = HeaderMap::new();
    if start + size < tags.len() {
        let last = shown.last().unwrap();
        let link = match held.paging {
            Paging::Quay => format!("/v2/{name}/tags/list?n={size}&next_page={last}"),
            Paging::Ecr => format!("http://{}/v2/{name}/tags/list?last={last}&n={size}", held.host),
            Paging::Artifactory => {
                let (_, name) = name.split_once('/').unwrap();
                format!("/v2/{name}/tags/list?last={last}&n={size}")
            }
            _ => format!("/v2/{name}/tags/list?last={last}&n={size}"),
        };
        headers.insert("link", HeaderValue::from_str(&format!("<{link}>; rel=\"next\"")).unwrap());
    }
    let body = serde_json::json!({"name": name, "tags": shown});
    if held.etags {
        let etag = format!("\"{}\"", &digest_of(&body.to_string())[7..20]);
        headers.insert("etag", HeaderValue::from_str(&etag).unwrap());
        if seen.if_none_match.as_deref() == Some(&etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
    }
    (headers, axum::Json(body)).into_response()
}

fn unknown() -> Response {
    let body = serde_json::json!({"errors": [{"code": "NAME_UNKNOWN"}]});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

pub fn digest_of(content: &str) -> String {
    let hash = Sha256::digest(content.as_bytes());
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

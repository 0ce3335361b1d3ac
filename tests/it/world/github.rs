//! A GitHub with one repository: pull requests over a real bare repository, git over HTTP.
//!
//! Answers start from GitHub's published examples, and every request and answer is judged by its
//! published description. It differs from the original: one user, no rate limits unless
//! scripted, no checks, no reviews, and merges are always squashes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Bot, Repo, git_http, openapi};

pub const TOKEN: &str = "ghs_canaryTokenOfTheTests";
const PULLS: &str = "/repos/{owner}/{repo}/pulls";
const PULL: &str = "/repos/{owner}/{repo}/pulls/{pull_number}";
const LABELS: &str = "/repos/{owner}/{repo}/issues/{issue_number}/labels";

pub struct GitHub {
    pub url: String,
    pub repo: Repo,
    state: Arc<Mutex<Held>>,
}

struct Held {
    url: String,
    root: PathBuf,
    repo: Repo,
    pulls: Vec<Pull>,
    /// Answers to give instead, for a method and a part of the path, each once.
    faults: VecDeque<Fault>,
    requests: Vec<String>,
    violations: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub head: String,
    pub base: String,
    pub state: &'static str,
    pub merged: bool,
    pub labels: Vec<String>,
}

/// A failure by script.
pub struct Fault {
    pub method: &'static str,
    pub part: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub message: &'static str,
    /// Whether the effect happens although the answer is lost.
    pub after_effect: bool,
}

impl GitHub {
    pub fn start(runtime: &tokio::runtime::Runtime, root: &Path, repo: Repo) -> Self {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Held {
            url: url.clone(),
            root: root.to_owned(),
            repo: repo.clone(),
            pulls: Vec::new(),
            faults: VecDeque::new(),
            requests: Vec::new(),
            violations: Vec::new(),
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, repo, state }
    }

    /// The bot in the environment of this server, with its token.
    pub fn env(&self, bot: Bot) -> Bot {
        bot.env("GITHUB_API_URL", &format!("{}/api/v3", self.url))
            .env("GITHUB_SERVER_URL", &self.url)
            .env("GITHUB_TOKEN", TOKEN)
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    pub fn pulls(&self) -> Vec<Pull> {
        self.state.lock().unwrap().pulls.clone()
    }

    /// A person changes a pull request on the page.
    pub fn edit(&self, number: u64, change: impl FnOnce(&mut Pull)) {
        let mut held = self.state.lock().unwrap();
        change(held.pulls.iter_mut().find(|pull| pull.number == number).unwrap());
    }

    /// A person merges a pull request, when that is possible without a conflict.
    pub fn merge(&self, number: u64) -> bool {
        self.state.lock().unwrap().merge(number)
    }

    pub fn mergeable(&self, number: u64) -> bool {
        let held = self.state.lock().unwrap();
        let pull = held.pulls.iter().find(|pull| pull.number == number).unwrap();
        held.merged_tree(pull).is_some()
    }

    /// The requests since the last call, as `METHOD path`; git's among them.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The requests to the API since the last call that can change something.
    pub fn writes(&self) -> Vec<String> {
        let writes = |seen: &String| {
            seen.starts_with("POST /api/v3")
                || seen.starts_with("PATCH")
                || seen.contains("receive-pack")
        };
        self.seen().into_iter().filter(writes).collect()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.state.lock().unwrap().violations.clone();
            assert!(violations.is_empty(), "against GitHub's description: {violations:#?}");
        }
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Held>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    tokio::task::spawn_blocking(move || {
        let user = login(&headers);
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        if path.contains(".git/") {
            let (method, headers) = (method.as_str(), &headers);
            let request =
                git_http::Request { method, path: &path, query: &query, headers, body: &body };
            return git(&state, user.as_deref(), &request);
        }
        let mut held = state.lock().unwrap();
        held.requests.push(format!("{method} {path}"));
        let fault =
            held.faults.iter().position(|f| f.method == method.as_str() && path.contains(f.part));
        let fault = fault.and_then(|index| held.faults.remove(index));
        match fault {
            Some(fault) if fault.after_effect => {
                let _lost = held.api(&method, &path, &body, user.as_deref());
                failure(&fault)
            }
            Some(fault) => failure(&fault),
            None => held.api(&method, &path, &body, user.as_deref()),
        }
    })
    .await
    .unwrap()
}

fn failure(fault: &Fault) -> Response {
    let mut response = said(fault.status, fault.message);
    for (name, value) in &fault.headers {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// Who the request is from: the token, in either way that it may be sent.
fn login(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let basic = value.strip_prefix("Basic ").and_then(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(bytes).ok()?.split_once(':').map(|(_, password)| password.to_owned())
    });
    let token = basic.or_else(|| value.strip_prefix("Bearer ").map(str::to_owned))?;
    (token == TOKEN).then(|| "bot".to_owned())
}

fn git(state: &Arc<Mutex<Held>>, user: Option<&str>, request: &git_http::Request<'_>) -> Response {
    let root = {
        let mut held = state.lock().unwrap();
        let challenged = if user.is_none() { " (challenged)" } else { "" };
        held.requests
            .push(format!("{} {}?{}{challenged}", request.method, request.path, request.query));
        held.root.clone()
    };
    let Some(user) = user else {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        response
            .headers_mut()
            .insert("www-authenticate", HeaderValue::from_static("Basic realm=\"GitHub\""));
        return response;
    };
    git_http::serve(&root, user, request)
}

impl Held {
    fn api(&mut self, method: &Method, path: &str, body: &Bytes, user: Option<&str>) -> Response {
        if user.is_none() {
            return said(401, "Bad credentials");
        }
        let body_value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if (method.as_str(), path) == ("POST", "/api/graphql") {
            return self.graphql(&body_value);
        }
        let Some(rest) = path.strip_prefix("/api/v3/repos/acme/fleet") else {
            return said(404, "Not Found");
        };
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        match (method.as_str(), &parts[..]) {
            ("POST", ["pulls"]) => self.create(&body_value),
            ("PATCH", ["pulls", number]) => self.update(number.parse().unwrap(), &body_value),
            ("POST", ["issues", number, "labels"]) => {
                self.label(number.parse().unwrap(), &body_value)
            }
            _ => said(404, "Not Found"),
        }
    }

    /// Executes a query on GitHub's published schema, with graphql-js.
    fn graphql(&mut self, body: &Value) -> Response {
        let pulls = self.pulls.iter().map(|pull| {
            json!({
                "number": pull.number, "url": format!("{}/acme/fleet/pull/{}", self.url, pull.number), "title": pull.title,
                "body": pull.body.replace('\n', "\r\n"), "state": if pull.merged { "MERGED".to_owned() } else { pull.state.to_uppercase() },
                "headRefName": pull.head, "baseRefName": pull.base, "labels": pull.labels,
            })
        });
        let input = json!({"query": body["query"], "variables": body["variables"], "pulls": pulls.collect::<Vec<_>>()});
        let answer = openapi::graphql(&input);
        self.violations
            .extend(answer["violations"].as_array().into_iter().flatten().map(Value::to_string));
        axum::Json(answer["answer"].clone()).into_response()
    }

    fn create(&mut self, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", PULLS, "request", body));
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (head, base) = (text("head"), text("base"));
        let open = |pull: &Pull| pull.state == "open" && pull.head == head && pull.base == base;
        if self.pulls.iter().any(open) {
            return invalid("custom", "A pull request already exists for acme:tagalong.");
        }
        if self.repo.head(&head).is_empty() {
            return invalid("invalid", "head");
        }
        if self.repo.head(&head) == self.repo.head(&base) {
            return invalid("custom", "No commits between main and the branch");
        }
        let number = self.pulls.len() as u64 + 1;
        let (title, body) = (text("title"), text("body"));
        let pull = Pull {
            number,
            title,
            body,
            head,
            base,
            state: "open",
            merged: false,
            labels: Vec::new(),
        };
        self.pulls.push(pull.clone());
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("POST", PULLS, 201, shown)
    }

    fn update(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PATCH", PULL, "request", body));
        let Some(pull) = self.pulls.iter_mut().find(|pull| pull.number == number) else {
            return said(404, "Not Found");
        };
        let set = |slot: &mut String, name: &str| {
            if let Some(text) = body[name].as_str() {
                text.clone_into(slot);
            }
        };
        set(&mut pull.title, "title");
        set(&mut pull.body, "body");
        let pull = pull.clone();
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("PATCH", PULL, 200, shown)
    }

    fn label(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", LABELS, "request", body));
        let Some(pull) = self.pulls.iter_mut().find(|pull| pull.number == number) else {
            return said(404, "Not Found");
        };
        let new = body["labels"].as_array().into_iter().flatten().filter_map(Value::as_str);
        pull.labels.extend(new.map(str::to_owned));
        let shown: Value = pull.labels.iter().map(|name| label(name)).collect();
        self.judged("POST", LABELS, 200, shown)
    }

    /// An answer, after it was held against the description.
    fn judged(&mut self, method: &str, template: &str, status: u16, body: Value) -> Response {
        self.violations.extend(openapi::violations(method, template, &status.to_string(), &body));
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    }

    /// A published example made into this pull request.
    fn fill(&self, template: &Value, pull: &Pull) -> Value {
        let mut out = template.clone();
        let web = format!("{}/acme/fleet/pull/{}", self.url, pull.number);
        for (key, value) in [
            ("number", json!(pull.number)),
            ("title", json!(pull.title)),
            ("body", json!(pull.body.replace('\n', "\r\n"))),
            ("state", json!(pull.state)),
            ("html_url", json!(web)),
            // The published example has a team without the `type` that the description requires.
            ("requested_teams", json!([])),
            ("labels", pull.labels.iter().map(|name| label(name)).collect()),
        ] {
            out[key] = value;
        }
        for (side, branch) in [("head", &pull.head), ("base", &pull.base)] {
            out[side]["ref"] = json!(branch);
            out[side]["label"] = json!(format!("acme:{branch}"));
            out[side]["sha"] = json!(self.repo.head(branch));
        }
        if out.get("merged").is_some() {
            out["merged"] = json!(pull.merged);
            out["mergeable"] = json!(self.merged_tree(pull).is_some());
        }
        out
    }

    /// The tree of a merge without conflicts.
    fn merged_tree(&self, pull: &Pull) -> Option<String> {
        let args = ["merge-tree", "--write-tree", &pull.base, &pull.head];
        let (clean, output) = self.repo.try_git(&args);
        clean.then(|| output.trim().to_owned())
    }

    fn merge(&mut self, number: u64) -> bool {
        let Some(pull) = self.pulls.iter().find(|pull| pull.number == number).cloned() else {
            return false;
        };
        let Some(tree) = self.merged_tree(&pull) else { return false };
        let base = self.repo.head(&pull.base);
        let commit = self.repo.git(&["commit-tree", &tree, "-p", &base, "-m", &pull.title]);
        self.repo.git(&["update-ref", &format!("refs/heads/{}", pull.base), commit.trim(), &base]);
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        (pull.state, pull.merged) = ("closed", true);
        true
    }
}

fn label(name: &str) -> Value {
    let mut label = openapi::example("pull-request")["labels"][0].clone();
    label["name"] = json!(name);
    label
}

fn said(status: u16, message: &str) -> Response {
    let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn invalid(code: &str, message: &str) -> Response {
    let detail =
        json!({"resource": "PullRequest", "code": code, "field": "head", "message": message});
    let body = json!({"message": "Validation Failed", "errors": [detail], "documentation_url": "https://docs.github.com/rest", "status": "422"});
    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response()
}

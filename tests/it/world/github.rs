//! A GitHub with a repository or two: pull requests over real bare repositories, git over HTTP.
//!
//! Answers start from GitHub's published examples, and every request and answer is judged by its
//! published description. It differs from the original: one user, no rate limits unless scripted,
//! checks that a test sets, no reviews, merges that are always squashes, and auto-merge and a merge
//! queue that are only noted.

mod api;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Bot, Repo, git_http, openapi};

pub const TOKEN: &str = "ghs_canaryTokenOfTheTests";
pub struct GitHub {
    pub url: String,
    pub repo: Repo,
    state: Arc<Mutex<Held>>,
}

struct Held {
    /// The repository, without its owner `acme`.
    name: String,
    /// Other repositories of the same server.
    beside: Vec<Arc<Mutex<Held>>>,
    url: String,
    root: PathBuf,
    repo: Repo,
    pulls: Vec<Pull>,
    /// What the repository allows: GraphQL's fields.
    settings: Value,
    viewer: String,
    /// Whether commits that it makes are signed.
    signs: bool,
    /// `GraphQL`'s statuses of commits, by commit.
    statuses: serde_json::Map<String, Value>,
    /// Whether `acme/shop` is private.
    is_private: bool,
    /// Releases of `acme/shop`, the newest first, as tag and text.
    releases: Vec<(String, String)>,
    /// The query of the request that is answered.
    query: String,
    /// `GraphQL`'s issues.
    issues: Vec<Value>,
    author: String,
    /// Answers to give instead, for a method and a part of the path, each once.
    faults: VecDeque<Fault>,
    requests: Vec<String>,
    violations: Vec<String>,
    chaos: Option<Chaos>,
    ambush: Option<Ambush>,
    coincidence: Option<Coincidence>,
}

/// A change of pull requests, once.
type Act = Box<dyn FnOnce(&mut Vec<Pull>) + Send>;

/// Something that people do at the moment of a request: its method, a part of its path, and what they do.
struct Coincidence {
    method: &'static str,
    part: &'static str,
    act: Act,
}

/// Delays and failures by a seed.
struct Chaos {
    seed: u64,
    /// What a replica that lags behind still shows.
    stale: Vec<Pull>,
}

/// A request at which a test wants to do something to the bot.
struct Ambush {
    /// How many requests come before it.
    left: usize,
    /// Whether it has its effect first.
    after_effect: bool,
    arrived: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a test sets of it")]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub head: String,
    pub base: String,
    pub state: &'static str,
    pub merged: bool,
    pub labels: Vec<String>,
    pub draft: bool,
    pub assignees: Vec<String>,
    pub reviewers: Vec<String>,
    pub milestone: Option<u64>,
    pub comments: Vec<String>,
    /// `GraphQL`'s check runs and statuses of the head, as a test sets them.
    pub checks: Vec<Value>,
    /// `GraphQL`'s `mergeStateStatus`, where a test sets it.
    pub state_status: Option<&'static str>,
    pub armed: bool,
    /// Whether it waits in the merge queue.
    pub queued: bool,
    pub armed_by: &'static str,
    /// Whether its branch is a fork's.
    pub fork: bool,
    /// Who set its labels; `eve` may not write.
    pub labelled_by: &'static str,
    /// The login that set the label `tagalong:hold`, where that is not `labelled_by`.
    pub held_by: Option<&'static str>,
    /// Labels that `ada` set before those.
    pub earlier: Vec<String>,
    /// How many other events came after the labels.
    pub noise: usize,
    /// `GraphQL`'s states of reviews.
    pub reviews: Vec<&'static str>,
    /// Who wrote them.
    pub reviewer: &'static str,
    /// What was merged.
    pub merged_head: String,
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
        let state = Arc::new(Mutex::new(Held::new("fleet", &url, root, repo.clone())));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, repo, state }
    }

    /// Another repository of the same server.
    pub fn beside(&self, name: &str, repo: Repo) -> Self {
        let root = self.state.lock().unwrap().root.clone();
        let state = Arc::new(Mutex::new(Held::new(name, &self.url, &root, repo.clone())));
        self.state.lock().unwrap().beside.push(Arc::clone(&state));
        Self { url: self.url.clone(), repo, state }
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

    /// Forgets the failures that did not come about.
    pub fn heal(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// Delays and fails by a seed; `None` to stop that.
    pub fn chaos(&self, seed: Option<u64>) {
        let mut held = self.state.lock().unwrap();
        held.chaos = seed.map(|seed| Chaos { seed, stale: Vec::new() });
    }

    /// Waits at the request that so many others come before: with its effect or without it. Something
    /// arrives when it is there, and it goes on, and fails, when the sender is dropped.
    pub fn ambush(
        &self,
        left: usize,
        after_effect: bool,
    ) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (arrived, here) = mpsc::channel();
        let (goes_on, go_on) = mpsc::channel();
        let ambush = Ambush { left, after_effect, arrived, go_on };
        self.state.lock().unwrap().ambush = Some(ambush);
        (here, goes_on)
    }

    /// Waits for no request any more.
    pub fn calm(&self) {
        self.state.lock().unwrap().ambush = None;
    }

    /// People do something at the moment of the next such request.
    pub fn when(
        &self,
        method: &'static str,
        part: &'static str,
        act: impl FnOnce(&mut Vec<Pull>) + Send + 'static,
    ) {
        let coincidence = Coincidence { method, part, act: Box::new(act) };
        self.state.lock().unwrap().coincidence = Some(coincidence);
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

    /// What the repository allows.
    pub fn allows(&self, setting: &str, is_allowed: bool) {
        self.state.lock().unwrap().settings[setting] = json!(is_allowed);
    }

    /// Outsiders open many pull requests from branches of their own with this name.
    pub fn crowd(&self, head: &str) {
        self.state.lock().unwrap().crowd(head);
    }

    /// Issues, as `GraphQL` has them.
    pub fn issues(&self) -> Vec<Value> {
        self.state.lock().unwrap().issues.clone()
    }

    /// Somebody opens an issue.
    pub fn open_issue(&self, author: &str, body: &str) {
        let issue = json!({"number": 1000, "title": "x", "body": body, "author": author, "labels": ["tagalong"]});
        self.state.lock().unwrap().issues.push(issue);
    }

    /// Who opens pull requests.
    pub fn author_is(&self, login: &str) {
        login.clone_into(&mut self.state.lock().unwrap().author);
    }

    /// Whose the token is.
    pub fn token_is_of(&self, login: &str) {
        login.clone_into(&mut self.state.lock().unwrap().viewer);
    }

    /// Posts a status of a commit, as the syncer in a cluster does; the last one of a name counts.
    pub fn status(&self, commit: &str, name: &str, state: &str) {
        let mut held = self.state.lock().unwrap();
        let all = held.statuses.entry(commit).or_insert_with(|| json!([]));
        let all = all.as_array_mut().unwrap();
        all.retain(|status| status["context"] != name);
        all.push(json!({"context": name, "state": state}));
    }

    /// Hides `acme/shop` from the public; the token sees it all the same.
    pub fn hide(&self) {
        self.state.lock().unwrap().is_private = true;
    }

    /// Releases of `acme/shop`, the newest first, as tag and text.
    pub fn releases(&self, releases: &[(&str, &str)]) {
        let releases = releases.iter().map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned()));
        self.state.lock().unwrap().releases = releases.collect();
    }

    /// Whether commits that GitHub makes are signed.
    pub fn signs(&self, is_signed: bool) {
        self.state.lock().unwrap().signs = is_signed;
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
                || seen.ends_with("(mutation)")
                || seen.starts_with("PATCH")
                || seen.starts_with("PUT")
                || seen.starts_with("DELETE")
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
        let state = meant(&state, uri.path(), &body).unwrap_or(state);
        let ambush = state.lock().unwrap().ambushed();
        let chance = state.lock().unwrap().chance();
        std::thread::sleep(std::time::Duration::from_millis(chance.unwrap_or(0) % 8));
        let fails = |nth: u64| chance.is_some_and(|chance| chance / 8 % 16 == nth);
        if fails(0) || ambush.as_ref().is_some_and(|ambush| !ambush.after_effect) {
            ambush.into_iter().for_each(Ambush::spring);
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let answer = answered(&state, &method, &uri, &headers, &body, fails(2));
        if fails(1) || ambush.is_some() {
            ambush.into_iter().for_each(Ambush::spring);
            return StatusCode::BAD_GATEWAY.into_response();
        }
        answer
    })
    .await
    .unwrap()
}

fn answered(
    state: &Arc<Mutex<Held>>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
    is_stale: bool,
) -> Response {
    {
        let user = login(headers);
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        if path.contains(".git/") {
            let request = git_http::Request {
                method: method.as_str(),
                path: &path,
                query: &query,
                headers,
                body,
            };
            return git(state, user.as_deref(), &request);
        }
        let mut held = state.lock().unwrap();
        held.query = query;
        if path == "/api/v3/repos/acme/shop" {
            return held.other_repository();
        }
        if path == "/api/v3/repos/acme/shop/releases" {
            let known = headers.get("if-none-match").and_then(|value| value.to_str().ok());
            return held.list_releases(known);
        }
        if is_stale && path.contains("graphql") {
            let lagging = held.chaos.as_ref().unwrap().stale.clone();
            let pulls = std::mem::replace(&mut held.pulls, lagging);
            let answer = held.api(method, &path, body, user.as_deref());
            held.pulls = pulls;
            return answer;
        }
        let is_mutation =
            path.contains("graphql") && body.windows(9).any(|part| part == b"mutation(");
        let kind = if is_mutation { " (mutation)" } else { "" };
        held.requests.push(format!("{method} {path}{kind}"));
        let sent = String::from_utf8_lossy(body);
        let is_it =
            |one: &mut Coincidence| one.method == method.as_str() && path.contains(one.part);
        if let Some(coincidence) = held.coincidence.take_if(is_it) {
            (coincidence.act)(&mut held.pulls);
        }
        let fault = held.faults.iter().position(|f| {
            f.method == method.as_str() && (path.contains(f.part) || sent.contains(f.part))
        });
        let fault = fault.and_then(|index| held.faults.remove(index));
        match fault {
            Some(fault) if fault.after_effect => {
                let _lost = held.api(method, &path, body, user.as_deref());
                failure(&fault)
            }
            Some(fault) => failure(&fault),
            None => held.api(method, &path, body, user.as_deref()),
        }
    }
}

/// The other repository that a request is about.
fn meant(state: &Arc<Mutex<Held>>, path: &str, body: &Bytes) -> Option<Arc<Mutex<Held>>> {
    let beside = state.lock().unwrap().beside.clone();
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_it = |name: &str| {
        let is_git = path.starts_with(&format!("/acme/{name}.git/"));
        let is_rest = path.starts_with(&format!("/api/v3/repos/acme/{name}/"));
        let is_asked = path == "/api/graphql" && asked["variables"]["name"] == *name;
        is_git || is_rest || is_asked
    };
    beside.into_iter().find(|held| is_it(&held.lock().unwrap().name))
}

impl Ambush {
    fn spring(self) {
        self.arrived.send(()).unwrap();
        self.go_on.recv().unwrap_err();
    }
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
    if token == TOKEN {
        return Some("bot".to_owned());
    }
    // An app's proof; what it is signed with, the test of the app looks at.
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    Some(format!("proof {}", String::from_utf8(claims).ok()?))
}

fn git(state: &Arc<Mutex<Held>>, user: Option<&str>, request: &git_http::Request<'_>) -> Response {
    let root = {
        let mut held = state.lock().unwrap();
        let challenged = if user.is_none() { " (challenged)" } else { "" };
        held.requests
            .push(format!("{} {}?{}{challenged}", request.method, request.path, request.query));
        held.root.clone()
    };
    let Some(user) = user.filter(|user| *user == "bot") else {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        response
            .headers_mut()
            .insert("www-authenticate", HeaderValue::from_static("Basic realm=\"GitHub\""));
        return response;
    };
    git_http::serve(&root, user, request)
}

impl Held {
    fn new(name: &str, url: &str, root: &Path, repo: Repo) -> Self {
        Self {
            name: name.to_owned(),
            beside: Vec::new(),
            url: url.to_owned(),
            root: root.to_owned(),
            repo,
            pulls: Vec::new(),
            settings: json!({
                "squashMergeAllowed": true, "mergeCommitAllowed": true, "rebaseMergeAllowed": true,
                "autoMergeAllowed": true, "deleteBranchOnMerge": false,
            }),
            viewer: "bot".to_owned(),
            signs: true,
            statuses: serde_json::Map::new(),
            is_private: false,
            releases: Vec::new(),
            query: String::new(),
            issues: Vec::new(),
            author: "bot".to_owned(),
            faults: VecDeque::new(),
            requests: Vec::new(),
            violations: Vec::new(),
            chaos: None,
            ambush: None,
            coincidence: None,
        }
    }

    /// The ambush, when this is its request.
    fn ambushed(&mut self) -> Option<Ambush> {
        let ambush = self.ambush.as_mut()?;
        if ambush.left == 0 {
            return self.ambush.take();
        }
        ambush.left -= 1;
        None
    }

    /// A number by the seed, when there is one (splitmix64).
    fn chance(&mut self) -> Option<u64> {
        let pulls = self.pulls.clone();
        let chaos = self.chaos.as_mut()?;
        chaos.seed = chaos.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = chaos.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if z % 3 == 0 {
            chaos.stale = pulls;
        }
        Some(z ^ (z >> 31))
    }

    fn api(&mut self, method: &Method, path: &str, body: &Bytes, user: Option<&str>) -> Response {
        let body_value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if let Some(answer) = self.app(method, path, &body_value, user) {
            return answer;
        }
        if user != Some("bot") {
            return said(401, "Bad credentials");
        }
        if (method.as_str(), path) == ("POST", "/api/graphql") {
            return self.graphql(&body_value);
        }
        let Some(rest) = path.strip_prefix(&*format!("/api/v3/repos/acme/{}", self.name)) else {
            return said(404, "Not Found");
        };
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        match (method.as_str(), &parts[..]) {
            ("POST", ["pulls"]) => self.create(&body_value),
            ("PATCH", ["pulls", number]) => self.update(number.parse().unwrap(), &body_value),
            ("GET", ["pulls"]) => self.list(),
            ("GET", ["pulls", number]) => self.show(number.parse().unwrap()),
            ("PUT", ["pulls", number, "merge"]) => {
                self.merge_by_api(number.parse().unwrap(), &body_value)
            }
            ("POST", ["pulls", number, "requested_reviewers"]) => {
                self.request(number.parse().unwrap(), &body_value)
            }
            ("POST", ["issues"]) => self.new_issue(&body_value),
            ("PATCH", ["issues", number]) if number.starts_with("100") => {
                self.change_issue(number, &body_value)
            }
            ("PATCH", ["issues", number]) => self.issue(number.parse().unwrap(), &body_value),
            ("POST", ["issues", number, "labels"]) => {
                self.label(number.parse().unwrap(), &body_value)
            }
            ("DELETE", ["issues", number, "labels", name]) => {
                self.unlabel(number.parse().unwrap(), &name.replace("%3A", ":"))
            }
            ("POST", ["issues", number, "comments"]) => {
                self.comment(number.parse().unwrap(), &body_value)
            }
            ("GET", ["issues", number, "labels"]) => self.labels(number.parse().unwrap()),
            ("GET", ["issues", number, "events"]) => self.events(number.parse().unwrap()),
            ("GET", ["collaborators", login, "permission"]) => self.permission(login),
            ("GET", ["milestones"]) => self.milestones(),
            _ => said(404, "Not Found"),
        }
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
        let head = self.repo.head(&pull.head);
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        (pull.state, pull.merged, pull.merged_head) = ("closed", true, head);
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

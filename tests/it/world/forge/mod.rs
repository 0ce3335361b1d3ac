//! A forge with a repository or two: pull requests over real bare repositories, git over HTTP. What a product's interfaces
//! say is in a file of its own, which also tells where it differs from the original.

mod forgejo;
mod forgejo_merge;
mod github;
mod gitlab;
mod held;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Bot, Repo, git_http};
use held::Held;

pub const TOKEN: &str = "ghs_canaryTokenOfTheTests";

/// The product that a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    GitHub,
    GitLab,
    Forgejo,
}

pub struct ForgeServer {
    pub product: Product,
    pub url: String,
    pub repo: Repo,
    state: Arc<Mutex<Held>>,
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
    /// Whether the reviews were of an earlier commit, where the product tells.
    pub is_approved_early: bool,
    /// Labels that `ada` took off after her earlier ones.
    pub taken_off: Vec<String>,
    /// Whether it is squashed when it is merged, on GitLab.
    pub squash: bool,
    /// Whether GitLab goes on merging it although it was told to stop.
    pub stays_armed: bool,
    /// Whether its labels were renamed after they were set.
    pub is_renamed: bool,
    /// Whether GitLab is merging it.
    pub is_locked: bool,
    /// What was merged.
    pub merged_head: String,
}

impl Default for Pull {
    fn default() -> Self {
        Self {
            number: 0,
            title: String::new(),
            body: String::new(),
            head: String::new(),
            base: String::new(),
            state: "open",
            merged: false,
            labels: Vec::new(),
            draft: false,
            assignees: Vec::new(),
            reviewers: Vec::new(),
            milestone: None,
            comments: Vec::new(),
            checks: Vec::new(),
            state_status: None,
            armed: false,
            queued: false,
            armed_by: "bot",
            fork: false,
            labelled_by: "ada",
            held_by: None,
            earlier: Vec::new(),
            noise: 0,
            reviews: Vec::new(),
            reviewer: "ada",
            is_approved_early: false,
            taken_off: Vec::new(),
            squash: false,
            stays_armed: false,
            is_renamed: false,
            is_locked: false,
            merged_head: String::new(),
        }
    }
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

impl ForgeServer {
    pub fn start(
        product: Product,
        runtime: &tokio::runtime::Runtime,
        root: &Path,
        name: &str,
        repo: Repo,
    ) -> Self {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Held::new(product, name, &url, root, repo.clone())));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { product, url, repo, state }
    }

    /// Another repository of the same server.
    pub fn beside(&self, name: &str, repo: Repo) -> Self {
        let root = self.state.lock().unwrap().root.clone();
        let state =
            Arc::new(Mutex::new(Held::new(self.product, name, &self.url, &root, repo.clone())));
        self.state.lock().unwrap().beside.push(Arc::clone(&state));
        Self { product: self.product, url: self.url.clone(), repo, state }
    }

    /// The bot in the environment of this server, with its token.
    pub fn env(&self, bot: Bot) -> Bot {
        self.variables().into_iter().fold(bot, |bot, (name, value)| bot.env(name, &value))
    }

    /// The variables by which a bot knows this server, and its token.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match self.product {
            Product::GitHub => vec![
                ("GITHUB_API_URL", format!("{}/api/v3", self.url)),
                ("GITHUB_SERVER_URL", self.url.clone()),
                ("GITHUB_TOKEN", TOKEN.to_owned()),
            ],
            Product::GitLab => {
                vec![("GITLAB_URL", self.url.clone()), ("GITLAB_TOKEN", TOKEN.to_owned())]
            }
            Product::Forgejo => {
                vec![("FORGEJO_URL", self.url.clone()), ("FORGEJO_TOKEN", TOKEN.to_owned())]
            }
        }
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

    /// A branch has so many merged pull requests of earlier times.
    pub fn history(&self, head: &str, count: usize) {
        let mut state = self.state.lock().unwrap();
        for _ in 0..count {
            let number = state.pulls.len() as u64 + 1;
            let (head, base) = (head.to_owned(), "main".to_owned());
            let merged =
                Pull { number, head, base, state: "closed", merged: true, ..Pull::default() };
            state.pulls.push(merged);
        }
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
        self.status_by(commit, name, state, "ada");
    }

    /// The same by an account.
    pub fn status_by(&self, commit: &str, name: &str, state: &str, by: &str) {
        let mut held = self.state.lock().unwrap();
        let all = held.statuses.entry(commit).or_insert_with(|| json!([]));
        let all = all.as_array_mut().unwrap();
        all.retain(|status| status["context"] != name);
        all.push(json!({"context": name, "state": state, "by": by}));
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

    /// GitLab is still looking at the next so many merges.
    pub fn looks(&self, times: u32) {
        self.state.lock().unwrap().looks = times;
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
                || seen.starts_with("POST /api/v4")
                || seen.starts_with("POST /api/v1")
                || seen.ends_with("(mutation)")
                || seen.starts_with("PATCH")
                || seen.starts_with("PUT")
                || seen.starts_with("DELETE")
                || seen.contains("receive-pack")
        };
        self.seen().into_iter().filter(writes).collect()
    }
}

impl Drop for ForgeServer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.state.lock().unwrap().violations.clone();
            assert!(
                violations.is_empty(),
                "against the description of {:?}: {violations:#?}",
                self.product
            );
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
        let known = headers.get("if-none-match").and_then(|value| value.to_str().ok());
        if let Some(answer) = held.of_another_repository(&path, known) {
            return answer;
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
        let is_rest = path.starts_with(&format!("/api/v3/repos/acme/{name}/"))
            || path.starts_with(&format!("/api/v4/projects/acme%2F{}", name.replace('/', "%2F")))
            || format!("{path}/").starts_with(&format!("/api/v1/repos/acme/{name}/"));
        let variables = &asked["variables"];
        let names = variables["name"] == *name || variables["path"] == format!("acme/{name}");
        is_git || is_rest || path == "/api/graphql" && names
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
    let mut response = github::said(fault.status, fault.message);
    for (name, value) in &fault.headers {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// Who the request is from: the token, in either way that it may be sent.
fn login(headers: &HeaderMap) -> Option<String> {
    // GitLab takes a token in a header of its own as well.
    if headers.get("private-token").is_some_and(|token| token == TOKEN) {
        return Some("bot".to_owned());
    }
    let value = headers.get("authorization")?.to_str().ok()?;
    let basic = value.strip_prefix("Basic ").and_then(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(bytes).ok()?.split_once(':').map(|(_, password)| password.to_owned())
    });
    let plain = ["Bearer ", "token "].iter().find_map(|kind| value.strip_prefix(kind));
    let token = basic.or_else(|| plain.map(str::to_owned))?;
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

//! The state of a forge, whatever product it is.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::Method;
use axum::response::Response;
use serde_json::{Value, json};

use super::gitlab;
use super::{Ambush, Chaos, Coincidence, Fault, Product, Pull};
use crate::world::Repo;

pub(super) struct Held {
    pub(super) product: Product,
    /// The repository, without its owner `acme`.
    pub(super) name: String,
    /// Other repositories of the same server.
    pub(super) beside: Vec<Arc<Mutex<Held>>>,
    pub(super) url: String,
    pub(super) root: PathBuf,
    pub(super) repo: Repo,
    pub(super) pulls: Vec<Pull>,
    /// What the repository allows: GraphQL's fields.
    pub(super) settings: Value,
    pub(super) viewer: String,
    /// Whether commits that it makes are signed.
    pub(super) signs: bool,
    /// `GraphQL`'s statuses of commits, by commit.
    pub(super) statuses: serde_json::Map<String, Value>,
    /// Whether `acme/shop` is private.
    pub(super) is_private: bool,
    /// Releases of `acme/shop`, the newest first, as tag and text.
    pub(super) releases: Vec<(String, String)>,
    /// The query of the request that is answered.
    pub(super) query: String,
    /// `GraphQL`'s issues.
    pub(super) issues: Vec<Value>,
    pub(super) author: String,
    /// Answers to give instead, for a method and a part of the path, each once.
    pub(super) faults: VecDeque<Fault>,
    pub(super) requests: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) chaos: Option<Chaos>,
    pub(super) ambush: Option<Ambush>,
    pub(super) coincidence: Option<Coincidence>,
    /// How many more merges GitLab refuses as it is still looking.
    pub(super) looks: u32,
    /// GitLab's accounts, by their numbers from one on.
    pub(super) accounts: Vec<String>,
    /// Whether commits merge into others without a conflict, as git said.
    pub(super) merges: RefCell<BTreeMap<[String; 2], bool>>,
    /// The labels of the repository, where they have to be there before they are set.
    pub(super) labels_here: Vec<String>,
}

impl Held {
    pub(super) fn new(product: Product, name: &str, url: &str, root: &Path, repo: Repo) -> Self {
        Self {
            product,
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
            looks: 0,
            accounts: gitlab::accounts(),
            merges: RefCell::default(),
            labels_here: vec!["bug".to_owned()],
        }
    }

    /// The ambush, when this is its request.
    pub(super) fn ambushed(&mut self) -> Option<Ambush> {
        let ambush = self.ambush.as_mut()?;
        if ambush.left == 0 {
            return self.ambush.take();
        }
        ambush.left -= 1;
        None
    }

    /// A number by the seed, when there is one (splitmix64).
    pub(super) fn chance(&mut self) -> Option<u64> {
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

    /// The answer about another repository, when a request is about one.
    pub(super) fn of_another_repository(
        &mut self,
        path: &str,
        known: Option<&str>,
    ) -> Option<Response> {
        match self.product {
            Product::GitHub => self.github_repository(path, known),
            Product::GitLab => self.gitlab_repository(path),
            Product::Forgejo => self.forgejo_repository(path),
        }
    }

    /// The answer of the product.
    pub(super) fn api(
        &mut self,
        method: &Method,
        path: &str,
        body: &Bytes,
        user: Option<&str>,
    ) -> Response {
        match self.product {
            Product::GitHub => self.github(method, path, body, user),
            Product::GitLab => self.gitlab(method, path, body, user),
            Product::Forgejo => self.forgejo(method, path, body, user),
        }
    }

    /// The tree of a merge without conflicts.
    pub(super) fn merged_tree(&self, pull: &Pull) -> Option<String> {
        let args = ["merge-tree", "--write-tree", &pull.base, &pull.head];
        let (clean, output) = self.repo.try_git(&args);
        clean.then(|| output.trim().to_owned())
    }

    pub(super) fn merge(&mut self, number: u64) -> bool {
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

//! Statuses of commits, among them those of the server's own CI
//! (`GET /repos/{owner}/{repo}/commits/{ref}/statuses`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Account, Forgejo};
use crate::forge::ForgeFault;
use crate::pull_request::Check;

#[derive(Deserialize)]
struct CommitStatus {
    id: u64,
    context: String,
    status: String,
    creator: Option<Account>,
    #[serde(default)]
    description: Option<String>,
}

/// What a skipped job says where its status is that of one that succeeded.
const SKIPPED: &str = "Has been skipped";

impl From<CommitStatus> for Check {
    fn from(status: CommitStatus) -> Self {
        let passed = match status.status.as_str() {
            "success" | "skipped" => Some(true),
            // The server's own rules take a warning for no success.
            "failure" | "error" | "warning" => Some(false),
            _ => None,
        };
        let is_skipped = status.description.as_deref() == Some(SKIPPED);
        let counts = status.status == "success" && !is_skipped;
        Self { name: status.context, by: status.creator.map(|by| by.login), passed, counts }
    }
}

impl Forgejo {
    /// Reads the checks of a commit; `None` for one that the server does not know.
    pub(super) async fn statuses(&self, commit: &str) -> Result<Option<Vec<Check>>, ForgeFault> {
        let route = self.route(&format!("commits/{commit}/statuses"));
        match self.list::<CommitStatus>(&route).await {
            Ok(all) => Ok(Some(newest(all))),
            Err(ForgeFault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads the checks of commits.
    pub(super) async fn all_statuses(
        &self,
        commits: &[&str],
    ) -> Result<BTreeMap<String, Vec<Check>>, ForgeFault> {
        let mut all = BTreeMap::new();
        for commit in commits {
            let checks = self.statuses(commit).await?.unwrap_or_default();
            if !checks.is_empty() {
                all.insert((*commit).to_owned(), checks);
            }
        }
        Ok(all)
    }
}

/// The last of each name, and of each who reported it: all that were ever reported are listed.
fn newest(all: Vec<CommitStatus>) -> Vec<Check> {
    let mut last: BTreeMap<_, CommitStatus> = BTreeMap::new();
    for status in all {
        let by = status.creator.as_ref().map(|by| by.login.clone());
        let key = (status.context.clone(), by);
        if last.get(&key).is_none_or(|known| known.id < status.id) {
            last.insert(key, status);
        }
    }
    last.into_values().map(Check::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_status_of_a_name_and_its_reporter_counts() {
        let status = |id: u64, context: &str, by: &str, status: &str| {
            let text = format!(
                r#"{{"id":{id},"context":"{context}","status":"{status}","creator":{{"id":1,"login":"{by}"}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let all = vec![
            status(3, "test", "ada", "success"),
            status(1, "test", "ada", "failure"),
            status(2, "test", "eve", "error"),
            status(4, "lint", "ada", "pending"),
            status(5, "docs", "ada", "skipped"),
            status(6, "new", "ada", "something"),
            status(7, "style", "ada", "warning"),
            serde_json::from_str(
                r#"{"id":8,"context":"e2e","status":"success","creator":null,"description":"Has been skipped"}"#,
            )
            .unwrap(),
        ];
        let read = newest(all).into_iter().map(|it| (it.name, it.passed, it.counts));
        let want = [
            ("docs", Some(true), false),
            ("e2e", Some(true), false),
            ("lint", None, false),
            ("new", None, false),
            ("style", Some(false), false),
            ("test", Some(true), true),
            ("test", Some(false), false),
        ];
        let want = want.map(|(name, passed, counts)| (name.to_owned(), passed, counts));
        assert_eq!(read.collect::<Vec<_>>(), want);
    }
}

//! Checks of commits: jobs of pipelines, and statuses that others report
//! ([REST](https://docs.gitlab.com/api/commits/#list-commit-statuses)).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{GitLab, Username};
use crate::forge::ForgeFault;
use crate::pull_request::Check;

#[derive(Deserialize)]
struct CommitStatus {
    id: u64,
    name: String,
    /// The branch or merge request of its pipeline.
    #[serde(rename = "ref")]
    of: Option<String>,
    status: String,
    #[serde(default)]
    allow_failure: bool,
    author: Option<Username>,
}

impl From<CommitStatus> for Check {
    fn from(status: CommitStatus) -> Self {
        // https://docs.gitlab.com/ci/jobs/#available-job-statuses
        let passed = match status.status.as_str() {
            "success" | "skipped" => Some(true),
            "failed" | "canceled" => Some(status.allow_failure),
            // A job that waits for somebody, where the pipeline does not wait for it.
            "manual" => status.allow_failure.then_some(true),
            _ => None,
        };
        let counts = status.status == "success";
        let by = status.author.map(|author| author.username);
        Self { name: status.name, by, passed, counts }
    }
}

impl GitLab {
    /// Reads the checks of a commit; `None` for one that GitLab does not know.
    pub(super) async fn statuses(&self, commit: &str) -> Result<Option<Vec<Check>>, ForgeFault> {
        let route = self.route(&format!("repository/commits/{commit}/statuses"));
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

/// The last of each name, of each who reported it and of each branch: GitLab lists those of earlier pipelines as well.
fn newest(all: Vec<CommitStatus>) -> Vec<Check> {
    let mut last: BTreeMap<_, CommitStatus> = BTreeMap::new();
    for status in all {
        let by = status.author.as_ref().map(|author| author.username.clone());
        let key = (status.name.clone(), by, status.of.clone());
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
    fn a_later_pipeline_replaces_an_earlier_one_of_the_same_branch() {
        let status = |id: u64, name: &str, of: &str, status: &str| {
            let text = format!(r#"{{"id":{id},"name":"{name}","ref":"{of}","status":"{status}"}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let all = vec![
            status(3, "test", "a", "success"),
            status(1, "test", "a", "failed"),
            status(2, "test", "b", "failed"),
            status(4, "lint", "a", "running"),
        ];
        let read: Vec<_> = newest(all).into_iter().map(|it| (it.name, it.passed)).collect();
        let want = [("lint", None), ("test", Some(true)), ("test", Some(false))];
        assert_eq!(read, want.map(|(name, passed)| (name.to_owned(), passed)));
    }

    #[test]
    fn a_job_passes_as_its_pipeline_says() {
        let cases = [
            ("success", false, Some(true), true),
            ("failed", false, Some(false), false),
            ("failed", true, Some(true), false),
            ("canceled", false, Some(false), false),
            ("skipped", false, Some(true), false),
            ("manual", true, Some(true), false),
            ("manual", false, None, false),
            ("created", false, None, false),
            ("running", true, None, false),
            ("waiting_for_resource", false, None, false),
            ("something new", false, None, false),
        ];
        for (status, allow_failure, passed, counts) in cases {
            let status = CommitStatus {
                id: 1,
                of: None,
                name: "test".to_owned(),
                status: status.to_owned(),
                allow_failure,
                author: None,
            };
            let text = status.status.clone();
            let check = Check::from(status);
            assert_eq!((check.passed, check.counts), (passed, counts), "{text} {allow_failure}");
        }
    }
}

//! Checks of commits: jobs of pipelines, and statuses that others report
//! ([REST](https://docs.gitlab.com/api/commits/#list-commit-statuses)).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{GitLab, Username};
use crate::forge::Fault;
use crate::pull_request::Check;

#[derive(Deserialize)]
struct CommitStatus {
    name: String,
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
    /// Reads the checks of a commit; one that GitLab does not know has none.
    pub(super) async fn statuses(&self, commit: &str) -> Result<Vec<Check>, Fault> {
        let route = self.route(&format!("repository/commits/{commit}/statuses"));
        match self.list::<CommitStatus>(&route).await {
            Ok(all) => Ok(all.into_iter().map(Check::from).collect()),
            Err(Fault::NotFound(_)) => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    /// Reads the checks of commits.
    pub(super) async fn all_statuses(
        &self,
        commits: &[&str],
    ) -> Result<BTreeMap<String, Vec<Check>>, Fault> {
        let mut all = BTreeMap::new();
        for commit in commits {
            let checks = self.statuses(commit).await?;
            if !checks.is_empty() {
                all.insert((*commit).to_owned(), checks);
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

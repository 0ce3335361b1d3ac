//! The rules of a project ([REST](https://docs.gitlab.com/api/projects/#get-a-single-project)) and the commit of its base
//! ([REST](https://docs.gitlab.com/api/branches/#get-single-repository-branch)).

use serde::Deserialize;

use super::{GitLab, encoded};
use crate::forge::ForgeFault;
use crate::policy::MergeMethod;
use crate::pull_request::RepoRules;

/// A project, as far as it concerns a merge. What is not said is not so: some of it is in paid editions alone.
#[derive(Deserialize)]
struct Project {
    merge_method: Option<String>,
    squash_option: Option<String>,
    #[serde(default)]
    archived: bool,
    merge_requests_access_level: Option<String>,
    #[serde(default)]
    remove_source_branch_after_merge: Option<bool>,
    #[serde(default)]
    merge_trains_enabled: Option<bool>,
}

/// The rules for merge requests.
pub(super) struct ProjectRules {
    pub(super) rules: RepoRules,
    /// True if they are merged by a train.
    pub(super) has_trains: bool,
}

#[derive(Deserialize)]
struct BaseBranch {
    commit: BaseCommit,
}

#[derive(Deserialize)]
struct BaseCommit {
    id: String,
}

impl GitLab {
    /// Reads the rules for merge requests to a base. Fails where the project takes none.
    pub(super) async fn rules(&self, base: &str) -> Result<ProjectRules, ForgeFault> {
        let project: Project = self.get(self.route("").trim_end_matches('/')).await?;
        if project.archived {
            return Err(ForgeFault::Unsupported(
                "serves this project for reading only: it is archived",
            ));
        }
        if project.merge_requests_access_level.as_deref() == Some("disabled") {
            return Err(ForgeFault::Disabled(self.repository.to_string()));
        }
        let route = self.route(&format!("repository/branches/{}", encoded(base)));
        let branch = match self.get::<BaseBranch>(&route).await {
            Ok(branch) => Some(branch.commit.id),
            // The first push makes it.
            Err(ForgeFault::NotFound(_)) => None,
            Err(fault) => return Err(fault),
        };
        let rules = RepoRules {
            viewer: self.observed().viewer,
            methods: project.methods(),
            auto_merge: true,
            deletes_branches: project.remove_source_branch_after_merge.unwrap_or_default(),
            starts_no_checks: false,
            base: branch,
        };
        Ok(ProjectRules { rules, has_trains: project.merge_trains_enabled.unwrap_or_default() })
    }
}

impl Project {
    /// The methods that its settings allow
    /// (<https://docs.gitlab.com/user/project/merge_requests/methods/>). A merge commit and a fast-forward are never both
    /// possible.
    fn methods(&self) -> Vec<MergeMethod> {
        let squash = self.squash_option.as_deref().unwrap_or_default();
        let plain = match self.merge_method.as_deref() {
            Some("ff") => MergeMethod::Rebase,
            _ => MergeMethod::Merge,
        };
        let mut methods = Vec::new();
        methods.extend((squash != "never").then_some(MergeMethod::Squash));
        methods.extend((squash != "always").then_some(plain));
        methods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_allow_methods() {
        use MergeMethod::{Merge, Rebase, Squash};
        let cases = [
            ("merge", "default_off", vec![Squash, Merge]),
            ("rebase_merge", "never", vec![Merge]),
            ("ff", "default_on", vec![Squash, Rebase]),
            ("ff", "always", vec![Squash]),
        ];
        for (method, squash, want) in cases {
            let text = format!(r#"{{"merge_method":"{method}","squash_option":"{squash}"}}"#);
            let project: Project = serde_json::from_str(&text).unwrap();
            assert_eq!(project.methods(), want, "{method} {squash}");
        }
    }
}

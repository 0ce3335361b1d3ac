//! The rules of a repository, and of its base.

use serde::Deserialize;

use super::Forgejo;
use crate::forge::ForgeFault;
use crate::forge::rest::encoded;
use crate::policy::MergeMethod;
use crate::pull_request::RepoRules;

/// What cannot be done in an archived repository.
pub(super) const ARCHIVED: &str = "serves this repository for reading only: it is archived";

/// Logins of the account that jobs of the server's own CI act as. Its pull requests start no workflows
/// (<https://forgejo.org/docs/latest/user/actions/security/>).
const JOBS: [&str; 2] = ["forgejo-actions", "gitea-actions"];

/// A repository, as far as it concerns a merge. What is not said is not so: older versions say less.
#[derive(Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "settings that the interface reports")]
pub(super) struct Repository {
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    has_pull_requests: bool,
    #[serde(default)]
    allow_merge_commits: bool,
    #[serde(default)]
    allow_rebase: bool,
    #[serde(default)]
    allow_squash_merge: bool,
}

/// The base, with what its protection wants of a merge; whoever may read it may know this.
#[derive(Deserialize)]
pub(super) struct BaseBranch {
    commit: BaseCommit,
    /// True if checks have to pass.
    #[serde(default)]
    enable_status_check: bool,
    #[serde(default)]
    required_approvals: u64,
    /// The rule that protects it.
    #[serde(default)]
    effective_branch_protection_name: String,
}

#[derive(Deserialize)]
struct BaseCommit {
    id: String,
}

/// A protection, as far as only administrators may know it.
#[derive(Deserialize)]
struct Protection {
    #[serde(default)]
    block_on_outdated_branch: bool,
}

impl BaseBranch {
    /// True if a pull request is merged as soon as somebody wants it.
    pub(super) fn lets_everything_in(&self) -> bool {
        !self.enable_status_check && self.required_approvals == 0
    }
}

impl Repository {
    /// The rules for pull requests. Fails where the repository takes none.
    pub(super) fn rules(&self, viewer: String, of: &str) -> Result<RepoRules, ForgeFault> {
        if self.archived {
            return Err(ForgeFault::Unsupported(ARCHIVED));
        }
        if !self.has_pull_requests {
            return Err(ForgeFault::Disabled(of.to_owned()));
        }
        Ok(RepoRules {
            starts_no_checks: JOBS.contains(&&*viewer),
            viewer,
            methods: self.methods(),
            auto_merge: true,
            // Only pages do so by themselves; the interface deletes what it is told to.
            deletes_branches: false,
            base: None,
        })
    }

    fn methods(&self) -> Vec<MergeMethod> {
        let all = [
            (self.allow_squash_merge, MergeMethod::Squash),
            (self.allow_merge_commits, MergeMethod::Merge),
            (self.allow_rebase, MergeMethod::Rebase),
        ];
        all.into_iter().filter_map(|(is_allowed, method)| is_allowed.then_some(method)).collect()
    }
}

impl Forgejo {
    pub(super) async fn repository_settings(&self) -> Result<Repository, ForgeFault> {
        self.get(self.route("").trim_end_matches('/')).await
    }

    /// Reads the base; `None` where the first push makes it.
    pub(super) async fn base_branch(&self, base: &str) -> Result<Option<BaseBranch>, ForgeFault> {
        match self.get(&self.route(&format!("branches/{}", encoded(base)))).await {
            Ok(branch) => Ok(Some(branch)),
            Err(ForgeFault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn base_commit(&self, base: &str) -> Result<Option<String>, ForgeFault> {
        Ok(self.base_branch(base).await?.map(|branch| branch.commit.id))
    }

    /// True if a branch has to hold the base before it is merged, asked for once in a run. Those who do not administer the
    /// repository are not told; then a merge says it.
    pub(super) async fn wants_base_in_branch(&self, base: &str) -> Result<bool, ForgeFault> {
        if let Some(known) = self.observed().wants_base_in_branch {
            return Ok(known);
        }
        let is_wanted = self.ask_for_outdated(base).await?;
        self.learn(|seen| seen.wants_base_in_branch = Some(is_wanted));
        Ok(is_wanted)
    }

    async fn ask_for_outdated(&self, base: &str) -> Result<bool, ForgeFault> {
        let branch = self.base_branch(base).await?;
        let rule = branch.map(|branch| branch.effective_branch_protection_name).unwrap_or_default();
        if rule.is_empty() {
            return Ok(false);
        }
        let route = self.route(&format!("branch_protections/{}", encoded(&rule)));
        match self.get::<Protection>(&route).await {
            Ok(protection) => Ok(protection.block_on_outdated_branch),
            Err(ForgeFault::Forbidden(_) | ForgeFault::NotFound(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_says_what_it_takes() {
        let rules = |text: &str, viewer: &str| {
            let repository: Repository = serde_json::from_str(text).unwrap();
            repository.rules(viewer.to_owned(), "acme/fleet")
        };
        let open = r#"{"has_pull_requests":true,"allow_squash_merge":true,"allow_rebase":true}"#;
        let read = rules(open, "bot").unwrap();
        assert_eq!(read.methods, [MergeMethod::Squash, MergeMethod::Rebase]);
        assert!(!read.starts_no_checks);
        assert!(rules(open, "forgejo-actions").unwrap().starts_no_checks);
        assert_eq!(rules("{}", "bot"), Err(ForgeFault::Disabled("acme/fleet".into())));
        let archived = r#"{"has_pull_requests":true,"archived":true}"#;
        assert_eq!(rules(archived, "bot"), Err(ForgeFault::Unsupported(ARCHIVED)));
    }
}

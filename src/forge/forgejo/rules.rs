//! The rules of a repository, and of its base.

use globset::Glob;
use serde::Deserialize;

use super::Forgejo;
use crate::forge::ForgeFault;
use crate::forge::rest::encoded;
use crate::policy::MergeMethod;
use crate::pull_request::{Check, RepoRules};

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
    /// Patterns of the checks that have to; all that there are where there is none.
    #[serde(default)]
    status_check_contexts: Option<Vec<String>>,
    #[serde(default)]
    pub(super) required_approvals: u64,
    #[serde(default)]
    protected: bool,
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
    /// True if it wants checks that have not passed, of those that a commit has. Where it names none and there is none, some
    /// versions wait and others do not.
    pub(super) fn waits_for(&self, checks: &[Check]) -> bool {
        let has_passed = |pattern: &String| {
            let glob = Glob::new(pattern).map(|glob| glob.compile_matcher());
            let is_it = |check: &Check| {
                check.name == *pattern || glob.as_ref().is_ok_and(|glob| glob.is_match(&check.name))
            };
            let mut named = checks.iter().filter(|check| is_it(check)).peekable();
            named.peek().is_some() && named.all(|check| check.passed == Some(true))
        };
        let named = self.status_check_contexts.iter().flatten().filter(|name| !name.is_empty());
        let named: Vec<&String> = named.collect();
        let is_open = match &named[..] {
            [] => checks.iter().any(|check| check.passed != Some(true)),
            named => !named.iter().all(|name| has_passed(name)),
        };
        self.enable_status_check && is_open
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

    /// True if the base is protected.
    pub(super) async fn is_base_protected(&self) -> Result<bool, ForgeFault> {
        let branch = self.base_branch(&self.observed().base).await?;
        Ok(branch.is_some_and(|branch| branch.protected))
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
    fn a_base_waits_for_what_it_names() {
        let check = |name: &str, passed: Option<bool>| Check {
            name: name.to_owned(),
            passed,
            ..Check::default()
        };
        let (ci, dco) = (check("CI / test (push)", Some(true)), check("dco", Some(true)));
        let base = |contexts: &str| -> BaseBranch {
            let text = format!(
                r#"{{"commit":{{"id":"c"}},"enable_status_check":true,"status_check_contexts":{contexts}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        for (contexts, checks, want) in [
            ("[]", vec![], false),
            ("null", vec![ci.clone()], false),
            ("[]", vec![ci.clone(), check("x", None)], true),
            (r#"["CI / *"]"#, vec![], true),
            (r#"["CI / *"]"#, vec![dco.clone()], true),
            (r#"["CI / *"]"#, vec![dco.clone(), ci.clone()], false),
            (r#"["CI / *","dco"]"#, vec![ci.clone(), check("dco", Some(false))], true),
            (r#"["["]"#, vec![ci, dco, check("[", Some(true))], false),
        ] {
            assert_eq!(base(contexts).waits_for(&checks), want, "{contexts} {checks:?}");
        }
    }

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

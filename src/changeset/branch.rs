//! What goes together, and its branch: always the same for the same bundle, so that a run finds its own.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::policy::{Environment, EnvironmentId, Group, PolicyId, PolicySet, Via};

/// What every branch of ours begins with, where the policies are.
pub const BRANCH_PREFIX: &str = "tagalong/";

/// What every branch of ours begins with. Another repository can have policies of its own, or be written to by several:
/// whose a branch is, its name says.
#[must_use]
pub fn branch_prefix(set: &PolicySet) -> String {
    match &set.here.repository {
        None => BRANCH_PREFIX.to_owned(),
        Some(_) => {
            let hash = hex(&Sha256::digest(&set.origin)[..4]);
            format!("tagalong-from-{hash}/")
        }
    }
}

/// The beginning of the branches of rollbacks, which runs of another kind leave alone.
#[must_use]
pub fn rollback_prefix(set: &PolicySet) -> String {
    branch_prefix(set).replacen("tagalong", "tagalong-rollback", 1)
}

/// The branch of a rollback of an environment, or of some of its images. Two of them never share one.
#[must_use]
pub fn rollback_branch(set: &PolicySet, environment: EnvironmentId, images: &[String]) -> String {
    let Environment { name, home, .. } = &set.environments[environment];
    let branch = home.branch.as_ref().map(|branch| format!(" on {branch}")).unwrap_or_default();
    let mut images: Vec<&str> = images.iter().map(String::as_str).collect();
    images.sort_unstable();
    images.dedup();
    let of = std::iter::once(format!("{name}{branch}"));
    let words: Vec<String> = of.chain(images.into_iter().map(str::to_owned)).collect();
    rollback_prefix(set) + &slug_of(&words.join("/"))
}

const MAX_SLUG: usize = 60;

/// What stands for the name of an environment where a change set is of several.
pub const ALL_ENVIRONMENTS: &str = "*";

/// What is delivered together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bundle {
    /// Index of the environment; `None` for all that say so.
    pub(super) environment: Option<EnvironmentId>,
    /// The part of its changes; `None` for all of them.
    pub(super) part: Option<String>,
}

impl Bundle {
    /// What an environment's changes of an image go with. Only pull requests divide them: what goes
    /// straight to a branch goes together.
    #[must_use]
    pub fn of(set: &PolicySet, environment: EnvironmentId, policy: PolicyId) -> Self {
        let deliver = &set.environments[environment].deliver;
        match (&deliver.group, deliver.via) {
            (Group::All, Via::PullRequest) => Self::default(),
            (group, Via::PullRequest) => {
                // What moves together goes together.
                let name = &set.policies[policy].name;
                let first = set.together(environment, policy).map_or(&**name, |(_, first)| first);
                let part = group.part(first);
                Self { environment: Some(environment), part }
            }
            (_, Via::Push | Via::Worktree) => Self { environment: Some(environment), part: None },
        }
    }

    /// The bundles of an environment that are known before anything is decided.
    #[must_use]
    pub fn certain(set: &PolicySet, environment: EnvironmentId) -> Option<Self> {
        let whole = Self { environment: Some(environment), part: None };
        match set.environments[environment].deliver.group {
            Group::Environment | Group::Named(_) => Some(whole),
            Group::All => Some(Self::default()),
            Group::Image => None,
        }
    }

    /// The branch of its pull request.
    #[must_use]
    pub fn branch(&self, set: &PolicySet) -> String {
        let named = |index: EnvironmentId| {
            let Environment { name, home, .. } = &set.environments[index];
            // Two branches of one repository do not share one of ours: one that moves leaves the old one behind.
            match &home.branch {
                Some(branch) => format!("{name} on {branch}"),
                None => name.clone(),
            }
        };
        let environment = self.environment.map(named);
        let name = match (environment, &self.part) {
            (Some(environment), None) => environment,
            (Some(environment), Some(part)) => format!("{environment}/{part}"),
            // Names of environments hold no spaces.
            (None, _) => match &set.here.branch {
                None => "all environments".to_owned(),
                Some(branch) => format!("all environments of {branch}"),
            },
        };
        branch_prefix(set) + &slug_of(&name)
    }
}

/// The last part of a branch's name; names that are not their own slug get eight digits of their hash, so that two
/// different names never share a branch. Always a name that `git check-ref-format` accepts.
fn slug_of(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-");
    slug.truncate(MAX_SLUG);
    if slug == name && !slug.is_empty() {
        return slug;
    }
    let hash = hex(&Sha256::digest(name.as_bytes())[..4]);
    let joint = if slug.is_empty() { "" } else { "-" };
    format!("{slug}{joint}{hash}")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_readable_and_others_stay_apart() {
        assert_eq!(slug_of("staging"), "staging");
        assert_eq!(slug_of("prod-eu"), "prod-eu");
        assert!(slug_of("prod.eu").starts_with("prod-eu-"));
        assert_ne!(slug_of("prod.eu"), slug_of("prod_eu"));
        assert_ne!(slug_of("Staging"), slug_of("staging"));
    }

    proptest::proptest! {
        #[test]
        fn any_name_gives_a_ref_name(name in ".*") {
            let rest = slug_of(&name);
            proptest::prop_assert!(!rest.is_empty() && rest.len() < 80);
            proptest::prop_assert!(rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            proptest::prop_assert!(!rest.starts_with('-') && !rest.ends_with('-'));
        }
    }
}

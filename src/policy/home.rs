//! Where the files of environments are: in the repository of the policies, or elsewhere.

use std::fmt;

/// Where an environment's files are; on the branch of the policies when it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Home {
    /// `OWNER/NAME` on the same server, or `HOST/OWNER/NAME` on another; the repository of the policies without it.
    pub repository: Option<String>,
    /// The branch; without it that of the policies, or another repository's default branch.
    pub branch: Option<String>,
}

/// A key that cannot be what it is, and why.
pub(super) type Wrong = (&'static str, String);

/// What branches of ours begin with: they are written anew by every run.
const OWN: [&str; 3] = ["tagalong/", "tagalong-from-", "tagalong-rollback"];

impl Home {
    /// Reads what an environment says.
    pub(super) fn read(repository: Option<&str>, branch: Option<&str>) -> Result<Self, Wrong> {
        if let Some(name) = repository.filter(|name| !is_repository(name)) {
            let name = name.escape_debug();
            let why = format!(
                "`{name}` is not OWNER/NAME, as in acme/fleet, or HOST/OWNER/NAME, as in gitlab.com/acme/fleet"
            );
            return Err(("repository", why));
        }
        if let Some(branch) = branch.filter(|branch| !is_branch(branch)) {
            return Err(("branch", format!("`{}` is no branch to deploy", branch.escape_debug())));
        }
        // Forges compare names without case.
        let repository = repository.map(str::to_lowercase);
        Ok(Self { repository, branch: branch.map(str::to_owned) })
    }

    /// Whether it is where the policies are.
    #[must_use]
    pub fn is_here(&self) -> bool {
        *self == Self::default()
    }
}

/// `acme/fleet`, `acme/fleet@production`, or `@production` in the repository of the policies.
impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.repository.as_deref().unwrap_or_default())?;
        self.branch.as_ref().map_or(Ok(()), |branch| write!(f, "@{branch}"))
    }
}

/// True if something can be an owner or groups and a name, with a host before them or without.
fn is_repository(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_word = |word: &str| !matches!(word, "" | "." | "..") && word.bytes().all(plain);
    let (first, rest) = text.split_once('/').unwrap_or((text, ""));
    // A host can have a port.
    let (host, port) = first.split_once(':').unwrap_or((first, "0"));
    let is_first = is_word(host) && port.bytes().all(|b| b.is_ascii_digit()) && port.len() <= 5;
    is_first && rest.split('/').all(is_word) && (host == first || rest.contains('/'))
}

/// Whether something can be a branch that is not ours; the server says whether it is one.
fn is_branch(text: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let is_sound = !text.is_empty() && !text.starts_with(['-', '/']) && !text.contains("..");
    is_sound && !text.contains(is_odd) && !OWN.iter().any(|own| text.starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_a_repository_and_a_branch() {
        let cases = [
            (None, None, Ok("")),
            (None, Some("env/production"), Ok("@env/production")),
            (Some("acme/fleet-prod"), None, Ok("acme/fleet-prod")),
            (Some("acme/fleet.prod"), Some("live"), Ok("acme/fleet.prod@live")),
            (Some("fleet"), None, Err("repository")),
            (Some("acme/.."), None, Err("repository")),
            (Some("https://github.com/acme/fleet"), None, Err("repository")),
            (Some("Acme/platform/fleet"), None, Ok("acme/platform/fleet")),
            (
                Some("gitlab.example.com:8443/acme/fleet"),
                None,
                Ok("gitlab.example.com:8443/acme/fleet"),
            ),
            (Some("acme:1/fleet"), None, Err("repository")),
            (Some("acme/fleet/"), None, Err("repository")),
            (Some("acme//fleet"), None, Err("repository")),
            (None, Some("tagalong/staging"), Err("branch")),
            (None, Some("tagalong-from-1a2b3c4d/live"), Err("branch")),
            (None, Some(""), Err("branch")),
            (None, Some("-x"), Err("branch")),
            (None, Some("a b"), Err("branch")),
            (None, Some("a..b"), Err("branch")),
        ];
        for (repository, branch, want) in cases {
            let got = Home::read(repository, branch).map(|home| home.to_string());
            let want = want.map(str::to_owned);
            assert_eq!(got.map_err(|(key, _)| key), want, "{repository:?} {branch:?}");
        }
    }
}

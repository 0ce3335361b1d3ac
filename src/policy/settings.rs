//! `tagalong.yaml`: the repository's own settings.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::exclusion::{Exclusion, WrongPattern};
use super::file::{PolicyFile, sole};
use super::raw::{RawSettings, Sign};
use super::registries::{self, RegistrySettings};
use crate::diagnostic::{Code, Diagnostic};

/// Where the settings of a config repository are.
pub const SETTINGS_FILE: &str = "tagalong.yaml";

const DEFAULT_POLICIES: [&str; 2] = ["policies/**/*.yaml", "policies/**/*.yml"];

/// What `tagalong.yaml` says, or the defaults.
#[derive(Clone, Debug)]
pub struct RepositorySettings {
    /// Which files hold policies.
    pub policies: GlobSet,
    /// The globs as they are written, for messages.
    pub policy_globs: Vec<String>,
    /// What is left out of every environment.
    pub exclude: Exclusion,
    /// What is special about registries.
    pub registries: Vec<RegistrySettings>,
    /// The author of commits.
    pub author: Option<CommitAuthor>,
    /// How commits are signed; not without this.
    pub sign: Option<Sign>,
    /// The title of the issue that shows everything.
    pub dashboard: Option<String>,
}

/// The author of commits, and what commits say beside that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitAuthor {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// Trailers of every commit.
    pub trailers: Vec<String>,
}

impl RepositorySettings {
    /// Reads the settings file; the defaults where there is none.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn read(file: Option<&PolicyFile>) -> Result<Self, Vec<Diagnostic>> {
        match file {
            Some(file) => sole(file, Self::from_raw),
            None => Self::from_raw(RawSettings::default(), None),
        }
    }

    fn from_raw(
        raw: RawSettings,
        places: Option<super::file::Places<'_>>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let policy_globs =
            raw.policies.unwrap_or_else(|| DEFAULT_POLICIES.map(str::to_owned).to_vec());
        let mut problems = Vec::new();
        let mut builder = GlobSetBuilder::new();
        for (index, glob) in policy_globs.iter().enumerate() {
            match Glob::new(glob) {
                Ok(glob) => drop(builder.add(glob)),
                Err(error) => {
                    let problem = Diagnostic::error(Code::PolicyPaths, error.to_string());
                    let place = places.map(|places| places.of(&["policies", &index.to_string()]));
                    problems.push(Diagnostic { place, ..problem });
                }
            }
        }
        let (exclude, wrong) = Exclusion::read(&raw.exclude);
        problems.extend(wrong.into_iter().map(|WrongPattern { index, problem }| {
            let place = places.map(|places| places.of(&["exclude", &index.to_string()]));
            Diagnostic { place, ..problem }
        }));
        let registries = registries::of_raw(raw.registries, places, false, &mut problems);
        let author = raw.author.map(|author| {
            let signed = format!("Signed-off-by: {} <{}>", author.name, author.email);
            let others = author.co_authors.iter().map(|who| format!("Co-authored-by: {who}"));
            let trailers = others.chain(author.sign_off.then_some(signed)).collect();
            CommitAuthor { name: author.name, email: author.email, trailers }
        });
        if let Some(wrong) = author.iter().flat_map(|a| &a.trailers).find(|t| !is_trailer(t)) {
            let message = format!("`{}` is not `Name <address>`", wrong.escape_debug());
            let place = places.map(|places| places.of(&["author"]));
            let problem = Diagnostic::error(Code::PolicyInvalidValue, message);
            problems.push(Diagnostic { place, ..problem });
        }
        let (dashboard, sign) = (raw.dashboard, raw.sign);
        match builder.build() {
            Ok(policies) if problems.is_empty() => {
                Ok(Self { policies, policy_globs, exclude, registries, author, sign, dashboard })
            }
            Ok(_) => Err(problems),
            Err(error) => Err(vec![Diagnostic::error(Code::PolicyPaths, error.to_string())]),
        }
    }
}

/// Whether a trailer is one line that ends in an address.
fn is_trailer(text: &str) -> bool {
    let is_line = !text.contains(char::is_control);
    is_line && text.ends_with('>') && text.contains(" <") && text.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RepositorySettings, Vec<Diagnostic>> {
        RepositorySettings::read(Some(&PolicyFile::new(SETTINGS_FILE, text)))
    }

    #[test]
    fn defaults_and_an_empty_file_are_the_same() {
        for settings in [RepositorySettings::read(None), read(""), read("# nothing yet\n")] {
            let settings = settings.unwrap();
            assert!(settings.policies.is_match("policies/a/b.yaml"));
            assert!(settings.policies.is_match("policies/a.yml"));
            assert!(!settings.policies.is_match("clusters/a.yaml"));
        }
    }

    #[test]
    fn mistakes_are_reported_with_their_lines() {
        let problems = read("policies: ['[']\n").unwrap_err();
        assert_eq!(problems[0].place.as_ref().map(|place| place.line), Some(1));
        let problems = read("registry: x\nregistries: y\n").unwrap_err();
        let codes: Vec<_> = problems.iter().map(|problem| problem.code.as_str()).collect();
        assert_eq!(codes, ["policy.unknown-key", "policy.wrong-type"]);
        assert!(read("a: 1\n---\nb: 2\n").is_err());
    }
}

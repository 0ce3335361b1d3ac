//! How a tag spells a version: `v1.27.3-rc.1-alpine` has a prefix, numbers, a prerelease and a variant.
//!
//! SemVer knows one suffix, the prerelease, and image tags use it for flavours as well. To keep the
//! flavour while the version moves, the two have to be told apart by their words, as
//! [Dependabot](https://github.com/dependabot/dependabot-core/blob/main/docker/lib/dependabot/docker/tag.rb)
//! and [Renovate](https://docs.renovatebot.com/modules/versioning/docker/) do.

use semver::{BuildMetadata, Prerelease};

use super::Version;
use super::version::number;

/// Words that make a suffix a prerelease; what else stands behind the numbers is a variant.
const PRERELEASE_WORDS: [&str; 14] = [
    "alpha",
    "beta",
    "canary",
    "dev",
    "ea",
    "insiders",
    "milestone",
    "next",
    "nightly",
    "pre",
    "preview",
    "rc",
    "snapshot",
    "unstable",
];

/// Short for alpha, beta and milestone, when a number follows.
const PRERELEASE_LETTERS: [&str; 3] = ["a", "b", "m"];

/// A tag taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape<'a> {
    /// What stands before the first digit: nothing, `v`, `release-`.
    pub prefix: &'a str,
    /// How many numbers are written, one to three.
    pub precision: usize,
    /// The numbers, missing ones as zero, and the prerelease.
    pub version: Version,
    /// What else stands behind the numbers: nothing, `-alpine`.
    pub variant: &'a str,
}

impl<'a> Shape<'a> {
    /// Takes a tag apart; `None` when it does not begin with one to three numbers.
    #[must_use]
    pub fn parse(tag: &'a str) -> Option<Self> {
        let (prefix, rest) = tag.split_at(tag.find(|c: char| c.is_ascii_digit())?);
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let core = rest[..end].trim_end_matches('.');
        let suffix = &rest[core.len()..];
        let mut numbers = [0; 3];
        let mut precision = 0;
        for part in core.split('.') {
            *numbers.get_mut(precision)? = number(part)?;
            precision += 1;
        }
        let (pre, variant) = prerelease(suffix);
        let [major, minor, patch] = numbers;
        let version = Version { major, minor, patch, pre, build: BuildMetadata::EMPTY };
        Some(Self { prefix, precision, version, variant })
    }

    /// Whether another tag differs from this one in the version alone.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.prefix, self.precision, self.variant)
            == (other.prefix, other.precision, other.variant)
    }
}

/// Takes a prerelease off the front of a suffix; what is left is the variant.
fn prerelease(suffix: &str) -> (Prerelease, &str) {
    let none = (Prerelease::EMPTY, suffix);
    let text = suffix.strip_prefix(['-', '.', '_']).unwrap_or(suffix);
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, behind) = text.split_at(letters);
    let lower = word.to_ascii_lowercase();
    let separated = behind.strip_prefix(['.', '-']).unwrap_or(behind);
    let digits = separated.find(|c: char| !c.is_ascii_digit()).unwrap_or(separated.len());
    let is_word = PRERELEASE_WORDS.contains(&lower.as_str());
    let is_letter = PRERELEASE_LETTERS.contains(&lower.as_str()) && digits > 0;
    if !is_word && !is_letter {
        return none;
    }
    let (count, variant) = separated.split_at(digits);
    // A separator without a number behind it belongs to the variant.
    let variant = if count.is_empty() { behind } else { variant };
    // The number by itself, so that rc10 follows rc9: here the words are understood anyway.
    let count = count.trim_start_matches('0');
    let identifiers = match count {
        "" if digits > 0 => format!("{lower}.0"),
        "" => lower,
        count => format!("{lower}.{count}"),
    };
    Prerelease::new(&identifiers).map_or(none, |pre| (pre, variant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_taken_apart() {
        let cases = [
            ("1.27", Some(("", 2, "1.27.0", ""))),
            ("v1.27.3", Some(("v", 3, "1.27.3", ""))),
            ("1.27.3-alpine3.20", Some(("", 3, "1.27.3", "-alpine3.20"))),
            ("1.27.3-rc.1-alpine", Some(("", 3, "1.27.3-rc.1", "-alpine"))),
            ("3.13.0b2-slim", Some(("", 3, "3.13.0-b.2", "-slim"))),
            ("3.13-rc-slim", Some(("", 2, "3.13.0-rc", "-slim"))),
            ("1.0.0-SNAPSHOT", Some(("", 3, "1.0.0-snapshot", ""))),
            ("1.0.0-bookworm", Some(("", 3, "1.0.0", "-bookworm"))),
            ("1.0.0-M1", Some(("", 3, "1.0.0-m.1", ""))),
            ("1.0.0-m", Some(("", 3, "1.0.0", "-m"))),
            ("release-7.1_2", Some(("release-", 2, "7.1.0", "_2"))),
            ("17.0.1.4", None),
            ("latest", None),
            ("18446744073709551616", None),
        ];
        for (tag, want) in cases {
            let got = Shape::parse(tag);
            let got =
                got.as_ref().map(|s| (s.prefix, s.precision, s.version.to_string(), s.variant));
            let want =
                want.map(|(prefix, n, version, variant)| (prefix, n, version.to_owned(), variant));
            assert_eq!(got, want, "{tag}");
        }
    }

    #[test]
    fn numbers_of_prereleases_count() {
        let version = |tag| Shape::parse(tag).unwrap().version;
        assert!(version("1.0.0-rc10") > version("1.0.0-rc9"));
        assert!(version("1.0.0-rc.1") < version("1.0.0"));
        assert_eq!(version("1.0.0-rc01"), version("1.0.0-rc1"));
    }
}

//! How a tag spells a version: `v1.27.3-rc.1-alpine` has a prefix, numbers, a prerelease and a variant.
//!
//! SemVer knows one suffix, the prerelease, and image tags use it for flavours as well. To keep the
//! flavour while the version moves, the two have to be told apart by their words, as
//! [Dependabot](https://github.com/dependabot/dependabot-core/blob/main/docker/lib/dependabot/docker/tag.rb)
//! and [Renovate](https://docs.renovatebot.com/modules/versioning/docker/) do.

use semver::{BuildMetadata, Prerelease};

use super::Version;
use super::variant;
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

/// The most numbers that a version has: Windows has four, some drivers five.
const MAX_NUMBERS: usize = 5;

/// A tag taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape<'a> {
    /// What stands before the first digit: nothing, `v`, `release-`.
    pub prefix: &'a str,
    /// The numbers as they are written: `1.27.3`.
    pub core: &'a str,
    /// How many numbers are written, one to five.
    pub precision: usize,
    /// The first three numbers, missing ones as zero, and the prerelease.
    pub version: Version,
    /// The fourth and fifth number.
    more: [u64; 2],
    /// What else stands behind the numbers: nothing, `-alpine`.
    pub variant: &'a str,
}

/// The rank of a version among those that differ in numbers alone: its own numbers, the prerelease, then the numbers in the
/// variant from left to right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    numbers: [u64; MAX_NUMBERS],
    pre: Prerelease,
    counters: Box<[u64]>,
}

impl Release {
    /// The version that it is of, by its first three numbers.
    #[must_use]
    pub fn version(&self) -> Version {
        let [major, minor, patch, ..] = self.numbers;
        Version { major, minor, patch, pre: self.pre.clone(), build: BuildMetadata::EMPTY }
    }

    /// The prerelease.
    #[must_use]
    pub fn pre(&self) -> &Prerelease {
        &self.pre
    }

    /// True if another one has the same first three numbers.
    #[must_use]
    pub fn is_of_same_release(&self, other: &Self) -> bool {
        self.numbers[..3] == other.numbers[..3]
    }
}

impl From<Version> for Release {
    fn from(version: Version) -> Self {
        let Version { major, minor, patch, pre, .. } = version;
        Self { numbers: [major, minor, patch, 0, 0], pre, counters: Box::default() }
    }
}

impl<'a> Shape<'a> {
    /// Takes a tag apart; `None` when it does not begin with one to five numbers.
    #[must_use]
    pub fn parse(tag: &'a str) -> Option<Self> {
        let (prefix, rest) = tag.split_at(front(tag)?);
        if is_commit(prefix, rest) {
            return None;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let core = rest[..end].trim_end_matches('.');
        let suffix = &rest[core.len()..];
        let mut numbers = [0; MAX_NUMBERS];
        let mut precision = 0;
        for part in core.split('.') {
            *numbers.get_mut(precision)? = number(part)?;
            precision += 1;
        }
        let (pre, variant) = prerelease(suffix);
        let [major, minor, patch, more @ ..] = numbers;
        let version = Version { major, minor, patch, pre, build: BuildMetadata::EMPTY };
        Some(Self { prefix, core, precision, version, more, variant })
    }

    /// True if another tag differs from this one in numbers alone: those of its version, and those that count builds or
    /// bases in its variant.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.prefix, self.precision) == (other.prefix, other.precision)
            && variant::is_like(self.variant, other.variant)
    }

    /// True if a base in the variant (`-alpine3.19`) is an older one than this one's.
    #[must_use]
    pub fn is_on_newer_base_than(&self, other: &Self) -> bool {
        variant::bases(other.variant).lt(variant::bases(self.variant))
    }

    /// True if something in the variant can count on: `-r9`, `-alpine3.19`.
    #[must_use]
    pub fn counts(&self) -> bool {
        variant::counters(self.variant).next().is_some()
    }

    /// The lengths of the commits in its variant, as bits.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        variant::hashes(self.variant)
    }

    /// True if a number of it has zeros in front, as dates have.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.core.starts_with('0') && !self.core.starts_with("0.") && self.core.len() > 1
            || self.core.as_bytes().windows(3).any(|at| matches!(at, [b'.', b'0', b'0'..=b'9']))
    }

    /// Its rank among tags like it.
    #[must_use]
    pub fn release(self) -> Release {
        self.release_beside(0)
    }

    /// The same where numbers of some lengths, as bits, are commits: about one of thirty that have seven digits has no letter.
    #[must_use]
    pub fn release_beside(self, hashes: u64) -> Release {
        let Version { major, minor, patch, pre, .. } = self.version;
        let [fourth, fifth] = self.more;
        let counters = variant::counters_beside(self.variant, hashes).collect();
        Release { numbers: [major, minor, patch, fourth, fifth], pre, counters }
    }

    /// True if another tag is made like this one, so that its numbers are versions and counts as those of this one are.
    ///
    /// A number can be a date, a count or a commit as well. It follows another one when it has no more digits than are usual
    /// in its place, or one digit more, is a day only where the other one is, and has zeros in front where that has. Of one or
    /// two numbers, years also have to be where they were.
    #[must_use]
    pub fn is_of_make(&self, other: &Self) -> bool {
        let mut counters = variant::counters(self.variant).zip(variant::counters(other.variant));
        if !counters.all(|(ours, theirs)| follows(&ours.to_string(), &theirs.to_string(), 3)) {
            return false;
        }
        let mut both = self.core.split('.').zip(other.core.split('.')).enumerate();
        if self.precision > 2 {
            let usual = |place| if place > 2 { 3 } else { 4 };
            return both.all(|(place, (ours, theirs))| {
                follows(ours, theirs, usual(place)) && is_padding_kept(ours, theirs)
            });
        }
        both.all(|(place, (ours, theirs))| {
            let longest = if place > 0 { 3.max(ours.len() + 1) } else { ours.len() + 1 };
            let is_padding_kept = is_padding_kept(ours, theirs);
            // A count of four digits passes years on its way.
            let is_count = ours.len() == 4 && theirs.len() == 4 && !is_date(ours);
            let is_date_kept = place > 0 || is_count || is_date(ours) == is_date(theirs);
            theirs.len() <= longest && is_padding_kept && is_date_kept
        })
    }
}

/// Where the version begins: at the first digit, or behind a flavour with a number of its own (`php8.2-2.5.0`).
fn front(tag: &str) -> Option<usize> {
    let first = tag.find(|c: char| c.is_ascii_digit())?;
    let word = tag[..first].rsplit(['-', '_']).next().unwrap_or_default();
    if word.is_empty() || word.eq_ignore_ascii_case("v") {
        return Some(first);
    }
    let is_version = |text: &str| {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text[..end].split('.').filter(|part| !part.is_empty()).count() > 2
    };
    let own = tag[..first].len() - word.len();
    if is_version(&tag[first..]) {
        return Some(first);
    }
    let behind = tag[own..].match_indices('-').map(|(at, _)| own + at + 1);
    let at = behind.into_iter().find(|at| is_version(&tag[*at..]));
    Some(at.map_or(first, |at| at + usize::from(tag[at..].starts_with('v'))))
}

/// True if a tag is a commit behind a word that says so (`sha-1234567`, `git-abc9999`).
fn is_commit(prefix: &str, rest: &str) -> bool {
    let start =
        ["sha-", "git-", "commit-", "sha_", "git_"].iter().find_map(|w| prefix.strip_prefix(*w));
    start.is_some_and(|letters| {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        letters.bytes().chain(rest.bytes()).all(hex)
            && variant::HASH.contains(&(letters.len() + rest.len()))
    })
}

/// True if zeros in front of a number, as in a date, are where they were.
fn is_padding_kept(ours: &str, theirs: &str) -> bool {
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    ours.len() == theirs.len() || !is_padded(ours) && !is_padded(theirs)
}

/// True if a number of up to `usual` digits can come after another one: a much longer one is a date, a time or a commit.
fn follows(ours: &str, theirs: &str, usual: usize) -> bool {
    let is_day_kept = theirs.len() < 8 || is_date(ours) == is_date(theirs);
    theirs.len() <= usual.max(ours.len() + 1) && is_day_kept
}

/// True if a number looks like a year, or a day as `20240923`.
fn is_date(number: &str) -> bool {
    let is_within = |range: std::ops::Range<usize>, low: u32, high: u32| {
        let part = number.get(range).and_then(|part| part.parse::<u32>().ok());
        part.is_some_and(|part| (low..=high).contains(&part))
    };
    match number.len() {
        4 => is_within(0..4, 1990, 2099),
        8 => is_within(0..4, 1990, 2099) && is_within(4..6, 1, 12) && is_within(6..8, 1, 31),
        _ => false,
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
            ("17.0.1.4", Some(("", 4, "17.0.1", ""))),
            ("1.2.3.4.5-x", Some(("", 5, "1.2.3", "-x"))),
            ("1.2.3.4.5.6", None),
            ("latest", None),
            ("php8.2-2.5.0", Some(("php8.2-", 3, "2.5.0", ""))),
            ("php8.2-fpm-v2.5.0-slim", Some(("php8.2-fpm-v", 3, "2.5.0", "-slim"))),
            ("jdk17-1.2", Some(("jdk", 1, "17.0.0", "-1.2"))),
            ("sha-1234567", None),
            ("sha-abc9999", None),
            ("sha-12", Some(("sha-", 1, "12.0.0", ""))),
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

    #[test]
    fn tags_that_differ_in_numbers_alone_are_alike() {
        let cases = [
            ("17.2-35-bookworm", "17.4-10-bookworm", true),
            ("7.2.4-debian-12-r9", "7.2.5-debian-11-r4", true),
            ("7.2.4-debian-12-r9", "7.2.4-photon-12-r9", false),
            ("17.0.1_12-jre", "17.0.10_7-jre", true),
            ("17.0.1_12-jre", "17.0.10_7-jdk", false),
            ("2022-CU10-ubuntu-22.04", "2022-CU12-ubuntu-24.04", true),
            ("3.1.1-alpine3.15", "3.1.1-alpine3.17", true),
            ("3.1.1-alpine3.15", "3.1.1-alpine", false),
            ("1.0-jdk17", "1.0-jdk21", false),
            ("2.11.0-pg15", "2.12.0-pg16", false),
            ("1.0.0-arm32v7", "1.1.0-arm64v8", false),
            ("1.0.0-amd64v2", "1.0.0-amd64v3", false),
            ("1.0-i386", "1.0-i686", false),
            ("1.0-windowsservercore-1809", "1.0-windowsservercore-2022", false),
            ("3.4.0-scala2.12-java11-ubuntu", "3.5.0-scala2.13-java11-ubuntu", false),
            ("1.0-k8s1.28", "1.0-k8s1.29", false),
            ("v1.28.4-k3s1", "v1.28.5-k3s2", true),
            ("v1.10.1-eksbuild.1", "v1.11.1-eksbuild.4", true),
            ("1.2.0-develop.3", "1.2.0-develop.10", true),
            ("16.8.1-ce.0", "16.9.0-ce.1", true),
            ("1.2.0-rc.1", "1.2.0-python.3", false),
            ("1.2.0-feature-123", "1.3.0-feature-789", false),
            ("10.4-ee-8", "10.5-ee-11", false),
            ("v1.28.4-rke2r1", "v1.28.5-rke2r2", true),
            ("3.10-master-777", "3.10-master-999", true),
            ("1.0.0-abcdef1", "1.1.0-1234567", true),
            ("1.0.0-abcdef1", "1.1.0-deadbee", true),
            ("1.0-python3.11-slim", "1.0-python3.12-slim", false),
            ("1.0-python3.11-slim", "1.1-python3.11-slim", true),
            ("2.0.330-63-gc1cfb6864", "2.0.331-1-gabcdef0", true),
            ("v1.4.2-3f1c2a9", "v1.4.3-4a5b6c7", true),
            ("v1.4.2-3f1c2a9", "v1.4.3-alpine", false),
            ("1.3.2.3006", "1.4.0.3200", true),
            ("1.3.2.3006", "1.8.1259", false),
            ("13.22-202511100817-system", "13.23-202611150900-system", true),
            ("1.27", "1.27.0", false),
            ("8.6.0-21-jdk", "8.7.0-17-jdk", false),
            ("3.9.9-eclipse-temurin-17", "3.9.9-eclipse-temurin-21", false),
            ("3.9.9-amazoncorretto-11", "3.9.9-amazoncorretto-17", false),
            ("3.9.9-sapmachine-17", "3.9.10-sapmachine-17", true),
            ("1.0-windows-2019", "1.0-windows-2022", false),
            ("3.3-apache-202209221209", "3.3-apache-202301110601", true),
            ("1.0-main-12", "1.0-main-13", true),
            ("1.0-bookworm-3", "1.0-bookworm-4", true),
            ("1.16.0-erlang-25.3-slim", "1.16.1-erlang-24.0-slim", false),
        ];
        for (one, other, want) in cases {
            let (one, other) = (Shape::parse(one).unwrap(), Shape::parse(other).unwrap());
            assert_eq!(one.is_like(&other), want, "{one:?} {other:?}");
        }
    }

    #[test]
    fn releases_are_ordered_by_version_and_then_by_what_counts() {
        let ascending = [
            "1.2.3.4-rc.1-r9",
            "1.2.3.4-r1",
            "1.2.3.4-r9",
            "1.2.3.4-r10",
            "1.2.3.10-r1",
            "1.2.4.0-r1",
        ];
        let release = |tag| Shape::parse(tag).unwrap().release();
        for pair in ascending.windows(2) {
            assert!(release(pair[0]) < release(pair[1]), "{pair:?}");
        }
        assert!(release("1-alpine3.9-r1") < release("1-alpine3.17-r0"));
    }

    #[test]
    fn few_numbers_are_versions_beside_their_like() {
        let cases = [
            ("3", "4", true),
            ("9", "10", true),
            ("3", "20240923", false),
            ("1", "917005", false),
            ("3", "2024", false),
            ("999", "2024", false),
            ("2023", "2024", true),
            ("42", "43", true),
            ("1989", "1990", true),
            ("20240101", "20240923", true),
            ("20240101", "99999999", false),
            ("24.04", "24.10", true),
            ("24.10", "25.04", true),
            ("1.9", "1.10", true),
            ("1.9", "1.20240101", false),
            ("0042", "0043", true),
            ("0042", "43", false),
            ("3.19", "2024.9", false),
            ("1.2.3", "2024.9.23", true),
            ("1.2.3", "20240923.1.2", false),
            ("1.0.0", "2024.01.01", false),
            ("22.10.1", "23.04.1", true),
            ("2024.9.23", "2024.10.01", true),
            ("2024.09.23", "2024.10.01", true),
            ("1.2.3", "1.20240923.0", false),
            ("1.2.0", "1.3.1234567", false),
            ("1.2.0.1", "1.2.0.20240923", false),
            ("120.0.6099.109", "121.0.6167.85", true),
            ("1.0.0-3", "1.0.0-20240301", false),
            ("1.0.0-r1", "1.0.0-r11", true),
            ("1.0.0-r1989", "1.0.0-r1990", true),
            ("1.0.0-1", "1.0.0-9182736", false),
            ("1.0.0-20240301", "1.0.0-20240923", true),
            ("2024.1.0", "20250101.1.0", false),
        ];
        for (one, other, want) in cases {
            let (one, other) = (Shape::parse(one).unwrap(), Shape::parse(other).unwrap());
            assert_eq!(one.is_of_make(&other), want, "{one:?} {other:?}");
        }
    }
}

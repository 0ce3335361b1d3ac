//! Version ranges with the grammar and rules of
//! [Masterminds/semver](https://github.com/Masterminds/semver/blob/master/README.md#checking-version-constraints)
//! v3.4, which Flux, Argo CD, Kargo and Helm users write.

use std::fmt;

use semver::{BuildMetadata, Prerelease};

use crate::image::{Version, version};

/// A range: alternatives (`||`) of comparators that must all hold (comma or space).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    text: String,
    alternatives: Vec<Alternative>,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// Nothing stands where a comparator must.
    #[error("a version range is missing{}", if .0.is_empty() { String::new() } else { format!(" in `{}`", .0) })]
    Empty(String),
    /// More alternatives than anybody writes.
    #[error("a version range has more than {MAX_ALTERNATIVES} alternatives")]
    Many,
    /// Something that is neither an operator nor a version.
    #[error("`{0}` is not an operator and a version")]
    Comparator(String),
}

/// More alternatives than this in a range are no range that somebody wrote; each is compared with all bounds of all others.
const MAX_ALTERNATIVES: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    comparators: Vec<Comparator>,
    /// One comparator names a prerelease, so prereleases take part
    /// (<https://github.com/Masterminds/semver/pull/267>).
    prereleases: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    operator: RangeOperator,
    version: Version,
    /// How much of the version is written; the rest counts as zero or as a wildcard.
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RangeOperator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    Nothing,
    Major,
    Minor,
    Full,
}

/// Longest spelling first, so that `>=` is not read as `>`.
const OPERATORS: [(&str, RangeOperator); 12] = [
    ("!=", RangeOperator::NotEqual),
    (">=", RangeOperator::GreaterOrEqual),
    ("=>", RangeOperator::GreaterOrEqual),
    ("<=", RangeOperator::LessOrEqual),
    ("=<", RangeOperator::LessOrEqual),
    ("~>", RangeOperator::Tilde),
    ("=", RangeOperator::Equal),
    (">", RangeOperator::Greater),
    ("<", RangeOperator::Less),
    ("~", RangeOperator::Tilde),
    ("^", RangeOperator::Caret),
    ("", RangeOperator::Equal),
];

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// At the first part that is not an operator and a version.
    pub fn parse(text: &str) -> Result<Self, InvalidRange> {
        if text.split("||").nth(MAX_ALTERNATIVES).is_some() {
            return Err(InvalidRange::Many);
        }
        let alternatives = text.split("||").map(|part| Alternative::parse(part, text));
        let alternatives = alternatives.collect::<Result<_, _>>()?;
        Ok(Self { text: text.trim().to_owned(), alternatives })
    }

    /// Whether a version is in the range.
    #[must_use]
    #[inline]
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }

    /// Whether a version is in the range, prereleases taking part on their own as well when asked.
    #[must_use]
    #[inline]
    pub fn admits(&self, version: &Version, prereleases: bool) -> bool {
        if prereleases { self.takes_release_of(version) } else { self.matches(version) }
    }

    /// Whether any version is in the range. Bounds are where comparators change their answer, so it
    /// is enough to look at the versions around each one.
    #[must_use]
    pub fn can_match(&self, prereleases: bool) -> bool {
        let mut around = vec![Version::new(0, 0, 0), Version::new(u64::MAX, u64::MAX, u64::MAX)];
        for comparator in self.alternatives.iter().flat_map(|a| &a.comparators) {
            around.extend(neighbours(&comparator.version));
        }
        around.iter().any(|version| self.admits(version, prereleases))
    }

    /// Whether only its being a prerelease keeps a version out.
    #[must_use]
    pub fn takes_release_of(&self, version: &Version) -> bool {
        let holds =
            |alternative: &Alternative| alternative.comparators.iter().all(|c| c.matches(version));
        self.alternatives.iter().any(holds)
    }
}

/// A version, and those before and after it.
fn neighbours(version: &Version) -> impl Iterator<Item = Version> {
    let Version { major, minor, patch, .. } = *version;
    let next = |text: String| Prerelease::new(&text).unwrap_or_default();
    let after = Version { pre: next(format!("{}.0", version.pre)), ..version.clone() };
    let numbers = [
        (major, minor, patch),
        (major, minor, patch.saturating_add(1)),
        (major, minor, patch.saturating_sub(1)),
        (major, minor.saturating_add(1), 0),
        (major, minor.saturating_sub(1), u64::MAX),
        (major.saturating_add(1), 0, 0),
        (major.saturating_sub(1), u64::MAX, u64::MAX),
    ];
    let released = numbers.map(|(major, minor, patch)| Version::new(major, minor, patch));
    let first = Version { pre: next("0".to_owned()), ..Version::new(major, minor, patch) };
    released.into_iter().chain([version.clone(), after, first])
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Alternative {
    fn parse(part: &str, whole: &str) -> Result<Self, InvalidRange> {
        let mut comparators = Vec::new();
        let mut rest = part.trim();
        if rest.is_empty() {
            return Err(InvalidRange::Empty(whole.trim().to_owned()));
        }
        while !rest.is_empty() {
            rest = take(rest, &mut comparators)?;
        }
        let prereleases = comparators.iter().any(|c| !c.version.pre.is_empty());
        Ok(Self { comparators, prereleases })
    }

    #[inline]
    fn matches(&self, version: &Version) -> bool {
        (self.prereleases || version.pre.is_empty())
            && self.comparators.iter().all(|comparator| comparator.matches(version))
    }
}

/// Takes one comparator, or a hyphen range as its two, and the separator behind it.
fn take<'a>(text: &'a str, into: &mut Vec<Comparator>) -> Result<&'a str, InvalidRange> {
    let (spelling, operator) = OPERATORS
        .into_iter()
        .find(|(spelling, _)| text.starts_with(spelling))
        .unwrap_or(OPERATORS[11]);
    let (word, rest) = word(text[spelling.len()..].trim_start());
    let invalid = || InvalidRange::Comparator(text.split(',').next().unwrap_or(text).trim().into());
    let comparator = Comparator::parse(operator, word).ok_or_else(invalid)?;
    if let Some(upper) = hyphen(rest).filter(|_| spelling.is_empty()) {
        let (word, rest) = self::word(upper);
        let upper = Comparator::parse(RangeOperator::LessOrEqual, word).ok_or_else(invalid)?;
        into.extend([Comparator { operator: RangeOperator::GreaterOrEqual, ..comparator }, upper]);
        return separator(rest).ok_or_else(invalid);
    }
    into.push(comparator);
    separator(rest).ok_or_else(invalid)
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len()))
}

/// What follows ` - `: a hyphen needs white space on both sides, as `1.1-3` is a prerelease.
fn hyphen(rest: &str) -> Option<&str> {
    let after = rest.trim_start().strip_prefix('-')?;
    let spaced = rest.starts_with(char::is_whitespace) && after.starts_with(char::is_whitespace);
    spaced.then(|| after.trim_start())
}

/// Skips white space or one comma; `None` for a comma that nothing follows.
fn separator(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(after) => Some(after.trim_start()).filter(|after| !after.is_empty()),
        None => Some(rest),
    }
}

impl Comparator {
    fn parse(operator: RangeOperator, word: &str) -> Option<Self> {
        let text = word.strip_prefix('v').unwrap_or(word);
        let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
        let mut parts = core.split('.');
        let mut numbers = [0; 3];
        let mut precision = Precision::Nothing;
        let steps = [Precision::Major, Precision::Minor, Precision::Full];
        for (slot, step) in numbers.iter_mut().zip(steps) {
            match parts.next() {
                None => break,
                Some("x" | "X" | "*") => {
                    return parts
                        .all(wildcard_or_number)
                        .then_some(())
                        .and_then(|()| Self::new(operator, numbers, rest, precision));
                }
                Some(part) => *slot = version::number(part)?,
            }
            precision = step;
        }
        match (parts.next(), precision) {
            (Some(_), _) | (None, Precision::Nothing) => None,
            (None, precision) => Self::new(operator, numbers, rest, precision),
        }
    }

    fn new(operator: RangeOperator, n: [u64; 3], rest: &str, precision: Precision) -> Option<Self> {
        let pre: Prerelease = version::prerelease(rest)?;
        let [major, minor, patch] = n;
        let version = Version { major, minor, patch, pre, build: BuildMetadata::EMPTY };
        Some(Self { operator, version, precision })
    }

    #[inline]
    fn matches(&self, v: &Version) -> bool {
        let partial = self.precision != Precision::Full;
        match self.operator {
            RangeOperator::Equal if partial => self.tilde(v),
            RangeOperator::Equal => *v == self.version,
            RangeOperator::NotEqual => self.not_equal(v),
            RangeOperator::Greater => self.greater(v),
            RangeOperator::Less => *v < self.version,
            RangeOperator::GreaterOrEqual => *v >= self.version,
            RangeOperator::LessOrEqual => self.less_or_equal(v),
            RangeOperator::Tilde => self.tilde(v),
            RangeOperator::Caret => self.caret(v),
        }
    }

    /// `!=4.1` leaves out every 4.1.x, `!=4` every 4.x.
    fn not_equal(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.precision {
            Precision::Major => v.major != c.major,
            Precision::Minor if (v.major, v.minor) == (c.major, c.minor) => {
                (!v.pre.is_empty() || !c.pre.is_empty()) && v.pre != c.pre
            }
            Precision::Minor => true,
            Precision::Nothing | Precision::Full => v != c,
        }
    }

    /// `>11` starts at 12, `>11.1` at 11.2.
    fn greater(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.precision {
            Precision::Major => v.major > c.major,
            Precision::Minor => (v.major, v.minor) > (c.major, c.minor),
            Precision::Nothing | Precision::Full => v > c,
        }
    }

    /// `<=1.1` takes in every 1.1.x, `<=2` every 2.x.
    fn less_or_equal(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.precision {
            Precision::Full => v <= c,
            Precision::Major => v.major <= c.major,
            Precision::Minor | Precision::Nothing => (v.major, v.minor) <= (c.major, c.minor),
        }
    }

    /// `~1.2.3` is below 1.3, `~1` below 2; `~0.0.0` and `*` are any version.
    fn tilde(&self, v: &Version) -> bool {
        let c = &self.version;
        let anything = (c.major, c.minor, c.patch) == (0, 0, 0)
            && matches!(self.precision, Precision::Nothing | Precision::Full);
        let minor_free = self.precision == Precision::Major;
        v >= c && (anything || v.major == c.major && (minor_free || v.minor == c.minor))
    }

    /// Up to the next change of the leftmost number that is not zero.
    fn caret(&self, v: &Version) -> bool {
        let c = &self.version;
        if v < c {
            return false;
        }
        if c.major > 0 || self.precision == Precision::Major {
            return v.major == c.major;
        }
        if v.major > 0 {
            return false;
        }
        if c.minor > 0 || self.precision == Precision::Minor {
            return v.minor == c.minor;
        }
        v.minor == 0 && v.patch == c.patch
    }
}

fn wildcard_or_number(part: &str) -> bool {
    matches!(part, "x" | "X" | "*") || version::number(part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constraint table of Masterminds/semver (MIT, see the notice in the file).
    const TABLE: &str = include_str!("../../tests/data/masterminds-ranges.tsv");

    #[test]
    fn agrees_with_the_published_table() {
        let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
        let mut checked = 0;
        for row in rows {
            let [range, text, want] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let Some(found) = version::parse(text) else { continue };
            let got = Range::parse(range).unwrap().matches(&found);
            assert_eq!(got.to_string(), want, "{range} {text}");
            checked += 1;
        }
        assert!(checked > 100, "{checked}");
    }

    #[test]
    fn spellings_that_the_table_lacks() {
        let cases = [
            ("v1.2.3", "1.2.3", true),
            ("^v1.2", "1.9.0", true),
            ("=>1.2", "1.2.0", true),
            ("=<1.2", "1.2.9", true),
            ("~>1.2.3", "1.2.9", true),
            ("1.x.x", "1.9.0", true),
            ("^0", "0.9.0", true),
            ("^0.0", "0.0.9", true),
            ("^0.0", "0.1.0", false),
            ("*-0", "2.0.0-rc.1", true),
            ("^1.x-0", "1.2.0-rc.1", true),
            (">=1.0.0-0", "2.0.0-rc.1", true),
            ("1.2.3 - 1.4", "1.4.9", true),
        ];
        for (range, text, want) in cases {
            let got = Range::parse(range).unwrap().matches(&version::parse(text).unwrap());
            assert_eq!(got, want, "{range} {text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_range() {
        for bad in [
            "",
            "  ",
            "||",
            ">",
            ">= ",
            "1.2.3.4",
            "a",
            "1.2,",
            ",1",
            ">>1",
            "1..2",
            "-1",
            "^1.2.x.y",
            "1 - ",
            "18446744073709551616",
            "latest",
            "1.2 | 1.3",
            "1.x.y",
            "01a",
        ] {
            assert!(Range::parse(bad).is_err(), "{bad:?}");
        }
    }
}

//! How one policy judges tags: filters, then an order.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::{Direction, Range};
use crate::image::{Tag, Version, version};

/// What never takes part: cosign's signature, attestation and SBOM tags, which share a repository
/// with the image (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
pub const DEFAULT_EXCLUDES: [&str; 2] =
    [r"^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$", r"\.(sig|att|sbom)$"];

#[expect(clippy::expect_used, reason = "constant patterns, compiled by a test")]
static ATTACHMENTS: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(DEFAULT_EXCLUDES).expect("constant patterns compile"));

/// A policy's filters and order.
#[derive(Debug)]
pub struct TagRule {
    pub(super) matcher: Option<Regex>,
    pub(super) extract: Option<String>,
    pub(super) exclude: RegexSet,
    /// Whether signatures and the like are left out without being named.
    pub(super) attachments: bool,
    pub(super) order: Order,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Versions in a range, the highest first.
    Semver(Range),
    /// Decimal numbers of any size.
    Numerical(Direction),
    /// Text by its bytes.
    Alphabetical(Direction),
    /// One tag.
    Fixed(Tag),
}

/// A tag's rank under an order. Greater is better; keys of one order only are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// By SemVer precedence.
    Version(Version),
    /// By value, whatever the number of digits.
    Number(Decimal, Direction),
    /// By bytes.
    Text(String, Direction),
    /// The one tag that is wanted.
    Only,
}

/// A number without sign or exponent, leading and trailing zeros removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal {
    /// So that more digits are more, before digits are compared.
    integer_digits: usize,
    integer: String,
    fraction: String,
}

/// Why a tag is not a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// `match` is not found in it.
    Unmatched,
    /// `exclude`, or a default exclusion, is found in it.
    Excluded,
    /// It is not a version, a number, or the fixed tag.
    NotOrdered,
    /// It is a version outside the range.
    OutOfRange,
}

impl TagRule {
    /// The tag's rank, or why it has none.
    ///
    /// # Errors
    /// The first step that the tag does not pass.
    pub fn rank(&self, tag: &Tag) -> Result<Key, Rejection> {
        if let Order::Fixed(wanted) = &self.order {
            return if tag == wanted { Ok(Key::Only) } else { Err(Rejection::NotOrdered) };
        }
        let subject = self.subject(tag.as_str()).ok_or(Rejection::Unmatched)?;
        if self.exclude.is_match(tag.as_str())
            || self.attachments && ATTACHMENTS.is_match(tag.as_str())
        {
            return Err(Rejection::Excluded);
        }
        let key = self.order.key(&subject).ok_or(Rejection::NotOrdered)?;
        match (&self.order, &key) {
            (Order::Semver(range), Key::Version(version)) if !range.matches(version) => {
                Err(Rejection::OutOfRange)
            }
            _ => Ok(key),
        }
    }

    /// The rank of the deployed tag, for the comparison with a candidate: filters and range do not
    /// apply to what already runs, so a tag that `match` refuses is ordered as it stands, and `1.27`,
    /// which is no candidate, still ranks above 1.26.
    #[must_use]
    pub fn rank_deployed(&self, tag: &Tag) -> Option<Key> {
        let subject = self.subject(tag.as_str()).unwrap_or_else(|| tag.as_str().to_owned());
        let partial = || match self.order {
            Order::Semver(_) => version::parse_partial(&subject).map(Key::Version),
            Order::Numerical(_) | Order::Alphabetical(_) | Order::Fixed(_) => None,
        };
        self.order.key(&subject).or_else(partial)
    }

    /// The order, for messages.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// What is ordered: the expansion of `extract`, or the tag; `None` when `match` is not found.
    fn subject(&self, tag: &str) -> Option<String> {
        let Some(matcher) = &self.matcher else { return Some(tag.to_owned()) };
        match &self.extract {
            None => matcher.is_match(tag).then(|| tag.to_owned()),
            Some(template) => {
                let mut subject = String::new();
                matcher.captures(tag)?.expand(template, &mut subject);
                Some(subject)
            }
        }
    }
}

impl Order {
    fn key(&self, subject: &str) -> Option<Key> {
        match self {
            Self::Semver(_) => version::parse(subject).map(Key::Version),
            Self::Numerical(direction) => {
                Decimal::parse(subject).map(|number| Key::Number(number, *direction))
            }
            Self::Alphabetical(direction) => Some(Key::Text(subject.to_owned(), *direction)),
            Self::Fixed(wanted) => {
                // A fixed tag is compared with what is deployed only where both are versions.
                version::parse(subject)
                    .filter(|_| version::parse(wanted.as_str()).is_some())
                    .map(Key::Version)
            }
        }
    }
}

impl Key {
    /// Compares two keys of one order; equal when they are of different orders.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Version(a), Self::Version(b)) => a.cmp_precedence(b),
            (Self::Number(a, direction), Self::Number(b, _)) => direction.apply(a.cmp(b)),
            (Self::Text(a, direction), Self::Text(b, _)) => direction.apply(a.cmp(b)),
            _ => Ordering::Equal,
        }
    }
}

impl Direction {
    fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Asc => ordering,
            Self::Desc => ordering.reverse(),
        }
    }
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(integer) || !digits(fraction) {
            return None;
        }
        let integer = integer.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        Some(Self { integer_digits: integer.len(), integer, fraction })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(matcher: &str, extract: Option<&str>, order: Order) -> TagRule {
        TagRule {
            matcher: Some(Regex::new(matcher).unwrap()),
            extract: extract.map(str::to_owned),
            exclude: RegexSet::new(["-debug$"]).unwrap(),
            attachments: true,
            order,
        }
    }

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    #[test]
    fn steps_reject_in_order() {
        let semver = rule("^v(?<v>.+)$", Some("$v"), Order::Semver(Range::parse("<3").unwrap()));
        let cases = [
            ("v2.0.0", None),
            ("2.0.0", Some(Rejection::Unmatched)),
            ("v2.0.0-debug", Some(Rejection::Excluded)),
            ("v2.0.0.sig", Some(Rejection::Excluded)),
            ("v2.0", Some(Rejection::NotOrdered)),
            ("v3.0.0", Some(Rejection::OutOfRange)),
            ("v2.0.0-rc.1", Some(Rejection::OutOfRange)),
        ];
        for (text, want) in cases {
            assert_eq!(semver.rank(&tag(text)).err(), want, "{text}");
        }
        let cosign = format!("sha256-{}.sig", "0".repeat(64));
        let any = rule("", None, Order::Alphabetical(Direction::Asc));
        assert_eq!(any.rank(&tag(&cosign)), Err(Rejection::Excluded));
    }

    #[test]
    fn numbers_compare_by_value_at_any_size() {
        let ascending = [
            "0",
            "0.5",
            "1",
            "1.05",
            "1.5",
            "9",
            "10",
            "20260101123456788",
            "20260101123456789",
            "1000000000000000000000000000000000000001",
        ];
        for pair in ascending.windows(2) {
            let keys: Vec<_> = pair.iter().map(|n| Decimal::parse(n).unwrap()).collect();
            assert!(keys[0] < keys[1], "{pair:?}");
        }
        assert_eq!(Decimal::parse("007.10"), Decimal::parse("7.1"));
        for bad in ["", "1e5", "-1", "inf", "NaN", "0x1", "1_0", "1.", ".5", "1.2.3"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_deployed_tag_is_ordered_even_outside_the_rule() {
        let semver = rule("^v(?<v>.+)$", Some("$v"), Order::Semver(Range::parse("<3").unwrap()));
        let three = Some(Key::Version(Version::new(3, 0, 0)));
        assert_eq!(semver.rank_deployed(&tag("v3.0.0")), three);
        assert_eq!(semver.rank_deployed(&tag("3.0.0")), three);
        assert_eq!(semver.rank_deployed(&tag("latest")), None);
    }
}

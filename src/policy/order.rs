//! What tags are compared by.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;

use super::calver::Calendar;
use super::{Calver, Direction, Range};
use crate::image::{Release, Tag, Version, version};

/// The order of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Versions within bounds, the highest first.
    Semver(Span),
    /// Calendar versions of one format, the latest first.
    Calver(Calver),
    /// Decimal numbers of any size.
    Numerical(Direction),
    /// Text by its bytes.
    Alphabetical(Direction),
    /// Time, the latest first.
    Newest(Clock),
    /// One tag.
    Fixed(Tag),
}

/// The bounds of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Those of a range.
    Range(Range),
    /// How far they may be from what is deployed.
    Level(Level),
}

/// How far a version may move from the deployed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The first two numbers stay.
    Patch,
    /// The first number stays.
    Minor,
    /// Any higher version.
    Major,
}

/// Whose time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The registry's, or our own first sight where it says none.
    Pushed,
    /// What the image's builder wrote into it, which anybody can set.
    Created,
}

/// A tag's rank under an order. Greater is better; keys of one order only are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// By SemVer precedence, with what else counts in the tags.
    Version(Release),
    /// By date and counters, then by the modifier's bytes.
    Calendar(Box<Calendar>),
    /// By value, whatever the number of digits.
    Number(Box<Decimal>, Direction),
    /// By bytes.
    Text(String, Direction),
    /// By time.
    Time(Timestamp),
    /// The one tag that is wanted.
    Only,
}

/// A number without sign, leading and trailing zeros removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal {
    /// So that more digits are more, before digits are compared.
    integer_digits: usize,
    integer: String,
    fraction: String,
}

/// Where floating-point numbers end, and exponents are no counts any more.
const MAX_EXPONENT: usize = 308;

impl Order {
    /// The rank of what is ordered, without bounds.
    pub(super) fn key(&self, subject: &str, time: Option<Timestamp>) -> Option<Key> {
        match self {
            Self::Semver(_) => version::parse(subject).map(|version| Key::Version(version.into())),
            Self::Calver(format) => {
                format.read(subject).map(|found| Key::Calendar(Box::new(found)))
            }
            Self::Numerical(direction) => {
                Decimal::parse(subject).map(|number| Key::Number(Box::new(number), *direction))
            }
            Self::Alphabetical(direction) => Some(Key::Text(subject.to_owned(), *direction)),
            Self::Newest(_) => time.map(Key::Time),
            Self::Fixed(wanted) => {
                // A fixed tag is compared with what is deployed only where both are versions.
                version::parse(subject)
                    .filter(|_| version::parse(wanted.as_str()).is_some())
                    .map(|version| Key::Version(version.into()))
            }
        }
    }
}

impl Order {
    /// The rank of a number with an exponent, which is one to Flux: `1e5`. To others it is as likely
    /// a hash.
    pub(super) fn exponent_key(&self, subject: &str) -> Option<Key> {
        let Self::Numerical(direction) = self else { return None };
        Decimal::parse_exponent(subject).map(|number| Key::Number(Box::new(number), *direction))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Level(Level::Patch) => f.write_str("patch"),
            Self::Level(Level::Minor) => f.write_str("minor"),
            Self::Level(Level::Major) => f.write_str("major"),
        }
    }
}

impl Level {
    /// Whether a version is within reach of a deployed one. Prereleases are when the deployed
    /// version is one of the same release, or when they are asked for.
    pub(super) fn reaches(self, deployed: &Version, to: &Version, prereleases: bool) -> bool {
        let numbers = |v: &Version| [v.major, v.minor, v.patch];
        let fixed = match self {
            Self::Patch => 2,
            Self::Minor => 1,
            Self::Major => 0,
        };
        let same = |n: usize| numbers(deployed)[..n] == numbers(to)[..n];
        let wanted = prereleases || to.pre.is_empty() || !deployed.pre.is_empty() && same(3);
        same(fixed) && wanted
    }
}

impl Key {
    /// Compares two keys of one order; equal when they are of different orders.
    #[must_use]
    #[inline]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Most versions differ in their numbers.
            (Self::Version(a), Self::Version(b)) => a.cmp(b),
            (Self::Calendar(a), Self::Calendar(b)) => a.cmp(b),
            (Self::Number(a, direction), Self::Number(b, _)) => direction.apply(a.cmp(b)),
            (Self::Text(a, direction), Self::Text(b, _)) => direction.apply(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
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
    /// Reads `1e5` or `1.5e+3`, which programs that read floating-point numbers take for numbers.
    fn parse_exponent(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E'])?;
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i16 = exponent.parse().ok()?;
        let shift = usize::from(exponent.unsigned_abs());
        if shift > MAX_EXPONENT
            || integer.is_empty()
            || !integer.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let zeros = "0".repeat(shift);
        // The point moves through zeros that stand on both sides.
        let digits = format!("{zeros}{integer}{fraction}{zeros}");
        let point = shift + integer.len();
        let point = if exponent < 0 { point - shift } else { point + shift };
        let (integer, fraction) = digits.split_at_checked(point)?;
        Self::parse(&format!("{integer}.{fraction}0"))
    }

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
        for (text, want) in [
            ("1e5", "100000"),
            ("1.5e+3", "1500"),
            ("15e-1", "1.5"),
            ("1E0", "1"),
            ("5e-2", "0.05"),
        ] {
            assert_eq!(Decimal::parse_exponent(text), Decimal::parse(want), "{text}");
        }
        for bad in ["1e999", "1e", "e5", "1e5e5", "-1e5", "0x1p4", "1.2.3e1", "1e-309"] {
            assert_eq!(Decimal::parse_exponent(bad), None, "{bad}");
        }
        for bad in ["", "1e5", "-1", "inf", "NaN", "0x1", "1_0", "1.", ".5", "1.2.3"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn levels_reach_as_far_as_they_say() {
        let cases = [
            (Level::Patch, "1.2.3", "1.2.4", true),
            (Level::Patch, "1.2.3", "1.3.0", false),
            (Level::Minor, "1.2.3", "1.3.0", true),
            (Level::Minor, "0.2.3", "0.3.0", true),
            (Level::Minor, "1.2.3", "2.0.0", false),
            (Level::Major, "1.2.3", "2.0.0", true),
            (Level::Major, "1.2.3", "2.0.0-rc.1", false),
            (Level::Patch, "1.2.3-rc.1", "1.2.3-rc.2", true),
            (Level::Patch, "1.2.3-rc.1", "1.2.3", true),
            (Level::Patch, "1.2.3-rc.1", "1.2.4-rc.1", false),
        ];
        for (level, from, to, want) in cases {
            let version = |text| version::parse(text).unwrap();
            assert_eq!(level.reaches(&version(from), &version(to), false), want, "{from} {to}");
        }
        let version = |text| version::parse(text).unwrap();
        assert!(Level::Major.reaches(&version("1.0.0"), &version("2.0.0-rc.1"), true));
    }
}

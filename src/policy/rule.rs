//! How one policy judges tags: filters, then an order.

use std::borrow::Cow;

use jiff::Timestamp;
use regex::{Regex, RegexSet};

use super::order::{Key, Order, Span};
use super::raw::Variant;
use crate::image::{Shape, Tag, Version, version};

/// What never takes part: cosign's signature, attestation and SBOM tags, which share a repository
/// with the image (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
fn is_attachment(tag: &str) -> bool {
    // Most tags end in a digit, and need no further look.
    if !tag.starts_with('s') && tag.ends_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let of_digest = |rest: &str| {
        rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    [".sig", ".att", ".sbom"].iter().any(|suffix| tag.ends_with(suffix))
        || tag.strip_prefix("sha256-").is_some_and(of_digest)
}

/// A policy's filters and order.
#[derive(Clone, Debug)]
pub struct TagRule {
    pub(super) matcher: Option<Regex>,
    pub(super) extract: Option<String>,
    pub(super) exclude: RegexSet,
    /// Whether signatures and the like are left out without being named.
    pub(super) attachments: bool,
    pub(super) order: Order,
    /// Whether prereleases take part that no range names.
    pub(super) prereleases: bool,
    pub(super) variant: Variant,
    /// Whether one tag that is not a number stops everything, as it does in Flux.
    pub(super) numbers_only: bool,
}

/// Why a tag is not a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// `match` is not found in it.
    Unmatched,
    /// `exclude`, or a default exclusion, is found in it.
    Excluded,
    /// It is not a version, a date, a number, or the fixed tag.
    NotOrdered,
    /// Prefix, number of parts or suffix are not those of the deployed tag.
    OtherVariant,
    /// It is a version outside the range, or too far from the deployed one.
    OutOfRange,
}

/// A rule as it applies where one tag is deployed.
pub struct Ranker<'a> {
    rule: &'a TagRule,
    /// What is deployed, where it makes a difference.
    from: Option<Deployed>,
}

/// The deployed version, and its variant where that is kept.
struct Deployed {
    version: Version,
    prefix: String,
    precision: usize,
    variant: String,
}

impl TagRule {
    /// The rule where `deployed` is.
    #[must_use]
    pub fn ranker(&self, deployed: Option<&Tag>) -> Ranker<'_> {
        let deployed = deployed.filter(|_| self.is_relative());
        let subject = deployed.map(|tag| self.subject_or_tag(tag));
        Ranker {
            rule: self,
            from: subject.and_then(|subject| Deployed::read(&subject, self.variant)),
        }
    }

    /// Whether what is a candidate depends on what is deployed.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        match &self.order {
            Order::Semver(Span::Level(_)) => true,
            Order::Semver(Span::Range(_)) => self.variant == Variant::Keep,
            _ => false,
        }
    }

    /// The order, for messages.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Whether versions are ordered.
    #[must_use]
    pub fn is_by_version(&self) -> bool {
        matches!(self.order, Order::Semver(_))
    }

    /// Whether the deployed variant is kept.
    #[must_use]
    pub fn keeps_variant(&self) -> bool {
        self.variant == Variant::Keep
    }

    /// Whether a tag that was rejected leaves the whole policy without an answer.
    #[must_use]
    pub fn stops_at(&self, rejection: Rejection) -> bool {
        let is_numerical = matches!(self.order, Order::Numerical(_));
        self.numbers_only && is_numerical && rejection == Rejection::NotOrdered
    }

    /// Makes a tag that is not a number leave the policy without an answer.
    #[cfg(test)]
    pub(crate) fn stop_at_what_is_no_number(&mut self) {
        self.numbers_only = true;
    }

    /// Whether `match` and `exclude` let a tag through.
    ///
    /// # Errors
    /// The first filter that does not.
    #[inline]
    pub fn filter<'t>(&self, tag: &'t Tag) -> Result<Cow<'t, str>, Rejection> {
        let subject = self.subject(tag.as_str()).ok_or(Rejection::Unmatched)?;
        let attached = self.attachments && is_attachment(tag.as_str());
        if attached || !self.exclude.is_empty() && self.exclude.is_match(tag.as_str()) {
            return Err(Rejection::Excluded);
        }
        Ok(subject)
    }

    /// What is ordered: the expansion of `extract`, or the tag; `None` when `match` is not found.
    #[inline]
    fn subject<'t>(&self, tag: &'t str) -> Option<Cow<'t, str>> {
        let Some(matcher) = &self.matcher else { return Some(Cow::Borrowed(tag)) };
        match &self.extract {
            None => matcher.is_match(tag).then_some(Cow::Borrowed(tag)),
            Some(template) => {
                let mut subject = String::new();
                matcher.captures(tag)?.expand(template, &mut subject);
                Some(Cow::Owned(subject))
            }
        }
    }

    fn subject_or_tag<'t>(&self, tag: &'t Tag) -> Cow<'t, str> {
        self.subject(tag.as_str()).unwrap_or(Cow::Borrowed(tag.as_str()))
    }
}

impl Ranker<'_> {
    /// The tag's rank, or why it has none. `time` is what [`Order::Newest`] goes by.
    ///
    /// # Errors
    /// The first step that the tag does not pass.
    #[inline]
    pub fn rank(&self, tag: &Tag, time: Option<Timestamp>) -> Result<Key, Rejection> {
        let rule = self.rule;
        if let Order::Fixed(wanted) = &rule.order {
            return if tag == wanted { Ok(Key::Only) } else { Err(Rejection::NotOrdered) };
        }
        let subject = rule.filter(tag)?;
        match &rule.order {
            Order::Semver(span) => self.version(span, &subject).map(Key::Version),
            order => {
                let exponent = || order.exponent_key(&subject).filter(|_| rule.numbers_only);
                order.key(&subject, time).or_else(exponent).ok_or(Rejection::NotOrdered)
            }
        }
    }

    /// The rank of the deployed tag, for the comparison with a candidate: filters and range do not
    /// apply to what already runs, so a tag that `match` refuses is ordered as it stands, and `1.27`,
    /// which is no candidate, still ranks above 1.26.
    #[must_use]
    pub fn rank_deployed(&self, tag: &Tag, time: Option<Timestamp>) -> Option<Key> {
        let subject = self.rule.subject_or_tag(tag);
        if let (Order::Semver(_), Variant::Keep) = (&self.rule.order, self.rule.variant) {
            return Shape::parse(&subject).map(|shape| Key::Version(shape.version));
        }
        let partial = || match self.rule.order {
            Order::Semver(_) => version::parse_partial(&subject).map(Key::Version),
            _ => None,
        };
        self.rule.order.key(&subject, time).or_else(partial)
    }

    #[inline]
    fn version(&self, span: &Span, subject: &str) -> Result<Version, Rejection> {
        let version = match self.rule.variant {
            Variant::Any => version::parse(subject).ok_or(Rejection::NotOrdered)?,
            Variant::Keep => {
                let shape = Shape::parse(subject).ok_or(Rejection::NotOrdered)?;
                let alike = self.from.as_ref().map_or(plain(&shape), |from| from.is_like(&shape));
                if !alike {
                    return Err(Rejection::OtherVariant);
                }
                shape.version
            }
        };
        let inside = match span {
            Span::Range(range) => range.admits(&version, self.rule.prereleases),
            Span::Level(level) => self
                .from
                .as_ref()
                .is_some_and(|from| level.reaches(&from.version, &version, self.rule.prereleases)),
        };
        if inside { Ok(version) } else { Err(Rejection::OutOfRange) }
    }
}

impl Deployed {
    fn read(subject: &str, variant: Variant) -> Option<Self> {
        match variant {
            Variant::Any => {
                let version = version::parse_partial(subject)?;
                Some(Self { version, prefix: String::new(), precision: 0, variant: String::new() })
            }
            Variant::Keep => {
                let Shape { prefix, precision, version, variant } = Shape::parse(subject)?;
                let (prefix, variant) = (prefix.to_owned(), variant.to_owned());
                Some(Self { version, prefix, precision, variant })
            }
        }
    }

    fn is_like(&self, shape: &Shape<'_>) -> bool {
        (&*self.prefix, self.precision, &*self.variant)
            == (shape.prefix, shape.precision, shape.variant)
    }
}

/// Where nothing is deployed that could be kept, a version is three numbers.
fn plain(shape: &Shape<'_>) -> bool {
    matches!(shape.prefix, "" | "v") && shape.precision == 3 && shape.variant.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, Level, Range};
    use super::*;

    fn rule(matcher: &str, extract: Option<&str>, order: Order) -> TagRule {
        TagRule {
            matcher: Some(Regex::new(matcher).unwrap()),
            extract: extract.map(str::to_owned),
            exclude: RegexSet::new(["-debug$"]).unwrap(),
            attachments: true,
            order,
            prereleases: false,
            variant: Variant::Any,
            numbers_only: false,
        }
    }

    fn range(text: &str) -> Order {
        Order::Semver(Span::Range(Range::parse(text).unwrap()))
    }

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    #[test]
    fn steps_reject_in_order() {
        let semver = rule("^v(?<v>.+)$", Some("$v"), range("<3"));
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
            assert_eq!(semver.ranker(None).rank(&tag(text), None).err(), want, "{text}");
        }
        let cosign = format!("sha256-{}.sig", "0".repeat(64));
        let any = rule("", None, Order::Alphabetical(Direction::Asc));
        assert_eq!(any.ranker(None).rank(&tag(&cosign), None), Err(Rejection::Excluded));
    }

    #[test]
    fn the_deployed_tag_is_ordered_even_outside_the_rule() {
        let semver = rule("^v(?<v>.+)$", Some("$v"), range("<3"));
        let three = Some(Key::Version(Version::new(3, 0, 0)));
        let ranker = semver.ranker(None);
        assert_eq!(ranker.rank_deployed(&tag("v3.0.0"), None), three);
        assert_eq!(ranker.rank_deployed(&tag("3.0.0"), None), three);
        assert_eq!(ranker.rank_deployed(&tag("latest"), None), None);
    }

    #[test]
    fn a_kept_variant_is_the_deployed_one() {
        let keep = |order| TagRule { variant: Variant::Keep, ..rule("", None, order) };
        let (minor, ranged) =
            (keep(Order::Semver(Span::Level(Level::Minor))), keep(range(">=1.26")));
        let (other, outside) = (Some(Rejection::OtherVariant), Some(Rejection::OutOfRange));
        let cases = [
            (&minor, "1.27-alpine", "1.28-alpine", None),
            (&minor, "1.27-alpine", "1.28.1-alpine", other),
            (&minor, "1.27-alpine", "1.28", other),
            (&minor, "1.27-alpine", "v1.28-alpine", other),
            (&minor, "1.27-alpine", "2.0-alpine", outside),
            (&minor, "1.27.0", "1.28.0-rc.1", outside),
            (&minor, "1.27.0-rc.1", "1.27.0-rc.2", None),
            (&minor, "latest", "1.28.0", outside),
            (&ranged, "1.27.0-alpine", "1.28.0-alpine", None),
            (&ranged, "1.27.0-alpine", "1.28.0-rc1-alpine", outside),
            (&ranged, "1.20.0-alpine", "1.25.0-alpine", outside),
            (&ranged, "latest", "1.28.0", None),
            (&ranged, "latest", "1.28.0-alpine", other),
        ];
        for (rule, deployed, candidate, want) in cases {
            let deployed = tag(deployed);
            let got = rule.ranker(Some(&deployed)).rank(&tag(candidate), None).err();
            assert_eq!(got, want, "{deployed} {candidate}");
        }
    }
}

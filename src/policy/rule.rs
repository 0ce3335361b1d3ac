//! How one policy judges tags: filters, then an order.

use std::borrow::Cow;

use jiff::Timestamp;
use regex::{Regex, RegexSet};

use super::order::{Key, Order, Span};
use super::raw::Variant;
use crate::image::{Release, Shape, Tag, Version, version};

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
    /// It would be in range, but for being a prerelease.
    Prerelease,
}

/// What a rule says of a tag.
pub enum Judged {
    /// It is a candidate of this rank.
    Ranked(Key),
    /// It would have this rank, but is out of range.
    Beyond(Key),
    /// It is no candidate.
    Rejected(Rejection),
}

/// A rule as it applies where one tag is deployed.
pub struct Ranker<'a> {
    rule: &'a TagRule,
    /// What is deployed, where it makes a difference.
    from: Option<DeployedRank>,
    /// Lengths of commits among the tags, as bits: digits of such a length are a commit as well.
    hashes: u64,
    /// The same of commits behind versions.
    behind: u64,
}

/// The deployed version.
enum DeployedRank {
    /// Any version is compared with it.
    Any(Version),
    /// Tags like it are.
    Like(Like),
}

/// What is ordered of the deployed tag, with where its parts are.
struct Like {
    subject: String,
    prefix_end: usize,
    variant_start: usize,
    precision: usize,
    version: Version,
}

impl Like {
    fn read(subject: &str) -> Option<Self> {
        let Shape { prefix, precision, version, variant, .. } = Shape::parse(subject)?;
        let (prefix_end, variant_start) = (prefix.len(), subject.len() - variant.len());
        Some(Self { subject: subject.to_owned(), prefix_end, variant_start, precision, version })
    }

    /// True if a tag differs in the version alone, or in what counts. Most do not need a second look.
    fn is_like(&self, shape: &Shape<'_>) -> bool {
        if (shape.precision, shape.prefix) != (self.precision, &self.subject[..self.prefix_end]) {
            return false;
        }
        let is_same = shape.variant == &self.subject[self.variant_start..];
        // Of longer numbers, one may be a date or a count.
        let Version { major, minor, patch, .. } = &shape.version;
        let is_short = [major, minor, patch].into_iter().all(|number| *number < 10_000);
        if is_same && self.precision == 3 && is_short && !shape.is_padded() {
            return true;
        }
        Shape::parse(&self.subject).is_some_and(|from| {
            let is_variant = is_same || from.is_like(shape) && !from.is_on_newer_base_than(shape);
            is_variant && from.is_of_make(shape)
        })
    }
}

impl TagRule {
    /// The rule where `deployed` is.
    #[must_use]
    pub fn ranker(&self, deployed: Option<&Tag>) -> Ranker<'_> {
        let deployed = deployed.filter(|tag| self.is_relative_to(tag));
        let subject = deployed.map(|tag| self.subject_or_tag(tag));
        let from = subject.and_then(|subject| DeployedRank::read(&subject, self.variant));
        Ranker { rule: self, from, hashes: 0, behind: 0 }
    }

    /// True if what is a candidate depends on what is deployed, when it is this.
    #[must_use]
    pub fn is_relative_to(&self, deployed: &Tag) -> bool {
        match &self.order {
            Order::Semver(Span::Level(_)) => true,
            // More than three numbers are ordered among each other, and are no versions of SemVer.
            Order::Semver(Span::Range(_)) => {
                self.variant == Variant::Keep || has_more_numbers(&self.subject_or_tag(deployed))
            }
            _ => false,
        }
    }

    /// True if tags that are digits alone take part, so that commits among them have to be known.
    #[must_use]
    pub fn takes_numbers(&self) -> bool {
        match &self.order {
            Order::Semver(_) => self.variant == Variant::Keep,
            Order::Numerical(_) => !self.numbers_only && self.extract.is_none(),
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

    /// True if `match` says how a tag ends, so that its suffix is no matter of chance.
    #[must_use]
    pub fn matches_ends(&self) -> bool {
        self.matcher.as_ref().is_some_and(|pattern| pattern.as_str().ends_with('$'))
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

    /// Why a tag is none that the policy could have chosen where another one is deployed, whatever its range: it does not
    /// pass the filters, is no version, or of another make or variant.
    #[must_use]
    pub fn objection(&self, deployed: Option<&Tag>, tag: &Tag) -> Option<&'static str> {
        if matches!(self.order, Order::Fixed(_)) {
            return None;
        }
        match self.ranker(deployed).judge(tag, Some(Timestamp::UNIX_EPOCH)) {
            Judged::Ranked(_)
            | Judged::Beyond(_)
            | Judged::Rejected(Rejection::OutOfRange | Rejection::Prerelease) => None,
            Judged::Rejected(Rejection::Unmatched) => Some("does not have what `match` asks for"),
            Judged::Rejected(Rejection::Excluded) => Some("is one that `exclude` leaves out"),
            Judged::Rejected(Rejection::OtherVariant) => {
                Some("is of another variant or make than what is here")
            }
            Judged::Rejected(Rejection::NotOrdered) => {
                // `1.27` is no candidate of a range, and follows `1.26` all the same.
                let is_next = deployed.is_some_and(|deployed| {
                    let shapes = Shape::parse(deployed.as_str()).zip(Shape::parse(tag.as_str()));
                    shapes.is_some_and(|(from, to)| from.is_like(&to) && from.is_of_make(&to))
                });
                (!(is_next && self.is_by_version())).then_some("is no version")
            }
        }
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

/// The shortest commit that people write.
const SHORTEST_HASH: usize = 6;

impl Ranker<'_> {
    /// The same beside tags that are commits.
    #[must_use]
    pub fn beside<'t>(self, tags: impl Iterator<Item = &'t Tag>) -> Self {
        let length = |tag: &Tag| {
            let text = tag.as_str();
            let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let is_mixed = text.bytes().any(|b| b.is_ascii_digit()) && !is_digits(text);
            let is_hash = is_hex && is_mixed && (SHORTEST_HASH..=40).contains(&text.len());
            is_hash.then_some(text.len())
        };
        let (mut hashes, mut behind) = (0, 0);
        for tag in tags {
            hashes |= length(tag).map_or(0, |length| 1 << length);
            // Most tags have neither a suffix nor a letter.
            if tag.as_str().len() > SHORTEST_HASH && tag.as_str().contains(['-', '_']) {
                behind |= Shape::parse(tag.as_str()).map_or(0, |shape| shape.hashes());
            }
        }
        Self { hashes, behind, ..self }
    }

    /// The tag's rank, or why it has none. `time` is what [`Order::Newest`] goes by.
    ///
    /// # Errors
    /// The first step that the tag does not pass.
    #[inline]
    pub fn rank(&self, tag: &Tag, time: Option<Timestamp>) -> Result<Key, Rejection> {
        match self.judge(tag, time) {
            Judged::Ranked(key) => Ok(key),
            Judged::Beyond(_) => Err(Rejection::OutOfRange),
            Judged::Rejected(rejection) => Err(rejection),
        }
    }

    /// What the rule says of a tag.
    #[inline]
    pub fn judge(&self, tag: &Tag, time: Option<Timestamp>) -> Judged {
        let rule = self.rule;
        if let Order::Fixed(wanted) = &rule.order {
            let is_it = tag == wanted;
            return if is_it { Judged::Ranked(Key::Only) } else { REJECTED };
        }
        let subject = match rule.filter(tag) {
            Ok(subject) => subject,
            Err(rejection) => return Judged::Rejected(rejection),
        };
        if self.hashes != 0 && self.is_hash(&subject) {
            return REJECTED;
        }
        match &rule.order {
            Order::Semver(span) => self.version(span, &subject),
            order => {
                let exponent = || order.exponent_key(&subject).filter(|_| rule.numbers_only);
                order.key(&subject, time).or_else(exponent).map_or(REJECTED, Judged::Ranked)
            }
        }
    }

    /// True if digits alone are a commit, as there are commits of this length.
    fn is_hash(&self, subject: &str) -> bool {
        subject.len() < 64 && self.hashes & (1 << subject.len()) != 0 && is_digits(subject)
    }

    /// The rank of the deployed tag, for the comparison with a candidate: filters and range do not
    /// apply to what already runs, so a tag that `match` refuses is ordered as it stands, and `1.27`,
    /// which is no candidate, still ranks above 1.26.
    #[must_use]
    pub fn rank_deployed(&self, tag: &Tag, time: Option<Timestamp>) -> Option<Key> {
        let subject = self.rule.subject_or_tag(tag);
        let is_semver = matches!(self.rule.order, Order::Semver(_));
        let shape = || {
            let release = |shape: Shape<'_>| shape.release_beside(self.behind);
            Shape::parse(&subject).map(|shape| Key::Version(release(shape)))
        };
        if is_semver && (self.rule.variant == Variant::Keep || has_more_numbers(&subject)) {
            return shape();
        }
        let partial = || version::parse_partial(&subject).filter(|_| is_semver);
        let partial = || partial().map(|version| Key::Version(version.into()));
        self.rule.order.key(&subject, time).or_else(partial)
    }

    #[inline]
    fn version(&self, span: &Span, subject: &str) -> Judged {
        let release = match (&self.from, self.rule.variant) {
            (None | Some(DeployedRank::Any(_)), Variant::Any) => match version::parse(subject) {
                Some(version) => version.into(),
                None => return REJECTED,
            },
            (from, _) => {
                let Some(shape) = Shape::parse(subject) else { return REJECTED };
                let is_alike = match from {
                    Some(DeployedRank::Like(from)) => from.is_like(&shape),
                    _ => plain(&shape),
                };
                if !is_alike {
                    return Judged::Rejected(Rejection::OtherVariant);
                }
                shape.release_beside(self.behind)
            }
        };
        self.within(span, release)
    }

    /// True if a version is within bounds.
    fn within(&self, span: &Span, release: Release) -> Judged {
        let version = release.version();
        let is_inside = |prereleases: bool| match span {
            Span::Range(range) => range.admits(&version, prereleases),
            Span::Level(level) => {
                let from = self.from.as_ref().map(DeployedRank::version);
                from.is_some_and(|from| level.reaches(from, &version, prereleases))
            }
        };
        if is_inside(self.rule.prereleases) {
            return Judged::Ranked(Key::Version(release));
        }
        if !version.pre.is_empty() && is_inside(true) {
            return Judged::Rejected(Rejection::Prerelease);
        }
        Judged::Beyond(Key::Version(release))
    }
}

const REJECTED: Judged = Judged::Rejected(Rejection::NotOrdered);

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// True if a text has four or five numbers, which SemVer does not know.
fn has_more_numbers(subject: &str) -> bool {
    Shape::parse(subject).is_some_and(|shape| shape.precision > 3)
}

impl DeployedRank {
    fn read(subject: &str, variant: Variant) -> Option<Self> {
        if variant == Variant::Keep || has_more_numbers(subject) {
            return Like::read(subject).map(Self::Like);
        }
        version::parse_partial(subject).map(Self::Any)
    }

    /// Its version.
    fn version(&self) -> &Version {
        match self {
            Self::Any(version) => version,
            Self::Like(like) => &like.version,
        }
    }
}

/// Where nothing is deployed that could be kept, a version is three numbers.
fn plain(shape: &Shape<'_>) -> bool {
    matches!(shape.prefix, "" | "v") && shape.precision == 3 && shape.variant.is_empty()
}

#[cfg(test)]
mod tests;

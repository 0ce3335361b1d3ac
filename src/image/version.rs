//! Semantic versions as image tags spell them.

use semver::{BuildMetadata, Prerelease};

/// A semantic version, compared by [SemVer 2.0](https://semver.org/#spec-item-11) precedence.
pub type Version = semver::Version;

/// Reads a tag as a version, by the rule that Flux applies to tags: an optional lower-case `v`,
/// exactly three numbers (leading zeros allowed, so `v2025.07.03` is one), an optional prerelease.
///
/// `1.2` is not a version: a short numeric tag is as likely a moving alias, a date or a hash, and
/// [Kargo](https://docs.kargo.io) and Flux leave such tags out for the same reason.
#[must_use]
#[inline]
pub fn parse(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let (major, rest) = leading_number(text)?;
    let (minor, rest) = leading_number(rest.strip_prefix('.')?)?;
    let (patch, rest) = leading_number(rest.strip_prefix('.')?)?;
    let pre = if rest.is_empty() { Prerelease::EMPTY } else { prerelease(rest)? };
    Some(Version { major, minor, patch, pre, build: BuildMetadata::EMPTY })
}

/// The number at the front of a text, and what follows; `None` without digits, or beyond 64 bits.
#[inline]
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let bytes = text.as_bytes();
    let mut value: u64 = 0;
    let mut at = 0;
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        at += 1;
    }
    (at > 0).then(|| (value, &text[at..]))
}

/// Reads a tag with one, two or three numbers as the lowest version that it can mean.
#[must_use]
pub fn parse_partial(tag: &str) -> Option<Version> {
    let core_len = tag.find(['-', '+']).unwrap_or(tag.len());
    let (core, rest) = tag.split_at(core_len);
    let missing = 2_usize.checked_sub(core.matches('.').count())?;
    parse(&format!("{core}{}{rest}", ".0".repeat(missing)))
}

/// Reads what follows the three numbers: `-prerelease`, `+metadata`, both or nothing. Metadata is
/// checked and dropped, because precedence ignores it.
#[must_use]
pub fn prerelease(rest: &str) -> Option<Prerelease> {
    let (pre, build) = match rest.split_once('+') {
        Some((pre, build)) => (pre, Some(build)),
        None => (rest, None),
    };
    if build.is_some_and(|build| build.is_empty() || BuildMetadata::new(build).is_err()) {
        return None;
    }
    match pre.strip_prefix('-') {
        Some("") => None,
        Some(pre) => Prerelease::new(pre).ok(),
        None => pre.is_empty().then_some(Prerelease::EMPTY),
    }
}

/// A number of digits only; `None` beyond 64 bits.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_tag_is_the_lowest_version_it_can_mean() {
        let cases = [
            ("1", "1.0.0"),
            ("v1.27", "1.27.0"),
            ("1.2-alpine", "1.2.0-alpine"),
            ("1.2.3", "1.2.3"),
        ];
        for (tag, want) in cases {
            assert_eq!(parse_partial(tag).unwrap().to_string(), want);
        }
        assert!(parse_partial("latest").is_none() && parse_partial("1.2.3.4").is_none());
    }

    #[test]
    fn reads_versions_as_flux_does() {
        let cases = [
            ("1.2.3", Some("1.2.3")),
            ("v1.2.3-rc.1", Some("1.2.3-rc.1")),
            ("v2025.07.03", Some("2025.7.3")),
            ("1.2.3-alpine3.20", Some("1.2.3-alpine3.20")),
            ("1.2", None),
            ("v1", None),
            ("1.2.3.4", None),
            ("V1.2.3", None),
            ("1.2.3-", None),
            ("1.2.3-beta.01", None),
            ("1.0.0p", None),
            ("1.2.18446744073709551616", None),
            ("20240101", None),
            ("latest", None),
        ];
        for (tag, want) in cases {
            assert_eq!(parse(tag).map(|v| v.to_string()).as_deref(), want, "{tag}");
        }
    }
}

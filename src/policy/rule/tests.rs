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
        ("v2.0.0-rc.1", Some(Rejection::Prerelease)),
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
    let three = Some(Key::Version(Version::new(3, 0, 0).into()));
    let ranker = semver.ranker(None);
    assert_eq!(ranker.rank_deployed(&tag("v3.0.0"), None), three);
    assert_eq!(ranker.rank_deployed(&tag("3.0.0"), None), three);
    assert_eq!(ranker.rank_deployed(&tag("latest"), None), None);
}

#[test]
fn a_kept_variant_is_the_deployed_one() {
    let keep = |order| TagRule { variant: Variant::Keep, ..rule("", None, order) };
    let (minor, ranged) = (keep(Order::Semver(Span::Level(Level::Minor))), keep(range(">=1.26")));
    let (other, outside) = (Some(Rejection::OtherVariant), Some(Rejection::OutOfRange));
    let unreleased = Some(Rejection::Prerelease);
    let cases = [
        (&minor, "1.27-alpine", "1.28-alpine", None),
        (&minor, "1.27-alpine", "1.28.1-alpine", other),
        (&minor, "1.27-alpine", "1.28", other),
        (&minor, "1.27-alpine", "v1.28-alpine", other),
        (&minor, "1.27-alpine", "2.0-alpine", outside),
        (&minor, "1.27.0", "1.28.0-rc.1", unreleased),
        (&minor, "1.27-alpine3.19", "1.28-alpine3.20", None),
        (&minor, "1.27-alpine3.19", "1.28-alpine3.18", other),
        (&minor, "3", "20240923", other),
        (&minor, "1.27.0-rc.1", "1.27.0-rc.2", None),
        (&minor, "latest", "1.28.0", outside),
        (&ranged, "1.27.0-alpine", "1.28.0-alpine", None),
        (&ranged, "1.27.0-alpine", "1.28.0-rc1-alpine", unreleased),
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

//! How tags are ordered, by what those that are deployed look like.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex, escape};

use crate::image::{Shape, Tag};
use crate::policy::Calver;

/// The `tags` of a policy: which take part, and their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What a tag must look like.
    pub pattern: Option<String>,
    /// What of it is ordered.
    pub extract: Option<String>,
    /// Tags that take no part.
    pub exclude: Vec<String>,
    /// The key of the order.
    pub order: &'static str,
    /// The value of that key.
    pub by: String,
    /// Other keys below `tags`, with their values.
    pub also: Vec<(&'static str, String)>,
}

/// What a set of deployed tags comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The rule that fits most of them, and why.
    pub rule: Option<(Rule, &'static str)>,
    /// Those that it does not fit.
    pub left: Vec<Tag>,
}

/// Numbers below this are versions, above it counts of builds.
const BUILDS: u64 = 100;

/// Words before a number that say that it counts builds; behind others, as in `jdk-17`, it may be a version.
const BRANCHES: [&str; 14] = [
    "main",
    "master",
    "trunk",
    "develop",
    "dev",
    "build",
    "ci",
    "release",
    "staging",
    "stage",
    "prod",
    "production",
    "test",
    "qa",
];

/// Formats of calendar versions, the more particular first.
const CALENDARS: [&str; 10] = [
    "YYYY0M0D.MICRO",
    "YYYY.0M.0D.MICRO",
    "YYYY.MM.DD.MICRO",
    "YYYY.0M.0D",
    // A third number that is no day comes after one that may be: Home Assistant's first of a month is 0.
    "YYYY.MM.MICRO",
    "YYYY.0M.MICRO",
    "YYYY-0M-0D",
    "YYYY0M0D",
    "YYYY.0M",
    "YYYY.MM",
];

/// What a tag looks like, what is ordered then, and what people call it. `%` stands for what comes before.
type Look = (&'static str, fn(&Captures<'_>) -> Option<Rule>, &'static str);

/// The looks of tags that are no versions, the more particular first.
const LOOKS: [Look; 15] = [
    (
        r"^([A-Za-z][\w.-]*?)-[0-9a-f]{7,40}-\d{8,}$",
        |found| {
            let pattern = format!(r"^{}-[0-9a-f]+-(?<time>\d+)$", lead(found)?);
            Some(ordered(&pattern, Some("$time"), NUMBER))
        },
        "a branch, a commit and a time: by the time",
    ),
    (
        r"^([A-Za-z][\w.-]*?)-\d{8,}-[0-9a-f]{7,40}$",
        |found| {
            let pattern = format!(r"^{}-(?<time>\d+)-[0-9a-f]+$", lead(found)?);
            Some(ordered(&pattern, Some("$time"), NUMBER))
        },
        "a branch, a time and a commit: by the time",
    ),
    (
        r"^((?:[A-Za-z]+[.-])?)(?:19|20)\d{2}-\d{2}-\d{2}T[\d-]+(Z?)$",
        |found| {
            let (lead, zone) = (escape(&found[1]), &found[2]);
            let pattern = format!(r"^{lead}\d{{4}}-\d{{2}}-\d{{2}}T[\d-]+{zone}$");
            Some(ordered(&pattern, None, TEXT))
        },
        "times of day: by their text",
    ),
    (
        r"^([A-Za-z]+)-(?:19|20)\d{2}-\d{2}-\d{2}$",
        |found| {
            let pattern = format!(r"^{}-\d{{4}}-\d{{2}}-\d{{2}}$", &found[1]);
            Some(ordered(&pattern, None, TEXT))
        },
        "a word and a day: by the day",
    ),
    (
        r"^(v?)(?:19|20)\d{6}-\d{6}((?:-[0-9a-f]{7,40})?)$",
        |found| {
            let commit = if found[2].is_empty() { "" } else { "-[0-9a-f]{7,40}" };
            let pattern = format!(r"^{}(?<time>\d{{8}}-\d{{6}}){commit}$", &found[1]);
            Some(ordered(&pattern, Some("$time"), TEXT))
        },
        "a day, a time of it and a commit: by the time",
    ),
    (
        r"^(?:[0-9]+[a-f]|[a-f]+[0-9])[0-9a-f]{5,38}-((?:19|20)(?:\d{6}|\d{12}))$",
        |found| {
            let digits = found[1].len();
            let pattern = format!(r"^[0-9a-f]{{7,40}}-(?<time>\d{{{digits}}})$");
            Some(ordered(&pattern, Some("$time"), NUMBER))
        },
        "a commit and a time: by the time",
    ),
    (
        r"^(\d{4}-\d{2}-\d{2})-[0-9a-f]{7,40}$",
        |_| Some(ordered(r"^(?<date>\d{4}-\d{2}-\d{2})-[0-9a-f]{7,40}$", Some("$date"), TEXT)),
        "a day and a commit: by the day",
    ),
    (
        r"^(v?)((?:19|20)(?:\d{6}|\d{12}))-[0-9a-f]{7,40}$",
        |found| {
            let (lead, digits) = (&found[1], found[2].len());
            let pattern = format!(r"^{lead}(?<date>\d{{{digits}}})-[0-9a-f]{{7,40}}$");
            Some(ordered(&pattern, Some("$date"), NUMBER))
        },
        "a day and a commit: by the day",
    ),
    (
        r"^([A-Za-z][A-Za-z._-]*?)-(\d+)-[0-9a-f]{7,40}$",
        |found| {
            let pattern = format!(r"^{}-(?<build>\d+)-[0-9a-f]{{7,40}}$", lead(found)?);
            Some(ordered(&pattern, Some("$build"), NUMBER))
        },
        "numbers of builds, and commits: by the number",
    ),
    (
        r"^\d+-(?:[0-9]+[a-f]|[a-f]+[0-9])[0-9a-f]{5,38}$",
        |_| Some(ordered(r"^(?<build>\d+)-[0-9a-f]{7,40}$", Some("$build"), NUMBER)),
        "numbers of builds, and commits: by the number",
    ),
    (
        r"^([A-Za-z]+[_-]?)((?:19|20)\d{2})([_-])(\d{2})$",
        |found| {
            let (word, joint) = (escape(&found[1]), &found[3]);
            let pattern = format!(r"^{word}(?<year>\d{{4}}){joint}(?<part>\d{{2}})$");
            Some(ordered(&pattern, Some("$year$part"), NUMBER))
        },
        "a year and a week or month of it",
    ),
    (
        r"^([A-Za-z]+)(0\d+)$",
        |found| {
            let pattern = format!(r"^{}(?<count>\d+)$", lead(found)?);
            Some(ordered(&pattern, Some("$count"), NUMBER))
        },
        "a count with zeros in front",
    ),
    (
        r"^(?:([A-Za-z][\w.-]*)-)?([0-9a-f]{7,40})$",
        |found| {
            // A number alone is a count, but behind a word for commits.
            let is_commit =
                found.get(1).is_some_and(|word| matches!(word.as_str(), "sha" | "git" | "commit"));
            if !is_commit && found[2].bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let lead = found.get(1).map(|lead| lead.as_str()).unwrap_or_default();
            // A version, a date or a count before the commit changes with it.
            if lead.contains(|c: char| c.is_ascii_digit()) {
                return None;
            }
            let lead = if lead.is_empty() { String::new() } else { escape(lead) + "-" };
            Some(ordered(
                &format!("^{lead}[0-9a-f]{{7,40}}$"),
                None,
                Ordering { order: "newest", by: "pushed" },
            ))
        },
        "commits: the last that the registry got",
    ),
    (
        r"^([A-Za-z][A-Za-z._-]*)([-.])(\d+)$",
        |found| {
            let is_branch = BRANCHES.contains(&found[1].to_ascii_lowercase().as_str());
            let is_many =
                &found[2] == "-" && found[3].parse::<u64>().is_ok_and(|number| number >= BUILDS);
            let is_build = is_branch || is_many;
            let joint = if &found[2] == "." { r"\." } else { "-" };
            let digits = digits(&found[3]);
            let pattern = format!(r"^{}{joint}(?<build>{digits})$", lead(found)?);
            is_build.then(|| ordered(&pattern, Some("$build"), NUMBER))
        },
        "numbers of builds",
    ),
    (
        r"^(\d+)$",
        |found| {
            let is_build = found[1].parse::<u64>().is_ok_and(|number| number >= BUILDS);
            is_build.then(|| ordered(&format!("^{}$", digits(&found[1])), None, NUMBER))
        },
        "numbers of builds",
    ),
];

const NUMBER: Ordering = Ordering { order: "numerical", by: "asc" };
const TEXT: Ordering = Ordering { order: "alphabetical", by: "asc" };

/// An order and its direction, as policies write them.
struct Ordering {
    order: &'static str,
    by: &'static str,
}

static PATTERNS: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| LOOKS.iter().map(|(pattern, ..)| Regex::new(pattern).ok()).collect());

/// Numbers of builds that follow one: longer ones are days, or commits without a letter.
fn digits(number: &str) -> String {
    match number.len() {
        1..=6 => r"\d{1,6}".to_owned(),
        length => format!(r"\d{{{length},{}}}", length + 1),
    }
}

/// The name of a branch; a version, a date or a count in its place changes with the rest.
fn lead(found: &Captures<'_>) -> Option<String> {
    let is_fixed = !found[1].contains(|c: char| c.is_ascii_digit());
    is_fixed.then(|| escape(&found[1]))
}

fn ordered(pattern: &str, extract: Option<&str>, Ordering { order, by }: Ordering) -> Rule {
    let pattern = Some(pattern.to_owned());
    Rule { pattern, extract: extract.map(str::to_owned), ..Rule::by(order, by) }
}

impl Rule {
    /// A rule for all tags.
    #[must_use]
    pub fn by(order: &'static str, by: &str) -> Self {
        let by = by.to_owned();
        Self { pattern: None, extract: None, exclude: Vec::new(), order, by, also: Vec::new() }
    }
}

/// The rule that fits most of the tags; versions before others.
#[must_use]
pub fn guess<'a>(tags: impl Iterator<Item = &'a Tag>) -> Guess {
    let mut votes: BTreeMap<Option<(Rule, &'static str)>, Vec<Tag>> = BTreeMap::new();
    for tag in tags {
        votes.entry(look(tag.as_str())).or_default().push(tag.clone());
    }
    let weight = |(rule, tags): &(&Option<(Rule, &str)>, &Vec<Tag>)| {
        let is_version = rule.as_ref().is_some_and(|(rule, _)| rule.order == "semver");
        (rule.is_some(), tags.len(), is_version)
    };
    let rule = votes.iter().max_by_key(weight).and_then(|(rule, _)| rule.clone());
    let left = votes.into_iter().filter(|(other, _)| *other != rule || rule.is_none());
    let left = left.flat_map(|(_, tags)| tags).collect();
    Guess { rule, left }
}

/// What a tag looks like; `None` for what moves, and for what nobody can order.
fn look(tag: &str) -> Option<(Rule, &'static str)> {
    if let Some(format) = calendar(tag) {
        return Some((Rule::by("calver", format), "calendar versions"));
    }
    for ((_, rule, why), pattern) in LOOKS.iter().zip(PATTERNS.iter()) {
        let found = pattern.as_ref().and_then(|pattern| pattern.captures(tag));
        if let Some(rule) = found.and_then(|found| rule(&found)) {
            return Some((rule, why));
        }
    }
    version(tag)
}

/// The words before a version; behind others, numbers are anything.
const VERSIONED: [&str; 8] = ["", "v", "V", "release-", "rel-", "version-", "stable-", "r"];

/// The rule for versions. Where one number is all there is, it is a tag that moves by itself.
fn version(tag: &str) -> Option<(Rule, &'static str)> {
    let shape = Shape::parse(tag)?;
    let has_words = shape.variant.starts_with(['-', '_', '.'])
        && shape
            .variant
            .split(['-', '_', '.'])
            .any(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    let counts = has_words && VERSIONED.contains(&shape.prefix) && shape.counts();
    if shape.precision > 1 || counts {
        let why = "versions: the next minor ones, of the same variant";
        return Some((Rule::by("semver", "minor"), why));
    }
    let is_short = shape.core.len() <= 3 && !shape.variant.contains(|c: char| c.is_ascii_digit());
    let is_alone = is_short && (matches!(shape.prefix, "" | "v") || shape.prefix.ends_with("jdk-"));
    let why = "a tag of one number, which moves by itself: by its digest (`semver: major` would take the next number)";
    is_alone.then(|| (Rule::by("fixed", tag), why))
}

/// The format of a calendar version: its year is one that containers have seen.
fn calendar(tag: &str) -> Option<&'static str> {
    let year = tag.get(..4)?.parse::<u64>().ok()?;
    let reads = |format: &&&str| {
        let format = Calver::parse(format).ok();
        format.is_some_and(|format| format.read(tag).is_some_and(|(_, rest)| rest.is_empty()))
    };
    (2013..2100).contains(&year).then(|| CALENDARS.iter().find(reads).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(tags: &[&str]) -> String {
        let tags: Vec<Tag> = tags.iter().filter_map(|tag| Tag::parse(tag)).collect();
        let Guess { rule, left } = guess(tags.iter());
        let left: Vec<&str> = left.iter().map(Tag::as_str).collect();
        let rule = rule.map_or("nothing".to_owned(), |(rule, _)| {
            let parts = [rule.pattern, rule.extract].into_iter().flatten().collect::<Vec<_>>();
            format!("{} {} {}", rule.order, rule.by, parts.join(" ")).trim().to_owned()
        });
        if left.is_empty() { rule } else { format!("{rule}, not {}", left.join(" ")) }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn tags_are_known_by_their_looks() {
        let cases: [(&[&str], &str); 52] = [
            (&["v1.2.3"], "semver minor"),
            (&["sha-1234567"], "newest pushed ^sha-[0-9a-f]{7,40}$"),
            (&["1.27", "1.26.1-alpine"], "semver minor"),
            (&["16"], "fixed 16"),
            (&["v3"], "fixed v3"),
            (&["16-alpine"], "fixed 16-alpine"),
            (&["16-alpine3.20"], "semver minor"),
            (&["8.0.36-debian"], "semver minor"),
            (&["2.4.0-rc.1"], "semver minor"),
            (&["2026.10.31.2"], "calver YYYY.0M.0D.MICRO"),
            (&["2026.1.5"], "calver YYYY.MM.MICRO"),
            (&["jdk-17"], "fixed jdk-17"),
            (&["pr-77"], "nothing, not pr-77"),
            (&["01-09-2026"], "nothing, not 01-09-2026"),
            (&["2026w36"], "nothing, not 2026w36"),
            (&["3f1c2a9-20260901"], r"numerical asc ^[0-9a-f]{7,40}-(?<time>\d{8})$ $time"),
            (&["3f1c2a9-20260901120000"], r"numerical asc ^[0-9a-f]{7,40}-(?<time>\d{14})$ $time"),
            (&["20240101120000-abc1234"], r"numerical asc ^(?<date>\d{14})-[0-9a-f]{7,40}$ $date"),
            (
                &["20240101-120000-abc1234"],
                r"alphabetical asc ^(?<time>\d{8}-\d{6})-[0-9a-f]{7,40}$ $time",
            ),
            (&["20240101-120000"], r"alphabetical asc ^(?<time>\d{8}-\d{6})$ $time"),
            (&["2024-01-01T12-00-00"], r"alphabetical asc ^\d{4}-\d{2}-\d{2}T[\d-]+$"),
            (&["release-2024-05-01"], r"alphabetical asc ^release-\d{4}-\d{2}-\d{2}$"),
            (&["build.412"], r"numerical asc ^build\.(?<build>\d{1,6})$ $build"),
            (&["prod-17"], r"numerical asc ^prod-(?<build>\d{1,6})$ $build"),
            (&["20260901.3"], "calver YYYY0M0D.MICRO"),
            (&["1234-3f1c2a9"], r"numerical asc ^(?<build>\d+)-[0-9a-f]{7,40}$ $build"),
            (&["e2e"], "nothing, not e2e"),
            (&["c0042"], r"numerical asc ^c(?<count>\d+)$ $count"),
            (&["w_2025_38"], r"numerical asc ^w_(?<year>\d{4})_(?<part>\d{2})$ $year$part"),
            (
                &["2024-05-01-abc1234"],
                r"alphabetical asc ^(?<date>\d{4}-\d{2}-\d{2})-[0-9a-f]{7,40}$ $date",
            ),
            (&["v20231011-8b53cabe0"], r"numerical asc ^v(?<date>\d{8})-[0-9a-f]{7,40}$ $date"),
            (&["v1.4.2-3f1c2a9"], "semver minor"),
            (&["build-1234-3f1c2a9"], r"numerical asc ^build-(?<build>\d+)-[0-9a-f]{7,40}$ $build"),
            (&["v1.4.2-3f1c2a9-20261101080000"], "semver minor"),
            (&["2.1.149-768"], "semver minor"),
            (&["2026.01.05"], "calver YYYY.0M.0D"),
            (&["2026-10-31"], "calver YYYY-0M-0D"),
            (&["20261031"], "calver YYYY0M0D"),
            (
                &["RELEASE.2026-01-15T02-03-04Z"],
                r"alphabetical asc ^RELEASE\.\d{4}-\d{2}-\d{2}T[\d-]+Z$",
            ),
            (
                &["main-3f1c2a9-20261101080000"],
                r"numerical asc ^main-[0-9a-f]+-(?<time>\d+)$ $time",
            ),
            (
                &["feature.x-1700000000-3f1c2a9"],
                r"numerical asc ^feature\.x-(?<time>\d+)-[0-9a-f]+$ $time",
            ),
            (&["3f1c2a9"], "newest pushed ^[0-9a-f]{7,40}$"),
            (&["sha-3f1c2a9"], "newest pushed ^sha-[0-9a-f]{7,40}$"),
            (&["main-1234"], r"numerical asc ^main-(?<build>\d{1,6})$ $build"),
            (&["4711"], r"numerical asc ^\d{1,6}$"),
            (&["12345678901"], r"numerical asc ^\d{11,12}$"),
            (&["latest"], "nothing, not latest"),
            (&["stable", "1.2.3"], "semver minor, not stable"),
            (&["1.2.3", "3f1c2a9"], "semver minor, not 3f1c2a9"),
            (&["3f1c2a9", "4f1c2a9", "1.2.3"], "newest pushed ^[0-9a-f]{7,40}$, not 1.2.3"),
            (&["wheezy"], "nothing, not wheezy"),
            (&["17.0.1.4"], "semver minor"),
        ];
        for (tags, want) in cases {
            assert_eq!(rule(tags), want, "{tags:?}");
        }
    }
}

//! What other tools' tests say, as data.

use super::*;

/// Published cases of other tools, with their sources and licences.
const PUBLISHED: &str = include_str!("../../../../tests/data/published-choices.tsv");

/// Where the answer here is another one on purpose: the number of the case, our answer, and why.
const DIFFERENCES: &str = include_str!("../../../../tests/data/published-differences.tsv");

#[test]
fn other_tools_cases_are_decided_alike_or_differently_for_a_reason() {
    let rows = |text: &'static str| text.lines().filter(|line| !line.starts_with('#'));
    let differences = rows(DIFFERENCES).map(|row| {
        let [number, ours, why] = row.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        assert!(why.len() > 20, "{row}");
        (number, ours)
    });
    let mut differences: std::collections::BTreeMap<&str, &str> = differences.collect();
    let (mut alike, mut wrong) = (0, Vec::new());
    for row in rows(PUBLISHED) {
        let [number, _source, _case, kind, current, listed, chosen] =
            row.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        let theirs = if chosen == current { "-" } else { chosen };
        let ours = published(kind, current, listed);
        let wanted = differences.remove(number);
        match wanted {
            None if ours == theirs => alike += 1,
            Some(wanted) if wanted == ours && ours != theirs => {}
            _ => wrong.push(format!("{number}\t{ours}\t{theirs} {kind} {current}: {listed}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(differences.is_empty() && alike > 70, "{alike} {differences:?}");
}

/// What we choose in a published case.
fn published(kind: &str, current: &str, listed: &str) -> String {
    let (kind, value) = kind.split_once('=').unwrap_or((kind, ""));
    let range = |text: &str| if text.is_empty() { "*".to_owned() } else { text.to_owned() };
    let tags = match kind {
        "semver" => {
            let (text, strict) = value.split_once(';').unwrap_or((value, ""));
            assert!(matches!(strict, "" | "strict=true" | "ignore=0.50.0"), "{strict}");
            format!("semver: '{}'", range(text))
        }
        "regex-semver" => {
            let (pattern, text) = value.split_once(";semver=").unwrap();
            format!("match: '{pattern}', extract: '$1', semver: '{}'", range(text))
        }
        "regex-time" => format!(
            "match: '{}', extract: '$1', calver: YYYY0D0M",
            value.split_once(";layout=20060201").unwrap().0
        ),
        "time" => {
            let layout = value.replace("2006", "YYYY").replace("01", "0M").replace("02", "0D");
            format!("calver: '{}'", if layout.is_empty() { "YYYY" } else { &layout })
        }
        "alphabetical" => "alphabetical: asc".to_owned(),
        "newest" => "newest: pushed".to_owned(),
        "auto" => "semver: major".to_owned(),
        other => panic!("{other}"),
    };
    let text = format!("images: {{p: {{image: nginx, tags: {{{tags}}}}}}}\n");
    let (set, problems) = read(&[PolicyFile::new("p.yaml", text)]);
    if crate::diagnostic::any_error(&problems) {
        return "-".to_owned();
    }
    let policy = set.policies.into_vec().remove(0);
    let mut listing = Listing::default();
    for entry in listed.split_whitespace() {
        let (text, at) = entry.split_once('@').unwrap_or((entry, ""));
        let text = text.split('#').next().unwrap_or_default();
        let Some(tag) = Tag::parse(text) else { continue };
        listing.tags.entry(tag).or_default().pushed = at.parse().ok();
    }
    let eyes = Eyes::default();
    if current == "-" {
        let facts = Facts {
            now: eyes.now,
            answers: &eyes.answers,
            ledger: &eyes.ledger,
            skewed: &eyes.skewed,
            is_catalog: true,
        };
        let selection = select(&policy, &listing, None, facts).unwrap();
        return selection.best().map_or("-".to_owned(), |best| best.tag.to_string());
    }
    let decision = eyes.decide(&policy, &listing, &deployed(current)).unwrap();
    match decision.outcome {
        Outcome::Update => decision.to.unwrap().to_string(),
        _ => "-".to_owned(),
    }
}

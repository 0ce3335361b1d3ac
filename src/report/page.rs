//! The status page: one file without scripts and without anything from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::json::SeverityName;
use super::status::{EnvironmentStatus, HistoryRow, ImageStatus, Status, shortened};
use crate::choose::{Outcome, ReasonCode};
use crate::text::harmless;

/// Decisions that wait for a person, and not for time, a registry or another environment.
const FOR_PEOPLE: [ReasonCode; 9] = [
    ReasonCode::RollbackOpen,
    ReasonCode::GateOverdue,
    ReasonCode::TagMoved,
    ReasonCode::Unverified,
    ReasonCode::Downgrade,
    ReasonCode::Unordered,
    ReasonCode::Vanished,
    ReasonCode::DigestOnly,
    ReasonCode::NoPlace,
];

/// Problems that are listed.
const PROBLEMS: usize = 30;

/// Versions before the present one that a cell lists: the page of 300 images in six environments stays below 1 MB.
const BEFORE: usize = 3;

/// The page of a status.
pub(super) fn page(status: &Status) -> String {
    let heading = status.repository.as_deref().unwrap_or("this repository");
    let commit = status.commit.as_ref().map(|commit| {
        format!(" at commit <code>{}</code>", escaped(commit.get(..9).unwrap_or(commit)))
    });
    let mut body = format!(
        "<h1>{}</h1>\n<p>As of {}{}.</p>\n",
        escaped(heading),
        time(status.now),
        commit.unwrap_or_default()
    );
    body.push_str(&counts(status));
    body.push_str(&needs_somebody(status));
    body.push_str(&matrix(status));
    PAGE.replace("{title}", &escaped(heading)).replace("{style}", STYLE).replace("{body}", &body)
}

fn images(status: &Status) -> impl Iterator<Item = (&EnvironmentStatus, &ImageStatus)> {
    status.environments.iter().flat_map(|env| env.images.iter().map(move |image| (env, image)))
}

fn counts(status: &Status) -> String {
    let of = |outcome| images(status).filter(|(_, image)| image.outcome == outcome).count();
    // Numbers are those of one repository, and environments can be in several.
    let pulls: BTreeSet<&str> =
        images(status).filter_map(|(_, image)| Some(&*image.pull_request.as_ref()?.url)).collect();
    let all = [
        (images(status).count(), "deployed"),
        (of(Outcome::Keep), "up to date"),
        (of(Outcome::Update), "to update"),
        (of(Outcome::Hold), "waiting"),
        (of(Outcome::Undecided), "undecided"),
    ];
    let mut out = "<ul class=counts>\n".to_owned();
    for (count, what) in all {
        writeln!(out, "<li><b>{count}</b> {what}</li>").ok();
    }
    // What nobody asked for is not none.
    let is_unseen = status.diagnostics.iter().any(|row| UNSEEN[..2].contains(&&*row.code));
    let pulls = if is_unseen { "?".to_owned() } else { pulls.len().to_string() };
    writeln!(out, "<li><b>{pulls}</b> open pull requests</li>").ok();
    out + "</ul>\n"
}

/// Codes of what was not looked at, so that the page may be wrong; the first ones are about pull requests.
const UNSEEN: [&str; 3] = ["forge.not-asked", "forge.unavailable", "ledger.not-read"];

/// Everything that waits for a person, grouped by its reason.
fn needs_somebody(status: &Status) -> String {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut pulls = BTreeSet::new();
    for (environment, image) in images(status) {
        let place = format!("{} in {}", escaped(&image.image), escaped(&environment.name));
        if let Some(pull) = &image.pull_request
            && pulls.insert(&pull.url)
        {
            let row = format!("{} {}", link(image), escaped(&environment.name));
            groups.entry("Pull requests to be merged or closed".to_owned()).or_default().push(row);
        }
        let is_for_people = image.outcome == Outcome::Undecided
            || image.outcome == Outcome::Hold && FOR_PEOPLE.contains(&image.reason.code);
        if is_for_people {
            let row = format!("<b>{place}</b>: {}", escaped(&image.reason.message));
            groups.entry(chip_of(image, environment)).or_default().push(row);
        }
    }
    for environment in &status.environments {
        if let Some(why) = &environment.waits_for {
            let row = format!("<b>{}</b>: {}", escaped(&environment.name), escaped(why));
            groups.entry("Whole environments that wait".to_owned()).or_default().push(row);
        }
    }
    let unseen = status.diagnostics.iter().filter(|row| UNSEEN.contains(&&*row.code));
    for row in unseen.filter(|row| row.severity == SeverityName::Info) {
        let row = format!("<b>{}</b>: {}", escaped(&row.code), escaped(&row.message));
        groups.entry("Not looked at".to_owned()).or_default().push(row);
    }
    let problems = status.diagnostics.iter().filter(|row| row.severity != SeverityName::Info);
    for problem in problems.clone().take(PROBLEMS) {
        let place = problem.path.as_ref().map(|path| match problem.line {
            Some(line) => format!("<code>{}:{line}</code> ", escaped(path)),
            None => format!("<code>{}</code> ", escaped(path)),
        });
        let code = escaped(&problem.code);
        let row =
            format!("{}<b>{code}</b>: {}", place.unwrap_or_default(), escaped(&problem.message));
        groups.entry("Problems".to_owned()).or_default().push(row);
    }
    let more = problems.count().saturating_sub(PROBLEMS);
    if more > 0 {
        groups.entry("Problems".to_owned()).or_default().push(format!("and {more} more"));
    }
    let mut out = "<section aria-labelledby=needs><h2 id=needs>Needs somebody</h2>\n".to_owned();
    if groups.is_empty() {
        return out + "<p>Nothing does.</p></section>\n";
    }
    for (reason, rows) in groups {
        writeln!(out, "<h3>{} ({})</h3>\n<ul>", escaped(&reason), rows.len()).ok();
        for row in rows {
            writeln!(out, "<li>{row}</li>").ok();
        }
        out.push_str("</ul>\n");
    }
    out + "</section>\n"
}

/// One row for each image, one column for each environment in the order of promotion.
fn matrix(status: &Status) -> String {
    let names: BTreeMap<&str, &str> =
        images(status).map(|(_, image)| (&*image.image, &*image.repository)).collect();
    let mut out =
        "<section aria-labelledby=runs><h2 id=runs>What runs where</h2>\n<table>\n<thead><tr><th \
                   scope=col>Image</th>"
            .to_owned();
    for environment in &status.environments {
        let from = environment.promote_from.join(", ");
        let from = if from.is_empty() {
            String::new()
        } else {
            format!("<small>from {}</small>", escaped(&from))
        };
        write!(out, "<th scope=col>{}{from}</th>", escaped(&environment.name)).ok();
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (name, repository) in names {
        let (shown, repository) = (escaped(name), escaped(repository));
        write!(out, "<tr><th scope=row>{shown}<small>{repository}</small></th>").ok();
        for environment in &status.environments {
            write!(out, "<td data-env=\"{}\">", escaped(&environment.name)).ok();
            for image in environment.images.iter().filter(|image| image.image == name) {
                out.push_str(&cell(image, environment, status.now));
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out + "</tbody></table></section>\n"
}

fn cell(image: &ImageStatus, environment: &EnvironmentStatus, now: Timestamp) -> String {
    let mut out = "<details><summary>".to_owned();
    write!(out, "<code>{}</code>", escaped(&shortened(&image.holds))).ok();
    if let Some(since) = image.since {
        let before = if image.since_earlier { "over " } else { "" };
        write!(out, " <span class=age>{before}{}</span>", age(since, now)).ok();
    }
    if image.outcome != Outcome::Keep {
        if let Some(next) = &image.next {
            write!(out, " <span class=next>→ <code>{}</code></span>", escaped(&shortened(next)))
                .ok();
        }
        let class = match image.outcome {
            Outcome::Keep => "keep",
            Outcome::Update => "update",
            Outcome::Hold => "hold",
            Outcome::Undecided => "undecided",
        };
        write!(
            out,
            " <span class=\"chip {class}\">{}</span>",
            escaped(&chip_of(image, environment))
        )
        .ok();
    }
    out.push_str("</summary>\n<dl>");
    let mut row = |name: &str, text: String| {
        write!(out, "<dt>{name}</dt><dd>{text}</dd>").ok();
    };
    row("Why", escaped(&image.reason.message));
    if let Some(why) = &environment.waits_for {
        row("Environment", escaped(why));
    }
    if image.pull_request.is_some() {
        row("Pull request", link(image));
    }
    if shortened(&image.holds) != image.holds {
        row("Runs", format!("<code>{}</code>", escaped(&image.holds)));
    }
    if let Some(since) = image.since {
        row("Since", time(since));
    }
    if let Some(commit) = &image.commit {
        row("Commit", format!("<code>{}</code>", escaped(commit.get(..9).unwrap_or(commit))));
    }
    if !image.history.is_empty() {
        row("Before", history(&image.history));
    }
    out + "</dl></details>\n"
}

fn history(rows: &[HistoryRow]) -> String {
    let rows = rows.iter().take(BEFORE).map(|row| {
        format!("{} from {}", escaped(&shortened(&row.version)), row.since.strftime("%Y-%m-%d"))
    });
    rows.collect::<Vec<_>>().join(", ")
}

/// A few words that say what a cell waits for.
fn chip_of(image: &ImageStatus, environment: &EnvironmentStatus) -> String {
    let code = serde_json::to_value(image.reason.code).unwrap_or_default();
    let words = code.as_str().unwrap_or_default().replace('-', " ");
    match (image.outcome, &image.pull_request) {
        (Outcome::Update, pull) => {
            let number = pull.as_ref().map(|pull| format!("#{}", pull.number));
            match (&environment.waits_for, number) {
                // `suspended: an incident`, `windows: it waits until …`
                (Some(why), number) => {
                    let why = why.split(':').next().unwrap_or_default().replace('`', "");
                    number.map_or_else(|| why.clone(), |number| format!("{number} {why}"))
                }
                (None, Some(number)) => format!("{number} to be merged"),
                (None, None) => "next run".to_owned(),
            }
        }
        (Outcome::Undecided, _) => format!("undecided: {words}"),
        (Outcome::Keep | Outcome::Hold, _) => words,
    }
}

/// The open pull request, as a link to a page of the forge and to nothing else.
fn link(image: &ImageStatus) -> String {
    let Some(pull) = &image.pull_request else { return String::new() };
    let number = pull.number;
    if pull.url.starts_with("https://") || pull.url.starts_with("http://") {
        return format!("<a href=\"{}\">#{number}</a>", escaped(&pull.url));
    }
    format!("#{number}")
}

/// A time for people, and for programs.
fn time(at: Timestamp) -> String {
    let shown = at.strftime("%Y-%m-%d %H:%M UTC");
    format!("<time datetime=\"{at}\">{shown}</time>")
}

/// The time since then, in the largest unit.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(then).as_mins().max(0);
    match (minutes / 1440, minutes / 60) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h"),
        (days, _) if days < 60 => format!("{days} d"),
        (days, _) => format!("{} months", days / 30),
    }
}

/// Text as it is, whatever it holds.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const PAGE: &str = "<!doctype html>
<html lang=en><head><meta charset=utf-8><title>{title}: what runs where</title>
<meta name=viewport content='width=device-width, initial-scale=1'>
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">
<style>{style}</style></head><body><main>
{body}</main></body></html>
";

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1f24; --page: #ffffff; --line: #d0d7de; --soft: #57606a; --link: #0550ae;
--update: #ddf4ff; --hold: #fff8c5; --undecided: #ffebe9; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --page: #0d1117; --line: #30363d; --soft: #9198a1; --link: #79c0ff;
--update: #0c2d6b; --hold: #4b2900; --undecided: #67060c; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: var(--text); background: var(--page); }
main { margin: 0 auto; padding: 1rem; max-width: 150rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; } h3 { font-size: 1rem; }
a { color: var(--link); } code { font-size: .9em; } time { white-space: nowrap; }
.counts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; padding: 0; list-style: none; }
.counts b { font-size: 1.5rem; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .4rem .8rem; border-bottom: 1px solid var(--line); }
thead th { position: sticky; top: 0; background: var(--page); } th small { display: block; font-weight: normal; color: var(--soft); }
summary { cursor: pointer; } .age { color: var(--soft); white-space: nowrap; } .next { white-space: nowrap; }
.chip { display: inline-block; padding: 0 .5rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .85em; }
.update { background: var(--update); } .hold { background: var(--hold); } .undecided { background: var(--undecided); }
dl { margin: .5rem 0; max-width: 40rem; } dt { color: var(--soft); } dd { margin: 0 0 .4rem; overflow-wrap: anywhere; }
@media (max-width: 50rem) { table, tbody, tr, td, tbody th { display: block; } thead { display: none; }
tbody tr { padding: .5rem 0; border-bottom: 1px solid var(--line); } td, tbody th { border: 0; padding: .2rem 0; }
td:not(:empty)::before { content: attr(data-env); display: block; color: var(--soft); } }
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::Reason;
    use crate::report::PullRequestLink;

    /// 300 images in six environments, each with a pull request and a history.
    fn large() -> Status {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let image = |index: usize| ImageStatus {
            image: format!("service-{index:03}"),
            repository: format!("ghcr.io/acme/service-{index:03}"),
            holds: "v1.21.0".to_owned(),
            since: Some(now),
            since_earlier: false,
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            outcome: Outcome::Update,
            next: Some("v1.22.0".to_owned()),
            reason: Reason::new(ReasonCode::Newer, "v1.22.0 is above v1.21.0"),
            pull_request: None,
            history: vec![HistoryRow { version: "v1.20.0".to_owned(), since: now }; 10],
        };
        let environment = |name: &str| EnvironmentStatus {
            name: name.to_owned(),
            home: crate::report::HomeRow::default(),
            promote_from: Vec::new(),
            waits_for: None,
            images: (0..300).map(image).collect(),
        };
        let names = ["dev", "staging", "preprod", "prod-eu", "prod-us", "prod-ap"];
        Status::new(now, names.map(environment).into(), &[])
    }

    #[test]
    fn a_large_fleet_stays_below_a_megabyte() {
        let page = page(&large());
        assert!(page.len() < 1_000_000, "{}", page.len());
        assert_eq!(page.matches("<details>").count(), 1_800);
    }

    #[test]
    fn untrusted_text_stays_text() {
        let mut status = large();
        status.environments.truncate(1);
        let environment = &mut status.environments[0];
        environment.images.truncate(1);
        let image = &mut environment.images[0];
        let hostile = "<img src=x onerror=alert(1)>\"'&";
        image.image = hostile.to_owned();
        image.reason.message = hostile.to_owned();
        let url = "javascript:alert(1)".to_owned();
        image.pull_request = Some(PullRequestLink { number: 7, url });
        environment.name = hostile.to_owned();
        environment.waits_for = Some(hostile.to_owned());
        let page = page(&status);
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains("href=\"javascript"), "{page}");
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"), "{page}");
    }
}

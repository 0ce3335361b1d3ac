//! What each environment holds, since when, what is on its way and what it waits for: as a table, for
//! programs, in Markdown, and as one page that needs nothing else.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::json::{DiagnosticRow, HomeRow, diagnostic};
use crate::choose::{Outcome, Reason};
use crate::diagnostic::Diagnostic;
use crate::text::{code_span, one_line};

/// The version of the output.
const VERSION: u32 = 1;

/// What `status --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "tagalong status")]
pub struct Status {
    /// The version of this format.
    pub version: u32,
    /// The time that it is of.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// The environments, each after those that it comes from.
    pub environments: Vec<EnvironmentStatus>,
    /// What was left out or could not be used.
    diagnostics: Vec<DiagnosticRow>,
}

/// One environment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// Its name.
    pub name: String,
    /// Where it is, when that is not where the policies are.
    #[serde(flatten)]
    pub home: HomeRow,
    /// The environments that it comes from.
    pub promote_from: Vec<String>,
    /// What all of its changes wait for: a window, the end of a freeze, the end of a suspension, somebody who looks why
    /// it cannot be read.
    pub waits_for: Option<String>,
    /// Its images.
    pub images: Vec<ImageStatus>,
}

/// One image of an environment, where one version is deployed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// The policy's name.
    pub image: String,
    /// The image repository.
    pub repository: String,
    /// What is deployed: a tag, a digest, or both.
    pub holds: String,
    /// Since when; unknown where the history does not tell.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Whether it may be so for longer: the history was not read any further back.
    pub since_earlier: bool,
    /// The commit that brought it.
    pub commit: Option<String>,
    /// What was decided.
    pub outcome: Outcome,
    /// What is to come.
    pub next: Option<String>,
    /// Why it comes, or what it waits for.
    pub reason: Reason,
    /// The open pull request that brings it.
    pub pull_request: Option<PullRequestLink>,
}

/// A pull request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestLink {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

impl ImageStatus {
    /// What it waits for, in a few words; nothing when it is up to date.
    fn waits_for(&self, environment: &EnvironmentStatus) -> String {
        let proposed = self.pull_request.as_ref().map(|pull| format!("#{}", pull.number));
        match (self.outcome, &environment.waits_for) {
            (Outcome::Keep, _) => String::new(),
            (Outcome::Update, Some(why)) => format!("{}{why}", prefixed(proposed)),
            (Outcome::Update, None) => proposed
                .map_or_else(|| self.reason.message.clone(), |it| format!("{it} to be merged")),
            (Outcome::Hold | Outcome::Undecided, _) => self.reason.message.clone(),
        }
    }

    fn cells(&self, environment: &EnvironmentStatus) -> [String; 5] {
        let next = self.next.clone().filter(|_| self.outcome != Outcome::Keep);
        [
            self.image.clone(),
            shortened(&self.holds),
            match self.since {
                Some(at) if self.since_earlier => format!("before {at}"),
                Some(at) => at.to_string(),
                None => String::new(),
            },
            next.unwrap_or_default(),
            self.waits_for(environment),
        ]
    }
}

/// A digest as short as it is shown elsewhere.
fn shortened(holds: &str) -> String {
    match holds.split_once("@sha256:") {
        Some((tag, hex)) => format!("{tag}@sha256:{}", hex.get(..12).unwrap_or(hex)),
        None => holds.to_owned(),
    }
}

fn prefixed(number: Option<String>) -> String {
    number.map(|number| format!("{number}, ")).unwrap_or_default()
}

const HEAD: [&str; 5] = ["image", "holds", "since", "next", "waits for"];

impl Status {
    /// What there is to see.
    #[must_use]
    pub fn new(
        now: Timestamp,
        environments: Vec<EnvironmentStatus>,
        diagnostics: &[Diagnostic],
    ) -> Self {
        let diagnostics = diagnostics.iter().map(diagnostic).collect();
        Self { version: VERSION, now, environments, diagnostics }
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The rows of an environment.
    fn rows(environment: &EnvironmentStatus) -> Vec<[String; 5]> {
        environment.images.iter().map(|image| image.cells(environment)).collect()
    }

    fn title(environment: &EnvironmentStatus) -> String {
        match environment.promote_from.join(", ") {
            from if from.is_empty() => environment.name.clone(),
            from => format!("{} (from {from})", environment.name),
        }
    }

    /// The table for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for environment in &self.environments {
            let title = Self::title(environment);
            let waits = environment.waits_for.as_ref().map(|why| format!(": {}", one_line(why)));
            writeln!(out, "{title}{}", waits.unwrap_or_default()).ok();
            let rows = Self::rows(environment);
            let head = Some(HEAD.map(str::to_owned)).filter(|_| !rows.is_empty());
            let rows: Vec<[String; 5]> = head
                .into_iter()
                .chain(rows.into_iter().map(|row| row.map(|cell| one_line(&cell))))
                .collect();
            let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
            for row in &rows {
                let cells = row.iter().enumerate().map(|(column, cell)| {
                    format!("{cell:<width$}", width = width(column).unwrap_or_default())
                });
                let line = cells.collect::<Vec<_>>().join("  ");
                writeln!(out, "  {}", line.trim_end()).ok();
            }
            out.push('\n');
        }
        out
    }

    /// The same in GitHub's Markdown, for a job summary.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("## What runs where\n\nAt {}.\n", self.now);
        for environment in &self.environments {
            write!(out, "\n### {}\n\n", code_span(&Self::title(environment))).ok();
            if let Some(why) = &environment.waits_for {
                write!(out, "{}\n\n", code_span(why)).ok();
            }
            let rows = Self::rows(environment);
            if !rows.is_empty() {
                writeln!(out, "| {} |\n|---|---|---|---|---|", HEAD.join(" | ")).ok();
            }
            for row in rows {
                let cells = row.map(|cell| if cell.is_empty() { cell } else { code_span(&cell) });
                writeln!(out, "| {} |", cells.join(" | ")).ok();
            }
        }
        out
    }

    /// The same as one page, without anything from elsewhere.
    #[must_use]
    pub fn html(&self) -> String {
        let mut body = String::new();
        for environment in &self.environments {
            writeln!(body, "<h2>{}</h2>", escaped(&Self::title(environment))).ok();
            if let Some(why) = &environment.waits_for {
                writeln!(body, "<p class=waits>{}</p>", escaped(why)).ok();
            }
            if environment.images.is_empty() {
                continue;
            }
            body.push_str("<table><thead><tr>");
            body.extend(HEAD.map(|head| format!("<th>{head}</th>")));
            body.push_str("</tr></thead><tbody>\n");
            for (image, row) in environment.images.iter().zip(Self::rows(environment)) {
                let class = match image.outcome {
                    Outcome::Keep => "keep",
                    Outcome::Update => "update",
                    Outcome::Hold => "hold",
                    Outcome::Undecided => "undecided",
                };
                write!(body, "<tr class={class}>").ok();
                body.extend(row.map(|cell| format!("<td>{}</td>", escaped(&cell))));
                body.push_str("</tr>\n");
            }
            body.push_str("</tbody></table>\n");
        }
        PAGE.replace("{now}", &escaped(&self.now.to_string())).replace("{body}", &body)
    }
}

const PAGE: &str = "<!doctype html>
<html lang=en><head><meta charset=utf-8><title>What runs where</title>
<meta name=viewport content='width=device-width'>
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; color: #1b1f24; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3em .8em .3em 0; border-bottom: 1px solid #d8dee4; vertical-align: top; }
td { overflow-wrap: anywhere; } .update td { color: #0550ae; } .hold td, .waits { color: #7d4e00; } .undecided td { color: #a40e26; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; } th, td { border-color: #30363d; }
.update td { color: #79c0ff; } .hold td, .waits { color: #d29922; } .undecided td { color: #ff7b72; } }
</style></head><body>
<h1>What runs where</h1><p>At {now}.</p>
{body}</body></html>
";

/// Text as it is, whatever it holds.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
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

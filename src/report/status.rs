//! What each environment holds, since when, what is on its way and what it waits for: as a table, for
//! programs, in Markdown, and as one page that needs nothing else.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::json::{DiagnosticRow, HomeRow, diagnostic};
use super::page::{age, page};
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
    /// The repository, as `owner/name`, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit that was read; none for a work tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The environments, each after those that it comes from.
    pub environments: Vec<EnvironmentStatus>,
    /// What was left out or could not be used.
    pub(super) diagnostics: Vec<DiagnosticRow>,
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
    /// The versions before, newest first, as far as the history was read; ten at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryRow>,
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

/// A version that an environment held before.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryRow {
    /// The tag, the digest, or both.
    pub version: String,
    /// The time at which it came, at the latest.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

impl ImageStatus {
    /// What it waits for, in a few words; nothing when it is up to date.
    fn waits_for(&self, environment: &EnvironmentStatus) -> String {
        let proposed = self.pull_request.as_ref().map(|pull| format!("#{}", pull.number));
        match (self.outcome, &environment.waits_for) {
            (Outcome::Keep, _) => String::new(),
            (Outcome::Update, Some(why)) => format!("{}{why}", prefixed(proposed)),
            (Outcome::Update, None) => proposed
                .map_or_else(|| "the next run".to_owned(), |it| format!("{it} to be merged")),
            (Outcome::Hold | Outcome::Undecided, _) => self.reason.message.clone(),
        }
    }

    fn cells(
        &self,
        environment: &EnvironmentStatus,
        relative_to: Option<Timestamp>,
    ) -> [String; 5] {
        let next = self.next.clone().filter(|_| self.outcome != Outcome::Keep);
        [
            self.image.clone(),
            shortened(&self.holds),
            match (self.since, relative_to) {
                (Some(at), Some(now)) if self.since_earlier => format!("over {} ago", age(at, now)),
                (Some(at), Some(now)) => format!("{} ago", age(at, now)),
                (Some(at), None) if self.since_earlier => format!("before {at}"),
                (Some(at), None) => at.to_string(),
                (None, _) => String::new(),
            },
            next.unwrap_or_default(),
            self.waits_for(environment),
        ]
    }
}

/// A digest as short as it is shown elsewhere.
pub(super) fn shortened(holds: &str) -> String {
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
        let (repository, commit) = (None, None);
        Self { version: VERSION, now, repository, commit, environments, diagnostics }
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The rows of an environment.
    fn rows(environment: &EnvironmentStatus, relative_to: Option<Timestamp>) -> Vec<[String; 5]> {
        environment.images.iter().map(|image| image.cells(environment, relative_to)).collect()
    }

    fn title(environment: &EnvironmentStatus) -> String {
        match environment.promote_from.join(", ") {
            from if from.is_empty() => environment.name.clone(),
            from => format!("{} (from {from})", environment.name),
        }
    }

    /// The table for people, with times as ages unless they are to be `absolute`.
    #[must_use]
    pub fn text(&self, absolute: bool) -> String {
        let relative_to = (!absolute).then_some(self.now);
        let mut out = String::new();
        for environment in &self.environments {
            let title = Self::title(environment);
            let waits = environment.waits_for.as_ref().map(|why| format!(": {}", one_line(why)));
            writeln!(out, "{title}{}", waits.unwrap_or_default()).ok();
            let rows = Self::rows(environment, relative_to);
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
            let rows = Self::rows(environment, None);
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
        page(self)
    }
}

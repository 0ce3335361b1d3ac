//! The output for people: decisions, a unified diff, deliveries and problems.

use std::fmt::Write as _;

use similar::TextDiff;

use super::{Delivery, DeliveryOutcome};
use crate::changeset::{Plan, Planned};
use crate::choose::Outcome;
use crate::diagnostic::{Colour, Diagnostic, render};
use crate::policy::Home;
use crate::text::harmless;

pub(super) const GREEN: &str = "\u{1b}[32m";
pub(super) const RED: &str = "\u{1b}[31m";
pub(super) const YELLOW: &str = "\u{1b}[33m";
const CYAN: &str = "\u{1b}[36m";
pub(super) const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// Decisions, then the changes as a unified diff, then a line that counts. Files are `read` again
/// for the diff; one that is not the same any more is only named.
#[must_use]
pub fn plan(plan: &Plan, read: impl Fn(&Home, &str) -> Option<String>, colour: Colour) -> String {
    let mut out = decisions(plan, colour);
    for set in &plan.change_sets {
        let place = if set.home.is_here() { String::new() } else { format!(" ({})", set.home) };
        writeln!(out, "\n{}{place}", paint(colour, BOLD, &set.title)).ok();
        for (path, file) in &set.files {
            match read(&set.home, path).and_then(|text| plan.texts(file, text)) {
                Some((before, after)) => out.push_str(&diff(path, &before, &after, colour)),
                None => writeln!(out, "{} changed meanwhile", crate::text::one_line(path))
                    .unwrap_or_default(),
            }
        }
    }
    writeln!(out, "{}{}", if out.is_empty() { "" } else { "\n" }, counts(plan)).ok();
    out
}

/// Decisions by environment, a line each.
#[must_use]
pub fn decisions(plan: &Plan, colour: Colour) -> String {
    let mut out = String::new();
    let mut environment = "";
    for planned in &plan.decisions {
        if planned.environment != environment {
            environment = &planned.environment;
            writeln!(out, "{}", paint(colour, BOLD, environment)).ok();
        }
        out.push_str(&decision(planned, colour));
    }
    out
}

fn decision(planned: &Planned, colour: Colour) -> String {
    let decision = &planned.decision;
    let (word, shade) = match decision.outcome {
        Outcome::Update => ("update", GREEN),
        Outcome::Keep => ("keep", ""),
        Outcome::Hold => ("hold", YELLOW),
        Outcome::Undecided => ("undecided", RED),
    };
    let from = planned.deployed.tag.as_ref().map(ToString::to_string);
    let from = from.or_else(|| planned.deployed.digest.as_ref().map(|d| d.short().to_owned()));
    let from = from.unwrap_or_else(|| "-".to_owned());
    let versions = match &decision.to {
        Some(to) if decision.outcome == Outcome::Update => format!("{from} -> {to}"),
        _ => from,
    };
    let places = match planned.sites.len() {
        1 => "1 place".to_owned(),
        count => format!("{count} places"),
    };
    let reason = &decision.reason;
    let code = serde_json::to_value(reason.code).unwrap_or_default();
    // A hold says what it waits for itself.
    let waits = decision.passed_over.first().filter(|_| decision.outcome == Outcome::Update);
    let waits = waits.map(|(_, reason)| format!("; passed over: {}", reason.message));
    format!(
        "  {} {}  {versions}  {places}  {}: {}{}\n",
        paint(colour, shade, &format!("{word:9}")),
        planned.image,
        code.as_str().unwrap_or_default(),
        harmless(&reason.message),
        harmless(&waits.unwrap_or_default())
    )
}

fn diff(path: &str, before: &str, after: &str, colour: Colour) -> String {
    let diff = TextDiff::from_lines(before, after);
    let path = crate::text::one_line(path);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string();
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let shade = match line.as_bytes() {
            [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => BOLD,
            [b'+', ..] => GREEN,
            [b'-', ..] => RED,
            [b'@', ..] => CYAN,
            _ => "",
        };
        let shown: String = line.trim_end_matches(['\n', '\r']).chars().map(visible).collect();
        writeln!(out, "{}", paint(colour, shade, &shown)).ok();
    }
    out
}

/// Files are other people's text: what a terminal would obey is shown instead.
fn visible(c: char) -> char {
    match c {
        '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn counts(plan: &Plan) -> String {
    let count = |outcome| plan.decisions.iter().filter(|p| p.decision.outcome == outcome).count();
    format!(
        "{} to update, {} up to date, {} held, {} undecided; {} edits in {} change set{}",
        count(Outcome::Update),
        count(Outcome::Keep),
        count(Outcome::Hold),
        count(Outcome::Undecided),
        plan.edits.len(),
        plan.change_sets.len(),
        if plan.change_sets.len() == 1 { "" } else { "s" },
    )
}

/// What became of each change set, a line each.
#[must_use]
pub fn deliveries(deliveries: &[Delivery], colour: Colour) -> String {
    let mut out = String::new();
    for delivery in deliveries {
        let (word, shade) = match delivery.outcome {
            DeliveryOutcome::Created => ("opened", GREEN),
            DeliveryOutcome::Updated => ("updated", GREEN),
            DeliveryOutcome::Unchanged => ("unchanged", ""),
            DeliveryOutcome::Pushed => ("pushed", GREEN),
            DeliveryOutcome::Written => ("written", GREEN),
            DeliveryOutcome::Frozen => ("left alone", YELLOW),
            DeliveryOutcome::Merged => ("merged", GREEN),
            DeliveryOutcome::Closed => ("closed", ""),
            DeliveryOutcome::Waiting => ("waiting", YELLOW),
            DeliveryOutcome::Refused => ("refused", YELLOW),
            DeliveryOutcome::Failed => ("failed", RED),
        };
        write!(out, "{} {}", paint(colour, shade, word), delivery.environment).ok();
        if let Some((number, url)) = &delivery.pull_request {
            write!(out, "  #{number} {url}").ok();
        } else if let Some(branch) = &delivery.branch {
            write!(out, "  {branch}").ok();
        }
        if let Some(message) = &delivery.message {
            write!(out, "  {}", crate::text::one_line(message)).ok();
        }
        out.push('\n');
    }
    out
}

/// More problems than this are shown without the lines that they are about.
const MAX_FRAMES: usize = 50;

/// Every problem with its code frame.
#[must_use]
pub fn diagnostics<'a>(
    diagnostics: &[Diagnostic],
    source: impl Fn(&str) -> Option<&'a str>,
    colour: Colour,
) -> String {
    let rendered = diagnostics.iter().enumerate().map(|(index, problem)| {
        // A frame costs as much as its file is long.
        let source = |path: &str| source(path).filter(|_| index < MAX_FRAMES);
        // What files and registries say must not be obeyed by a terminal or a workflow's log.
        let lines = |text: &str| text.split('\n').map(harmless).collect::<Vec<_>>().join("\n");
        let help = problem.help.as_deref().map(lines);
        let problem = Diagnostic { message: harmless(&problem.message), help, ..problem.clone() };
        render(&problem, source, colour) + "\n\n"
    });
    rendered.collect()
}

pub(super) fn paint(colour: Colour, shade: &str, text: &str) -> String {
    match colour {
        Colour::Yes if !shade.is_empty() => format!("{shade}{text}{RESET}"),
        Colour::Yes | Colour::No => text.to_owned(),
    }
}

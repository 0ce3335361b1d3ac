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

/// The order of environments, that of promotion: a name that is not in it comes last.
type EnvironmentOrder<'a> = &'a [String];

/// Decisions, the changes of files where somebody can `read` them, and the counts.
#[must_use]
pub fn plan(
    plan: &Plan,
    order: EnvironmentOrder<'_>,
    read: Option<&Read<'_>>,
    colour: Colour,
) -> String {
    let mut text = decisions(plan, order, colour);
    if let Some(read) = read {
        text += &diffs(plan, read, colour);
    }
    let gap = if text.is_empty() { "" } else { "\n" };
    format!("{text}{gap}{}", counts(plan))
}

/// Reads a file of a place as it is now.
pub type Read<'a> = dyn Fn(&Home, &str) -> Option<String> + 'a;

/// The changes of a plan as a unified diff, under the title of each pull request. Files are `read` again; one that changed
/// meanwhile is only named.
fn diffs(plan: &Plan, read: &Read<'_>, colour: Colour) -> String {
    let mut out = String::new();
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
    out
}

/// Decisions by environment, a line each, in columns.
#[must_use]
pub fn decisions(plan: &Plan, order: EnvironmentOrder<'_>, colour: Colour) -> String {
    let place = |name: &String| order.iter().position(|known| known == name).unwrap_or(usize::MAX);
    let mut decisions: Vec<&Planned> = plan.decisions.iter().collect();
    decisions.sort_by_key(|planned| place(&planned.environment));
    let widths = Widths::of(&decisions);
    let mut out = String::new();
    let mut environment = "";
    for planned in decisions {
        if planned.environment != environment {
            environment = &planned.environment;
            writeln!(out, "{}", paint(colour, BOLD, environment)).ok();
        }
        out.push_str(&decision(planned, &widths, colour));
    }
    out
}

/// Wider cells push the rest of their line to the right instead of all others.
const MAX_CELL: usize = 36;

/// The widths of columns, in characters.
struct Widths {
    image: usize,
    versions: usize,
    place: usize,
}

impl Widths {
    fn of(decisions: &[&Planned]) -> Self {
        let widest = |cell: fn(&Planned) -> String| {
            let widths = decisions.iter().map(|planned| cell(planned).chars().count());
            widths.filter(|width| *width <= MAX_CELL).max().unwrap_or_default()
        };
        Self {
            image: widest(|planned| planned.image.clone()),
            versions: widest(versions),
            place: widest(place),
        }
    }
}

/// The deployed version, and the one that it is updated to.
fn versions(planned: &Planned) -> String {
    let from = planned.deployed.tag.as_ref().map(ToString::to_string);
    let from = from.or_else(|| planned.deployed.digest.as_ref().map(|d| d.short().to_owned()));
    let from = from.unwrap_or_else(|| "-".to_owned());
    match &planned.decision.to {
        Some(to) if planned.decision.outcome == Outcome::Update => {
            let digest = planned.decision.to_digest.as_ref().filter(|_| from == to.as_str());
            let digest = digest.map(|digest| format!("@{}", digest.short())).unwrap_or_default();
            format!("{from} -> {to}{digest}")
        }
        _ => from,
    }
}

/// The first place, and the number of the others.
fn place(planned: &Planned) -> String {
    let Some((path, line)) = planned.sites.first() else { return String::new() };
    let first = format!("{}:{line}", crate::text::one_line(path));
    match planned.sites.len() {
        1 => first,
        count => format!("{first} (+{})", count - 1),
    }
}

fn decision(planned: &Planned, widths: &Widths, colour: Colour) -> String {
    let decision = &planned.decision;
    let (word, shade) = match decision.outcome {
        Outcome::Update => ("update", GREEN),
        Outcome::Keep => ("keep", ""),
        Outcome::Hold => ("hold", YELLOW),
        Outcome::Undecided => ("undecided", RED),
    };
    let reason = &decision.reason;
    let code = serde_json::to_value(reason.code).unwrap_or_default();
    // A hold says what it waits for itself.
    let waits = decision.passed_over.first().filter(|_| decision.outcome == Outcome::Update);
    let waits = waits.map(|(_, reason)| format!("; passed over: {}", reason.message));
    format!(
        "  {} {:image$}  {:versions$}  {:place$}  {}: {}{}\n",
        paint(colour, shade, &format!("{word:9}")),
        planned.image,
        versions(planned),
        place(planned),
        code.as_str().unwrap_or_default(),
        harmless(&reason.message),
        harmless(&waits.unwrap_or_default()),
        image = widths.image,
        versions = widths.versions,
        place = widths.place,
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

/// A line that counts decisions, edits and change sets.
fn counts(plan: &Plan) -> String {
    let count = |outcome| plan.decisions.iter().filter(|p| p.decision.outcome == outcome).count();
    format!(
        "{} to update, {} up to date, {} held, {} undecided; {} edit{} in {} change set{}\n",
        count(Outcome::Update),
        count(Outcome::Keep),
        count(Outcome::Hold),
        count(Outcome::Undecided),
        plan.edits.len(),
        if plan.edits.len() == 1 { "" } else { "s" },
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

/// The line that names what needs a person; empty if nothing does.
#[must_use]
pub fn needs_person(plan: &Plan, deliveries: &[Delivery]) -> String {
    let undecided = plan.decisions.iter().filter(|p| p.decision.outcome == Outcome::Undecided);
    let is = |outcome| deliveries.iter().filter(move |d| d.outcome == outcome);
    let parts = [
        (undecided.count(), "undecided image"),
        (is(DeliveryOutcome::Failed).count(), "failed delivery"),
        (is(DeliveryOutcome::Frozen).count(), "branch with a person's commit"),
    ];
    let counted = parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| {
        let plural = match noun {
            "failed delivery" => "failed deliveries".to_owned(),
            "branch with a person's commit" => "branches with a person's commit".to_owned(),
            noun => format!("{noun}s"),
        };
        format!("{count} {}", if count == 1 { noun.to_owned() } else { plural })
    });
    let counted: Vec<String> = counted.collect();
    if counted.is_empty() {
        String::new()
    } else {
        format!("needs a person: {}\n", counted.join(", "))
    }
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

//! The text of a policy file.

use std::fmt::Write as _;

use super::{Place, Rule, Starter, StarterPolicy};

/// The policy file of what a repository starts with; `origin` says where it comes from.
#[must_use]
pub fn policies(starter: &Starter, origin: &str) -> String {
    let mut out = format!("# {origin}\n");
    out.push_str(
        "# `tagalong check` finds mistakes in it, `tagalong plan` shows what it would do.\n",
    );
    for note in &starter.notes {
        writeln!(out, "# left: {}", one_line(note)).ok();
    }
    out.push_str(if starter.policies.is_empty() { "images: {}\n" } else { "images:\n" });
    for policy in &starter.policies {
        out.push_str(&image(policy));
    }
    if !starter.environments.is_empty() {
        out.push_str("environments:\n");
    }
    let mut before: Option<&Place> = None;
    for place in &starter.environments {
        out.push_str(&environment(place, before));
        before = Some(place).filter(|place| place.rank.is_some()).or(before);
    }
    out
}

fn image(policy: &StarterPolicy) -> String {
    let mut out = String::new();
    for comment in &policy.comments {
        writeln!(out, "  # {}", one_line(comment)).ok();
    }
    writeln!(out, "  {}:", quoted(&policy.name)).ok();
    writeln!(out, "    image: {}", quoted(&policy.image)).ok();
    if policy.is_marked {
        out.push_str("    places: marked\n");
    }
    if let Some(marker) = &policy.marker {
        writeln!(out, "    marker: {}", quoted(marker)).ok();
    }
    let rows = rows(&policy.rule);
    if let [(key, value)] = &rows[..] {
        writeln!(out, "    tags: {{{key}: {value}}}").ok();
    } else {
        out.push_str("    tags:\n");
        for (key, value) in &rows {
            writeln!(out, "      {key}: {value}").ok();
        }
    }
    for (key, value) in &policy.also {
        writeln!(out, "    {key}: {value}").ok();
    }
    out
}

/// The keys below `tags`.
fn rows(rule: &Rule) -> Vec<(&'static str, String)> {
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    rows.extend(rule.pattern.iter().map(|pattern| ("match", quoted(pattern))));
    rows.extend(rule.extract.iter().map(|extract| ("extract", quoted(extract))));
    if !rule.exclude.is_empty() {
        let all: Vec<String> = rule.exclude.iter().map(|pattern| quoted(pattern)).collect();
        rows.push(("exclude", format!("[{}]", all.join(", "))));
    }
    rows.push((rule.order, quoted(&rule.by)));
    rows.extend(rule.also.iter().cloned());
    rows
}

fn environment(place: &Place, before: Option<&Place>) -> String {
    let paths: Vec<String> = place.paths.iter().map(|path| quoted(&literal(path))).collect();
    let mut out = format!("  {}:\n    paths: [{}]\n", quoted(&place.name), paths.join(", "));
    if !place.is_for_all {
        let images = list_of(place.images.iter().map(String::as_str));
        writeln!(out, "    images: {images}").ok();
    }
    for (key, value) in &place.also {
        writeln!(out, "    {key}: {value}").ok();
    }
    if let Some(before) = before.filter(|before| place.rank > before.rank) {
        writeln!(
            out,
            "    # promoteFrom: {}   # takes what runs there, not what is newest",
            before.name
        )
        .ok();
    }
    out
}

/// A path that is a glob of itself alone.
fn literal(path: &str) -> String {
    path.chars().map(|c| if "*?[]{}!\\".contains(c) { '?' } else { c }).collect()
}

/// A scalar: plain where that is a plain word, in single quotes otherwise.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let word = text.to_ascii_lowercase();
    let is_word = !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&&*word);
    if first && is_word && text.chars().all(is_plain) {
        return text.to_owned();
    }
    // What breaks a line would end the scalar's line, too.
    if text.contains(|c: char| c.is_control()) {
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// A list of scalars.
pub(super) fn list_of<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}

/// Text of somebody else in a comment of one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! What came of `init`.

use std::fmt::Write as _;

use crate::starter::Starter;
use crate::text::one_line;

/// What was found and left out, for people.
#[must_use]
pub fn started(starter: &Starter, skipped: &[String]) -> String {
    let mut out = String::new();
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let images = count(starter.policies.len(), "image", "images");
    let environments = match starter.environments.len() {
        0 => String::new(),
        number => format!(" in {}", count(number, "environment", "environments")),
    };
    writeln!(out, "policies for {images}{environments}").ok();
    for note in &starter.notes {
        writeln!(out, "left: {}", one_line(note)).ok();
    }
    for what in skipped {
        writeln!(out, "passed over: {}", one_line(what)).ok();
    }
    out
}

/// The files: their names when they were written, else their texts.
#[must_use]
pub fn started_files(files: &[(String, String)], is_written: bool) -> String {
    let mut out = String::new();
    for (path, text) in files {
        let shown = if is_written {
            format!("wrote {path}")
        } else {
            format!(
                "--- {path}
{text}"
            )
        };
        writeln!(out, "{shown}").ok();
    }
    match (files.is_empty(), is_written) {
        (true, _) => out.push_str("nothing to write\n"),
        (false, true) => out.push_str("next: `tagalong check`, then `tagalong plan`\n"),
        (false, false) => {}
    }
    out
}

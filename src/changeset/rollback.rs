//! The texts of a rollback: title, commit message and body.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::{ChangeSet, Proposed};
use crate::policy::{Commits, IMPLICIT_ENVIRONMENT};
use crate::text::{code_span, one_line};

/// Images that a body lists; GitHub's limit for one is 65,536 characters.
const MAX_ROWS: usize = 150;

/// Images that a commit message lists.
const MAX_COMMIT_ROWS: usize = 200;

/// Versions that a sentence lists.
const MAX_VERSIONS: usize = 5;

/// The occasion of a rollback.
#[derive(Clone, Debug, Default)]
pub struct RollbackNotes {
    /// The environment's name.
    pub environment: String,
    /// The images, in the plan's order.
    pub rows: Vec<RolledBack>,
    /// The reason that a person gives.
    pub reason: Option<String>,
    /// The person who asks for it.
    pub by: Option<String>,
}

/// One image that is taken back.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// The policy's name.
    pub image: String,
    /// The deployed version.
    pub from: String,
    /// Since when it is deployed, and the commit that brought it, as far as the history tells.
    pub came: Option<Came>,
    /// The version that it goes back to.
    pub to: String,
    /// The time until which that was deployed.
    pub until: Option<Timestamp>,
}

/// The arrival of a version.
#[derive(Clone, Debug)]
pub struct Came {
    /// The time.
    pub at: Timestamp,
    /// The commit.
    pub commit: String,
}

impl RollbackNotes {
    /// Gives a change set the texts of a rollback.
    pub fn word(&self, set: &mut ChangeSet) {
        // One commit takes all of it back.
        set.commits = Commits::ChangeSet;
        set.title = self.title();
        set.message = self.message(&set.title, &set.message);
        set.body = self.body(&set.body);
    }

    fn title(&self) -> String {
        let place = match &*self.environment {
            IMPLICIT_ENVIRONMENT => String::new(),
            name => format!(" in {name}"),
        };
        let images: BTreeSet<&str> = self.rows.iter().map(|row| &*row.image).collect();
        match (&images.iter().collect::<Vec<_>>()[..], &self.rows[..]) {
            ([image], [row, rest @ ..]) if rest.iter().all(|other| other.to == row.to) => {
                format!("Roll back {image} to {}{place}", short(&row.to))
            }
            ([image], _) => format!("Roll back {image}{place}"),
            ([one, other], _) => format!("Roll back {one} and {other}{place}"),
            (all, _) => format!("Roll back {} images{place}", all.len()),
        }
    }

    fn message(&self, title: &str, usual: &str) -> String {
        let mut message = format!("{title}\n\n");
        for row in self.rows.iter().take(MAX_COMMIT_ROWS) {
            writeln!(message, "- {}: {} -> {}", row.image, row.from, row.to).ok();
        }
        if self.rows.len() > MAX_COMMIT_ROWS {
            writeln!(message, "- and {} more", self.rows.len() - MAX_COMMIT_ROWS).ok();
        }
        if let Some(reason) = &self.reason {
            write!(message, "\nReason: {}\n", inert(reason)).ok();
        }
        if let Some(by) = &self.by {
            write!(message, "\nAsked for by: {}\n", inert(by)).ok();
        }
        // The trailers are always the same.
        let trailers = usual.trim_end().rsplit("\n\n").next().unwrap_or_default();
        format!("{message}\n{trailers}\n")
    }

    /// The body, with the metadata of the usual one.
    fn body(&self, usual: &str) -> String {
        let environment = code_span(&self.environment);
        let mut body = format!("Rolls {environment} back to versions that it ran before.\n\n");
        body.push_str(
            "| image | from | since | back to | which ran until |\n|---|---|---|---|---|\n",
        );
        for row in self.rows.iter().take(MAX_ROWS) {
            let came = row.came.as_ref().map_or_else(String::new, |came| {
                let commit = came.commit.get(..7).unwrap_or(&came.commit);
                format!("{} (commit {})", time(came.at), code_span(commit))
            });
            let until = row.until.map(time).unwrap_or_default();
            let (image, from, to) =
                (code_span(&row.image), code_span(&row.from), code_span(&row.to));
            writeln!(body, "| {image} | {from} | {came} | {to} | {until} |").ok();
        }
        if self.rows.len() > MAX_ROWS {
            write!(body, "\n{} more images are in the commit.\n", self.rows.len() - MAX_ROWS).ok();
        }
        if let Some(reason) = &self.reason {
            write!(body, "\nReason: {}\n", code_span(reason)).ok();
        }
        if let Some(by) = &self.by {
            write!(body, "\nAsked for by: {}\n", code_span(by)).ok();
        }
        let versions: BTreeSet<&str> = self.rows.iter().map(|row| &*row.from).collect();
        let versions = match &versions.into_iter().collect::<Vec<_>>()[..] {
            all if all.len() > MAX_VERSIONS => "each version that is taken back".to_owned(),
            all => all.iter().map(|version| code_span(version)).collect::<Vec<_>>().join(", "),
        };
        write!(
            body,
            "\nWhile this pull request is open, nothing newer is proposed for these images here. After the merge, {versions} \
             and anything below is not proposed again in {environment}; newer versions are. To run such a version all the \
             same, write it into the files yourself. Closing this pull request leaves {environment} as it is.\n\n"
        )
        .ok();
        let metadata = Proposed::block_of(usual);
        body + metadata
    }
}

/// A version without most of its digest.
fn short(version: &str) -> String {
    match version.split_once("@sha256:") {
        // Nobody is to be mentioned.
        Some(("", digest)) => format!("digest {}", digest.get(..12).unwrap_or(digest)),
        Some((tag, digest)) => format!("{tag}@{}", digest.get(..7).unwrap_or(digest)),
        None => version.to_owned(),
    }
}

/// A line in which a forge finds no issue to close and nobody to mention.
fn inert(text: &str) -> String {
    let mut line = String::new();
    for c in one_line(text).chars() {
        line.push(c);
        if matches!(c, '#' | '@') {
            line.push('\u{200b}');
        }
    }
    line
}

/// A time for people.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_says_what_ran_until_when_and_who_asks() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let came = Came { at: at("2026-11-30T18:20:00Z"), commit: "47b859d0123".to_owned() };
        let notes = RollbackNotes {
            environment: "production".to_owned(),
            rows: vec![RolledBack {
                image: "shop".to_owned(),
                from: "v1.5.0".to_owned(),
                came: Some(came),
                to: "v1.2.0".to_owned(),
                until: Some(at("2026-11-30T18:20:00Z")),
            }],
            reason: Some("checkout errors\n@everyone".to_owned()),
            by: Some("ada".to_owned()),
        };
        let mut set = ChangeSet {
            title: "Update shop to v1.2.0 in production".to_owned(),
            message: "Update shop\n\n- shop: a -> b\n\nTagalong-Change: 1\n".to_owned(),
            body: "usual\n\n<!-- tagalong: {\"version\":1} -->\n".to_owned(),
            ..ChangeSet::default()
        };
        notes.word(&mut set);
        assert_eq!(set.title, "Roll back shop to v1.2.0 in production");
        assert_eq!(
            set.message,
            "Roll back shop to v1.2.0 in production\n\n- shop: v1.5.0 -> v1.2.0\n\nReason: checkout errors@\u{200b}everyone\n\n\
             Asked for by: ada\n\nTagalong-Change: 1\n"
        );
        let row = "| `shop` | `v1.5.0` | 2026-11-30 18:20 UTC (commit `47b859d`) | `v1.2.0` | 2026-11-30 18:20 UTC |";
        for part in [row, "\nReason: `checkout errors@everyone`\n", "\nAsked for by: `ada`\n"] {
            assert!(set.body.contains(part), "no {part:?} in\n{}", set.body);
        }
        assert!(set.body.ends_with("\n\n<!-- tagalong: {\"version\":1} -->\n"), "{}", set.body);
        assert!(!set.body.contains("rewritten when something newer"), "{}", set.body);
    }
}

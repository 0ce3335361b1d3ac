//! Why a tag is chosen, for people and programs.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::json::{DecisionRow, decision};
use crate::changeset::Plan;
use crate::choose::{Explanation, Reason};
use crate::image::{Repository, Tag};

/// What `explain --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tagalong explain")]
pub struct ExplainReport {
    /// The version of this format.
    version: u32,
    /// Each policy that is meant.
    policies: Vec<PolicyRow>,
    /// What they decide.
    decisions: Vec<DecisionRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PolicyRow {
    /// The policy's name.
    image: String,
    /// The image repository in canonical form.
    repository: String,
    /// The deployed tag, where the choice depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployed: Option<String>,
    /// The environments that it is for, where there are several explanations of the policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environments: Vec<String>,
    /// What happened to its tags.
    explanation: Option<Explanation>,
    /// Why its tags are not known.
    unknown: Option<Reason>,
    /// Places with its image that are left alone: where, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

/// One policy with what is deployed and its explanation.
pub struct ExplainedRow<'a> {
    /// The policy's name.
    pub image: &'a str,
    /// The image repository.
    pub repository: &'a Repository,
    /// The deployed tag, where the choice depends on it.
    pub deployed: Option<&'a Tag>,
    /// The environments that it is for; all without any.
    pub environments: &'a [String],
    /// The verdict on each of its tags, or the reason that they are not known.
    pub explanation: &'a Result<Explanation, Reason>,
    /// Places with its image that are left alone: where, and why.
    pub left: &'a [String],
}

impl ExplainReport {
    /// The report.
    #[must_use]
    pub fn new<'a>(explained: impl IntoIterator<Item = ExplainedRow<'a>>, plan: &Plan) -> Self {
        let row = |row: ExplainedRow<'a>| PolicyRow {
            image: row.image.to_owned(),
            repository: row.repository.to_string(),
            deployed: row.deployed.map(Tag::to_string),
            environments: row.environments.to_vec(),
            explanation: row.explanation.as_ref().ok().cloned(),
            unknown: row.explanation.as_ref().err().cloned(),
            left: row.left.to_vec(),
        };
        let policies = explained.into_iter().map(row).collect();
        Self { version: 1, policies, decisions: plan.decisions.iter().map(decision).collect() }
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Lines for a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for policy in &self.policies {
            let deployed = policy.deployed.iter().map(|tag| format!("  where {tag} is deployed"));
            let deployed: String = deployed.collect();
            let places = match &policy.environments[..] {
                [] => String::new(),
                names => format!("  in {}", names.join(", ")),
            };
            writeln!(out, "{}  {}{deployed}{places}", policy.image, policy.repository).ok();
            match (&policy.explanation, &policy.unknown) {
                (Some(explanation), _) => out.push_str(&lines(explanation)),
                (None, unknown) => {
                    let why = unknown.as_ref().map_or("", |reason| reason.message.as_str());
                    writeln!(out, "  its tags are not known: {why}").ok();
                }
            }
            if !policy.left.is_empty() {
                out.push_str("  places that are left alone:\n");
            }
            for left in &policy.left {
                writeln!(out, "    {left}").ok();
            }
        }
        out
    }
}

fn lines(explanation: &Explanation) -> String {
    let mut out = String::new();
    for step in &explanation.steps {
        writeln!(out, "  {:>6}  {}", step.left, step.name).ok();
    }
    if let Some(asked) = &explanation.asked {
        let is_chosen = explanation.chosen.as_ref() == Some(&asked.tag);
        let verdict = if is_chosen { ":" } else { " is not chosen:" };
        writeln!(out, "  {}{verdict} {}", asked.tag, asked.why).ok();
    }
    match &explanation.chosen {
        Some(chosen) => writeln!(out, "  chosen  {chosen}").ok(),
        None => writeln!(out, "  nothing is chosen").ok(),
    };
    if !explanation.rejected.is_empty() {
        out.push_str("  nearest of the others:\n");
    }
    let width = explanation.rejected.iter().map(|rejected| rejected.tag.len()).max().unwrap_or(0);
    for rejected in &explanation.rejected {
        writeln!(out, "    {:width$}  {}", rejected.tag, rejected.why).ok();
    }
    out
}

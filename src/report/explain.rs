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
    /// What is deployed, where the choice depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployed: Option<String>,
    /// What happened to its tags.
    explanation: Option<Explanation>,
    /// Why its tags are not known.
    unknown: Option<Reason>,
}

/// One policy with what is deployed and its explanation.
pub type ExplainedRow<'a> =
    (&'a str, &'a Repository, Option<&'a Tag>, &'a Result<Explanation, Reason>);

impl ExplainReport {
    /// The report.
    #[must_use]
    pub fn new<'a>(explained: impl IntoIterator<Item = ExplainedRow<'a>>, plan: &Plan) -> Self {
        let row = |(image, repository, deployed, explanation): ExplainedRow<'a>| PolicyRow {
            image: image.to_owned(),
            repository: repository.to_string(),
            deployed: deployed.map(Tag::to_string),
            explanation: explanation.as_ref().ok().cloned(),
            unknown: explanation.as_ref().err().cloned(),
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
            writeln!(out, "{}  {}{deployed}", policy.image, policy.repository).ok();
            match (&policy.explanation, &policy.unknown) {
                (Some(explanation), _) => out.push_str(&lines(explanation)),
                (None, unknown) => {
                    let why = unknown.as_ref().map_or("", |reason| reason.message.as_str());
                    writeln!(out, "  its tags are not known: {why}").ok();
                }
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
        let verdict =
            if explanation.chosen.as_ref() == Some(&asked.tag) { "" } else { "is not chosen: " };
        writeln!(out, "  {} {verdict}{}", asked.tag, asked.why).ok();
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

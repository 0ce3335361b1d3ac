//! The output for programs: versioned, with a published schema, changed by additions only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Delivery, DeliveryOutcome, PlannedAction};
use crate::changeset::{ChangeSet, Plan, Planned, PlannedEdit};
use crate::choose::{Outcome, Reason};
use crate::diagnostic::{Diagnostic, Severity};
use crate::image::{Digest, Tag};
use crate::policy::{Home, Via};
use crate::registry::{Asked, Cost, Usage};
use crate::text::harmless_in_place;

/// What `plan --format json` and `run --format json` print.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "tagalong plan")]
pub struct Report {
    /// The version of this format.
    version: u32,
    /// What was decided.
    decisions: Vec<DecisionRow>,
    /// What changes in which file.
    edits: Vec<EditRow>,
    /// What is delivered together.
    change_sets: Vec<ChangeSetRow>,
    /// What was left out or could not be used.
    diagnostics: Vec<DiagnosticRow>,
    /// What asking registries cost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registries: Vec<RegistryRow>,
    /// What became of the change sets; only from `run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DeliveryRow>>,
    /// The actions that a run would take, in their order; only from `run --dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<PlannedAction>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecisionRow {
    /// The policy's name.
    image: String,
    /// The image repository in canonical form.
    repository: String,
    /// The environment's name.
    environment: String,
    /// What is to happen.
    outcome: Outcome,
    /// The deployed tag.
    from: Option<String>,
    /// The chosen tag.
    to: Option<String>,
    /// The deployed digest.
    from_digest: Option<String>,
    /// The digest to write.
    to_digest: Option<String>,
    /// Why.
    reason: Reason,
    /// Better candidates that did not pass their checks, the best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<PassedOverRow>,
    /// Where it is deployed.
    sites: Vec<SiteRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PassedOverRow {
    /// The tag.
    tag: String,
    /// Why.
    reason: Reason,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SiteRow {
    /// The file, within the repository.
    path: String,
    /// The line, from 1.
    line: usize,
    /// Where the file is, when that is not where the policies are.
    #[serde(flatten)]
    home: HomeRow,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EditRow {
    /// The file, within the repository.
    path: String,
    /// The line, from 1, in the file as read.
    line: usize,
    /// The first byte that is replaced, in the file as read.
    start: usize,
    /// The byte after the last one that is replaced.
    end: usize,
    /// The text that is replaced.
    old: String,
    /// The text that replaces it.
    new: String,
    /// The policy's name.
    image: String,
    /// The environment's name.
    environment: String,
    /// Where the file is, when that is not where the policies are.
    #[serde(flatten)]
    home: HomeRow,
}

/// Another place than that of the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HomeRow {
    /// The repository, `OWNER/NAME`, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The branch that changes, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangeSetRow {
    /// The environment's name.
    environment: String,
    /// How it is delivered.
    via: Via,
    /// Where, when that is not where the policies are.
    #[serde(flatten)]
    home: HomeRow,
    /// The branch of its pull request.
    branch: String,
    /// The title of the pull request, and the subject of the commit.
    title: String,
    /// The body of the pull request.
    body: String,
    /// The labels of the pull request.
    labels: Vec<String>,
    /// Its edits, as indices into `edits`.
    edits: Vec<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DiagnosticRow {
    /// How bad it is.
    pub(super) severity: SeverityName,
    /// The stable code.
    pub(super) code: String,
    /// The file, within the repository.
    pub(super) path: Option<String>,
    /// The line, from 1.
    pub(super) line: Option<usize>,
    /// The column in characters, from 1.
    column: Option<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SeverityName {
    Info,
    Warning,
    Error,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RegistryRow {
    /// The host that was asked.
    host: String,
    /// What all its images cost together.
    #[serde(flatten)]
    cost: CostRow,
    /// How many requests it allows still, when it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    /// Out of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// What each image cost.
    images: Vec<ImageCostRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ImageCostRow {
    /// The image repository that was asked for; the mirror's, where there is one.
    repository: String,
    /// What it cost.
    #[serde(flatten)]
    cost: CostRow,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CostRow {
    /// Requests that were sent, those for tokens and repeated ones as well.
    requests: u64,
    /// Pages of tag lists.
    pages: u64,
    /// Bytes of answers, after inflation.
    bytes: u64,
    /// Answers that the cache held.
    cache_hits: u64,
    /// How long the requests took together, with waits.
    milliseconds: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryRow {
    /// The environment's name.
    environment: String,
    /// Where, when that is not where the policies are.
    #[serde(flatten)]
    home: HomeRow,
    /// How it was delivered.
    via: Via,
    /// The branch it went to.
    branch: Option<String>,
    /// The commit that holds it.
    commit: Option<String>,
    /// The pull request's number.
    pull_request: Option<u64>,
    /// The pull request's page.
    url: Option<String>,
    /// What became of it.
    outcome: DeliveryOutcome,
    /// More about it.
    message: Option<String>,
}

impl Report {
    /// The report of a plan, of what asking for it cost, and of its deliveries where there were any.
    #[must_use]
    pub fn new(plan: &Plan, usage: &Usage, deliveries: Option<&[Delivery]>) -> Self {
        let homes: Homes<'_> =
            plan.decisions.iter().map(|one| (&*one.environment, &one.home)).collect();
        Self {
            version: 1,
            decisions: plan.decisions.iter().map(decision).collect(),
            edits: plan.edits.iter().map(|edit| self::edit(&homes, edit)).collect(),
            change_sets: plan.change_sets.iter().map(change_set).collect(),
            diagnostics: plan.diagnostics.iter().map(diagnostic).collect(),
            registries: usage.iter().map(|(host, asked)| registry(host, asked)).collect(),
            deliveries: deliveries.map(|all| all.iter().map(delivery).collect()),
            actions: None,
        }
    }

    /// The same report with the actions that a run would take.
    #[must_use]
    pub fn with_actions(self, actions: &[PlannedAction]) -> Self {
        Self { actions: Some(actions.to_vec()), ..self }
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The report when nothing could be planned.
#[must_use]
pub fn diagnostics_only(diagnostics: &[Diagnostic]) -> Report {
    let plan = Plan { diagnostics: diagnostics.to_vec(), ..Plan::default() };
    Report::new(&plan, &Usage::new(), None)
}

/// The schema of an output.
#[must_use]
pub fn output_schema<T: JsonSchema>() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

pub(super) fn decision(planned: &Planned) -> DecisionRow {
    let tag = |tag: &Option<Tag>| tag.as_ref().map(Tag::to_string);
    let digest = |digest: &Option<Digest>| digest.as_ref().map(Digest::to_string);
    let passed_over = |(tag, reason): &(Tag, Reason)| PassedOverRow {
        tag: tag.to_string(),
        reason: reason.clone(),
    };
    let site = |(path, line): &(String, usize)| SiteRow {
        path: path.clone(),
        line: *line,
        home: (&planned.home).into(),
    };
    DecisionRow {
        image: planned.image.clone(),
        repository: planned.repository.to_string(),
        environment: planned.environment.clone(),
        outcome: planned.decision.outcome,
        from: tag(&planned.deployed.tag),
        to: tag(&planned.decision.to),
        from_digest: digest(&planned.deployed.digest),
        to_digest: digest(&planned.decision.to_digest),
        reason: planned.decision.reason.clone(),
        passed_over: planned.decision.passed_over.iter().map(passed_over).collect(),
        sites: planned.sites.iter().map(site).collect(),
    }
}

fn edit(homes: &Homes<'_>, planned: &PlannedEdit) -> EditRow {
    EditRow {
        path: planned.path.clone(),
        line: planned.edit.line,
        start: planned.edit.span.start,
        end: planned.edit.span.end,
        old: planned.edit.old.clone(),
        new: planned.edit.new.clone(),
        image: planned.image.clone(),
        environment: planned.environment.clone(),
        home: homes.get(&*planned.environment).map(|there| (*there).into()).unwrap_or_default(),
    }
}

impl std::fmt::Display for HomeRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.repository.as_deref().unwrap_or_default())?;
        self.base.as_ref().map_or(Ok(()), |base| write!(f, "@{base}"))
    }
}

impl From<&Home> for HomeRow {
    fn from(home: &Home) -> Self {
        Self { repository: home.repository.clone(), base: home.branch.clone() }
    }
}

/// Where environments are.
type Homes<'a> = BTreeMap<&'a str, &'a Home>;

fn change_set(set: &ChangeSet) -> ChangeSetRow {
    ChangeSetRow {
        environment: set.environment.clone(),
        via: set.via,
        home: (&set.home).into(),
        branch: set.branch.clone(),
        title: set.title.clone(),
        body: set.body.clone(),
        labels: set.pull.labels.clone(),
        edits: set.edits.clone(),
    }
}

pub(super) fn diagnostic(diagnostic: &Diagnostic) -> DiagnosticRow {
    let place = diagnostic.place.as_ref();
    let line = place.filter(|place| place.line > 0);
    DiagnosticRow {
        severity: match diagnostic.severity {
            Severity::Info => SeverityName::Info,
            Severity::Warning => SeverityName::Warning,
            Severity::Error => SeverityName::Error,
        },
        code: diagnostic.code.to_string(),
        path: place.map(|place| place.path.clone()),
        line: line.map(|place| place.line),
        column: line.map(|place| place.column),
        message: harmless_in_place(&diagnostic.message).into_owned(),
        help: diagnostic.help.clone(),
    }
}

fn registry(host: &str, asked: &Asked) -> RegistryRow {
    let images = asked.images.iter().map(|(repository, image)| ImageCostRow {
        repository: repository.to_string(),
        cost: cost(image),
    });
    RegistryRow {
        host: host.to_owned(),
        cost: cost(&asked.total()),
        remaining: asked.remaining,
        limit: asked.limit,
        images: images.collect(),
    }
}

fn cost(cost: &Cost) -> CostRow {
    CostRow {
        requests: cost.requests,
        pages: cost.pages,
        bytes: cost.bytes,
        cache_hits: cost.cache_hits,
        milliseconds: u64::try_from(cost.time.as_millis()).unwrap_or(u64::MAX),
    }
}

fn delivery(delivery: &Delivery) -> DeliveryRow {
    DeliveryRow {
        environment: delivery.environment.clone(),
        home: (&delivery.home).into(),
        via: delivery.via,
        branch: delivery.branch.clone(),
        commit: delivery.commit.clone(),
        pull_request: delivery.pull_request.as_ref().map(|(number, _)| *number),
        url: delivery.pull_request.as_ref().map(|(_, url)| url.clone()),
        outcome: delivery.outcome,
        message: delivery.message.clone(),
    }
}

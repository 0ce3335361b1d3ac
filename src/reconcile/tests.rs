//! The rules of a run as tables: no git, no forge, no time.

mod gate;
mod rollbacks;
mod states;
mod table;

use jiff::Timestamp;

use super::{Action, Branch, BranchStep, ForgeView, Input, Snapshot, Unsaved, Withheld, reconcile};
use crate::changeset::{Bundle, ChangeSet, Plan, Planned, PlannedEdit};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::edit::Edit;
use crate::image::{Repository, Tag};
use crate::policy::{PolicyFile, PolicySet, read};
use crate::pull_request::{BranchPullRequests, Observed, PullRequest, RepoRules};

pub(super) const IMAGES: [&str; 3] = ["shop", "web", "api"];
pub(super) const BOT: &str = "tagalong";

/// Policies of [`IMAGES`] in `staging`, delivered as `deliver` says.
pub(super) fn policies(deliver: &str) -> PolicySet {
    let images = IMAGES.map(|image| {
        format!("  {image}: {{image: ghcr.io/acme/{image}, tags: {{semver: '*'}}}}\n")
    });
    let text = format!(
        "images:\n{}environments:\n  staging: {{paths: [staging], deliver: {{{deliver}}}}}\n",
        images.concat()
    );
    let (set, problems) = read(&[PolicyFile::new("p.yaml", &text)]);
    assert!(problems.is_empty(), "{problems:#?}");
    set
}

/// The body of a pull request that moves images from one tag to another.
pub(super) fn body(change: &str, from: &str, to: &str, images: &[&str]) -> String {
    let moves =
        images.iter().map(|image| format!(r#"{{"image":"{image}","from":"{from}","to":"{to}"}}"#));
    let moves = moves.collect::<Vec<_>>().join(",");
    format!(
        r#"Text.

<!-- tagalong: {{"version":1,"environment":"staging","change":"{change}","moves":[{moves}]}} -->
"#
    )
}

/// A decision about one image of staging.
pub(super) fn planned(image: &str, from: &str, outcome: Outcome, to: &str) -> Planned {
    let reason = Reason::new(ReasonCode::UpToDate, "");
    Planned {
        image: image.to_owned(),
        repository: Repository::parse(&format!("ghcr.io/acme/{image}")).unwrap(),
        environment: "staging".to_owned(),
        home: crate::policy::Home::default(),
        bundle: Bundle::default(),
        deployed: Deployed { tag: Tag::parse(from), ..Deployed::default() },
        decision: Decision {
            outcome,
            to: Tag::parse(to),
            to_digest: None,
            reason,
            passed_over: Vec::new(),
            alike: None,
        },
        sites: Vec::new(),
        edited: outcome == Outcome::Update,
    }
}

/// An edit of one image of staging.
pub(super) fn edit(image: &str) -> PlannedEdit {
    PlannedEdit {
        path: format!("staging/{image}.yaml"),
        edit: Edit {
            line: 1,
            span: 0..1,
            old: String::new(),
            new: String::new(),
            node: 0,
            within: 0..1,
            text: String::new(),
            inner: None,
        },
        image: image.to_owned(),
        environment: "staging".to_owned(),
        old_value: String::new(),
        new_value: String::new(),
        object: crate::changeset::Object::default(),
    }
}

/// A repository in which everything is allowed.
pub(super) fn rules() -> RepoRules {
    RepoRules {
        viewer: BOT.to_owned(),
        methods: vec![crate::policy::MergeMethod::Squash],
        auto_merge: true,
        base: Some("b0".to_owned()),
        ..RepoRules::default()
    }
}

/// A snapshot of `main` with one branch and its pull requests.
pub(super) fn snapshot(name: &str, branch: Branch, pulls: BranchPullRequests) -> Snapshot {
    let observed = Observed { pulls: [(name.to_owned(), pulls)].into(), rules: rules() };
    Snapshot {
        base: "main".to_owned(),
        base_commit: "b0".to_owned(),
        forge: ForgeView::Read(Box::new(observed)),
        branches: [(name.to_owned(), branch)].into(),
        ..Snapshot::default()
    }
}

/// The actions of a run of everything.
pub(super) fn actions(
    plan: &Plan,
    set: &PolicySet,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Vec<Action> {
    let ledger = Unsaved::Nothing;
    let input =
        Input { plan, set, snapshot, ledger, now, clock: now, is_whole: true, is_rollback: false };
    let steps = input.branches();
    reconcile(&input, &steps, &plan.change_sets)
}

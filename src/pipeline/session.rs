//! The beginning of a command: who asks, and what is read.

use std::collections::BTreeSet;

use super::{Failure, Loaded, Tags, Tree, load};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::forge;
use crate::git::Checkout;
use crate::manifest::MAX_FILE;
use crate::policy::{SETTINGS_FILE, Via};
use crate::settings::{DecideSettings, RepoSpec, Scope, Surroundings};
use crate::worktree::WorkTree;

/// A repository that is opened for one command.
pub(super) struct Session {
    /// The surroundings, with the token that it was read with.
    pub(super) around: Surroundings,
    /// Nothing is asked of a registry yet.
    pub(super) tags: Tags,
    /// The files.
    pub(super) tree: Tree,
    /// The policies.
    pub(super) loaded: Loaded,
}

impl Session {
    /// Signs in, and reads the repository where it is delivered by `via`; without one, where it is shown from.
    ///
    /// # Errors
    /// The repository cannot be read, or the policies are invalid.
    pub(super) async fn open(
        settings: &DecideSettings,
        around: &Surroundings,
        via: Option<Via>,
    ) -> Result<Self, Failure> {
        let around = signed_in(&settings.scope, around).await?;
        let given = load::given(&settings.scope)?;
        let tags = Tags::new(settings)?;
        let tree = Tree::open(&settings.scope, &around, via).await?;
        // Names without a host are of the forge that the policies are on.
        let forges = tree.forges(&around.forges);
        let around = Surroundings { forges, ..around };
        let loaded = Loaded::read(&tree, given.as_ref(), &settings.scope)?;
        Ok(Self { around, tags, tree, loaded })
    }
}

/// The first policy file of a checkout that is not what the branch of its origin has: a run uses the latter.
pub(super) fn not_pushed(scope: &Scope, tree: &Tree, loaded: &Loaded) -> Option<Diagnostic> {
    let (RepoSpec::Path(path), Tree::Git { clone, .. }) = (&scope.repo, tree) else { return None };
    if scope.policies.is_some() {
        return None;
    }
    let (root, settings) = (Checkout::discover(path).ok()?.work_tree()?, &loaded.repository);
    let tree = WorkTree::open(&root).ok()?;
    let is_policy = |path: &&String| settings.policies.is_match(path) || *path == SETTINGS_FILE;
    let all: BTreeSet<&String> =
        tree.paths().iter().chain(clone.paths()).filter(is_policy).collect();
    // What is not there may be left out of the checkout.
    let differs = |path: &&&String| {
        tree.read(path, MAX_FILE).is_ok_and(|own| clone.read(path).ok() != Some(own))
    };
    let first = all.iter().find(differs)?;
    let branch = clone.branch();
    let message =
        format!("this file is not what `{branch}` of the origin has, and a run uses the latter");
    let note = Diagnostic::warning(Code::PolicyNotPushed, message).at(Place::of_file(first));
    Some(note.help("push what is new here, or pull what is new there; `tagalong plan` shows what the checkout says"))
}

/// The surroundings at the forge of the repository, with a token of the app where one is named.
pub(super) async fn signed_in(
    scope: &Scope,
    around: &Surroundings,
) -> Result<Surroundings, Failure> {
    let mut around = around.clone();
    let RepoSpec::Remote { id: Some(id), .. } = &scope.repo else {
        return Ok(around);
    };
    around.forges = around.forges.at(id);
    let token = forge::sign_in(around.forges.first(), id, around.clock()).await;
    if let Some(token) = token.map_err(|error| Failure::Failed(error.to_string()))? {
        around.forges.first_mut().token = Some(token);
    }
    Ok(around)
}

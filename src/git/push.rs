//! Pushes with a lease: a branch is only moved from where it was when it was read.

use std::collections::{BTreeMap, BTreeSet};

use git2::Buf;

use super::smart::{RefCommand, Smart};
use super::{Clone, GitError, Oid, Remote, branch_ref, local, short, tree};

/// One reference to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The full name of the reference.
    pub reference: String,
    /// The commit to put there; zero to delete it.
    pub commit: Oid,
    /// Where it has to be at that moment; where this clone saw it, without this.
    pub lease: Option<Oid>,
    /// Whether the server made the commit, so that it is not here and need not be sent.
    pub is_there: bool,
}

impl Update {
    /// Puts a commit that was made here.
    #[must_use]
    pub fn new(reference: String, commit: Oid) -> Self {
        Self { reference, commit, lease: None, is_there: false }
    }

    /// Puts a commit that the server has.
    #[must_use]
    pub fn of_server(reference: String, commit: Oid) -> Self {
        Self { is_there: true, ..Self::new(reference, commit) }
    }

    /// Deletes a branch.
    #[must_use]
    pub fn delete(branch: &str) -> Self {
        Self::new(branch_ref(branch), Oid::ZERO_SHA1)
    }

    /// Deletes a branch that is at a commit which this clone does not know of.
    #[must_use]
    pub fn delete_at(branch: &str, lease: Oid) -> Self {
        Self { lease: Some(lease), ..Self::delete(branch) }
    }

    /// The branch, by its name.
    #[must_use]
    pub fn branch(&self) -> &str {
        short(&self.reference)
    }

    /// The branch that is deleted, if one is.
    #[must_use]
    pub fn deleted(&self) -> Option<&str> {
        self.is_deletion().then(|| self.branch())
    }

    fn is_deletion(&self) -> bool {
        self.commit == Oid::ZERO_SHA1
    }
}

/// What became of each reference of a push.
pub type PushResults = BTreeMap<String, Result<(), GitError>>;

impl Clone {
    /// Moves references in one push. Each must still be where this clone saw it, which the server
    /// checks again at the moment that it moves the branch.
    ///
    /// # Errors
    /// When the push as a whole fails: no connection, no right to push, or one branch moved, in
    /// which case none was changed.
    pub async fn push(&self, updates: &[Update]) -> Result<PushResults, GitError> {
        let nowhere = Oid::ZERO_SHA1;
        let commands = updates.iter().map(|update| RefCommand {
            reference: &update.reference,
            old: self.lease(update),
            new: update.commit,
        });
        let commands: Vec<RefCommand<'_>> = commands.collect();
        let subject = self.remote.address();
        let answers = match &self.remote {
            Remote::Path(_) => local::push(&self.repository, &subject, &commands)?,
            Remote::Http { url, login } => {
                let smart = Smart::new(url, login.as_ref())?;
                let now = smart.advertised("git-receive-pack").await?.references;
                let at = |reference: &str| now.get(reference).copied().unwrap_or(nowhere);
                if let Some(moved) =
                    commands.iter().find(|command| at(command.reference) != command.old)
                {
                    return Err(GitError::Moved(short(moved.reference).to_owned()));
                }
                // With nothing but deletions, no pack is sent.
                let is_empty = updates.iter().all(Update::is_deletion);
                let pack = if is_empty { None } else { Some(self.pack(updates)) };
                let pack = pack.transpose();
                let pack = pack.map_err(|error| GitError::from_git(&subject, &error))?;
                smart.push(&commands, pack.as_deref().unwrap_or_default()).await?
            }
        };
        let refused = answers.values().any(Option::is_some);
        let now = match &self.remote {
            _ if !refused => BTreeMap::new(),
            Remote::Path(_) => local::advertised(&subject)?.references,
            Remote::Http { url, login } => {
                Smart::new(url, login.as_ref())?.advertised("git-upload-pack").await?.references
            }
        };
        // Servers word a lost race in many ways; that the branch is elsewhere now is what makes it one.
        let moved = |update: &Update| {
            now.get(&update.reference).copied().unwrap_or(nowhere) != self.lease(update)
        };
        Ok(judge(updates, &answers, &moved))
    }

    /// Removes branches, wherever they are by now: only for those that nobody else can want.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn remove(&self, branches: &[&str]) -> Result<(), GitError> {
        let Remote::Http { url, login } = &self.remote else { return Ok(()) };
        let smart = Smart::new(url, login.as_ref())?;
        let now = smart.advertised("git-receive-pack").await?.references;
        let references: Vec<String> = branches.iter().map(|branch| branch_ref(branch)).collect();
        let new = Oid::ZERO_SHA1;
        let commands: Vec<RefCommand<'_>> = references
            .iter()
            .filter_map(|reference| Some(RefCommand { reference, old: *now.get(reference)?, new }))
            .collect();
        if !commands.is_empty() {
            smart.push(&commands, &[]).await?;
        }
        Ok(())
    }

    /// Where a reference has to be.
    fn lease(&self, update: &Update) -> Oid {
        let seen = || self.advertised.get(&update.reference).copied();
        update.lease.or_else(seen).unwrap_or(Oid::ZERO_SHA1)
    }

    /// A pack with the commits that were made here and what is new in their trees.
    fn pack(&self, updates: &[Update]) -> Result<Buf, git2::Error> {
        let mut builder = self.repository.packbuilder()?;
        let mut seen: BTreeSet<Oid> = BTreeSet::new();
        for update in updates.iter().filter(|update| !update.is_deletion() && !update.is_there) {
            let mut next = update.commit;
            // Pushed changes follow one another; what was fetched, the server has.
            while !self.advertised.values().any(|known| *known == next) && seen.insert(next) {
                let commit = self.repository.find_commit(next)?;
                builder.insert_object(next, None)?;
                if commit.parent_count() == 0 {
                    builder.insert_tree(commit.tree_id())?;
                    break;
                }
                let parent = commit.parent(0)?;
                for oid in tree::added(&self.repository, parent.tree_id(), commit.tree_id())? {
                    if seen.insert(oid) {
                        builder.insert_object(oid, None)?;
                    }
                }
                next = parent.id();
            }
        }
        let mut pack = Buf::new();
        builder.write_buf(&mut pack)?;
        Ok(pack)
    }
}

fn judge(
    updates: &[Update],
    answers: &BTreeMap<String, Option<String>>,
    moved: &dyn Fn(&Update) -> bool,
) -> PushResults {
    let rejected = |reference: &str, reason: &str| {
        Err(GitError::Rejected {
            branch: short(reference).to_owned(),
            reason: crate::text::one_line(reason),
        })
    };
    let result = |update: &Update| match answers.get(&update.reference) {
        Some(None) => Ok(()),
        Some(Some(_)) if moved(update) => Err(GitError::Moved(short(&update.reference).to_owned())),
        Some(Some(reason)) => rejected(&update.reference, reason),
        None => rejected(&update.reference, "the server did not say what became of it"),
    };
    updates.iter().map(|update| (update.reference.clone(), result(update))).collect()
}

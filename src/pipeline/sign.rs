//! Who commits, and who signs. What GitHub signs, it makes itself: the commits that were made here are
//! made again on branches of their own, and then put where they belong, with the lease and all at once, as
//! any other commits.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use jiff::Timestamp;

use super::memory::Memory;
use super::push::{PushAnswers, Raced, push};
use super::{DeliveryMode, Failure, Request};
use crate::forge::{AnyForge, Forge as _, NewCommit};
use crate::git::{Author, Clone, Described, Oid, Signing, Update, branch_ref, object_id};
use crate::policy::{CommitAuthor, RepositorySettings, Sign, Via};
use crate::reconcile::SIGNING_PREFIX;
use crate::settings::Surroundings;

/// Who commits, and how it is signed.
///
/// # Errors
/// When there is no key to sign with, or it cannot be used.
pub(super) fn author(
    repository: &RepositorySettings,
    request: &Request<'_>,
    memory: &Memory,
) -> Result<Author, Failure> {
    let author = repository.author.clone().map(|author| {
        let CommitAuthor { name, email, trailers } = author;
        Author { name, email, trailers, ..Author::default() }
    });
    let commits = matches!(request.deliver, DeliveryMode::Via(via) if via != Some(Via::Worktree));
    let signing = match repository.sign.filter(|_| commits) {
        Some(sign) => signing(sign, request.around).map_err(Failure::Argument)?,
        None => Signing::Off,
    };
    let made = memory.ledger.made().clone();
    Ok(Author { signing, made, ..author.unwrap_or_default() })
}

fn signing(sign: Sign, around: &Surroundings) -> Result<Signing, String> {
    let key = around.signing_key.as_ref();
    let signing = match (sign, key) {
        (Sign::Forge, _) => return Ok(Signing::Forge),
        (Sign::Ssh, Some(key)) => Signing::ssh(key),
        (Sign::Gpg, Some(key)) => Signing::gpg(key.expose(), &around.variables),
        (Sign::Ssh | Sign::Gpg, None) => {
            let why =
                "`sign` in tagalong.yaml needs TAGALONG_SIGNING_KEY, or TAGALONG_SIGNING_KEY_FILE";
            return Err(why.to_owned());
        }
    };
    signing.map_err(|why| format!("TAGALONG_SIGNING_KEY: {why}"))
}

/// What is to be pushed, after GitHub made its part.
#[derive(Default)]
pub(super) struct Signed {
    pub(super) updates: Vec<Update>,
    /// The commits that stand for those that were made here.
    commits: BTreeMap<Oid, Oid>,
    /// What could not be made, by the reference that it was for.
    pub(super) failed: PushAnswers,
    /// The commits that GitHub made, by branch.
    pub(super) made: BTreeMap<String, String>,
    /// Branches on which commits were made, or were to be made, that nothing deletes yet.
    pub(super) left: Vec<String>,
}

impl Signed {
    /// Removes what is left of making commits. What cannot be removed now, a later run removes.
    pub(super) async fn tidy(&self, clone: &Clone, is_all: bool) {
        let all = self.updates.iter().filter_map(Update::deleted);
        let all = all.filter(|branch| is_all && branch.starts_with(SIGNING_PREFIX));
        let left: Vec<&str> = self.left.iter().map(String::as_str).chain(all).collect();
        if left.is_empty() {
            return;
        }
        if let Err(error) = clone.remove(&left).await {
            tracing::warn!(%error, "branches of this run stay for a day");
        }
    }

    /// The commit that is really pushed.
    pub(super) fn instead_of(&self, commit: Oid) -> Oid {
        self.commits.get(&commit).copied().unwrap_or(commit)
    }
}

/// Has GitHub make the commits of these updates where that is wanted.
///
/// # Errors
/// When somebody else pushed meanwhile.
pub(super) async fn signed(
    clone: &Clone,
    author: &Author,
    forge: Option<&AnyForge>,
    updates: Vec<Update>,
    now: Timestamp,
) -> Result<Signed, Raced> {
    let mut signed = Signed { updates, ..Signed::default() };
    if !author.signing.is_by_forge() || signed.updates.is_empty() {
        return Ok(signed);
    }
    let able = forge.filter(|forge| forge.kind().features().signs_commits);
    let Some(forge) = able else {
        let why = match forge {
            Some(forge) => format!("`sign: forge` is not possible on {}", forge.kind()),
            None => "`sign: forge` needs a repository on a forge, and a token".to_owned(),
        };
        let all = std::mem::take(&mut signed.updates).into_iter();
        signed.failed = all.map(|update| (update.reference, Err(why.clone()))).collect();
        return Ok(signed);
    };
    // Another run must not have the same.
    let chance = RandomState::new().build_hasher().finish();
    let transient =
        |index: usize| format!("{SIGNING_PREFIX}{}-{chance:016x}-{index}", now.as_second());
    let mut drafts = Vec::new();
    for (index, update) in std::mem::take(&mut signed.updates).into_iter().enumerate() {
        match clone.describe(update.commit) {
            Ok(commits) => drafts.push(ServerCommits { update, branch: transient(index), commits }),
            Err(why) => drop(signed.failed.insert(update.reference, Err(why.to_string()))),
        }
    }
    let begun = drafts.iter().filter_map(ServerCommits::begin).collect();
    let begun = push(clone, begun).await?;
    for draft in drafts {
        let there = begun.get(&branch_ref(&draft.branch)).cloned().unwrap_or(Ok(()));
        let made = match there {
            Ok(()) => draft.make(forge, &mut signed.commits).await,
            Err(why) => Err(why),
        };
        match made {
            Ok(made) => {
                let branch = draft.update.branch().to_owned();
                signed.made.insert(branch, made.to_string());
                signed.updates.push(Update::delete_at(&draft.branch, made));
                signed.updates.push(Update::of_server(draft.update.reference, made));
            }
            Err(why) => {
                signed.left.push(draft.branch);
                signed.failed.insert(draft.update.reference, Err(why));
            }
        }
    }
    Ok(signed)
}

/// Commits that GitHub is to make again.
struct ServerCommits {
    /// Where they belong.
    update: Update,
    /// Where they are made.
    branch: String,
    commits: Vec<Described>,
}

impl ServerCommits {
    /// The branch at the commit that they follow.
    fn begin(&self) -> Option<Update> {
        let first = self.commits.first()?;
        Some(Update::of_server(branch_ref(&self.branch), first.parent))
    }

    /// The last commit, which holds exactly what ours holds.
    async fn make(
        &self,
        forge: &AnyForge,
        instead: &mut BTreeMap<Oid, Oid>,
    ) -> Result<Oid, String> {
        let first = self.commits.first().ok_or("there is nothing to commit")?;
        let mut parent = first.parent;
        for commit in &self.commits {
            let new = NewCommit {
                branch: &self.branch,
                parent: &parent.to_string(),
                message: &commit.message,
                files: &commit.files,
            };
            let made = forge.commit(&new).await.map_err(|error| error.to_string())?;
            if made.tree != commit.tree.to_string() {
                return Err("the commit of the forge is not what was planned".to_owned());
            }
            if !made.is_signed {
                return Err("the forge did not sign the commit".to_owned());
            }
            parent = object_id(&made.oid).ok_or("the forge names its commit by no object id")?;
            instead.insert(commit.commit, parent);
        }
        Ok(parent)
    }
}

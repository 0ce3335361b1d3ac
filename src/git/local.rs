//! Repositories on this machine, by libgit2's own transport for paths.

use std::collections::BTreeMap;

use git2::{Direction, FetchOptions, Repository};

use super::smart::{Advertised, RefCommand};
use super::{GitError, Oid, matters, short};

/// Lists the branches of a repository, and references of our own.
pub(super) fn advertised(path: &str) -> Result<Advertised, GitError> {
    let git = |error: git2::Error| GitError::from_git(path, &error);
    let mut remote = git2::Remote::create_detached(path).map_err(git)?;
    let connected = remote.connect_auth(Direction::Fetch, None, None).map_err(git)?;
    let mut found = Advertised::default();
    for head in connected.list().map_err(git)? {
        if matters(head.name()) {
            found.references.insert(head.name().to_owned(), head.oid());
        }
    }
    // libgit2 answers what the default branch of a detached `HEAD` is by a null pointer.
    let target = Repository::open(path).map_err(git)?;
    let head = target.find_reference("HEAD").ok();
    let head = head.as_ref().and_then(|head| head.symbolic_target().ok().flatten());
    found.default_branch =
        head.and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned);
    Ok(found)
}

/// Copies references with their history: libgit2 has no shallow fetch from a path.
pub(super) fn fetch(
    repository: &Repository,
    path: &str,
    references: &[&str],
) -> Result<(), GitError> {
    let git = |error: git2::Error| GitError::from_git(path, &error);
    let refspecs: Vec<String> =
        references.iter().map(|name| format!("+{name}:refs/fetched/{name}")).collect();
    let mut options = FetchOptions::new();
    options.download_tags(git2::AutotagOption::None).update_fetchhead(false);
    repository
        .remote_anonymous(path)
        .map_err(git)?
        .fetch(&refspecs, Some(&mut options), None)
        .map_err(git)
}

/// Moves references, each from where it is expected to be; what the repository says of each.
///
/// libgit2 writes references of a path without comparing them once more, so the objects are brought
/// under a name of their own first, and each reference is then moved under its lock.
pub(super) fn push(
    repository: &Repository,
    path: &str,
    commands: &[RefCommand<'_>],
) -> Result<BTreeMap<String, Option<String>>, GitError> {
    let git = |error: git2::Error| GitError::from_git(path, &error);
    let target = Repository::open(path).map_err(git)?;
    for RefCommand { reference, old, .. } in commands {
        if at(&target, reference) != *old {
            return Err(GitError::Moved(short(reference).to_owned()));
        }
    }
    let mut refspecs = Vec::new();
    for RefCommand { new, .. } in commands {
        let name = format!("refs/incoming/{new}");
        repository.reference(&name, *new, true, "push").map_err(git)?;
        refspecs.push(format!("+{name}:{name}"));
    }
    let pushed = repository.remote_anonymous(path).map_err(git)?.push(&refspecs, None);
    let moved = pushed.map_err(git).map(|()| {
        let answer = |command: &RefCommand<'_>| {
            (
                command.reference.to_owned(),
                set(&target, command).err().map(|e| e.message().to_owned()),
            )
        };
        commands.iter().map(answer).collect()
    });
    for RefCommand { new, .. } in commands {
        if let Ok(mut incoming) = target.find_reference(&format!("refs/incoming/{new}")) {
            let _kept = incoming.delete();
        }
    }
    moved
}

/// Moves one reference when it is still where it was expected.
fn set(target: &Repository, command: &RefCommand<'_>) -> Result<(), git2::Error> {
    let RefCommand { reference, old, new } = command;
    if *old == Oid::ZERO_SHA1 {
        return target.reference(reference, *new, false, "push").map(drop);
    }
    target.reference_matching(reference, *new, true, *old, "push").map(drop)
}

fn at(target: &Repository, reference: &str) -> Oid {
    target.refname_to_id(reference).unwrap_or(Oid::ZERO_SHA1)
}

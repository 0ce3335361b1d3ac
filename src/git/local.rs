//! Repositories on this machine, by libgit2's own transport for paths.

use std::collections::BTreeMap;

use git2::Repository;

use super::smart::{Advertised, RefCommand};
use super::{GitError, Oid, matters, short};

/// Lists the branches of a repository, and references of our own. One that is broken, or called by no text, is none of them.
pub(super) fn advertised(path: &str) -> Result<Advertised, GitError> {
    let git = |error: git2::Error| GitError::from_git(path, &error);
    let target = Repository::open(path).map_err(git)?;
    let mut found = Advertised::default();
    for reference in target.references().map_err(git)?.flatten() {
        let name = std::str::from_utf8(reference.name_bytes()).ok().filter(|name| matters(name));
        let oid = reference.resolve().ok().and_then(|reference| reference.target());
        found.references.extend(name.map(str::to_owned).zip(oid));
    }
    // A detached `HEAD` is on no branch.
    let head = target.find_reference("HEAD").ok();
    let head = head.as_ref().and_then(|head| head.symbolic_target().ok().flatten());
    found.default_branch =
        head.and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned);
    Ok(found)
}

/// Has a repository read the objects of another one where they are
/// (<https://git-scm.com/docs/gitrepository-layout>, `objects/info/alternates`): to copy them would walk all of a history, by
/// recursion in C, and libgit2 has no shallow fetch from a path.
pub(super) fn share(repository: &Repository, path: &str) -> Result<(), GitError> {
    let failed = |message: String| GitError::Other { subject: path.to_owned(), message };
    let target = Repository::open(path).map_err(|error| GitError::from_git(path, &error))?;
    let objects = target.commondir().join("objects").canonicalize();
    let objects = objects.map_err(|error| failed(error.to_string()))?;
    let objects = objects.to_str().filter(|objects| !objects.contains('\n'));
    let objects = objects.ok_or_else(|| failed("its path is no text of one line".to_owned()))?;
    let info = repository.path().join("objects/info");
    let written = std::fs::create_dir_all(&info)
        .and_then(|()| std::fs::write(info.join("alternates"), format!("{objects}\n")));
    written.map_err(|error| failed(error.to_string()))?;
    let shared = repository.odb().and_then(|odb| odb.add_disk_alternate(objects));
    shared.map_err(|error| GitError::from_git(path, &error))
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

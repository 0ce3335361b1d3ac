//! Repositories on this machine, by libgit2's own transport for paths.

use std::collections::BTreeMap;

use git2::{Direction, FetchOptions, PushOptions, RemoteCallbacks, Repository};

use super::smart::{Advertised, Command};
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
    let default = connected.default_branch().ok();
    let default = default.as_ref().and_then(|name| name.as_str().ok());
    found.default_branch =
        default.and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned);
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
pub(super) fn push(
    repository: &Repository,
    path: &str,
    commands: &[Command<'_>],
) -> Result<BTreeMap<String, Option<String>>, GitError> {
    let git = |error: git2::Error| GitError::from_git(path, &error);
    let mut refspecs = Vec::new();
    for Command { reference, new, .. } in commands {
        let local = format!("refs/outgoing/{reference}");
        repository.reference(&local, *new, true, "push").map_err(git)?;
        refspecs.push(format!("+{local}:{reference}"));
    }
    let expected: BTreeMap<String, Oid> =
        commands.iter().map(|c| (c.reference.to_owned(), c.old)).collect();
    let mut moved = None;
    let mut answers = BTreeMap::new();
    let result = {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_negotiation(|references| {
            let name = |r: &git2::PushUpdate<'_>| r.dst_refname().unwrap_or_default().to_owned();
            let stale = references.iter().find(|r| expected.get(&name(r)) != Some(&r.src()));
            moved = stale.map(name);
            if moved.is_some() { Err(git2::Error::from_str("moved")) } else { Ok(()) }
        });
        callbacks.push_update_reference(|name, status| {
            answers.insert(name.to_owned(), status.map(str::to_owned));
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks);
        repository.remote_anonymous(path).map_err(git)?.push(&refspecs, Some(&mut options))
    };
    match (moved, result) {
        (Some(reference), _) => Err(GitError::Moved(short(&reference).to_owned())),
        (None, result) => result.map_err(git).map(|()| answers),
    }
}

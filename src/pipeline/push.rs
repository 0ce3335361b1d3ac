//! Commits of change sets, and the push of all references at once.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::GIT_TIMEOUT;
use crate::changeset::{ChangeSet, Plan};
use crate::git::{Author, Clone, GitError, Oid, Update};
use crate::policy::Commits;

/// A branch moved between reading and pushing; nothing was changed.
pub(super) struct Raced {
    pub(super) branch: String,
}

/// The result of a push, by reference.
pub(super) type PushAnswers = BTreeMap<String, Result<(), String>>;

/// A path and its new content.
type FileText = (String, String);

/// Paths and new contents of the files of a change set.
pub fn new_files(
    clone: &Clone,
    plan: &Plan,
    set: &ChangeSet,
) -> impl Iterator<Item = Result<(String, String), GitError>> {
    set.files.iter().map(|(path, file)| {
        let text = String::from_utf8(clone.read(path)?).ok();
        let texts = text.and_then(|text| plan.texts(file, text));
        let (_, after) = texts.ok_or_else(|| changed(path))?;
        Ok((path.clone(), after))
    })
}

/// Makes the commits of a change set on a parent, and returns the last one.
pub(super) fn commit(
    clone: &Clone,
    plan: &Plan,
    set: &ChangeSet,
    parent: Oid,
    by: &By<'_>,
) -> Result<Oid, GitError> {
    let mut tip = parent;
    for (message, files) in commits(clone, plan, set)? {
        let files = files.into_iter().map(Ok);
        tip = clone.commit(tip, files, &message, by.author, by.now)?;
    }
    Ok(tip)
}

/// The author and the time of commits.
pub(super) struct By<'a> {
    pub(super) author: &'a Author,
    pub(super) now: jiff::Timestamp,
}

/// The commits of a change set: their messages, and the files that they change. Each holds what the ones
/// before it hold as well.
fn commits(
    clone: &Clone,
    plan: &Plan,
    set: &ChangeSet,
) -> Result<Vec<(String, Vec<FileText>)>, GitError> {
    let images = plan.images(set);
    if set.commits == Commits::ChangeSet || images.len() < 2 {
        let files: Result<Vec<FileText>, GitError> = new_files(clone, plan, set).collect();
        return Ok(vec![(set.message.clone(), files?)]);
    }
    let mut all = Vec::new();
    let mut done: BTreeSet<&String> = BTreeSet::new();
    let last = images.len() - 1;
    for (index, image) in images.into_iter().enumerate() {
        done.insert(image);
        let mut files = Vec::new();
        for (path, file) in &set.files {
            let is_done = |edit: &usize| done.contains(&plan.edits[*edit].image);
            let is_touched = file.edits.iter().any(|edit| plan.edits[*edit].image == *image);
            if !is_touched {
                continue;
            }
            let edits = file.edits.iter().filter(|edit| is_done(edit));
            let text = String::from_utf8(clone.read(path)?).unwrap_or_default();
            files.push((path.clone(), plan.partly(&text, edits).ok_or_else(|| changed(path))?));
        }
        let message = set.message_of(image, index == last);
        all.push((message, files));
    }
    Ok(all)
}

fn changed(path: &str) -> GitError {
    let message = "it is not what the plan was made from".to_owned();
    GitError::Other { subject: path.to_owned(), message }
}

/// Pushes all references at once.
pub(super) async fn push(clone: &Clone, updates: Vec<Update>) -> Result<PushAnswers, Raced> {
    if updates.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pushed = tokio::time::timeout(GIT_TIMEOUT, clone.push(&updates)).await;
    let pushed = pushed.unwrap_or_else(|_elapsed| Err(GitError::Timeout("the push".to_owned())));
    let answers = match pushed {
        Ok(answers) => answers,
        Err(GitError::Moved(branch)) => return Err(Raced { branch }),
        Err(error) => {
            let why = error.to_string();
            return Ok(updates
                .into_iter()
                .map(|update| (update.reference, Err(why.clone())))
                .collect());
        }
    };
    if let Some((branch, _)) =
        answers.iter().find(|(_, result)| matches!(result, Err(error) if error.is_race()))
    {
        return Err(Raced { branch: branch.clone() });
    }
    let answers = answers
        .into_iter()
        .map(|(branch, result)| (branch, result.map_err(|error| error.to_string())));
    Ok(answers.collect())
}

//! Jobs of a forge's own CI that a repository starts with.

use crate::forge_kind::ForgeKind;

const WORKFLOW: &str = include_str!("workflow.yaml");
const WORKFLOW_FILE: &str = ".github/workflows/tagalong.yaml";

const GITLAB_CI: &str = include_str!("gitlab-ci.yaml");
/// The one file that GitLab reads by itself.
const GITLAB_FILE: &str = ".gitlab-ci.yml";
const GITLAB_INCLUDED: &str = ".gitlab/tagalong.yaml";

const FORGEJO_ACTIONS: &str = include_str!("forgejo-actions.yaml");
const FORGEJO_FILE: &str = ".forgejo/workflows/tagalong.yaml";
const GITEA_FILE: &str = ".gitea/workflows/tagalong.yaml";

/// The file of the jobs, and a line for what is left to people.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CiJobs {
    /// Path and text of the file, unless there is one already.
    pub file: Option<(String, String)>,
    /// The reason for no file, or what has to be done beside it.
    pub note: Option<String>,
}

/// The jobs for a repository on a forge, beside the files that are there.
#[must_use]
pub fn ci_jobs(kind: ForgeKind, is_there: impl Fn(&str) -> bool) -> CiJobs {
    let (path, text) = match kind {
        ForgeKind::GitHub => (WORKFLOW_FILE, WORKFLOW),
        ForgeKind::GitLab if is_there(GITLAB_FILE) => (GITLAB_INCLUDED, GITLAB_CI),
        ForgeKind::GitLab => (GITLAB_FILE, GITLAB_CI),
        // Of these directories the first that is there is read, and no other.
        ForgeKind::Forgejo | ForgeKind::Gitea => {
            let files = [FORGEJO_FILE, GITEA_FILE, WORKFLOW_FILE];
            let read = &files[usize::from(kind == ForgeKind::Gitea)..];
            let directory =
                |file: &&&str| file.rsplit_once('/').is_some_and(|(at, _)| is_there(at));
            (*read.iter().find(directory).unwrap_or(&read[0]), FORGEJO_ACTIONS)
        }
    };
    if is_there(path) {
        let note = Some(format!("{path}, which is there already"));
        return CiJobs { file: None, note };
    }
    let is_included = path == GITLAB_INCLUDED;
    let note = format!(
        "{GITLAB_FILE}, which is there already: add `include: [{{local: {GITLAB_INCLUDED}}}]` to it, and `test` to its \
         `stages` where it has some"
    );
    // Runners have the labels that their product's documentation gives them.
    let label = if kind == ForgeKind::Gitea { "ubuntu-latest" } else { "docker" };
    let text = text.replace("runs-on: docker", &format!("runs-on: {label}"));
    CiJobs { file: Some((path.to_owned(), text)), note: is_included.then_some(note) }
}

/// True if a path is one of a file of jobs, and not of policies.
#[must_use]
pub fn is_ci_file(path: &str) -> bool {
    [WORKFLOW_FILE, GITLAB_FILE, GITLAB_INCLUDED, FORGEJO_FILE, GITEA_FILE].contains(&path)
}

/// The file of jobs of a forge, for messages.
#[must_use]
pub fn ci_file(kind: ForgeKind) -> &'static str {
    match kind {
        ForgeKind::GitHub => WORKFLOW_FILE,
        ForgeKind::GitLab => GITLAB_FILE,
        ForgeKind::Forgejo => FORGEJO_FILE,
        ForgeKind::Gitea => GITEA_FILE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_go_where_the_forge_reads_them_and_replace_nothing() {
        let jobs = |kind, there: &[&str]| {
            let CiJobs { file, note } = ci_jobs(kind, |path| there.contains(&path));
            let path = file.map(|(path, _)| path).unwrap_or_default();
            format!("{path} {}", note.unwrap_or_default())
        };
        let own = "add `include: [{local: .gitlab/tagalong.yaml}]` to it, and `test` to its `stages` where it has some";
        let cases = [
            (ForgeKind::GitHub, vec![], ".github/workflows/tagalong.yaml ".to_owned()),
            (
                ForgeKind::GitHub,
                vec![WORKFLOW_FILE],
                " .github/workflows/tagalong.yaml, which is there already".to_owned(),
            ),
            (ForgeKind::GitLab, vec![], ".gitlab-ci.yml ".to_owned()),
            (
                ForgeKind::GitLab,
                vec![GITLAB_FILE],
                format!(".gitlab/tagalong.yaml .gitlab-ci.yml, which is there already: {own}"),
            ),
            (
                ForgeKind::GitLab,
                vec![GITLAB_FILE, GITLAB_INCLUDED],
                " .gitlab/tagalong.yaml, which is there already".to_owned(),
            ),
        ];
        let actions = [
            (ForgeKind::Forgejo, vec![], ".forgejo/workflows/tagalong.yaml ".to_owned()),
            (ForgeKind::Gitea, vec![], ".gitea/workflows/tagalong.yaml ".to_owned()),
            // Another directory would keep the server from reading the one that is in use.
            (
                ForgeKind::Forgejo,
                vec![".github/workflows"],
                ".github/workflows/tagalong.yaml ".to_owned(),
            ),
            (
                ForgeKind::Gitea,
                vec![".forgejo/workflows", ".github/workflows"],
                ".github/workflows/tagalong.yaml ".to_owned(),
            ),
        ];
        for (kind, there, want) in cases.into_iter().chain(actions) {
            assert_eq!(jobs(kind, &there), want);
        }
    }
}

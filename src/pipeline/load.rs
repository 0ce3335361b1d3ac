//! Settings and policies, from the repository or from elsewhere.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::{Failure, Invalid, Tree};
use crate::diagnostic::{Code, Diagnostic, Place, any_error};
use crate::manifest::MAX_FILE;
use crate::policy::{PolicyFile, PolicySet, RepositorySettings, SETTINGS_FILE, read};
use crate::settings::Scope;

/// What a repository declares.
#[derive(Debug)]
pub struct Loaded {
    /// The policies and environments.
    pub set: PolicySet,
    /// The repository's settings.
    pub repository: RepositorySettings,
    /// Texts of the files by path, for code frames.
    pub sources: BTreeMap<String, String>,
    /// Problems that stop nothing.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Reads and judges settings and policies.
    ///
    /// # Errors
    /// When a file cannot be read, or one is invalid.
    pub fn read(tree: &Tree, scope: &Scope) -> Result<Self, Failure> {
        let mut sources = BTreeMap::new();
        let mut diagnostics = Vec::new();
        let settings = match tree.paths().iter().find(|path| *path == SETTINGS_FILE) {
            Some(path) => file(tree, path, &mut diagnostics)?,
            None => None,
        };
        sources.extend(settings.iter().map(|file| (file.path.clone(), file.text.clone())));
        let repository = match RepositorySettings::read(settings.as_ref()) {
            Ok(repository) => repository,
            Err(problems) => return Err(invalid(problems, sources)),
        };
        let files = match &scope.policies {
            Some(path) => vec![elsewhere(path)?],
            None => {
                let paths = tree.paths().iter().filter(|path| repository.policies.is_match(path));
                let files = paths.map(|path| file(tree, path, &mut diagnostics));
                files.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
            }
        };
        let (set, problems) = read(&files);
        diagnostics.extend(problems);
        sources.extend(files.into_iter().map(|file| (file.path, file.text)));
        if any_error(&diagnostics) {
            return Err(invalid(diagnostics, sources));
        }
        Ok(Self { set, repository, sources, diagnostics })
    }
}

fn invalid(diagnostics: Vec<Diagnostic>, sources: BTreeMap<String, String>) -> Failure {
    Failure::Invalid(Box::new(Invalid { diagnostics, sources }))
}

/// A file of the repository as text; a problem where it is not.
fn file(
    tree: &Tree,
    path: &str,
    problems: &mut Vec<Diagnostic>,
) -> Result<Option<PolicyFile>, Failure> {
    let bytes = tree.read(path)?;
    let problem = match String::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_FILE => {
            return Ok(Some(PolicyFile { path: path.to_owned(), text }));
        }
        Ok(text) => {
            let message = format!("{} bytes are more than the limit of {MAX_FILE}", text.len());
            Diagnostic::error(Code::FileTooLarge, message)
        }
        Err(_not_utf8) => Diagnostic::error(Code::PolicySyntax, "this is not UTF-8 text"),
    };
    problems.push(problem.at(Place::of_file(path)));
    Ok(None)
}

/// `--policies FILE` or `-`.
fn elsewhere(path: &std::path::Path) -> Result<PolicyFile, Failure> {
    let failed =
        |error: std::io::Error| Failure::Failed(format!("--policies {}: {error}", path.display()));
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        text
    } else {
        std::fs::read_to_string(path).map_err(failed)?
    };
    Ok(PolicyFile { path: path.display().to_string(), text })
}

//! Work on the bytes of many files, on all cores.

use rayon::prelude::*;

use super::Tree;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::{Form, Hit, Needle, Search, may_hold_values};

/// What a pass over the bytes of every file finds, before any is parsed.
#[derive(Clone, Default)]
pub struct Hits {
    /// Paths of files that can name an image of a policy, or hold a marker.
    pub sites: Vec<String>,
    /// Paths of files that can hold Flux's resources.
    pub flux: Vec<String>,
    /// Paths of files that can hold a `Kustomization` of Flux's.
    pub kustomize: Vec<String>,
    /// Paths of files that can hold releases of charts.
    pub releases: Vec<String>,
    /// The problem of too many bytes in all files.
    pub over_sum: Option<Box<Diagnostic>>,
    /// Files that cannot be read, and those that only point at a content.
    pub left_alone: Vec<Diagnostic>,
}

impl Hits {
    /// Searches files.
    pub(super) fn find(tree: &Tree, paths: &[&String], search: &Search) -> Self {
        let looked =
            each(tree, paths, |path| path, |_, bytes| bytes.map(|bytes| search.look(bytes)));
        let mut hits = Self::default();
        for (path, looked) in paths.iter().zip(looked) {
            let skipped = |text| Diagnostic::info(Code::FileSkipped, text);
            let problem = match looked {
                Ok(hit @ Hit { form: Form::Text, .. }) => {
                    let of = |needle| hit.has(needle).then(|| (*path).clone());
                    let by_path = || may_hold_values(path).then(|| (*path).clone());
                    hits.kustomize.extend(of(Needle::Kustomize));
                    hits.sites.extend(of(Needle::Image));
                    hits.flux.extend(of(Needle::Flux));
                    hits.releases.extend(of(Needle::Release).or_else(by_path));
                    continue;
                }
                Ok(Hit { form: Form::Pointer, .. }) => skipped("a pointer of Git LFS; left alone"),
                Ok(Hit { form: Form::Utf16, .. }) => {
                    Diagnostic::warning(Code::FileUnreadable, "this is UTF-16; left alone")
                        .help("write it in UTF-8")
                }
                Err(problem) => problem,
            };
            // The sum of all files is no file's problem, and one report of it is enough.
            if problem.code == Code::FilesTooMany {
                hits.over_sum.get_or_insert(Box::new(problem));
            } else {
                hits.left_alone.push(problem.at(Place::of_file(path)));
            }
        }
        hits
    }
}

/// Reads the file of each item and does something with its bytes; the results are in the order of
/// the items, and no more files are in memory than there are cores.
pub(super) fn each<T: Sync, R: Send>(
    tree: &Tree,
    items: &[T],
    path: impl Fn(&T) -> &str + Sync,
    work: impl Fn(&T, Result<&[u8], Diagnostic>) -> R + Sync,
) -> Vec<R> {
    let files = tree.files();
    let items = items
        .par_iter()
        .map_init(|| files.open(), |reader, item| work(item, reader.read(path(item))));
    items.collect()
}

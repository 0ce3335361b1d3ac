//! Work on the bytes of many files, on all cores.

use rayon::prelude::*;

use super::Tree;
use crate::diagnostic::Diagnostic;
use crate::manifest::Search;

/// What a pass over the bytes of every file finds, before any is parsed.
#[derive(Default)]
pub struct Hits {
    /// Paths of files that can name an image of a policy, or hold a marker.
    pub sites: Vec<String>,
    /// Paths of files that can hold Flux's resources.
    pub flux: Vec<String>,
    /// Files that could not be read.
    pub unread: Vec<Diagnostic>,
}

impl Hits {
    /// Searches files.
    pub(super) fn find(tree: &Tree, paths: &[&String], search: &Search) -> Self {
        let looked =
            each(tree, paths, |path| path, |_, bytes| bytes.map(|bytes| search.look(bytes)));
        let mut hits = Self::default();
        for (path, looked) in paths.iter().zip(looked) {
            match looked {
                Ok(hit) => {
                    hits.sites.extend(hit.names_image.then(|| (*path).clone()));
                    hits.flux.extend(hit.names_flux.then(|| (*path).clone()));
                }
                Err(problem) => hits.unread.push(problem),
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

//! A search of bytes, to find out which files are worth parsing.

use aho_corasick::{AhoCorasick, MatchKind};

use super::marker;
use crate::image::Repository;
use crate::policy::FLUX_API_GROUP;

/// Looks for the names of repositories, for markers and for Flux's resources, in one pass.
pub struct Search {
    /// Flux's group is the first pattern. Every spelling of a repository contains its base name.
    /// `None` when these are too many for one search: then every file is worth it.
    patterns: Option<AhoCorasick>,
}

/// What the bytes of a file contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The base name of a repository, or what a marker begins with.
    pub names_image: bool,
    /// The group of Flux's image resources.
    pub names_flux: bool,
}

impl Search {
    /// A search for these repositories.
    #[must_use]
    pub fn new<'a>(repositories: impl Iterator<Item = &'a Repository>) -> Self {
        let names = repositories.map(Repository::base_name).chain(marker::NEEDLES);
        // Leftmost-first searches are the ones that the library speeds up by rare bytes.
        let mut builder = AhoCorasick::builder();
        let patterns = std::iter::once(FLUX_API_GROUP).chain(names);
        Self { patterns: builder.match_kind(MatchKind::LeftmostFirst).build(patterns).ok() }
    }

    /// Looks through a file.
    #[must_use]
    pub fn look(&self, bytes: &[u8]) -> Hit {
        let Some(patterns) = &self.patterns else {
            return Hit { names_image: true, names_flux: true };
        };
        let mut hit = Hit { names_image: false, names_flux: false };
        for found in patterns.find_iter(bytes) {
            match found.pattern().as_usize() {
                0 => hit.names_flux = true,
                _ => hit.names_image = true,
            }
            if hit.names_image && hit.names_flux {
                break;
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_spelling_markers_and_resources_are_hits() {
        let repositories =
            ["nginx", "ghcr.io/acme/shop", "image"].map(|name| Repository::parse(name).unwrap());
        let search = Search::new(repositories.iter());
        let cases = [
            ("repository: acme/shop\n", true, false),
            ("x: docker.io/library/nginx\n", true, false),
            ("a: 1 # {\"$imagepolicy\": \"a:b\"}\n", true, false),
            ("a: 1 # tagalong: web\n", true, false),
            ("apiVersion: image.toolkit.fluxcd.io/v1\n", false, true),
            ("kind: image # image.toolkit.fluxcd.io/v1\n", true, true),
            ("a: 1\n", false, false),
            ("\u{0}\u{ff}", false, false),
        ];
        for (text, names_image, names_flux) in cases {
            assert_eq!(search.look(text.as_bytes()), Hit { names_image, names_flux }, "{text:?}");
        }
    }
}

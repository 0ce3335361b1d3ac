//! A search of bytes, to find out which files are worth parsing.

use aho_corasick::{AhoCorasick, MatchKind};

use super::marker;
use super::release::{ARGO, HELM_CHART, HELM_RELEASE, OCI_REPOSITORY};
use crate::image::Repository;
use crate::policy::{FLUX_API_GROUP, KUSTOMIZE_API_GROUP};

/// Looks for the names of repositories, for markers and for Flux's resources, in one pass.
pub struct Search {
    /// Groups and kinds of objects are the first six patterns. Every spelling of a repository contains its base name.
    /// `None` when these are too many for one search: then every file is worth it.
    patterns: Option<AhoCorasick>,
}

/// What the bytes of a file contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// By [`Needle`].
    found: [bool; 4],
    /// What the bytes are.
    pub form: Form,
}

/// Kind of text that a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needle {
    /// The group of Flux's image resources.
    Flux,
    /// The group of its `Kustomization`.
    Kustomize,
    /// The kind of a release of Flux's or of k3s', or the group of Argo CD's.
    Release,
    /// The base name of a repository, or what a marker begins with.
    Image,
}

/// What the bytes of a file are, by how they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Most likely text.
    Text,
    /// A [pointer of Git LFS](https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), not the content.
    Pointer,
    /// UTF-16, in which nothing can be looked for.
    Utf16,
}

/// What a pointer begins with.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

impl Hit {
    /// True if something is in a file.
    #[must_use]
    pub const fn has(&self, needle: Needle) -> bool {
        self.found[needle as usize]
    }
}

impl Search {
    /// A search for these repositories.
    #[must_use]
    pub fn new<'a>(repositories: impl Iterator<Item = &'a Repository>) -> Self {
        let names = repositories.map(Repository::base_name).chain(marker::NEEDLES);
        // Leftmost-first searches are the ones that the library speeds up by rare bytes.
        let mut builder = AhoCorasick::builder();
        let releases = [HELM_RELEASE, ARGO, HELM_CHART, OCI_REPOSITORY];
        let groups = [FLUX_API_GROUP, KUSTOMIZE_API_GROUP].into_iter().chain(releases);
        let patterns = groups.chain(names);
        Self { patterns: builder.match_kind(MatchKind::LeftmostFirst).build(patterns).ok() }
    }

    /// Looks through a file.
    #[must_use]
    pub fn look(&self, bytes: &[u8]) -> Hit {
        let form = form(bytes);
        let Some(patterns) = &self.patterns else {
            return Hit { found: [true; 4], form };
        };
        let mut hit = Hit { found: [false; 4], form };
        for found in patterns.find_iter(bytes) {
            let needle = match found.pattern().as_usize() {
                0 => Needle::Flux,
                1 => Needle::Kustomize,
                2..=5 => Needle::Release,
                _ => Needle::Image,
            };
            hit.found[needle as usize] = true;
            if hit.found == [true; 4] {
                break;
            }
        }
        hit
    }
}

/// UTF-16 is known by its mark, or by how
/// [YAML tells encodings apart](https://yaml.org/spec/1.2.2/#52-character-encodings).
fn form(bytes: &[u8]) -> Form {
    match bytes {
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => Form::Utf16,
        [first, second, ..] if (*first == 0) != (*second == 0) => Form::Utf16,
        _ if bytes.starts_with(POINTER) => Form::Pointer,
        _ => Form::Text,
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
            ("apiVersion: kustomize.toolkit.fluxcd.io/v1\n", false, false),
            ("apiVersion: argoproj.io/v1alpha1\n", false, false),
            ("a: 1\n", false, false),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", false, false),
            ("a\u{ff}\u{0}", false, false),
        ];
        for (text, names_image, names_flux) in cases {
            let form = if text.starts_with("version") { Form::Pointer } else { Form::Text };
            let names_kustomize = text.contains("kustomize.toolkit");
            let names_release = text.contains("argoproj.io/");
            let want =
                Hit { found: [names_flux, names_kustomize, names_release, names_image], form };
            assert_eq!(search.look(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn other_encodings_are_seen() {
        let search = Search::new(std::iter::empty());
        let cases: [(&[u8], bool); 6] = [
            (b"\xff\xfea\0", true),
            (b"\xfe\xff\0a", true),
            (b"a\0:\0", true),
            (b"\0a\0:", true),
            (b"a: 1", false),
            (b"", false),
        ];
        for (bytes, want) in cases {
            assert_eq!(search.look(bytes).form == Form::Utf16, want, "{bytes:?}");
        }
    }
}

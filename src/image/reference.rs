//! References: a repository with a tag, a digest, or both, as a file spells it.

use std::ops::Range;

use super::{Digest, Repository, Tag};

/// An image reference and where its parts stand in the text that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The repository in canonical form.
    pub repository: Repository,
    /// The tag, if one is written.
    pub tag: Option<Tag>,
    /// The digest, if one is written.
    pub digest: Option<Digest>,
    /// Bytes of the text after the name: `:tag`, `@digest`, both, or empty.
    pub suffix: Range<usize>,
}

impl Reference {
    /// Reads `name[:tag][@digest]`; `None` when the text is anything else.
    ///
    /// The name follows [`Repository::parse`], the rest the grammars of [`Tag`] and [`Digest`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let path_start = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[path_start..].find(':') {
            Some(colon) => {
                let (name, tag) = named.split_at(path_start + colon);
                (name, Some(Tag::parse(&tag[1..])?))
            }
            None => (named, None),
        };
        let repository = Repository::parse(name).ok()?;
        Some(Self { repository, tag, digest, suffix: name.len()..text.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_combination_of_parts() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let cases = [
            ("nginx".to_owned(), None, false, 5),
            ("nginx:1.27".to_owned(), Some("1.27"), false, 5),
            (format!("nginx@{digest}"), None, true, 5),
            (format!("localhost:5000/a/b:v1@{digest}"), Some("v1"), true, 18),
            ("localhost:5000/a/b".to_owned(), None, false, 18),
        ];
        for (text, tag, has_digest, name_len) in cases {
            let got = Reference::parse(&text).unwrap();
            assert_eq!(got.tag.as_ref().map(Tag::as_str), tag, "{text}");
            assert_eq!(got.digest.is_some(), has_digest, "{text}");
            assert_eq!(got.suffix, name_len..text.len(), "{text}");
        }
    }

    #[test]
    fn refuses_templates_variables_and_broken_parts() {
        for bad in ["", "nginx:", "nginx:{{ tag }}", "${IMAGE}:1", "a b:1", "nginx@sha256:12", ":1"]
        {
            assert_eq!(Reference::parse(bad), None, "{bad}");
        }
    }
}

//! Tags.

use std::fmt;

/// A tag that follows the grammar of the
/// [OCI distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests):
/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// A registry can answer with anything; what is not a tag never becomes a value of this type, so
/// everything downstream may put a tag into a branch name, a commit or YAML without asking again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// The longest tag the grammar allows, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Checks `text` against the tag grammar; `None` when it does not follow it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let ok = (first.is_ascii_alphanumeric() || first == b'_')
            && text.len() <= Self::MAX_LEN
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        ok.then(|| Self(text.into()))
    }

    /// The tag as the registry spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_grammar_and_nothing_else() {
        for good in ["1", "v1.2.3", "_x", "A-b_c.d", &"a".repeat(128)] {
            assert!(Tag::parse(good).is_some(), "{good}");
        }
        let bad = ["", ".1", "-1", "a b", "a/b", "a\nb", "é", "1+2", "$(x)", &"a".repeat(129)];
        for bad in bad {
            assert!(Tag::parse(bad).is_none(), "{bad:?}");
        }
    }
}

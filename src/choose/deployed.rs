//! The tag and digest of a site, and how they are written.

use std::fmt;

use super::{Reason, ReasonCode};
use crate::image::{Digest, Repository, Tag};
use crate::policy::DigestMode;

/// The tag and digest of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployed {
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
    /// True if another image is named than the policy's, and the name is to be written as well.
    pub renamed: bool,
    /// True if the digest is to be written behind the tag, whatever the policy says.
    pub pinned: bool,
    /// True if there is no place for a digest.
    pub unpinnable: bool,
    /// The copy of the image that is named, where it is one.
    pub mirror: Option<Repository>,
}

impl Deployed {
    /// True if a digest is written beside the chosen tag, in this mode.
    #[must_use]
    pub const fn takes_digest(&self, digest: DigestMode) -> bool {
        match digest {
            DigestMode::Pin => true,
            _ if self.pinned => true,
            DigestMode::Keep => self.digest.is_some(),
            DigestMode::Drop => self.tag.is_none() && self.digest.is_some(),
        }
    }

    /// The reason that a policy which pins cannot be carried out here.
    #[must_use]
    pub fn without_place(&self, digest: DigestMode) -> Option<Reason> {
        let message = "a digest is to be written, and what reads this tag takes none behind it; write `digest: \"\"` beside the tag";
        let is_wanted = self.unpinnable && (digest == DigestMode::Pin || self.digest.is_some());
        is_wanted.then(|| Reason::new(ReasonCode::NoPlace, message))
    }
}

impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.tag {
            tag.fmt(f)?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

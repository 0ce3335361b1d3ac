//! What earlier runs were told by registries: pages of tag lists, each with what it takes to ask whether
//! it changed, and contents by their digest.
//!
//! A page counts only when the registry itself says that it has not changed, and a content only when
//! it has its digest. Validators are no secret, so who can write to the store can put other tags beside
//! the current one.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::page::Page;
use crate::image::Digest;
use crate::store::{Kind, Store};

/// The pages of a tag list, by path and query.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct CachedPages {
    /// Which list it is, in case that a name was given twice.
    list: String,
    pages: HashMap<String, Page>,
}

impl CachedPages {
    /// The pages of a list that were kept.
    pub(super) fn kept(store: &Store, list: &str) -> Self {
        let kept = store.get(Kind::Tags, list);
        let kept: Option<Self> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        kept.filter(|kept| kept.list == list).unwrap_or_default()
    }

    /// A page that was kept.
    pub(super) fn get(&self, path: &str) -> Option<&Page> {
        self.pages.get(path)
    }

    /// Keeps the pages of a list that can be asked for again.
    pub(super) fn keep(store: &Store, list: &str, pages: HashMap<String, Page>) {
        if pages.is_empty() {
            store.forget(Kind::Tags, list);
            return;
        }
        let kept = Self { list: list.to_owned(), pages };
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            store.keep(Kind::Tags, list, &bytes);
        }
    }
}

/// What has a digest; what has another one is not it.
pub(super) fn content(store: &Store, digest: &Digest) -> Option<Vec<u8>> {
    let bytes = store.get(Kind::Content, digest.as_str())?;
    (Digest::of(digest.algorithm(), &bytes).as_ref() == Some(digest)).then_some(bytes)
}

/// Keeps what has a digest.
pub(super) fn keep_content(store: &Store, digest: &Digest, bytes: &[u8]) {
    store.keep(Kind::Content, digest.as_str(), bytes);
}

//! Images on disk: [OCI image layouts](https://github.com/opencontainers/image-spec/blob/main/image-layout.md),
//! for networks without a registry. A repository is either a layout of its own, `DIRECTORY/PATH`,
//! whose references are tags, or it is in the one layout `DIRECTORY`, whose references are full names
//! (`ghcr.io/acme/shop:v1`).

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ScanError;
use super::manifest::MAX_MANIFEST;
use crate::choose::Listing;
use crate::image::{Digest, Tag};

/// Where a layout says what a manifest is called.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name, as `docker save` and containerd write it.
const FULL_NAME: &str = "io.containerd.image.name";

/// The layout of one image repository.
pub(super) struct Layouts {
    directory: PathBuf,
    /// What full names of this repository start with, where one layout holds many.
    prefix: Option<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<LayoutEntry>,
}

#[derive(Deserialize)]
struct LayoutEntry {
    digest: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Layouts {
    /// The layout of the repository at `path` below a directory, whose full name is `name`.
    pub(super) fn new(directory: &Path, path: &str, name: &str) -> Self {
        // Components of an image's name are neither `..` nor absolute.
        let own = directory.join(path);
        if own.join("oci-layout").is_file() || !directory.join("oci-layout").is_file() {
            return Self { directory: own, prefix: None };
        }
        Self { directory: directory.to_owned(), prefix: Some(format!("{name}:")) }
    }

    /// The tags that the layout's references are.
    pub(super) fn tags(&self) -> Result<Listing, ScanError> {
        let entries = self.entries()?;
        let names = entries.iter().filter_map(|entry| self.tag(entry));
        Ok(Listing::from_texts(names))
    }

    pub(super) fn digest(&self, tag: &Tag) -> Result<Digest, ScanError> {
        let entries = self.entries()?;
        let mut named = entries.iter().filter(|entry| self.tag(entry) == Some(tag.as_str()));
        let entry = named.next().ok_or(ScanError::NotFound)?;
        if named.any(|other| other.digest != entry.digest) {
            return Err(self.wrong("index.json", &format!("says two things about {tag}")));
        }
        let wrong = || self.wrong("index.json", "names a digest that is none");
        Digest::parse(&entry.digest).ok_or_else(wrong)
    }

    /// A manifest or a blob, when it has the digest that it is named by.
    pub(super) fn content(&self, digest: &Digest, limit: usize) -> Result<Vec<u8>, ScanError> {
        let name = format!("blobs/{}", digest.as_str().replace(':', "/"));
        let bytes = self.read(&name, limit)?;
        if Digest::of(digest.algorithm(), &bytes).as_ref() == Some(digest) {
            return Ok(bytes);
        }
        Err(self.wrong(&name, "has another digest"))
    }

    fn entries(&self) -> Result<Vec<LayoutEntry>, ScanError> {
        if !self.directory.join("oci-layout").is_file() {
            return Err(ScanError::NoLayout(self.directory.join("oci-layout")));
        }
        let bytes = self.read("index.json", MAX_MANIFEST)?;
        let index: Result<Index, _> = serde_json::from_slice(&bytes);
        index.map(|index| index.manifests).map_err(|_error| self.wrong("index.json", "is no index"))
    }

    fn tag<'a>(&self, entry: &'a LayoutEntry) -> Option<&'a str> {
        let named = |key: &str| entry.annotations.get(key).map(String::as_str);
        match &self.prefix {
            None => named(REF_NAME),
            Some(prefix) => {
                let both = [named(FULL_NAME), named(REF_NAME)];
                both.into_iter().flatten().find_map(|name| name.strip_prefix(prefix.as_str()))
            }
        }
    }

    fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, ScanError> {
        let path = self.directory.join(name);
        let mut bytes = Vec::new();
        let file = fs::File::open(&path);
        let read = file.and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
        match read {
            Ok(size) if size > limit => Err(self.wrong(name, "is too large")),
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.wrong(name, &format!("cannot be read: {error}"))),
        }
    }

    fn wrong(&self, name: &str, why: &str) -> ScanError {
        ScanError::Malformed(format!("{} {why}", self.directory.join(name).display()))
    }
}

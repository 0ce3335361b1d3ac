//! What registries list: the seam between the network and every decision.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::{Deref, DerefMut};

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Answers, Reason, ReasonCode};
use crate::image::{Digest, Platform, Repository, Tag};

/// Each image repository that was asked for, with its tags or the reason why there are none.
#[derive(Clone, Debug, Default)]
pub struct Catalog(pub BTreeMap<Repository, Result<Listing, Unlisted>>);

/// Why a repository's tags are not known.
pub type Unlisted = Reason;

/// The tags of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The tags, with what is known of each.
    pub tags: BTreeMap<Tag, Listed>,
    /// Texts in the answer that are not tags; they were dropped.
    pub dropped: usize,
    /// Whether these are only the tags that were asked about: what is not among them may be there.
    pub is_partial: bool,
}

/// What is known of one tag: of most nothing, and there can be a million of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed(Option<Box<Known>>);

/// What can be known of one tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The digest of the manifest or index behind it.
    pub digest: Option<Digest>,
    /// When the registry got it.
    pub pushed: Option<Timestamp>,
    /// When its builder says that it was made.
    pub created: Option<Timestamp>,
    /// The platforms it is for; none where they are not known.
    pub platforms: Vec<Platform>,
}

impl Deref for Listed {
    type Target = Known;

    fn deref(&self) -> &Known {
        static NOTHING: Known =
            Known { digest: None, pushed: None, created: None, platforms: Vec::new() };
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Listed {
    fn deref_mut(&mut self) -> &mut Known {
        self.0.get_or_insert_with(Box::default)
    }
}

impl From<Known> for Listed {
    fn from(known: Known) -> Self {
        Self((known != Known::default()).then(|| Box::new(known)))
    }
}

/// The first line of an error, without the frame that follows it.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A catalog file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCatalog {
    /// It is not YAML of the expected shape; the message holds the place.
    #[error("{0}; write it as in `ghcr.io/acme/shop: [v1.0.0, v1.1.0]`")]
    Syntax(String),
    /// A key is not the name of an image repository.
    #[error("`{0}` is not an image repository: {1}")]
    Repository(String, crate::image::InvalidRepository),
    /// Two keys are spellings of one image repository.
    #[error("`{0}` stands twice, in different spellings")]
    Twice(String),
    /// A tag's digest is not a digest.
    #[error("`{0}`, the digest of {1}, is not a digest")]
    Digest(String, String),
    /// A tag's platform is not one.
    #[error("`{0}`, a platform of {1}, is not os/architecture[/variant]")]
    Platform(String, String),
}

/// One entry of a catalog file: a tag alone, or a mapping.
#[derive(Debug)]
struct CatalogEntry(Long);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    tag: String,
    digest: Option<String>,
    pushed: Option<Timestamp>,
    created: Option<Timestamp>,
    #[serde(default)]
    platforms: Vec<String>,
}

impl<'de> Deserialize<'de> for CatalogEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = CatalogEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag (in quotes when it looks like a number) or a mapping with `tag`")
    }

    fn visit_str<E: serde::de::Error>(self, tag: &str) -> Result<CatalogEntry, E> {
        Ok(CatalogEntry(Long { tag: tag.to_owned(), ..Long::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CatalogEntry, A::Error> {
        Long::deserialize(MapAccessDeserializer::new(map)).map(CatalogEntry)
    }
}

/// The mapping form of an entry, for writing.
#[derive(Serialize)]
struct CatalogRow<'a> {
    tag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pushed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
}

impl Catalog {
    /// Reads a catalog file.
    ///
    /// # Errors
    /// When it is not YAML, not of the documented shape, or names something impossible. Texts
    /// that are not tags are dropped and counted, as from a registry.
    pub fn parse(text: &str) -> Result<Self, InvalidCatalog> {
        // The user's own file, as large as the registries that it was saved from.
        let budget = serde_saphyr::budget! { max_nodes: 50_000_000, max_events: 100_000_000, max_total_scalar_bytes: 1 << 30 };
        let options = serde_saphyr::options! { budget: budget };
        let raw: Option<BTreeMap<String, Vec<CatalogEntry>>> =
            serde_saphyr::from_str_with_options(text, options)
                .map_err(|error| InvalidCatalog::Syntax(first_line(&error.to_string())))?;
        let mut catalog = Self::default();
        for (name, entries) in raw.unwrap_or_default() {
            let repository = Repository::parse(&name)
                .map_err(|error| InvalidCatalog::Repository(name.clone(), error))?;
            let listing = Listing::from_entries(entries)?;
            if catalog.0.insert(repository, Ok(listing)).is_some() {
                return Err(InvalidCatalog::Twice(name));
            }
        }
        Ok(catalog)
    }

    /// Writes a catalog file. Repositories without tags are left out, with a comment why.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        for (repository, listing) in &self.0 {
            match listing {
                Ok(listing) => {
                    writeln!(
                        out,
                        "{repository}:{}",
                        if listing.tags.is_empty() { " []" } else { "" }
                    )
                    .ok();
                    for (tag, listed) in &listing.tags {
                        writeln!(out, "  - {}", row(tag, listed)).ok();
                    }
                }
                Err(reason) => {
                    let line = reason.message.replace(|c: char| c.is_control(), " ");
                    writeln!(out, "# {repository}: {line}").ok();
                }
            }
        }
        out
    }

    /// What is known of a repository.
    ///
    /// # Errors
    /// The reason why nothing is.
    pub fn listing(&self, repository: &Repository) -> Result<&Listing, Reason> {
        match self.0.get(repository) {
            Some(Ok(listing)) => Ok(listing),
            Some(Err(reason)) => Err(reason.clone()),
            None => {
                let message = format!("the catalog does not hold {repository}");
                Err(Reason::new(ReasonCode::NotInCatalog, message))
            }
        }
    }

    /// The catalog with what was learnt about its tags.
    #[must_use]
    pub fn with(&self, answers: &Answers) -> Self {
        let mut catalog = self.clone();
        for ((repository, tag), digest) in &answers.digests {
            let (Some(listed), Ok(digest)) = (catalog.listed(repository, tag), digest) else {
                continue;
            };
            listed.digest = Some(digest.clone());
            let contents = answers.contents.get(&(repository.clone(), digest.clone()));
            if let Some(Ok(contents)) = contents {
                listed.platforms = contents.keys().cloned().collect();
            }
        }
        for ((repository, tag), created) in &answers.created {
            if let (Some(listed), Ok(created)) = (catalog.listed(repository, tag), created) {
                listed.created = Some(*created);
            }
        }
        catalog
    }

    fn listed(&mut self, repository: &Repository, tag: &Tag) -> Option<&mut Listed> {
        self.0.get_mut(repository)?.as_mut().ok()?.tags.get_mut(tag)
    }
}

/// JSON flow style is YAML, and quotes every tag: none is read back as a number.
fn row(tag: &Tag, listed: &Listed) -> String {
    let row = CatalogRow {
        tag: tag.as_str(),
        digest: listed.digest.as_ref().map(Digest::as_str),
        pushed: listed.pushed,
        created: listed.created,
        platforms: listed.platforms.iter().map(Platform::to_string).collect(),
    };
    serde_json::to_string(&row).unwrap_or_default()
}

impl Listing {
    /// A tag that the registry confirmed, and those that are deployed, which nobody asked about.
    pub fn confirmed(tag: &Tag, digest: &Digest, deployed: impl IntoIterator<Item = Tag>) -> Self {
        let deployed = deployed.into_iter().map(|tag| (tag, Listed::default()));
        let mut listing = Self { tags: deployed.collect(), dropped: 0, is_partial: true };
        listing.tags.entry(tag.clone()).or_default().digest = Some(digest.clone());
        listing
    }

    /// Adds tags that are deployed, to a listing of what was pushed.
    pub fn deployed(&mut self, deployed: impl IntoIterator<Item = Tag>) {
        for tag in deployed.into_iter().filter(|_| self.is_partial) {
            self.tags.entry(tag).or_default();
        }
    }

    /// Keeps what follows the tag grammar, counts the rest.
    #[must_use]
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut listing = Self::default();
        for text in texts {
            match Tag::parse(text) {
                Some(tag) => drop(listing.tags.insert(tag, Listed::default())),
                None => listing.dropped += 1,
            }
        }
        listing
    }

    fn from_entries(entries: Vec<CatalogEntry>) -> Result<Self, InvalidCatalog> {
        let mut listing = Self::default();
        for CatalogEntry(long) in entries {
            let invalid = |digest: String| InvalidCatalog::Digest(digest, long.tag.clone());
            let digest = match long.digest {
                Some(text) => Some(Digest::parse(&text).ok_or_else(|| invalid(text))?),
                None => None,
            };
            match Tag::parse(&long.tag) {
                Some(tag) => {
                    let (pushed, created) = (long.pushed, long.created);
                    let platforms = platforms(&long.platforms, &long.tag)?;
                    let listed = Known { digest, pushed, created, platforms }.into();
                    listing.tags.insert(tag, listed);
                }
                None => listing.dropped += 1,
            }
        }
        Ok(listing)
    }
}

fn platforms(texts: &[String], tag: &str) -> Result<Vec<Platform>, InvalidCatalog> {
    let read = |text: &String| {
        let invalid = || InvalidCatalog::Platform(text.clone(), tag.to_owned());
        Platform::parse(text).ok_or_else(invalid)
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_survives_being_written_and_read() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let text = format!(
            "ghcr.io/acme/shop:\n  - {{tag: v2.3.0, digest: '{digest}', pushed: 2026-11-01T08:00:00Z, platforms: [linux/amd64]}}\n  \
             - v2.4.0\n  - '1.10'\n  - 'not a tag'\nnginx: []\n"
        );
        let catalog = Catalog::parse(&text).unwrap();
        let shop = Repository::parse("ghcr.io/acme/shop").unwrap();
        let listing = catalog.listing(&shop).unwrap();
        assert_eq!((listing.tags.len(), listing.dropped), (3, 1));
        let listed = &listing.tags[&Tag::parse("v2.3.0").unwrap()];
        assert_eq!(listed.digest.as_ref().unwrap().as_str(), digest);
        let again = Catalog::parse(&catalog.to_yaml()).unwrap();
        assert_eq!(again.listing(&shop).unwrap().tags, listing.tags);
        assert_eq!(again.0.len(), 2);
    }

    #[test]
    fn mistakes_name_themselves() {
        assert!(Catalog::parse("").unwrap().0.is_empty());
        for (text, want) in [
            ("https://x: [a]\n", "without `https://`"),
            ("a: [{tag: b, digest: c}]\n", "`c`, the digest of b"),
            ("a: [{tag: b, colour: c}]\n", "line"),
            ("a: [\n", "line"),
            ("nginx: [a]\ndocker.io/library/nginx: [b]\n", "stands twice"),
        ] {
            let message = Catalog::parse(text).unwrap_err().to_string();
            assert!(message.contains(want), "{text:?}: {message}");
        }
    }
}

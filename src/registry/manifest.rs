//! What is behind a digest: the platforms of an index, and what an image says of itself
//! ([image index](https://github.com/opencontainers/image-spec/blob/main/image-index.md),
//! [manifest](https://github.com/opencontainers/image-spec/blob/main/manifest.md)).

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::client::{Ask, LookupSource, MANIFESTS, named_digest};
use super::{Registry, ScanError, cache};
use crate::choose::Contents;
use crate::image::{Digest, Origin, Platform, Repository, Tag};

/// The largest manifest, in bytes: what the
/// [specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests)
/// asks registries to take.
pub(super) const MAX_MANIFEST: usize = 4 << 20;

/// The largest image configuration, in bytes: a few kilobytes are usual.
const MAX_CONFIG: usize = 1 << 20;

/// An index or an image manifest, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    media_type: Option<String>,
    manifests: Option<Vec<IndexEntry>>,
    layers: Option<Vec<IgnoredAny>>,
    config: Option<Descriptor>,
    /// As they come: what is wrong with them must not keep the rest from being read.
    #[serde(default)]
    annotations: Value,
}

#[derive(Deserialize)]
struct IndexEntry {
    digest: String,
    platform: Option<DescribedPlatform>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// A platform, in an index or in an image's configuration.
#[derive(Deserialize)]
struct DescribedPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: DescribedPlatform,
    /// As text, because builders write anything.
    created: Option<String>,
    /// Docker's part, as it comes.
    #[serde(default, rename = "config")]
    docker: Value,
}

impl Registry {
    /// The platforms of an index, each with its digest; those of an image alone, with its own.
    ///
    /// # Errors
    /// When the manifest cannot be had, or is not the one that its digest names.
    pub async fn contents(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Contents, ScanError> {
        let manifest = self.image(repository, digest).await?;
        if let Some(entries) = manifest.manifests {
            let platforms = entries
                .into_iter()
                .filter_map(|entry| Some((entry.platform?.read()?, Digest::parse(&entry.digest)?)));
            return Ok(platforms.collect());
        }
        let config = self.config(repository, manifest.config).await?;
        let platform = config.platform.read().ok_or_else(|| malformed("names no platform"))?;
        Ok(Contents::from([(platform, digest.clone())]))
    }

    /// When the image behind a tag was made, as its builder says. Of an index, the first image that
    /// says it counts.
    ///
    /// # Errors
    /// When nothing says it.
    pub async fn created(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Timestamp, ScanError> {
        let digest = self.digest(repository, tag).await?;
        let manifest = self.image(repository, &digest).await?;
        let manifest = self.first_image(repository, manifest).await?;
        let config = self.config(repository, manifest.config).await?;
        let created = config.created.and_then(|created| created.parse().ok());
        created.ok_or_else(|| malformed("does not say when it was made"))
    }

    /// Where an image comes from, as its annotations and labels say; the outer ones count, and nothing
    /// more is fetched than it takes.
    ///
    /// # Errors
    /// When a manifest or a configuration cannot be had.
    pub async fn origin(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Origin, ScanError> {
        let manifest = self.image(repository, digest).await?;
        let outer = said_in(&manifest.annotations);
        if outer.is_whole() {
            return Ok(outer);
        }
        let image = self.first_image(repository, manifest).await?;
        let inner = outer.or(said_in(&image.annotations));
        if inner.is_whole() {
            return Ok(inner);
        }
        let config = self.config(repository, image.config).await?;
        Ok(inner.or(said_in(&config.docker["Labels"])))
    }

    /// The manifest itself, or that of the first image of an index.
    async fn first_image(
        &self,
        repository: &Repository,
        mut manifest: Manifest,
    ) -> Result<Manifest, ScanError> {
        let Some(entries) = manifest.manifests.take() else { return Ok(manifest) };
        let is_image = |entry: &IndexEntry| {
            let platform = entry.platform.as_ref().and_then(DescribedPlatform::read);
            platform.is_some_and(|platform| !platform.is_unknown())
        };
        let first = entries.into_iter().find(is_image);
        let digest = first.and_then(|entry| Digest::parse(&entry.digest));
        let digest = digest.ok_or_else(|| malformed("holds no image"))?;
        self.image(repository, &digest).await
    }

    /// An index or an image manifest that can be read in one way only: a client that took it for the
    /// other would run something else
    /// ([GHSA-qq97-vm5h-rrhg](https://github.com/distribution/distribution/security/advisories/GHSA-qq97-vm5h-rrhg)).
    async fn image(&self, repository: &Repository, digest: &Digest) -> Result<Manifest, ScanError> {
        let manifest: Manifest = self.manifest(repository, digest).await?;
        let is_index = manifest.manifests.is_some();
        let is_image = manifest.layers.is_some() || manifest.config.is_some();
        let said = manifest.media_type.as_deref().unwrap_or_default();
        let says_index = said.contains("index") || said.contains("manifest.list");
        if is_index == is_image || !said.is_empty() && says_index != is_index {
            return Err(malformed("is an index and a manifest at once, or neither"));
        }
        Ok(manifest)
    }

    pub(super) async fn manifest<T: DeserializeOwned>(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<T, ScanError> {
        let body = self.content(repository, "manifests", MANIFESTS, digest, MAX_MANIFEST).await?;
        read(&body)
    }

    async fn config(
        &self,
        repository: &Repository,
        config: Option<Descriptor>,
    ) -> Result<Config, ScanError> {
        let digest = config.and_then(|config| Digest::parse(&config.digest));
        let digest = digest.ok_or_else(|| malformed("names no configuration"))?;
        let body = self.blob(repository, &digest, MAX_CONFIG).await?;
        read(&body)
    }

    /// A blob, as its digest names it.
    pub(super) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<u8>, ScanError> {
        self.content(repository, "blobs", "*/*", digest, limit).await
    }

    /// A manifest or a blob, when it has the digest that it was asked for by.
    async fn content(
        &self,
        repository: &Repository,
        kind: &str,
        accept: &'static str,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<u8>, ScanError> {
        let asked = match self.source(repository)? {
            LookupSource::Registry(asked) => asked,
            LookupSource::Layouts(layouts) => return layouts.content(digest, limit),
        };
        let host = self.host(&asked).await;
        if let Some(kept) = self.cache.as_ref().and_then(|store| cache::content(store, digest)) {
            self.count(&host, &asked, |cost| cost.cache_hits += 1);
            return Ok(kept);
        }
        let _permit = host.permits.acquire().await;
        let path = format!("{}/{kind}/{digest}", asked.path());
        let (_, answer) = self.ask(&host, &Ask::new(Method::GET, &path, accept, &asked)).await?;
        let named =
            named_digest(answer.headers()).filter(|named| named.algorithm() == digest.algorithm());
        let body = self.read(&host, &asked, answer, limit).await?;
        if named.is_some_and(|named| named != *digest)
            || Digest::of(digest.algorithm(), &body).as_ref() != Some(digest)
        {
            let message =
                format!("what the registry sends for {} has another digest", digest.short());
            return Err(ScanError::Malformed(message));
        }
        if let Some(store) = &self.cache {
            cache::keep_content(store, digest, &body);
        }
        Ok(body)
    }
}

impl DescribedPlatform {
    fn read(&self) -> Option<Platform> {
        Platform::new(self.os.as_deref()?, self.architecture.as_deref()?, self.variant.as_deref())
    }
}

/// Reads bytes as an index, a manifest and a configuration, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz(body: &[u8]) {
    if let Ok(manifest) = read::<Manifest>(body) {
        drop(said_in(&manifest.annotations));
        let platforms = manifest.manifests.iter().flatten().filter_map(|e| e.platform.as_ref());
        platforms.filter_map(DescribedPlatform::read).for_each(drop);
    }
    if let Ok(config) = read::<Config>(body) {
        drop((config.platform.read(), said_in(&config.docker["Labels"])));
    }
}

fn said_in(texts: &Value) -> Origin {
    Origin::read(|key| texts[key].as_str())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ScanError> {
    serde_json::from_slice(body).map_err(|_error| malformed("is not what its media type says"))
}

fn malformed(what: &str) -> ScanError {
    ScanError::Malformed(format!("the image {what}"))
}

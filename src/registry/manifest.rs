//! What is behind a digest: the platforms of an index, and what an image says of itself
//! ([image index](https://github.com/opencontainers/image-spec/blob/main/image-index.md),
//! [manifest](https://github.com/opencontainers/image-spec/blob/main/manifest.md)).

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Ask, MANIFESTS};
use super::page::read_capped;
use super::{Registry, ScanError};
use crate::choose::Contents;
use crate::image::{Digest, Platform, Repository, Tag};

/// The largest manifest, in bytes: what the
/// [specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests)
/// asks registries to take.
pub(super) const MAX_MANIFEST: usize = 4 << 20;

/// The largest image configuration, in bytes.
const MAX_CONFIG: usize = 8 << 20;

/// An index or an image manifest, as far as it matters here.
#[derive(Deserialize)]
struct Manifest {
    manifests: Option<Vec<Entry>>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
    platform: Option<Described>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// A platform, in an index or in an image's configuration.
#[derive(Deserialize)]
struct Described {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Described,
    /// As text, because builders write anything.
    created: Option<String>,
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
        let manifest: Manifest = self.manifest(repository, digest).await?;
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
        let mut manifest: Manifest = self.manifest(repository, &digest).await?;
        if let Some(entries) = manifest.manifests.take() {
            let is_image = |entry: &Entry| {
                let platform = entry.platform.as_ref().and_then(Described::read);
                platform.is_some_and(|platform| !platform.is_unknown())
            };
            let first = entries.into_iter().find(is_image);
            let digest = first.and_then(|entry| Digest::parse(&entry.digest));
            let digest = digest.ok_or_else(|| malformed("holds no image"))?;
            manifest = self.manifest(repository, &digest).await?;
        }
        let config = self.config(repository, manifest.config).await?;
        let created = config.created.and_then(|created| created.parse().ok());
        created.ok_or_else(|| malformed("does not say when it was made"))
    }

    pub(super) async fn manifest<T: DeserializeOwned>(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<T, ScanError> {
        let path = format!("{}/manifests/{digest}", repository.path());
        let body = self.content(repository, &path, MANIFESTS, digest, MAX_MANIFEST).await?;
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
        let path = format!("{}/blobs/{digest}", repository.path());
        self.content(repository, &path, "*/*", digest, limit).await
    }

    /// What is at a path, when it has the digest that it was asked for by.
    async fn content(
        &self,
        repository: &Repository,
        path: &str,
        accept: &'static str,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<u8>, ScanError> {
        let host = self.host(repository.api_host()).await?;
        let _permit = host.permits.acquire().await;
        let ask = Ask { method: Method::GET, path, accept, repository };
        let (_, answer) = self.ask(&host, &ask).await?;
        let body = read_capped(answer, limit).await?;
        if Digest::of(digest.algorithm(), &body).as_ref() == Some(digest) {
            return Ok(body);
        }
        let message = format!("what the registry sends for {} has another digest", digest.short());
        Err(ScanError::Malformed(message))
    }
}

impl Described {
    fn read(&self) -> Option<Platform> {
        Platform::new(self.os.as_deref()?, self.architecture.as_deref()?, self.variant.as_deref())
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ScanError> {
    serde_json::from_slice(body).map_err(|_error| malformed("is not what its media type says"))
}

fn malformed(what: &str) -> ScanError {
    ScanError::Malformed(format!("the image {what}"))
}

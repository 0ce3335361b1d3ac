//! What is attached to an image: signatures, in the two ways in which cosign stores them.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;

use super::client::{Ask, LookupSource, MANIFESTS};
use super::manifest::MAX_MANIFEST;
use super::{Registry, ScanError};
use crate::choose::Verdict;
use crate::image::{Digest, Repository};
use crate::signature::{MAX_MATERIAL, MAX_SIGNATURES, Material, Verifier};

/// The media type of a payload of cosign 1 and 2.
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The artifact type of a bundle, which ends in its version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest or an index, as far as attachments are concerned.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attached {
    layers: Vec<AttachedLayer>,
    manifests: Vec<AttachedLayer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachedLayer {
    digest: String,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Registry {
    /// Whether an image is signed, by what the registry holds beside it. A registry can hide
    /// signatures, but not make them up.
    ///
    /// # Errors
    /// When the registry does not say what is there.
    pub async fn verdict(
        &self,
        repository: &Repository,
        digest: &Digest,
        verifier: &Arc<Verifier>,
    ) -> Result<Verdict, ScanError> {
        let payloads = self.payloads(repository, digest).await?;
        let found = payloads.len();
        let first = judge(verifier, digest, payloads).await;
        if first == Verdict::Verified {
            return Ok(first);
        }
        let bundles = self.bundles(repository, digest).await?;
        if bundles.is_empty() && found > 0 {
            return Ok(first);
        }
        Ok(judge(verifier, digest, bundles).await)
    }

    /// The payloads of cosign 1 and 2, which are the layers of a manifest whose tag is made of the
    /// digest.
    async fn payloads(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Material>, ScanError> {
        let reference = format!("{}.sig", tag_of(digest));
        let manifest = self.attached(repository, "manifests", &reference, MANIFESTS).await?;
        let layers = manifest.layers.into_iter().filter(|layer| layer.media_type == SIMPLE);
        let mut found = Vec::new();
        // New signatures are added behind the others.
        let layers: Vec<AttachedLayer> = layers.collect();
        for layer in layers.into_iter().rev().take(MAX_SIGNATURES) {
            let Some(digest) = Digest::parse(&layer.digest) else { continue };
            let payload = self.blob(repository, &digest, MAX_MATERIAL).await?;
            found.push(Material::Simple { payload, annotations: layer.annotations });
        }
        Ok(found)
    }

    /// The bundles of cosign 3, which are artifacts that refer to the image
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).
    async fn bundles(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Material>, ScanError> {
        let mut index = self.attached(repository, "referrers", digest.as_str(), INDEX).await?;
        if index.manifests.is_empty() {
            // Where the registry has no such list, clients keep one under a tag.
            index = self.attached(repository, "manifests", &tag_of(digest), INDEX).await?;
        }
        // Which are bundles is not said by every list.
        let may_be = |part: &&AttachedLayer| {
            part.artifact_type.is_empty() || part.artifact_type.starts_with(BUNDLE)
        };
        let mut found = Vec::new();
        for part in index.manifests.iter().rev().filter(may_be).take(MAX_SIGNATURES) {
            let Some(digest) = Digest::parse(&part.digest) else { continue };
            let manifest: Attached = self.manifest(repository, &digest).await?;
            let bundle = manifest.layers.first().filter(|l| l.media_type.starts_with(BUNDLE));
            let Some(digest) = bundle.and_then(|layer| Digest::parse(&layer.digest)) else {
                continue;
            };
            found.push(Material::Bundle(self.blob(repository, &digest, MAX_MATERIAL).await?));
        }
        Ok(found)
    }

    /// A list of attachments; empty when there is none, or the registry does not know such lists.
    async fn attached(
        &self,
        repository: &Repository,
        kind: &str,
        reference: &str,
        accept: &'static str,
    ) -> Result<Attached, ScanError> {
        // Layouts hold images; signatures beside them are not looked for.
        let LookupSource::Registry(asked) = self.source(repository)? else {
            return Ok(Attached::default());
        };
        let host = self.host(&asked).await;
        let _permit = host.permits.acquire().await;
        let path = format!("{}/{kind}/{reference}", asked.path());
        let answer = match self.ask(&host, &Ask::new(Method::GET, &path, accept, &asked)).await {
            Ok((_, answer)) => answer,
            Err(ScanError::NotFound | ScanError::Malformed(_)) => return Ok(Attached::default()),
            Err(error) => return Err(error),
        };
        let body = self.read(&host, &asked, answer, MAX_MANIFEST).await?;
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// The tag under which attachments of an image are kept.
fn tag_of(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}

/// Verifies on a thread where it holds nothing up.
async fn judge(verifier: &Arc<Verifier>, digest: &Digest, materials: Vec<Material>) -> Verdict {
    let (verifier, digest) = (Arc::clone(verifier), digest.clone());
    let judged = tokio::task::spawn_blocking(move || verifier.verify(&digest, &materials)).await;
    judged.unwrap_or_else(|_panic| Verdict::Not("it could not be read".to_owned()))
}

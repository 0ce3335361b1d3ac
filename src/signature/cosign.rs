//! cosign's signatures, by a key or keyless.
//!
//! The library checks certificate chain, signed certificate timestamp, log entry and times; what a
//! statement says about which image, and who signed it, is checked here, after the signature.

use std::fmt::Display;
use std::sync::Arc;

use sigstore_verify::crypto::{KeyAlgorithm, VerificationKey};
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{
    Artifact, Bundle, DerPublicKey, HashAlgorithm, MediaType, Sha256Hash, SignatureBytes,
    SignatureContent, Statement,
};
use sigstore_verify::{VerificationPolicy, VerificationResult};

use super::{MAX_MATERIAL, MAX_SIGNATURES, Material, legacy};
use crate::choose::Verdict;
use crate::image::Digest;
use crate::policy::{Identity, Signer};

/// What cosign says of an image that it signs; other statements of the same signer, such as a
/// provenance, are about it and no signatures.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// More timestamps in one bundle are not looked at: each costs a chain of certificates.
const MAX_TIMESTAMPS: usize = 4;

/// Whose certificates and logs are trusted.
pub struct TrustRoot(Arc<sigstore_verify::Verifier>);

/// Verifies signatures for one policy.
pub struct Verifier {
    root: Arc<sigstore_verify::Verifier>,
    who: Who,
}

enum Who {
    Key(DerPublicKey),
    Keyless { identity: Identity, issuer: String },
}

impl TrustRoot {
    /// A trust root from a `trusted_root.json`, or the one of the public Sigstore that this program
    /// was built with.
    ///
    /// # Errors
    /// When the text is not a trust root.
    pub fn read(json: Option<&str>) -> Result<Self, String> {
        let root = match json {
            Some(json) => TrustedRoot::from_json(json),
            None => TrustedRoot::from_embedded(SigstoreInstance::PublicGood),
        };
        let verifier = sigstore_verify::Verifier::new(&root.map_err(text)?);
        verifier.map(|verifier| Self(Arc::new(verifier))).map_err(text)
    }
}

impl Verifier {
    /// A verifier for a signer, with the text of its public key where it has one.
    ///
    /// # Errors
    /// When the key is not one that can be used.
    pub fn new(signer: &Signer, pem: Option<&str>, root: &TrustRoot) -> Result<Self, String> {
        let who = match signer {
            Signer::Key { path } => {
                let pem = pem.ok_or_else(|| format!("{path} was not read"))?;
                let key = DerPublicKey::from_pem(pem).map_err(text)?;
                KeyAlgorithm::from_spki(&key).map_err(text)?;
                Who::Key(key)
            }
            Signer::Keyless { identity, issuer } => {
                Who::Keyless { identity: identity.clone(), issuer: issuer.clone() }
            }
        };
        Ok(Self { root: Arc::clone(&root.0), who })
    }

    /// Whether one of the materials is a signature of this signer for a digest.
    #[must_use]
    pub fn verify(&self, digest: &Digest, materials: &[Material]) -> Verdict {
        any(materials.iter().take(MAX_SIGNATURES).map(|material| match material {
            Material::Simple { payload, .. } if payload.len() > MAX_MATERIAL => Err(too_large()),
            Material::Bundle(json) if json.len() > MAX_MATERIAL => Err(too_large()),
            Material::Simple { payload, annotations } => {
                self.simple(digest, payload, &legacy::Annotations(annotations))
            }
            Material::Bundle(json) => self.bundle(digest, json),
        }))
    }

    fn simple(
        &self,
        digest: &Digest,
        payload: &[u8],
        annotations: &legacy::Annotations<'_>,
    ) -> Result<(), String> {
        let signature = annotations.signature()?;
        match &self.who {
            Who::Key(key) => {
                let signature = SignatureBytes::from_base64(signature).map_err(text)?;
                check_key(key, payload, &signature, Some(HashAlgorithm::Sha2256))?;
            }
            Who::Keyless { .. } => {
                let bundle = annotations.bundle(payload)?;
                self.keyless(payload.into(), &bundle)?;
            }
        }
        // Only what is signed is read.
        let signed = legacy::payload_digest(payload)?;
        if signed == digest.as_str() { Ok(()) } else { Err("it signs another digest".to_owned()) }
    }

    fn bundle(&self, digest: &Digest, json: &[u8]) -> Result<(), String> {
        let bundle = Bundle::from_json(std::str::from_utf8(json).map_err(text)?).map_err(text)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("it is not a statement about an image".to_owned());
        };
        let material = &bundle.verification_material;
        // Older versions ask for less evidence.
        if bundle.media_type() != MediaType::Bundle0_3
            || material.tlog_entries.len() > 1
            || material.timestamp_verification_data.rfc3161_timestamps.len() > MAX_TIMESTAMPS
        {
            return Err("it is not a bundle as cosign writes it".to_owned());
        }
        let hex =
            digest.as_str().strip_prefix("sha256:").ok_or("only sha256 digests are signed")?;
        let hash = Sha256Hash::from_hex(hex).map_err(text)?;
        match &self.who {
            Who::Key(key) => {
                let is_by_key =
                    matches!(material.content, VerificationMaterialContent::PublicKey(_));
                if !is_by_key || envelope.payload_type != PAYLOAD_TYPE {
                    return Err("it is not signed by a key".to_owned());
                }
                check_key(key, &envelope.pae(), &envelope.signature.sig, None)?;
            }
            Who::Keyless { .. } => drop(self.keyless(hash.into(), &bundle)?),
        }
        let statement: Statement =
            serde_json::from_slice(envelope.payload.as_bytes()).map_err(text)?;
        if statement.type_ != STATEMENT || statement.predicate_type != SIGNED {
            return Err(format!("it is a statement of another kind: {}", statement.predicate_type));
        }
        let about = |subject: &sigstore_verify::types::Subject| subject.digest.sha256 == Some(hash);
        if !statement.subject.iter().any(about) {
            return Err("it signs another digest".to_owned());
        }
        Ok(())
    }

    /// Verifies the evidence, and then whose it is. The library knows exact identities only.
    fn keyless(
        &self,
        artifact: Artifact<'_>,
        bundle: &Bundle,
    ) -> Result<VerificationResult, String> {
        let Who::Keyless { identity, issuer } = &self.who else {
            return Err("it is not signed by the key".to_owned());
        };
        let policy = VerificationPolicy::any_identity();
        let result = self.root.verify(artifact, bundle, &policy).map_err(text)?;
        if !(result.certificate_verified() && result.tlog_verified() && result.sct_verified()) {
            return Err("evidence is missing".to_owned());
        }
        let subject = result.identity().ok_or("its certificate names nobody")?;
        if !identity.matches(subject.as_str()) {
            return Err(format!("it is signed by {subject}"));
        }
        match result.issuer() {
            Some(found) if found == issuer => Ok(result),
            Some(found) => Err(format!("its signer is vouched for by {found}")),
            None => Err("nobody vouches for its signer".to_owned()),
        }
    }
}

/// cosign 2 hashes with SHA-256 for every kind of key, cosign 3 as the key itself suggests.
fn check_key(
    key: &DerPublicKey,
    message: &[u8],
    signature: &SignatureBytes,
    hash: Option<HashAlgorithm>,
) -> Result<(), String> {
    let algorithm = KeyAlgorithm::from_spki(key).map_err(text)?;
    let asked =
        hash.map(|hash| algorithm.resolve_signing_scheme(hash)).transpose().map_err(text)?;
    let schemes = asked.into_iter().chain([algorithm.default_signing_scheme()]);
    let fits = |scheme| {
        let key = VerificationKey::from_spki_with_scheme(key, scheme);
        key.and_then(|key| key.verify(message, signature)).is_ok()
    };
    let verified = schemes.into_iter().any(fits);
    if verified { Ok(()) } else { Err("it is not signed by the key".to_owned()) }
}

fn too_large() -> String {
    "it is too large".to_owned()
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// One verdict over many attempts: one that succeeds is enough.
fn any(attempts: impl Iterator<Item = Result<(), String>>) -> Verdict {
    let mut count = 0;
    let mut first = None;
    for attempt in attempts {
        count += 1;
        match attempt {
            Ok(()) => return Verdict::Verified,
            Err(why) => first = first.or(Some(why)),
        }
    }
    match (count, first) {
        (1, Some(why)) => Verdict::Not(shown(&why)),
        (count, Some(why)) => Verdict::Not(format!(
            "none of its {count} signatures counts; of the first: {}",
            shown(&why)
        )),
        (_, None) => Verdict::Not("it has no signature".to_owned()),
    }
}

/// What a certificate or a payload says is an attacker's text.
fn shown(text: &str) -> String {
    text.escape_debug().to_string().chars().take(200).collect()
}

#[cfg(test)]
mod tests;

//! Signatures of images, verified from bytes that somebody else fetched.
//!
//! The verdict is for a digest: a tag can move between the check and the pull.

#[cfg(feature = "sigstore")]
mod cosign;
#[cfg(feature = "sigstore")]
mod legacy;
#[cfg(not(feature = "sigstore"))]
mod without;

use std::collections::BTreeMap;

#[cfg(feature = "sigstore")]
pub use cosign::{TrustRoot, Verifier};
#[cfg(not(feature = "sigstore"))]
pub use without::{TrustRoot, Verifier};

/// More signatures than this are not looked at: each costs time, and an image has few.
pub const MAX_SIGNATURES: usize = 32;

/// The largest payload or bundle, in bytes. A real one has about eleven thousand.
pub const MAX_MATERIAL: usize = 1 << 18;

/// What a registry holds beside an image, from which a signature can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// A [simple signing](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md)
    /// payload, with the annotations of its layer.
    Simple {
        /// The layer.
        payload: Vec<u8>,
        /// Its annotations.
        annotations: BTreeMap<String, String>,
    },
    /// A [bundle](https://docs.sigstore.dev/about/bundle/) of version 0.3.
    Bundle(Vec<u8>),
}

/// The verifiers of policies, by the policies' names.
pub type Verifiers = BTreeMap<String, std::sync::Arc<Verifier>>;

//! What stands for verification in a program that was built without it: nothing is ever verified.

use super::Material;
use crate::choose::Verdict;
use crate::image::Digest;
use crate::policy::Signer;

const WITHOUT: &str = "this program was built without the feature `sigstore`";

/// Stands for a trust root.
pub struct TrustRoot;

/// Stands for a verifier.
pub struct Verifier;

impl TrustRoot {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn read(_json: Option<&str>) -> Result<Self, String> {
        Err(WITHOUT.to_owned())
    }
}

impl Verifier {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn new(_signer: &Signer, _pem: Option<&str>, _root: &TrustRoot) -> Result<Self, String> {
        Err(WITHOUT.to_owned())
    }

    /// Verifies nothing.
    #[must_use]
    pub fn verify(&self, _digest: &Digest, _materials: &[Material]) -> Verdict {
        Verdict::Not(WITHOUT.to_owned())
    }
}

//! Proof that a ledger is ours: a code over its text that only holders of a key can make
//! ([HMAC](https://www.rfc-editor.org/rfc/rfc2104) with SHA-256). The reference that it is kept in is guarded by no rule of a branch,
//! so that whoever may push can write one, with whatever first sights they like.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Ledger;
use crate::secret::Secret;

/// What a seal begins with.
const PREFIX: &str = "hmac-sha256:";

/// What is sealed beside the ledger, so that no code for anything else is one.
const PURPOSE: &str = "tagalong ledger 1";

/// Shorter keys can be guessed, in characters.
const SHORTEST: usize = 32;

/// The operator's keys: the first seals, and each of them proves, so that a key can be replaced.
#[derive(Clone)]
pub struct SealKeys(Vec<Secret>);

/// A key that is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of fewer than {SHORTEST} characters can be guessed")]
pub struct ShortKey;

impl SealKeys {
    /// Reads keys, with spaces or line ends between.
    ///
    /// # Errors
    /// When one of them can be guessed.
    pub fn read(text: &str) -> Result<Option<Self>, ShortKey> {
        let keys: Vec<&str> = text.split_whitespace().collect();
        if keys.iter().any(|key| key.len() < SHORTEST) {
            return Err(ShortKey);
        }
        let keys = keys.into_iter().map(|key| Secret::from(key.to_owned())).collect::<Vec<_>>();
        Ok((!keys.is_empty()).then_some(Self(keys)))
    }
}

/// A code for a ledger of a repository, ready to be made or compared.
fn code(key: &Secret, repository: &str, text: &str) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .unwrap_or_else(|_invalid| unreachable!("a key of HMAC has any length"));
    for part in [PURPOSE, repository, text] {
        // The length keeps the parts apart.
        code.update(&(part.len() as u64).to_be_bytes());
        code.update(part.as_bytes());
    }
    code
}

impl Ledger {
    /// True if somebody sealed it.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// True if one of our keys sealed it, for this repository.
    #[must_use]
    pub fn is_proven(&self, keys: &SealKeys, repository: &str) -> bool {
        let seal = self.seal.as_deref().and_then(|seal| seal.strip_prefix(PREFIX));
        let Some(seal) = seal.and_then(|seal| BASE64.decode(seal).ok()) else { return false };
        let text = self.unsealed();
        keys.0.iter().any(|key| code(key, repository, &text).verify_slice(&seal).is_ok())
    }

    /// The ledger as text, with the seal of the first key.
    #[must_use]
    pub fn sealed(&self, keys: &SealKeys, repository: &str) -> String {
        let text = self.unsealed();
        let code = keys.0.first().map(|key| code(key, repository, &text).finalize().into_bytes());
        let seal = code.map(|code| format!("{PREFIX}{}", BASE64.encode(code)));
        Self { seal, ..self.clone() }.to_json()
    }

    fn unsealed(&self) -> String {
        Self { seal: None, ..self.clone() }.to_json()
    }

    /// What is left of one that nobody proves: refusals and deliveries, which hold changes back; no times, and no commits that are
    /// said to be ours.
    #[must_use]
    pub fn doubted(self) -> Self {
        let Self { version, refused, delivered, .. } = self;
        Self { version, refused, delivered, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Refusal;

    fn keys(text: &str) -> SealKeys {
        SealKeys::read(text).unwrap().unwrap()
    }

    #[test]
    fn only_our_keys_prove_a_ledger_of_our_repository() {
        let (one, other) = ("a".repeat(32), "b".repeat(32));
        let mut ledger = Ledger::default();
        let at = "2026-11-20T00:00:00Z".parse().unwrap();
        let why = "#1 was closed".to_owned();
        let refusal = Refusal { why, pull_request: Some(1), reverted: false, at };
        ledger.refuse("prod", "shop", "v1", refusal);
        assert!(!ledger.is_proven(&keys(&one), "acme/fleet"));
        let text = ledger.sealed(&keys(&format!("{one} {other}")), "acme/fleet");
        let read = Ledger::parse(text.as_bytes()).unwrap();
        let cases = [
            (one.as_str(), "acme/fleet", true),
            (&format!("{other}\n{one}\n"), "acme/fleet", true),
            (&other, "acme/fleet", false),
            (&one, "acme/other", false),
        ];
        for (key, repository, want) in cases {
            assert_eq!(read.is_proven(&keys(key), repository), want, "{key} {repository}");
        }
        // Whatever is changed by somebody else is no part of what was sealed.
        for (from, to) in
            [("v1", "v2"), ("2026-11-20", "2026-11-10"), ("hmac-sha256:", "hmac-sha256:0000")]
        {
            let forged = Ledger::parse(text.replace(from, to).as_bytes()).unwrap();
            assert!(!forged.is_proven(&keys(&one), "acme/fleet"), "{from}");
        }
        assert!(read.is_sealed());
        assert_eq!(read.doubted(), ledger);
    }

    #[test]
    fn a_key_is_long() {
        assert_eq!(SealKeys::read("short").err(), Some(ShortKey));
        assert!(SealKeys::read(" \n").unwrap().is_none());
    }
}

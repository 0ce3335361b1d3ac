//! Proof that a ledger is ours: a code over its text that only holders of a key can make
//! ([HMAC](https://www.rfc-editor.org/rfc/rfc2104) with SHA-256). The reference that it is kept in is guarded by no rule of a branch,
//! so that whoever may push can write one, with whatever first sights they like.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Ledger;
use crate::secret::Secret;

/// Prefix of a seal.
const PREFIX: &str = "hmac-sha256:";

/// Purpose that is part of the sealed text, so that a code for anything else is no seal.
const PURPOSE: &str = "tagalong ledger 1";

/// Shorter keys can be guessed, in characters.
const SHORTEST: usize = 32;

/// The operator's keys: the first seals, and each of them proves, so that a key can be replaced.
#[derive(Clone)]
pub struct SealKeys(Vec<Secret>);

/// No key, or one that is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is empty, or has fewer than {SHORTEST} characters and can be guessed")]
pub struct ShortKey;

impl SealKeys {
    /// Reads keys, with spaces or line ends between.
    ///
    /// # Errors
    /// No key, or one that is too short.
    pub fn read(text: &str) -> Result<Self, ShortKey> {
        let keys: Vec<&str> = text.split_whitespace().collect();
        if keys.is_empty() || keys.iter().any(|key| key.len() < SHORTEST) {
            return Err(ShortKey);
        }
        Ok(Self(keys.into_iter().map(|key| Secret::from(key.to_owned())).collect()))
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

/// Reads keys and values of a ledger, without its seal; fields of a newer version included.
fn content(text: &[u8]) -> Option<SealedContent> {
    let mut value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let seal = value.as_object_mut()?.remove("seal");
    let seal = seal.and_then(|seal| seal.as_str().map(str::to_owned));
    Some(SealedContent { text: value.to_string(), seal })
}

struct SealedContent {
    text: String,
    seal: Option<String>,
}

impl SealKeys {
    /// Judges the text of a repository's ledger.
    #[must_use]
    pub fn judge(&self, text: &[u8], repository: &str) -> SealVerdict {
        let Some(SealedContent { text, seal }) = content(text) else {
            return SealVerdict::Unproven;
        };
        let seal = seal.as_deref().and_then(|seal| seal.strip_prefix(PREFIX));
        let Some(seal) = seal.and_then(|seal| BASE64.decode(seal).ok()) else {
            return SealVerdict::Unproven;
        };
        let is_its = |key: &Secret| code(key, repository, &text).verify_slice(&seal).is_ok();
        match self.0.iter().position(is_its) {
            Some(0) => SealVerdict::Proven,
            Some(_) => SealVerdict::ByAnOldKey,
            None => SealVerdict::Unproven,
        }
    }
}

/// Verdict of the keys on a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealVerdict {
    /// The first key sealed it.
    Proven,
    /// Another one of our keys did: it is to be sealed anew.
    ByAnOldKey,
    /// None did.
    Unproven,
}

impl Ledger {
    /// True if somebody sealed it.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// The same without a seal.
    #[must_use]
    pub fn unsealed(self) -> Self {
        Self { seal: None, ..self }
    }

    /// The ledger as text, with the seal of the first key.
    #[must_use]
    pub fn sealed(&self, keys: &SealKeys, repository: &str) -> String {
        let text = content(self.to_json().as_bytes()).map(|content| content.text);
        let key = keys.0.first().zip(text);
        let code = key.map(|(key, text)| code(key, repository, &text).finalize().into_bytes());
        let seal = code.map(|code| format!("{PREFIX}{}", BASE64.encode(code)));
        Self { seal, ..self.clone() }.to_json()
    }

    /// Keeps the refusals and deliveries of an unproven ledger, which hold changes back; drops times, and commits that are
    /// said to be ours.
    #[must_use]
    pub fn doubted(self) -> Self {
        let Self { version, refused, delivered, .. } = self;
        Self { version, refused, delivered, is_doubted: true, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Refusal;

    fn keys(text: &str) -> SealKeys {
        SealKeys::read(text).unwrap()
    }

    #[test]
    fn only_our_keys_prove_a_ledger_of_our_repository() {
        let (one, other) = ("a".repeat(32), "b".repeat(32));
        let mut ledger = Ledger::default();
        let at = "2026-11-20T00:00:00Z".parse().unwrap();
        let why = "#1 was closed".to_owned();
        let refusal = Refusal { why, pull_request: Some(1), reverted: false, at };
        ledger.refuse("prod", "shop", "v1", refusal);
        let judge = |key: &str, text: &str| keys(key).judge(text.as_bytes(), "acme/fleet");
        assert_eq!(judge(&one, &ledger.to_json()), SealVerdict::Unproven);
        let text = ledger.sealed(&keys(&format!("{one} {other}")), "acme/fleet");
        let read = Ledger::parse(text.as_bytes()).unwrap();
        let cases = [
            (one.as_str(), "acme/fleet", SealVerdict::Proven),
            (&format!("{other}\n{one}\n"), "acme/fleet", SealVerdict::ByAnOldKey),
            (&other, "acme/fleet", SealVerdict::Unproven),
            (&one, "acme/other", SealVerdict::Unproven),
        ];
        for (key, repository, want) in cases {
            assert_eq!(keys(key).judge(text.as_bytes(), repository), want, "{key} {repository}");
        }
        // Whatever is changed or added by somebody else is no part of what was sealed.
        for (from, to) in [
            ("v1", "v2"),
            ("2026-11-20", "2026-11-10"),
            ("hmac-sha256:", "hmac-sha256:0000"),
            ("\"version\": 1", "\"later\": 1, \"version\": 1"),
        ] {
            assert_eq!(judge(&one, &text.replace(from, to)), SealVerdict::Unproven, "{from}");
        }
        // How it is laid out does not matter.
        assert_eq!(
            judge(&one, &text.replace(['\n', ' '], "").replace("#1wasclosed", "#1 was closed")),
            SealVerdict::Proven
        );
        assert!(read.is_sealed());
        let doubted = read.doubted();
        assert_eq!(doubted.first_held("dev", "shop", "v1", at), Some(at), "no history is believed");
        assert_eq!(Ledger { is_doubted: false, ..doubted }, ledger);
    }

    #[test]
    fn a_key_is_long() {
        assert_eq!(SealKeys::read("short").err(), Some(ShortKey));
        assert_eq!(SealKeys::read(" \n").err(), Some(ShortKey));
    }
}

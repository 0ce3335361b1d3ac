//! Content digests.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256, Sha512};

/// A digest of an algorithm that the
/// [OCI image specification](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms)
/// registers: `sha256:` with 64, or `sha512:` with 128, lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Box<str>);

impl Digest {
    /// Checks `text`; `None` when it is not a digest of a registered algorithm.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, hex) = text.split_once(':')?;
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return None,
        };
        let ok = hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        ok.then(|| Self(text.into()))
    }

    /// Reads a SHA-256 digest that is written without its algorithm.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        Self::parse(&format!("sha256:{hex}"))
    }

    /// The digits alone.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(_, hex)| hex)
    }

    /// The digest of some content; `None` for an algorithm that is not registered.
    #[must_use]
    pub fn of(algorithm: &str, content: &[u8]) -> Option<Self> {
        let hex = |hash: &[u8]| {
            hash.iter().fold(format!("{algorithm}:"), |mut text, byte| {
                write!(text, "{byte:02x}").ok();
                text
            })
        };
        match algorithm {
            "sha256" => Self::parse(&hex(&Sha256::digest(content))),
            "sha512" => Self::parse(&hex(&Sha512::digest(content))),
            _ => None,
        }
    }

    /// The algorithm: `sha256`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// The digest with its algorithm: `sha256:…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm and the first twelve digits: enough for a person to tell two apart.
    #[must_use]
    pub fn short(&self) -> &str {
        let start = self.0.find(':').map_or(0, |colon| colon + 1);
        self.0.get(..start + 12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_has_a_digest() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of("sha256", b"").unwrap().as_str(), empty);
        assert_eq!(Digest::of("sha512", b"").unwrap().algorithm(), "sha512");
        assert_eq!(Digest::of("md5", b""), None);
    }

    #[test]
    fn accepts_registered_algorithms_only() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(Digest::parse(&format!("sha256:{hex}")).is_some());
        assert!(Digest::parse(&format!("sha512:{hex}{hex}")).is_some());
        for bad in [
            String::new(),
            "sha256:".into(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex}0"),
            format!("md5:{hex}"),
            hex,
        ] {
            assert!(Digest::parse(&bad).is_none(), "{bad}");
        }
    }
}

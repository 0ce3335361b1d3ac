//! Platforms that an image runs on.

use std::fmt;

/// An operating system, an architecture and a variant of it, as `linux/arm/v7`, in the spelling of
/// [Go](https://go.dev/doc/install/source#environment) that image indexes use. Variants that every
/// machine of an architecture has (`arm64/v8`, `amd64/v1`) are the same as none, as in
/// [containerd](https://github.com/containerd/platforms/blob/main/database.go).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform(String);

impl Platform {
    /// Reads `os/architecture[/variant]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (os, architecture) = (parts.next()?, parts.next()?);
        let variant = parts.next();
        if parts.next().is_some() {
            return None;
        }
        Self::new(os, architecture, variant)
    }

    /// A platform by its parts; `None` when one is no word of small letters, digits, `.`, `_`, `-`.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Option<Self> {
        let word = |text: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
            !text.is_empty() && text.len() <= 32 && text.bytes().all(plain)
        };
        // The oldest that 32-bit machines are built for nowadays.
        let variant = if (architecture, variant) == ("arm", None) { Some("v7") } else { variant };
        let variant = variant.filter(|variant| {
            !variant.is_empty()
                && !matches!((architecture, *variant), ("arm64", "v8") | ("amd64", "v1"))
        });
        let ok = word(os) && word(architecture) && variant.is_none_or(word);
        let text = || match variant {
            Some(variant) => format!("{os}/{architecture}/{variant}"),
            None => format!("{os}/{architecture}"),
        };
        ok.then(|| Self(text()))
    }

    /// Whether this is the entry of an attestation, which stands in an index as
    /// `unknown/unknown` (<https://docs.docker.com/build/metadata/attestations/attestation-storage/>).
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.starts_with("unknown/")
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_one_spelling() {
        let cases = [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/arm64/v8", Some("linux/arm64")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux", None),
            ("Linux/amd64", None),
            ("linux/amd64/v1/x", None),
            ("linux//v7", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(Platform::parse(text).map(|p| p.to_string()).as_deref(), want, "{text}");
        }
    }
}

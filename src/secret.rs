//! Texts that are never shown.

use secrecy::{ExposeSecret as _, SecretString};

/// A secret: wiped from memory when it goes, and without `Debug`, `Display` and `Serialize`, so that
/// what holds one cannot show it by accident.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

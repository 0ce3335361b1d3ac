//! Texts that are never shown.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// The same text, as long as before, with stars instead of the user and password of every address in
/// it, for excerpts of files.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut parts = text.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''));
        let at = part[..end.unwrap_or(part.len())].rfind('@').unwrap_or(0);
        masked.push_str("://");
        masked.extend(std::iter::repeat_n('*', at));
        masked.push_str(&part[at..]);
    }
    masked
}

/// The variables of the environment, read once. They hold secrets, so they are not shown either.
#[derive(Clone, Default)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    /// A variable that is set to something.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_show_no_passwords() {
        for (text, want) in [
            (
                "proxy: http://bot:pw@proxy:3128/\nca: x@y",
                "proxy: http://******@proxy:3128/\nca: x@y",
            ),
            ("'https://ü@h' # a://b@c", "'https://**@h' # a://*@c"),
            ("http://proxy:3128/@", "http://proxy:3128/@"),
            ("a: b", "a: b"),
        ] {
            assert_eq!(masked(text), want);
            assert_eq!(masked(text).len(), text.len());
        }
    }
}

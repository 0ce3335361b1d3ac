//! Texts that are never shown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use secrecy::{ExposeSecret as _, SecretString};

/// Every secret that is held somewhere. A server can repeat what it was sent, and what it says is shown.
static HELD: Mutex<Vec<Weak<SecretString>>> = Mutex::new(Vec::new());

/// Shorter secrets are words that stand in other texts as well, in bytes.
const SHORTEST: usize = 8;

/// Shorter values of the environment, and those without a digit, may be settings that are only called like secrets.
const SHORTEST_OF_VARIABLES: usize = 16;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// What names of variables that hold secrets end with.
const OF_SECRETS: [&str; 5] = ["TOKEN", "SECRET", "PASSWORD", "_KEY", "_PAT"];

/// A secret: wiped from memory when it goes, and without `Debug`, `Display` and `Serialize`, so that
/// what holds one cannot show it by accident.
#[derive(Clone)]
pub struct Secret(Arc<SecretString>);

impl Secret {
    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        let is_told_apart = text.trim().len() >= SHORTEST;
        let secret = Arc::new(SecretString::from(text));
        if is_told_apart {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            // Tokens of registries come and go.
            if held.len() == held.capacity() {
                held.retain(|one| one.strong_count() > 0);
            }
            held.push(Arc::downgrade(&secret));
        }
        Self(secret)
    }
}

/// A text without any secret that is held: for everything that leaves the program and is no request that needs one.
#[must_use]
pub fn redacted(text: &str) -> Cow<'_, str> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let mut shown = Cow::Borrowed(text);
    for secret in held.iter().filter_map(Weak::upgrade) {
        // Of several lines, as a key, each is one.
        let lines = secret.expose_secret().lines().map(str::trim);
        for line in lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----")) {
            if shown.contains(line) {
                shown = Cow::Owned(shown.replace(line, HIDDEN));
            }
        }
    }
    shown
}

/// Writes what is written to it at once without secrets.
pub struct Redacting<W>(pub W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(redacted(text).as_bytes())?,
            // It is ours, and all that is ours is text.
            Err(_) => self.0.write_all(redacted(&String::from_utf8_lossy(bytes)).as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
pub struct Variables(Arc<HeldVariables>);

#[derive(Default)]
struct HeldVariables {
    all: BTreeMap<String, String>,
    /// Held so that they are known: not all of them are used.
    _secrets: Vec<Secret>,
}

impl Variables {
    /// A variable that is set to something.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.all.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let all: BTreeMap<String, String> = variables.into_iter().collect();
        let is_secret = |(name, value): &(&String, &String)| {
            // One that is a path leads to the secret.
            let is_plain = value.len() < SHORTEST_OF_VARIABLES
                || value.starts_with('/')
                || !value.contains(|c: char| c.is_ascii_digit());
            OF_SECRETS.iter().any(|end| name.ends_with(end)) && !is_plain
        };
        let secrets = all.iter().filter(is_secret);
        let secrets = secrets.map(|(_, value)| Secret::from(value.clone())).collect();
        Self(Arc::new(HeldVariables { all, _secrets: secrets }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_never_shown() {
        let key = "-----BEGIN KEY-----\nbGluZSBvbmUgb2YgYSBrZXk1=\n-----END KEY-----\n";
        let variables = [
            ("MY_TOKEN", "s3cret-of-the-environment"),
            ("KEY_FILE_TOKEN", "/run/secrets/token"),
            ("SHORT_TOKEN", "main"),
            ("SORT_KEY", "environment-and-repository"),
            ("SIGNING_KEY", key),
            ("PLAIN", "nothing-to-hide"),
        ];
        let variables: Variables =
            variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let passing = Secret::from("t0ken-that-goes".to_owned());
        let text = "s3cret-of-the-environment t0ken-that-goes /run/secrets/token main environment-and-repository nothing-to-hide bGluZSBvbmUgb2YgYSBrZXk1= -----BEGIN KEY-----";
        let want = "*** *** /run/secrets/token main environment-and-repository nothing-to-hide *** -----BEGIN KEY-----";
        assert_eq!(redacted(text), want);
        let mut out = Vec::new();
        write!(Redacting(&mut out), "{text}").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), want);
        drop((variables, passing));
        assert_eq!(redacted(text), text);
    }

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

//! Reads what a candidate must prove beside its rank: its age, its platforms, its signature.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use regex::Regex;

use super::raw::{RawCosign, RawImage};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Platform;

/// What must hold for a candidate before it is written anywhere.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// How long it must have been known.
    pub min_age: Option<SignedDuration>,
    /// What it must run on.
    pub platforms: Vec<Platform>,
    /// Who must have signed it.
    pub signer: Option<Signer>,
}

/// Who must have signed an image, with cosign.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The owner of a key.
    Key {
        /// The path of the public key in the config repository.
        path: String,
    },
    /// Somebody whom an identity provider vouches for.
    Keyless {
        /// The subject of the certificate.
        identity: Identity,
        /// The identity provider's URL.
        issuer: String,
    },
}

/// The subject of a signing certificate.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Exactly this.
    Exact(String),
    /// What this regular expression matches whole.
    Matching(Regex),
}

/// A problem and the keys below the policy that lead to it.
type CheckProblem = (&'static [&'static str], Diagnostic);

impl Checks {
    /// Whether the digest of a candidate has to be known before it may be chosen.
    #[must_use]
    pub fn need_digest(&self) -> bool {
        self.min_age.is_some() || !self.platforms.is_empty() || self.signer.is_some()
    }
}

impl Identity {
    /// Whether a certificate's subject is meant.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == subject,
            Self::Matching(regex) => {
                regex.find(subject).is_some_and(|found| found.as_str() == subject)
            }
        }
    }
}

/// The checks of a policy, and every problem of them.
pub(super) fn read(raw: &RawImage) -> (Checks, Vec<CheckProblem>) {
    let mut problems: Vec<CheckProblem> = Vec::new();
    let min_age = raw.min_age.as_deref().and_then(|text| {
        duration(text).map_err(|why| problems.push((&["minAge"], invalid(&why, AGE_HELP)))).ok()
    });
    let mut platforms = Vec::new();
    for text in &raw.platforms {
        match Platform::parse(text) {
            Some(platform) => platforms.push(platform),
            None => {
                let why = format!("`{}` is not a platform", text.escape_debug());
                problems
                    .push((&["platforms"], invalid(&why, "as in `linux/amd64`, `linux/arm/v7`")));
            }
        }
    }
    let signer = raw.verify.as_ref().and_then(|verify| {
        let keys: &'static [&'static str] = &["verify", "cosign"];
        signer(&verify.cosign).map_err(|problem| problems.push((keys, problem))).ok()
    });
    (Checks { min_age, platforms, signer }, problems)
}

const AGE_HELP: &str = "as in `3d`, `36h`, `1w`";

/// The longest age that can be asked for: a hundred years.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// Reads a duration of weeks, days (of 24 hours), hours, minutes and seconds.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let not = |_error| format!("`{}` is not a duration, as in `36h` or `3d`", text.escape_debug());
    let span: Span = text.parse().map_err(not)?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_error| format!("`{}` has no fixed length", text.escape_debug()))?;
    if duration.is_negative() || duration > MAX_AGE {
        return Err(format!("`{}` is out of reason", text.escape_debug()));
    }
    Ok(duration)
}

fn signer(raw: &RawCosign) -> Result<Signer, Diagnostic> {
    let help = "write `key`, or `issuer` with one of `identity` and `identityMatch`";
    let identity = match (&raw.identity, &raw.identity_match) {
        (Some(exact), None) => Some(Identity::Exact(exact.clone())),
        (None, Some(pattern)) => {
            let regex = super::tags::compile(pattern)?;
            // Alternatives must not match a part of the subject by being tried first.
            let anchored = Regex::new(&format!("^(?:{})$", regex.as_str()));
            Some(Identity::Matching(anchored.unwrap_or(regex)))
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(invalid("`identity` and `identityMatch` are both given", help));
        }
    };
    match (&raw.key, identity, &raw.issuer) {
        (Some(path), None, None) => {
            let inside = !path.starts_with('/') && path.split('/').all(|part| part != "..");
            if !inside || path.is_empty() {
                let why = format!("`{}` is not a path in the repository", path.escape_debug());
                return Err(invalid(&why, "name the public key's file from the root"));
            }
            let path = path.strip_prefix("./").unwrap_or(path).to_owned();
            Ok(Signer::Key { path })
        }
        (None, Some(identity), Some(issuer)) => {
            Ok(Signer::Keyless { identity, issuer: issuer.clone() })
        }
        (None, None, None) => Err(invalid("`cosign` does not say whose signature counts", help)),
        (None, _, _) => Err(invalid("a keyless signature needs an identity and an issuer", help)),
        (Some(_), _, _) => Err(invalid("`key` and a keyless identity are both given", help)),
    }
}

fn invalid(why: &str, help: &str) -> Diagnostic {
    Diagnostic::error(Code::PolicyInvalidValue, why).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_fixed_lengths() {
        let hours = |n| Ok(SignedDuration::from_hours(n));
        let cases = [
            ("3d", hours(72)),
            ("36h", hours(36)),
            ("1w", hours(168)),
            ("1d12h", hours(36)),
            ("0s", hours(0)),
            ("3", Err("`3` is not a duration, as in `36h` or `3d`")),
            ("soon", Err("`soon` is not a duration, as in `36h` or `3d`")),
            ("1mo", Err("`1mo` has no fixed length")),
            ("-3d", Err("`-3d` is out of reason")),
            ("5000000h", Err("`5000000h` is out of reason")),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text), want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn an_identity_is_matched_whole() {
        let raw = RawCosign {
            key: None,
            identity: None,
            identity_match: Some("https://github.com/acme/.*|me".into()),
            issuer: Some("https://x".into()),
        };
        let Ok(Signer::Keyless { identity, .. }) = signer(&raw) else { panic!("keyless") };
        assert!(identity.matches("https://github.com/acme/shop") && identity.matches("me"));
        assert!(!identity.matches("https://github.com.evil/acme/shop"));
        assert!(!identity.matches("https://x?https://github.com/acme/shop"));
        assert!(!identity.matches("mellow"));
    }
}

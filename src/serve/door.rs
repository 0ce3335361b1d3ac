//! Who may ring: a webhook is let in when its sender proves itself, and is a hint even then.
//!
//! GitHub signs the body (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>); its SHA-1
//! signature does not count. Forgejo and Gitea sign the body as well. GitLab sends a token, or signs identifier, time and body by a signing token
//! (<https://docs.gitlab.com/user/project/integrations/webhooks/>, by <https://www.standardwebhooks.com/>). Most registries send one fixed header; Docker Hub and Quay nothing at all, so that the secret
//! is the end of the path. Google sends a token (<https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::room::Room;
use super::schedule::SinceStart;
use crate::policy::{HookKind, Webhook};
use crate::secret::{Secret, Variables};

/// A shorter secret can be guessed.
const LEAST: usize = 16;

/// The largest body: what matters of one has a few kilobytes.
pub(super) const MOST: usize = 1 << 20;

/// So many bodies are read at once at one door.
const AT_ONCE: usize = 64;

/// The body of a sender is there sooner.
const FAST: Duration = Duration::from_secs(1);

/// Deliveries are remembered for so long, and no more than so many.
const REMEMBERED: (Duration, usize) = (Duration::from_hours(24), 10_000);

/// A place for webhooks, with its secrets.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) hook: Webhook,
    secrets: Vec<Secret>,
    /// How many bodies are read at once; each door has room of its own.
    pub(super) room: Arc<Room>,
}

/// Why a door cannot be opened at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DoorError {
    #[error("the secret file {0} of {1} cannot be read: {2}")]
    Unreadable(String, String, String),
    #[error("the variable {0} with the secret of {1} is not set")]
    Unset(String, String),
    #[error("a secret of {0} has less than {LEAST} bytes; `openssl rand -hex 32` makes a good one")]
    Weak(String),
}

impl Door {
    /// Reads the secrets of a place.
    pub(super) fn open(hook: &Webhook, variables: &Variables) -> Result<Self, DoorError> {
        let path = || hook.path.clone();
        let (files, names) = &hook.secrets;
        let mut secrets = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file);
            let text =
                text.map_err(|e| DoorError::Unreadable(file.clone(), path(), e.to_string()))?;
            secrets.push(text.trim().to_owned());
        }
        for name in names {
            let value =
                variables.get(name).ok_or_else(|| DoorError::Unset(name.clone(), path()))?;
            secrets.push(value.trim().to_owned());
        }
        if secrets.iter().any(|secret| secret.len() < LEAST) {
            return Err(DoorError::Weak(path()));
        }
        let secrets = secrets.into_iter().map(Secret::from).collect();
        Ok(Self { hook: hook.clone(), secrets, room: Room::of(AT_ONCE, FAST) })
    }

    /// Adds what makes this door another one, its secrets among it.
    pub(super) fn identify(&self, hash: &mut Sha256) {
        hash.update(self.hook.path.as_bytes());
        for secret in &self.secrets {
            hash.update(Sha256::digest(secret.expose()));
        }
    }

    /// What of a path is behind this door's; `None` for another path.
    pub(super) fn behind<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.hook.path.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
    }

    /// Whether the secret is in the path.
    fn is_by_path(&self) -> bool {
        matches!(self.hook.kind, HookKind::DockerHub | HookKind::Quay)
    }

    /// Whether the sender proves itself by the body, so that it has to be read first.
    pub(super) fn is_by_body(&self) -> bool {
        use HookKind::{Forgejo, GitHub, GitLab, Gitea};
        matches!(self.hook.kind, GitHub | GitLab | Forgejo | Gitea)
    }

    /// Whether the sender knows a secret. Google's tokens are looked at elsewhere.
    pub(super) fn admits(&self, behind: &str, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if self.is_by_path() {
            return self.knows(behind);
        }
        if !behind.is_empty() {
            return false;
        }
        match self.hook.kind {
            HookKind::GitHub => {
                let signature =
                    header("x-hub-signature-256").and_then(|text| text.strip_prefix("sha256="));
                signature.and_then(bytes).is_some_and(|signature| self.signed(body, &signature))
            }
            HookKind::Forgejo | HookKind::Gitea => {
                let signature = header("x-forgejo-signature").or(header("x-gitea-signature"));
                signature.and_then(bytes).is_some_and(|signature| self.signed(body, &signature))
            }
            HookKind::GitLab => match header("webhook-signature") {
                // What is signed is judged by that alone, also where there is a token beside it.
                Some(signatures) => {
                    let part = |name: &str| header(name).unwrap_or_default();
                    let text = format!("{}.{}.", part("webhook-id"), part("webhook-timestamp"));
                    self.is_standard(signatures, &[text.as_bytes(), body].concat())
                }
                None => header("x-gitlab-token").is_some_and(|token| self.knows(token)),
            },
            HookKind::PubSub => false,
            _ => {
                let given = header(&self.hook.header).unwrap_or_default().trim();
                self.knows(given)
                    || given.strip_prefix("Bearer ").is_some_and(|rest| self.knows(rest))
            }
        }
    }

    /// Compares by hashes, so that time tells nothing, not even a length.
    fn knows(&self, given: &str) -> bool {
        let given = Sha256::digest(given);
        let same = |secret: &Secret| given.ct_eq(&Sha256::digest(secret.expose()));
        self.secrets.iter().map(same).fold(0, |any, same| any | same.unwrap_u8()) == 1
    }

    /// True if one of the signatures, each `v1,` and base64, is by one of the secrets.
    fn is_standard(&self, signatures: &str, text: &[u8]) -> bool {
        let given = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let given: Vec<Vec<u8>> = given.filter_map(|one| STANDARD.decode(one).ok()).collect();
        self.secrets.iter().any(|secret| {
            let secret = secret.expose();
            let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
            let mac = Hmac::<Sha256>::new_from_slice(key.as_deref().unwrap_or(secret.as_bytes()));
            let Ok(mac) = mac.map(|mac| mac.chain_update(text)) else { return false };
            given.iter().any(|given| mac.clone().verify_slice(given).is_ok())
        })
    }

    fn signed(&self, body: &[u8], signature: &[u8]) -> bool {
        self.secrets.iter().any(|secret| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
            mac.is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
        })
    }
}

/// Hexadecimal digits as bytes.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pair = |index: usize| u8::from_str_radix(hex.get(index..index + 2)?, 16).ok();
    (hex.len().is_multiple_of(2) && hex.is_ascii())
        .then(|| (0..hex.len()).step_by(2).map(pair).collect())?
}

/// Deliveries that came already.
#[derive(Default)]
pub(super) struct SeenDeliveries {
    order: VecDeque<(SinceStart, String)>,
    all: BTreeSet<String>,
}

impl SeenDeliveries {
    /// Whether a delivery came already.
    pub(super) fn has(&self, id: &str) -> bool {
        self.all.contains(id)
    }

    /// Remembers a delivery that was taken.
    pub(super) fn take(&mut self, id: String, now: SinceStart) {
        let (long, many) = REMEMBERED;
        while let Some((at, _)) = self.order.front()
            && (*at + long < now || self.order.len() >= many)
        {
            if let Some((_, id)) = self.order.pop_front() {
                self.all.remove(&id);
            }
        }
        if self.all.insert(id.clone()) {
            self.order.push_back((now, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(kind: HookKind, secrets: &[&str]) -> Door {
        let names: Vec<String> = (0..secrets.len()).map(|index| format!("S{index}")).collect();
        let variables =
            names.iter().cloned().zip(secrets.iter().map(|secret| (*secret).to_owned())).collect();
        let hook = Webhook {
            kind,
            path: "/hooks/x".to_owned(),
            secrets: (Vec::new(), names),
            header: "authorization".to_owned(),
            registry: None,
            google: None,
        };
        Door::open(&hook, &variables).unwrap()
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// GitHub's published example
    /// (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation>).
    const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn github_signs_the_body() {
        let door = door(HookKind::GitHub, &["the last one, before", "It's a Secret to Everybody"]);
        let admits = |signature: &str, body: &[u8]| {
            door.admits("", &headers(&[("x-hub-signature-256", signature)]), body)
        };
        assert!(admits(GITHUB, b"Hello, World!"));
        assert!(!admits(GITHUB, b"Hello, World?"));
        assert!(!admits(&GITHUB[..GITHUB.len() - 2], b"Hello, World!"));
        assert!(!admits("sha256=", b"Hello, World!"));
        assert!(!admits("sha256=zz", b"Hello, World!"));
        assert!(!admits("sha256=\u{e4}a", b"Hello, World!"));
        // The old signature counts for nothing.
        let old = headers(&[("x-hub-signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")]);
        assert!(!door.admits("", &old, b"Hello, World!"));
        assert!(!door.admits("x", &headers(&[("x-hub-signature-256", GITHUB)]), b"Hello, World!"));
    }

    #[test]
    fn forgejo_and_gitea_sign_the_body_without_a_prefix() {
        let signature = GITHUB.strip_prefix("sha256=").unwrap();
        for (kind, name) in [
            (HookKind::Forgejo, "x-forgejo-signature"),
            (HookKind::Forgejo, "x-gitea-signature"),
            (HookKind::Gitea, "x-gitea-signature"),
        ] {
            let door = door(kind, &["It's a Secret to Everybody"]);
            let admits = |given: &str, body: &[u8]| {
                door.admits("", &headers(&[(name, given)]), body) && door.is_by_body()
            };
            assert!(admits(signature, b"Hello, World!"));
            assert!(!admits(signature, b"Hello, World?") && !admits("", b"Hello, World!"));
            assert!(!admits(GITHUB, b"Hello, World!"));
            assert!(!door.admits("", &HeaderMap::new(), b"Hello, World!"));
        }
    }

    /// The example of the specification's libraries
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/python/tests/test_webhooks.py>).
    #[test]
    fn gitlab_sends_a_token_or_signs_by_the_standard() {
        let token = door(HookKind::GitLab, &["0123456789abcdef"]);
        let admits =
            |all: &[(&'static str, &str)], body: &[u8]| token.admits("", &headers(all), body);
        assert!(admits(&[("x-gitlab-token", "0123456789abcdef")], b"{}"));
        assert!(!admits(&[("x-gitlab-token", "0123456789abcdeX")], b"{}"));
        assert!(!admits(&[("authorization", "0123456789abcdef")], b"{}") && !admits(&[], b"{}"));
        let signing = door(
            HookKind::GitLab,
            &["another one, before", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        );
        let signed = |id: &str, signature: &str, body: &[u8]| {
            let all = [
                ("webhook-id", id),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", signature),
            ];
            signing.admits("", &headers(&all), body)
        };
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(signed(id, signature, body));
        assert!(signed(id, &format!("v1,bm9wZQ== {signature}"), body));
        assert!(!signed("msg_x", signature, body) && !signed(id, signature, b"{}"));
        assert!(!signed(id, "v1,", body) && !signed(id, &signature.replace("v1", "v2"), body));
        // A token beside a wrong signature lets nobody in.
        let both = [("webhook-signature", "v1,bm9wZQ=="), ("x-gitlab-token", "0123456789abcdef")];
        assert!(!admits(&both, b"{}"));
    }

    #[test]
    fn others_send_a_header_or_come_by_a_secret_path() {
        let secret = "0123456789abcdef";
        let harbor = door(HookKind::Harbor, &[secret]);
        let admits = |value: &str| harbor.admits("", &headers(&[("authorization", value)]), b"{}");
        assert!(admits(secret) && admits(&format!("Bearer {secret}")));
        assert!(!admits("") && !admits("0123456789abcde") && !admits("0123456789abcdef0"));
        assert!(!harbor.admits(secret, &HeaderMap::new(), b"{}"));
        let hub = door(HookKind::DockerHub, &[secret]);
        assert_eq!(hub.behind("/hooks/x/0123456789abcdef"), Some(secret));
        assert_eq!(hub.behind("/hooks/xyz"), None);
        assert!(hub.admits(secret, &HeaderMap::new(), b"{}"));
        assert!(!hub.admits("", &HeaderMap::new(), b"{}"));
        assert!(!door(HookKind::PubSub, &[]).admits("", &HeaderMap::new(), b"{}"));
    }

    #[test]
    fn a_weak_or_missing_secret_opens_nothing() {
        let hook = |names: &[&str], files: &[&str]| Webhook {
            secrets: (
                files.iter().map(|file| (*file).to_owned()).collect(),
                names.iter().map(|name| (*name).to_owned()).collect(),
            ),
            ..door(HookKind::Harbor, &["0123456789abcdef"]).hook
        };
        let variables: Variables =
            [("WEAK".to_owned(), "0123456789abcde".to_owned())].into_iter().collect();
        let open = |hook: &Webhook| Door::open(hook, &variables).err().map(|why| why.to_string());
        assert!(open(&hook(&["WEAK"], &[])).unwrap().contains("less than 16 bytes"));
        assert!(open(&hook(&["NONE"], &[])).unwrap().contains("is not set"));
        assert!(open(&hook(&[], &["/nowhere"])).unwrap().contains("cannot be read"));
    }

    #[test]
    fn a_delivery_counts_once_in_a_day() {
        let mut seen = SeenDeliveries::default();
        let at = SinceStart::from_secs;
        assert!(!seen.has("a"));
        seen.take("a".into(), at(0));
        assert!(seen.has("a"));
        seen.take("b".into(), at(86_500));
        assert!(!seen.has("a") && seen.has("b"));
        for index in 0..20_000 {
            seen.take(format!("{index}"), at(86_600));
        }
        assert!(seen.all.len() <= 10_000 && seen.order.len() == seen.all.len());
    }
}

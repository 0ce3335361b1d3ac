//! The tokens that Google's Pub/Sub pushes with
//! (<https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>).
//!
//! Google signs tokens for anybody's service account and any audience, so that the account decides; a receiver that did not
//! look at it was open to all (<https://github.com/fluxcd/notification-controller/security/advisories/GHSA-h9cx-xjg6-5v2w>).

use std::time::{Duration, Instant};

use http::HeaderMap;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::policy::{PushAccount, Webhook};

/// Where Google's keys are.
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Keys change within days, and are not asked for more often than this when a token has an unknown one.
const LEAST: Duration = Duration::from_mins(1);

/// Google's keys, as they were last.
#[derive(Default)]
pub(super) struct Google {
    keys: Mutex<Option<(Instant, JwkSet)>>,
}

#[derive(Deserialize)]
struct IdTokenClaims {
    email: String,
    email_verified: bool,
}

impl Google {
    /// Whether a request is from the service account that the webhook names.
    pub(super) async fn admits(&self, hook: &Webhook, headers: &HeaderMap) -> bool {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        let Some(token) = token.and_then(|value| value.strip_prefix("Bearer ")) else {
            return false;
        };
        let Ok(Some(id)) = decode_header(token).map(|header| header.kid) else { return false };
        let Some((keys, google)) = self.keys(&id).await.zip(hook.google.as_ref()) else {
            return false;
        };
        is_from(token, &keys, &id, google)
    }

    /// The keys, asked for anew when this one is not among them.
    async fn keys(&self, id: &str) -> Option<JwkSet> {
        let mut known = self.keys.lock().await;
        if let Some((at, keys)) = known.as_ref()
            && (keys.find(id).is_some() || at.elapsed() < LEAST)
        {
            return Some(keys.clone());
        }
        let client =
            crate::http::client("www.googleapis.com").timeout(Duration::from_secs(5)).build();
        let keys = async { client.ok()?.get(KEYS).send().await.ok()?.json::<JwkSet>().await.ok() };
        // What cannot be fetched, or whose sender is gone before it is, is not asked for again at once, either.
        let none = || JwkSet { keys: Vec::new() };
        let before = known.as_ref().map_or_else(none, |(_, keys)| keys.clone());
        *known = Some((Instant::now(), before.clone()));
        let keys = keys.await.unwrap_or(before);
        *known = Some((Instant::now(), keys.clone()));
        Some(keys)
    }
}

/// Whether a token is of this audience and account, and signed with one of the keys.
fn is_from(
    token: &str,
    keys: &JwkSet,
    id: &str,
    PushAccount { audience, account }: &PushAccount,
) -> bool {
    let Some(key) = keys.find(id).and_then(|key| DecodingKey::from_jwk(key).ok()) else {
        return false;
    };
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&ISSUERS);
    rules.set_required_spec_claims(&["exp", "aud", "iss"]);
    let claims = decode::<IdTokenClaims>(token, &key, &rules).map(|token| token.claims);
    claims.is_ok_and(|claims| claims.email_verified && claims.email == *account)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    /// A key of RSA, and the set that holds its public part.
    fn key() -> (String, JwkSet) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        // A sequence of two numbers: modulus and exponent (RFC 8017, A.1.1).
        let der = pair.public_key_raw();
        let length = usize::from(der[6]) << 8 | usize::from(der[7]);
        let (n, e) = (&der[8..8 + length], &der[8 + length + 2..]);
        let set = json!({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k",
            "n": BASE64.encode(n.strip_prefix(&[0]).unwrap_or(n)), "e": BASE64.encode(e)}]});
        (pair.serialize_pem(), serde_json::from_value(set).unwrap())
    }

    #[test]
    fn only_the_account_that_is_named_comes_in() {
        let (pem, keys) = key();
        let (other, _) = key();
        let google = PushAccount {
            audience: "https://acme.io/hooks/gcr".to_owned(),
            account: "push@acme.iam.gserviceaccount.com".to_owned(),
        };
        let claims = json!({"iss": ISSUERS[0], "aud": google.audience, "email": google.account, "email_verified": true,
            "exp": 4_000_000_000_u64});
        let token = |pem: &str, change: (&str, Value)| {
            let mut claims = claims.clone();
            claims[change.0] = change.1;
            let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::RS256) };
            encode(&header, &claims, &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()).unwrap()
        };
        let is_in = |token: &str| is_from(token, &keys, "k", &google);
        assert!(is_in(&token(&pem, ("iss", json!(ISSUERS[1])))));
        for change in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("https://acme.io/hooks/other")),
            ("email", json!("push@evil.iam.gserviceaccount.com")),
            ("email", Value::Null),
            ("email_verified", json!(false)),
            ("exp", json!(1_000_000_000)),
            ("exp", Value::Null),
        ] {
            assert!(!is_in(&token(&pem, change.clone())), "{change:?}");
        }
        assert!(!is_in(&token(&other, ("x", json!(1)))));
        // A token that is signed with the public key as a password is none.
        let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::HS256) };
        let forged = encode(&header, &claims, &EncodingKey::from_secret(b"k")).unwrap();
        assert!(!is_in(&forged) && !is_in("x.y.z") && !is_in(""));
    }
}

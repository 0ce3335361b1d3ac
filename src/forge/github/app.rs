//! A [GitHub App](https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app)
//! signs in: its key makes a short-lived proof, which the installation on one repository turns into a
//! token for that repository alone.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::{ACCEPT, DATE, HeaderMap};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::forge::ForgeFault;
use crate::http;
use crate::repo_id::RepoId;
use crate::secret::Secret;
use crate::settings::{App, ForgeSettings};

/// GitHub refuses proofs of a time to come, so they begin a minute ago, in seconds.
const BACK: i64 = 60;

/// GitHub refuses proofs that last longer than ten minutes, in seconds.
const LIFE: i64 = 9 * 60;

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// What the proof says.
#[derive(Serialize)]
struct AppClaims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct InstallationToken {
    token: String,
}

/// A token of the app for one repository, which lasts an hour.
///
/// # Errors
/// When the key signs nothing, the app is not installed there, or GitHub cannot be reached.
pub async fn sign_in(
    settings: &ForgeSettings,
    app: &App,
    of: &RepoId,
    now: Timestamp,
) -> Result<Secret, ForgeFault> {
    let client = http::client(settings.api_url.authority()).timeout(super::TIMEOUT).build();
    let client = client.map_err(|error| ForgeFault::Unavailable(error.to_string()))?;
    let base = settings.api_url.as_str().trim_end_matches('/');
    let at = format!("{base}/repos/{of}/installation");
    let mut proof = proof(app, now)?;
    let mut answer = get(&client, &at, &proof).await?;
    // A clock that is wrong here is right there.
    if let (StatusCode::UNAUTHORIZED, Some(there)) = (answer.status(), date(answer.headers())) {
        proof = self::proof(app, there)?;
        answer = get(&client, &at, &proof).await?;
    }
    let installation: Installation = match answer.status() {
        StatusCode::NOT_FOUND => return Err(ForgeFault::NotInstalled(of.to_string())),
        StatusCode::UNAUTHORIZED => return Err(ForgeFault::BadApp),
        _ => read(answer).await?,
    };
    let at = format!("{base}/app/installations/{}/access_tokens", installation.id);
    // What the run needs and no more; an app that may do less gets what it has.
    let narrow = json!({"repositories": [of.name()], "permissions": {
        "contents": "write", "pull_requests": "write", "checks": "read", "statuses": "read",
    }});
    let mut answer = post(&client, &at, &proof, &narrow).await?;
    if answer.status() == StatusCode::UNPROCESSABLE_ENTITY {
        answer = post(&client, &at, &proof, &json!({"repositories": [of.name()]})).await?;
    }
    let token: InstallationToken = read(answer).await?;
    Ok(token.token.into())
}

fn proof(app: &App, now: Timestamp) -> Result<Secret, ForgeFault> {
    let at = now.as_second();
    let claims = AppClaims { iat: at - BACK, exp: at + LIFE, iss: &app.id };
    let key = EncodingKey::from_rsa_pem(app.key.expose().as_bytes());
    let signed =
        key.and_then(|key| jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key));
    signed.map(Secret::from).map_err(|_error| ForgeFault::BadApp)
}

async fn get(client: &Client, at: &str, proof: &Secret) -> Result<Response, ForgeFault> {
    sent(client.get(at).bearer_auth(proof.expose())).await
}

async fn post(
    client: &Client,
    at: &str,
    proof: &Secret,
    body: &Value,
) -> Result<Response, ForgeFault> {
    sent(client.post(at).bearer_auth(proof.expose()).json(body)).await
}

async fn sent(request: reqwest::RequestBuilder) -> Result<Response, ForgeFault> {
    let answer = request.header(ACCEPT, "application/vnd.github+json").send().await;
    answer.map_err(|error| ForgeFault::Unavailable(error.without_url().to_string()))
}

async fn read<T: serde::de::DeserializeOwned>(mut answer: Response) -> Result<T, ForgeFault> {
    let status = answer.status();
    if !status.is_success() {
        return Err(ForgeFault::Unavailable(format!("the app cannot sign in ({status})")));
    }
    let failed = |error: reqwest::Error| ForgeFault::Unavailable(error.without_url().to_string());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    let unread = || ForgeFault::Unavailable("the answer to the app cannot be read".to_owned());
    serde_json::from_slice(&body).map_err(|_error| unread())
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

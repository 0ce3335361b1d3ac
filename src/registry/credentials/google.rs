//! Google's identities: Application Default Credentials
//! (<https://cloud.google.com/docs/authentication/application-default-credentials>). A registry takes
//! the access token as a password
//! (<https://cloud.google.com/artifact-registry/docs/docker/authentication#token>).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use super::cloud::{self, Missing};
use super::{Credential, FoundCredential};
use crate::registry::page::read_capped;
use crate::secret::{Secret, Variables};

const USER: &str = "oauth2accesstoken";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const METADATA: &str = "metadata.google.internal";

/// The largest token of another side, in bytes.
const MAX_SUBJECT: usize = 1 << 20;

/// How long a signed request for a token counts, in seconds.
const ASSERTION_LIFE: i64 = 600;

/// A file with an identity.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum CredentialFile {
    ServiceAccount(ServiceAccount),
    AuthorizedUser(AuthorizedUser),
    ExternalAccount(ExternalAccount),
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct AuthorizedUser {
    client_id: String,
    client_secret: String,
    refresh_token: String,
}

/// Workload identity federation
/// (<https://google.aip.dev/auth/4117>).
#[derive(Deserialize)]
struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: SubjectTokenSource,
}

/// Where the token of the other side is.
#[derive(Deserialize)]
struct SubjectTokenSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    format: Option<SubjectTokenFormat>,
}

#[derive(Deserialize)]
struct SubjectTokenFormat {
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
struct GoogleToken {
    access_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
}

#[derive(Serialize)]
struct AssertionClaims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

/// The login for Google's registries; `None` where there is no identity.
///
/// # Errors
/// When there is one, and it is not given a token.
pub(super) async fn login(
    variables: &Variables,
    now: Timestamp,
) -> Result<Option<FoundCredential>, String> {
    let (token, origin) = match file(variables)? {
        Some((path, text)) => {
            let shown = path.display().to_string();
            let identity = serde_json::from_slice(&text).map_err(|_error| {
                format!("{shown}: neither a service account, nor a user, nor an external account of Google's")
            })?;
            let token = match identity {
                CredentialFile::ServiceAccount(account) => account.token(now).await,
                CredentialFile::AuthorizedUser(user) => user.token().await,
                CredentialFile::ExternalAccount(account) => account.token().await,
            };
            (token.map_err(|why| format!("{shown}: {why}"))?, shown)
        }
        None => match metadata(variables).await? {
            Some(token) => (token, "the machine's service account".to_owned()),
            None => return Ok(None),
        },
    };
    let credential = Credential::Password(USER.to_owned(), Secret::from(token));
    Ok(Some(FoundCredential { credential, origin }))
}

/// The file that a variable names, or the one that `gcloud auth application-default login` writes.
fn file(variables: &Variables) -> Result<Option<(PathBuf, Vec<u8>)>, String> {
    let named = variables.get("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
    let config = variables.get("CLOUDSDK_CONFIG").map(PathBuf::from);
    let home = || variables.get("HOME").map(|home| Path::new(home).join(".config/gcloud"));
    let usual = config.or_else(home).map(|dir| dir.join("application_default_credentials.json"));
    let is_named = named.is_some();
    let Some(path) = named.or(usual) else { return Ok(None) };
    match std::fs::read(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if is_named || error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", path.display()))
        }
        Err(_absent) => Ok(None),
    }
}

/// The token of the machine's service account, on Google's own machines.
async fn metadata(variables: &Variables) -> Result<Option<String>, String> {
    let host = variables.get("GCE_METADATA_HOST").unwrap_or(METADATA);
    let at = "computeMetadata/v1/instance/service-accounts/default/token";
    let url = cloud::url(&format!("http://{host}/{at}"))?;
    let request = cloud::client(&url)?.get(url).header("metadata-flavor", "Google");
    let is_guess = variables.get("GCE_METADATA_HOST").is_none();
    let who = "Google's metadata server";
    match cloud::ask_if_there::<GoogleToken>(who, request, is_guess).await {
        Ok(token) => Ok(Some(token.access_token)),
        Err(Missing::NotHere) => Ok(None),
        Err(Missing::Refused(why)) => Err(why),
    }
}

impl ServiceAccount {
    async fn token(&self, now: Timestamp) -> Result<String, String> {
        let url = cloud::url(self.token_uri.as_deref().unwrap_or(TOKEN_URL))?;
        let (iss, aud, iat) = (self.client_email.as_str(), url.as_str(), now.as_second());
        let claims = AssertionClaims { iss, scope: SCOPE, aud, iat, exp: iat + ASSERTION_LIFE };
        let key = EncodingKey::from_rsa_pem(self.private_key.as_bytes());
        let key = key.map_err(|_error| "its private key is no RSA key in PEM")?;
        let header = Header { kid: self.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        let assertion = jsonwebtoken::encode(&header, &claims, &key);
        let assertion = assertion.map_err(|_error| "its private key does not sign")?;
        let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        exchange(&url, &[("grant_type", kind), ("assertion", &assertion)]).await
    }
}

impl AuthorizedUser {
    async fn token(&self) -> Result<String, String> {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("refresh_token", &self.refresh_token),
        ];
        exchange(&cloud::url(TOKEN_URL)?, &pairs).await
    }
}

impl ExternalAccount {
    async fn token(&self) -> Result<String, String> {
        let subject = self.credential_source.token().await?;
        let pairs = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", &self.audience),
            ("scope", SCOPE),
            ("subject_token_type", &self.subject_token_type),
            ("subject_token", &subject),
        ];
        let token = exchange(&cloud::url(&self.token_url)?, &pairs).await?;
        let Some(url) = &self.service_account_impersonation_url else { return Ok(token) };
        let url = cloud::url(url)?;
        let request = cloud::client(&url)?.post(url).json(&serde_json::json!({"scope": [SCOPE]}));
        let request = match crate::http::bearer(&Secret::from(token)) {
            Some(header) => request.header("authorization", header),
            None => request,
        };
        let who = "Google's service account";
        let answer: Impersonated = cloud::ask(who, request).await.map_err(|why| why.of(who))?;
        Ok(answer.access_token)
    }
}

impl SubjectTokenSource {
    async fn token(&self) -> Result<String, String> {
        let text = match (&self.file, &self.url) {
            (Some(file), _) => std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?,
            (None, Some(url)) => {
                let url = cloud::url(url)?;
                let mut request = cloud::client(&url)?.get(url);
                for (name, value) in &self.headers {
                    request = request.header(name, value);
                }
                let failed = || "the source of the subject token does not give it".to_owned();
                let answer = request.send().await.map_err(|_error| failed())?;
                let answer = answer.error_for_status().map_err(|_error| failed())?;
                let body = read_capped(answer, MAX_SUBJECT).await.map_err(|_error| failed())?;
                String::from_utf8(body).map_err(|_error| failed())?
            }
            (None, None) => {
                return Err(
                    "subject tokens come from a file or an address here; no program is run"
                        .to_owned(),
                );
            }
        };
        let field =
            self.format.as_ref().and_then(|format| format.subject_token_field_name.as_ref());
        let Some(field) = field else { return Ok(text.trim().to_owned()) };
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let token = json.get(field).and_then(serde_json::Value::as_str).map(str::to_owned);
        token.ok_or_else(|| "the subject token is not where the file says".to_owned())
    }
}

async fn exchange(url: &url::Url, pairs: &[(&str, &str)]) -> Result<String, String> {
    let who = "Google's token service";
    let request = cloud::form(cloud::client(url)?.post(url.clone()), pairs);
    let token: GoogleToken = cloud::ask(who, request).await.map_err(|why| why.of(who))?;
    Ok(token.access_token)
}

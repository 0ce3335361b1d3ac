//! Amazon's identities, and the logins that its registries give for them
//! (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>).

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use bytes::Bytes;
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential as AwsCredential,
    ECSCredentialProvider, EnvCredentialProvider, IMDSv2CredentialProvider,
    ProfileCredentialProvider, RequestSigner, SSOCredentialProvider,
};
use reqsign_core::{
    Context, Env, Error, FileRead, HttpSend, ProvideCredential as _, ProvideCredentialDyn,
    SignRequest as _,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Credential, FoundCredential, cloud};
use crate::registry::kind::Ecr;
use crate::registry::page::read_capped;
use crate::secret::{Secret, Variables};

/// The public registry has its service in one region
/// (<https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>).
const PUBLIC: &str = "https://api.ecr-public.us-east-1.amazonaws.com/";

/// The largest answer of a service, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Variables of which one is set where an identity is meant to be used.
const HINTS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// A service that gives logins.
struct LoginService {
    /// What requests are signed for.
    name: &'static str,
    region: String,
    target: &'static str,
    url: Url,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginAnswer {
    authorization_data: LoginData,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LoginData {
    Many(Vec<Authorization>),
    One(Authorization),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: String,
}

/// The login at a private registry; `None` where there is no identity.
///
/// # Errors
/// When there is one, and it is not given a login.
pub(super) async fn private(
    ecr: &Ecr,
    variables: &Variables,
) -> Result<Option<FoundCredential>, String> {
    let url = match endpoint(variables, "AWS_ENDPOINT_URL_ECR") {
        Some(url) => url.to_owned(),
        None if ecr.is_fips => format!("https://ecr-fips.{}.{}/", ecr.region, ecr.suffix),
        None => format!("https://api.ecr.{}.{}/", ecr.region, ecr.suffix),
    };
    let service = LoginService {
        name: "ecr",
        region: ecr.region.clone(),
        target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        url: cloud::url(&url)?,
    };
    login(&service, variables).await
}

/// The login at the public registry; `None` unless an identity is set by a variable, as everybody
/// may read there.
///
/// # Errors
/// When there is one, and it is not given a login.
pub(super) async fn public(variables: &Variables) -> Result<Option<FoundCredential>, String> {
    if !HINTS.iter().any(|name| variables.get(name).is_some()) {
        return Ok(None);
    }
    let url = endpoint(variables, "AWS_ENDPOINT_URL_ECR_PUBLIC").unwrap_or(PUBLIC);
    let service = LoginService {
        name: "ecr-public",
        region: "us-east-1".to_owned(),
        target: "SpencerFrontendService.GetAuthorizationToken",
        url: cloud::url(url)?,
    };
    login(&service, variables).await
}

/// Another address of a service, by Amazon's own variables
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
fn endpoint<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables.get(name).or_else(|| variables.get("AWS_ENDPOINT_URL"))
}

async fn login(
    service: &LoginService,
    variables: &Variables,
) -> Result<Option<FoundCredential>, String> {
    let sts = endpoint(variables, "AWS_ENDPOINT_URL_STS").map(cloud::url).transpose()?;
    let context = Context::new()
        .with_env(AwsEnvironment(variables.clone()))
        .with_file_read(AwsFiles)
        .with_http_send(Http { sts });
    let Some(identity) = identity(&context).await? else { return Ok(None) };
    let request = service.request(&identity, &context).await?;
    let answer: LoginAnswer = cloud::ask("Amazon's registry", request)
        .await
        .map_err(|missing| missing.of("Amazon's registry"))?;
    let authorization = match answer.authorization_data {
        LoginData::One(one) => Some(one),
        LoginData::Many(many) => many.into_iter().next(),
    };
    let found = authorization.and_then(|one| password(&one.authorization_token));
    found.map(Some).ok_or_else(|| "Amazon's registry gave a login that cannot be read".to_owned())
}

/// The first identity that there is, in the order of Amazon's own tools
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>). One that is
/// configured and fails is an error: the next one is somebody else. Profiles may name programs; none
/// is run.
async fn identity(context: &Context) -> Result<Option<AwsCredential>, String> {
    let configured: [(&str, Box<dyn ProvideCredentialDyn<Credential = AwsCredential>>); 5] = [
        ("the variables", Box::new(EnvCredentialProvider::new())),
        ("the profile", Box::new(ProfileCredentialProvider::default())),
        ("single sign-on", Box::new(SSOCredentialProvider::default())),
        (
            "the web identity (IRSA)",
            Box::new(AssumeRoleWithWebIdentityCredentialProvider::default()),
        ),
        ("the container's role", Box::new(ECSCredentialProvider::default())),
    ];
    for (what, provider) in configured {
        let found = provider.provide_credential_dyn(context).await;
        // The words of the error may be those of an answer.
        let found =
            found.map_err(|error| format!("{what} gives no identity ({:?})", error.kind()))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    // Where there is no metadata server, this is not a machine of Amazon's.
    Ok(IMDSv2CredentialProvider::new().provide_credential(context).await.ok().flatten())
}

/// The token is the base64 of `AWS:password`.
fn password(token: &str) -> Option<FoundCredential> {
    let pair = base64::engine::general_purpose::STANDARD.decode(token).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.split_once(':')?;
    let credential = Credential::Password(user.to_owned(), Secret::from(password.to_owned()));
    Some(FoundCredential { credential, origin: "Amazon's identity".to_owned() })
}

impl LoginService {
    /// The request for a login, signed.
    async fn request(
        &self,
        identity: &AwsCredential,
        context: &Context,
    ) -> Result<reqwest::RequestBuilder, String> {
        const BODY: &str = "{}";
        let hash = Sha256::digest(BODY)
            .iter()
            .fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        let unsigned = http::Request::post(self.url.as_str())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", self.target)
            .header("x-amz-content-sha256", hash)
            .body(());
        let failed = || "the request for a login cannot be signed".to_owned();
        let mut parts = unsigned.map_err(|_error| failed())?.into_parts().0;
        let signer = RequestSigner::new(self.name, &self.region);
        let done = signer.sign_request(context, &mut parts, Some(identity), None).await;
        done.map_err(|_error| failed())?;
        let client = cloud::client(&self.url)?;
        Ok(client.post(self.url.clone()).headers(parts.headers).body(BODY))
    }
}

/// The environment as it was read.
struct AwsEnvironment(Variables);

impl fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Env for AwsEnvironment {
    fn var(&self, key: &str) -> Option<String> {
        self.0.get(key).map(str::to_owned)
    }

    fn vars(&self) -> HashMap<String, String> {
        self.0.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        self.0.get("HOME").map(PathBuf::from)
    }
}

#[derive(Debug)]
struct AwsFiles;

impl FileRead for AwsFiles {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>, Error> {
        std::fs::read(path).map_err(|error| Error::config_invalid(error.to_string()))
    }
}

/// Our own client, which asks the token service elsewhere when a variable says so.
#[derive(Debug)]
struct Http {
    sts: Option<Url>,
}

impl HttpSend for Http {
    async fn http_send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Error> {
        let failed = |why: String| Error::unexpected(why);
        let (parts, body) = request.into_parts();
        let mut url =
            Url::parse(&parts.uri.to_string()).map_err(|error| failed(error.to_string()))?;
        let is_sts = url.host_str().is_some_and(|host| host.starts_with("sts."));
        if let Some(sts) = self.sts.as_ref().filter(|_| is_sts) {
            let elsewhere = format!("{}?{}", sts.as_str(), url.query().unwrap_or_default());
            url = Url::parse(&elsewhere).map_err(|error| failed(error.to_string()))?;
        }
        let client = cloud::client(&url).map_err(failed)?;
        let request = client.request(parts.method, url).headers(parts.headers).body(body);
        let answer =
            request.send().await.map_err(|error| failed(error.without_url().to_string()))?;
        let status = answer.status();
        let body =
            read_capped(answer, MAX_ANSWER).await.map_err(|error| failed(error.to_string()))?;
        let mut answer = http::Response::new(Bytes::from(body));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

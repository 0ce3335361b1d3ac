//! Azure's identities, and the exchange that a registry makes for them
//! (<https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>).

use serde::Deserialize;
use url::Url;

use super::cloud::{self, Missing};
use super::{Credential, FoundCredential};
use crate::secret::{Secret, Variables};

const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Where else the metadata server is, as Azure's own libraries have it.
const HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const METADATA: &str = "http://169.254.169.254";
/// What an identity is asked for: registries, and nothing else.
const RESOURCE: &str = "https://containerregistry.azure.net";

#[derive(Deserialize)]
struct AzureToken {
    access_token: String,
}

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: String,
}

/// The login at a registry whose API is at `base`; `None` where there is no identity.
///
/// # Errors
/// When there is one, and the registry does not take it.
pub(super) async fn login(
    base: &Url,
    client: &reqwest::Client,
    variables: &Variables,
) -> Result<Option<FoundCredential>, String> {
    let (token, origin) = match application(variables).await? {
        Some(token) => (token, "Azure's application"),
        None => match machine(variables).await? {
            Some(token) => (token, "Azure's managed identity"),
            None => return Ok(None),
        },
    };
    let url = base.join("/oauth2/exchange").map_err(|error| error.to_string())?;
    let service = base.host_str().unwrap_or_default();
    let mut pairs =
        vec![("grant_type", "access_token"), ("service", service), ("access_token", &token)];
    pairs.extend(variables.get("AZURE_TENANT_ID").map(|tenant| ("tenant", tenant)));
    let who = "the registry's exchange of Azure's identity";
    let request = cloud::form(client.post(url), &pairs);
    let answer: Exchanged = cloud::ask(who, request).await.map_err(|why| why.of(who))?;
    let credential = Credential::Identity(Secret::from(answer.refresh_token));
    Ok(Some(FoundCredential { credential, origin: origin.to_owned() }))
}

/// An application's token: by its secret, or by the token that its workload was given
/// (<https://azure.github.io/azure-workload-identity/docs/>).
async fn application(variables: &Variables) -> Result<Option<String>, String> {
    let (Some(tenant), Some(application)) =
        (variables.get("AZURE_TENANT_ID"), variables.get("AZURE_CLIENT_ID"))
    else {
        return Ok(None);
    };
    let scope = format!("{RESOURCE}/.default");
    let assertion = variables
        .get("AZURE_FEDERATED_TOKEN_FILE")
        .map(|file| std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}")));
    let assertion = assertion.transpose()?;
    let mut pairs =
        vec![("grant_type", "client_credentials"), ("client_id", application), ("scope", &scope)];
    match (variables.get("AZURE_CLIENT_SECRET"), &assertion) {
        (Some(secret), _) => pairs.push(("client_secret", secret)),
        (None, Some(assertion)) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            pairs.extend([("client_assertion_type", kind), ("client_assertion", assertion.trim())]);
        }
        // A managed identity that is named.
        (None, None) => return Ok(None),
    }
    let authority = variables.get("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY);
    let authority = authority.trim_end_matches('/');
    let url = cloud::url(&format!("{authority}/{tenant}/oauth2/v2.0/token"))?;
    let who = "Azure's token service";
    let request = cloud::form(cloud::client(&url)?.post(url), &pairs);
    let token: AzureToken = cloud::ask(who, request).await.map_err(|why| why.of(who))?;
    Ok(Some(token.access_token))
}

/// The token of a managed identity: from the address that App Service and its like name, or from
/// the machine's metadata server.
async fn machine(variables: &Variables) -> Result<Option<String>, String> {
    let service = variables.get("IDENTITY_ENDPOINT").zip(variables.get("IDENTITY_HEADER"));
    let metadata = variables.get(HOST).unwrap_or(METADATA);
    let (at, version) = match service {
        Some((at, _)) => (at.to_owned(), "2019-08-01"),
        None => {
            let metadata = metadata.trim_end_matches('/');
            (format!("{metadata}/metadata/identity/oauth2/token"), "2018-02-01")
        }
    };
    let mut url = cloud::url(&at)?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", RESOURCE);
    if let Some(identity) = variables.get("AZURE_CLIENT_ID") {
        url.query_pairs_mut().append_pair("client_id", identity);
    }
    let request = cloud::client(&url)?.get(url);
    let request = match service {
        Some((_, header)) => request.header("x-identity-header", header),
        None => request.header("metadata", "true"),
    };
    let is_guess = service.is_none() && variables.get(HOST).is_none();
    let who = "Azure's managed identity";
    match cloud::ask_if_there::<AzureToken>(who, request, is_guess).await {
        Ok(token) => Ok(Some(token.access_token)),
        Err(Missing::NotHere) if service.is_none() => Ok(None),
        Err(missing) => Err(missing.of(who)),
    }
}

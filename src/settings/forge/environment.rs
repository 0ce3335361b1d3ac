//! The forges that the environment names.

use std::sync::Arc;

use url::Url;

use super::{App, ForgeSettings};
use crate::forge_kind::ForgeKind;
use crate::secret::Secret;
use crate::settings::{InvalidSetting, url, var};

/// Reads the environment. `first` is the product where a name without a host is looked for.
pub(super) fn forges(first: Option<ForgeKind>) -> Result<Vec<ForgeSettings>, InvalidSetting> {
    let job = job();
    let mut all = vec![
        github(job)?,
        gitlab()?,
        forgejo(ForgeKind::Forgejo, job)?,
        forgejo(ForgeKind::Gitea, job)?,
    ];
    // Which of two a repository is on, its host says.
    for (index, forge) in all.iter().enumerate() {
        let other = all[..index].iter().find(|other| other.host() == forge.host());
        if let Some(other) = other {
            let [one, other] = [other.kind, forge.kind].map(ForgeKind::server_variable);
            return Err(InvalidSetting::OneHost(one, other, forge.host()));
        }
    }
    let has_token = |forge: &&ForgeSettings| forge.token.is_some() || forge.app.is_some();
    let by_token = || all.iter().find(has_token).map(|forge| forge.kind);
    let is_named = |forge: &&ForgeSettings| var(forge.kind.server_variable()).is_some();
    let by_name = || all.iter().find(is_named).map(|forge| forge.kind);
    let first = first.or(job).or_else(by_token).or_else(by_name).unwrap_or_default();
    all.sort_by_key(|forge| forge.kind != first);
    Ok(all)
}

/// The product whose CI job this is. Forgejo and Gitea have GitHub's variables, and their own interface behind them
/// (<https://forgejo.org/docs/latest/user/actions/reference/>).
fn job() -> Option<ForgeKind> {
    let is_set = |name: &str| var(name).is_some();
    let api = var("GITHUB_API_URL").unwrap_or_default();
    match () {
        () if is_set("FORGEJO_ACTIONS") => Some(ForgeKind::Forgejo),
        () if is_set("GITEA_ACTIONS") => Some(ForgeKind::Gitea),
        () if is_set("GITHUB_ACTIONS") && api.trim_end_matches('/').ends_with("/api/v1") => {
            Some(ForgeKind::Forgejo)
        }
        () if is_set("GITHUB_ACTIONS") => Some(ForgeKind::GitHub),
        () if is_set("GITLAB_CI") => Some(ForgeKind::GitLab),
        () => None,
    }
}

/// The app, when one is named: it comes before a token.
fn app() -> Result<Option<App>, InvalidSetting> {
    let Some(id) = var("GITHUB_APP_ID") else { return Ok(None) };
    let key = match (var("GITHUB_APP_PRIVATE_KEY"), var("GITHUB_APP_PRIVATE_KEY_FILE")) {
        (Some(key), _) => key,
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| InvalidSetting::App(format!(": {error}")))?,
        (None, None) => return Err(InvalidSetting::App(String::new())),
    };
    Ok(Some(App { id, key: key.into() }))
}

/// The REST API of a server of GitHub's, so that a token for the one does not go elsewhere
/// (<https://docs.github.com/en/enterprise-server@latest/rest/quickstart>,
/// <https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency>).
fn github_api(server: &Url) -> String {
    let base = server.as_str().trim_end_matches('/');
    match server.host_str().unwrap_or_default() {
        "github.com" => "https://api.github.com".to_owned(),
        host if host.ends_with(".ghe.com") => format!("https://api.{host}"),
        _ => format!("{base}/api/v3"),
    }
}

/// GitHub, which in a job of Forgejo or Gitea none of its variables speaks of.
fn github(job: Option<ForgeKind>) -> Result<ForgeSettings, InvalidSetting> {
    let is_meant = !matches!(job, Some(ForgeKind::Forgejo | ForgeKind::Gitea));
    let name = |variable: &'static str| if is_meant { variable } else { "" };
    let server_url = url(name("GITHUB_SERVER_URL"), "https://github.com")?;
    let api_url = url(name("GITHUB_API_URL"), &github_api(&server_url))?;
    if api_url.path().trim_end_matches('/').ends_with("/api/v1") {
        return Err(InvalidSetting::OtherProduct);
    }
    Ok(ForgeSettings {
        kind: ForgeKind::GitHub,
        api_url,
        server_url,
        token: var(name("GITHUB_TOKEN")).map(Secret::from),
        job_token: None,
        app: app()?,
        turns: Arc::default(),
    })
}

/// GitLab, where `GITLAB_URL` or the job says
/// (<https://docs.gitlab.com/ci/variables/predefined_variables/>).
fn gitlab() -> Result<ForgeSettings, InvalidSetting> {
    let named = if var("GITLAB_URL").is_some() { "GITLAB_URL" } else { "CI_SERVER_URL" };
    let server_url = url(named, "https://gitlab.com")?;
    let own = format!("{}/api/v4", server_url.as_str().trim_end_matches('/'));
    let is_of_job = var("GITLAB_URL").is_none() && var("CI_SERVER_URL").is_some();
    let api_url = url(if is_of_job { "CI_API_V4_URL" } else { "" }, &own)?;
    // The token goes to both.
    if api_url.origin() != server_url.origin() {
        return Err(InvalidSetting::OtherServer("CI_API_V4_URL", "CI_SERVER_URL"));
    }
    Ok(ForgeSettings {
        kind: ForgeKind::GitLab,
        api_url,
        server_url,
        token: var("GITLAB_TOKEN").map(Secret::from),
        // Another server than the job's must not see the job's token.
        job_token: var("CI_JOB_TOKEN").filter(|_| is_of_job).map(Secret::from),
        app: None,
        turns: Arc::default(),
    })
}

/// Forgejo or Gitea, where their variable or the job says.
fn forgejo(kind: ForgeKind, job: Option<ForgeKind>) -> Result<ForgeSettings, InvalidSetting> {
    let variable = kind.server_variable();
    let is_of_job = job == Some(kind);
    let public =
        if kind == ForgeKind::Gitea { "https://gitea.com" } else { "https://codeberg.org" };
    let server_url = url(if is_of_job { "GITHUB_SERVER_URL" } else { variable }, public)?;
    if is_of_job && url(variable, server_url.as_str())?.origin() != server_url.origin() {
        return Err(InvalidSetting::JobOfOther(variable));
    }
    if server_url.path().trim_end_matches('/').ends_with("/api/v1") {
        return Err(InvalidSetting::WithApi(variable));
    }
    let own = format!("{}/api/v1", server_url.as_str().trim_end_matches('/'));
    let api_url = url(if is_of_job { "GITHUB_API_URL" } else { "" }, &own)?;
    if api_url.origin() != server_url.origin() {
        return Err(InvalidSetting::OtherServer("GITHUB_API_URL", "GITHUB_SERVER_URL"));
    }
    let token = var(kind.token_variable());
    // Runners put the job's own token there, which is for its server. What a step is given comes before it.
    let token = if is_of_job { var("GITHUB_TOKEN").or(token) } else { token };
    Ok(ForgeSettings {
        kind,
        api_url,
        server_url,
        token: token.map(Secret::from),
        job_token: None,
        app: None,
        turns: Arc::default(),
    })
}

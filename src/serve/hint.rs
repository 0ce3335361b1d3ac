//! What a webhook is about: an image repository, or a config repository. Nothing else of it is believed, least of all a
//! tag; what it names is looked at, when it is ours.
//!
//! The shapes are those that the senders document: Docker Hub
//! (<https://docs.docker.com/docker-hub/repos/manage/webhooks/>), GitHub
//! (<https://docs.github.com/en/webhooks/webhook-events-and-payloads>), Harbor
//! (<https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/>), Quay
//! (<https://docs.quay.io/guides/notifications.html>), Amazon
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html>), Azure
//! (<https://learn.microsoft.com/en-us/azure/container-registry/container-registry-webhook-reference>), Google
//! (<https://cloud.google.com/artifact-registry/docs/configure-notifications>) and Distribution
//! (<https://distribution.github.io/distribution/about/notifications/>).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::Value;

use crate::image::{Reference, Repository};
use crate::policy::{DeliveryId, HookKind, Webhook};

/// What may be new.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// Something of an image repository.
    Image(Repository),
    /// Something in a config repository, as `owner/name`.
    Config(String),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Config(name) => crate::text::one_line(name).fmt(f),
        }
    }
}

/// What a webhook says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is about; nothing, when it is about something that does not matter here.
    pub(super) hints: Vec<Hint>,
    /// What tells this delivery from another, where the sender says it.
    pub(super) id: Option<String>,
}

/// Events of GitHub that are about what is in a repository, or what is said of it; of those that have actions, the ones
/// that can change what a run does.
const OF_REPOSITORIES: [(&str, &[&str]); 7] = [
    ("push", &[]),
    ("check_run", &["completed"]),
    ("check_suite", &["completed"]),
    ("status", &[]),
    (
        "pull_request",
        &[
            "closed",
            "reopened",
            "labeled",
            "unlabeled",
            "synchronize",
            "ready_for_review",
            "converted_to_draft",
            "dequeued",
        ],
    ),
    ("pull_request_review", &["submitted", "dismissed"]),
    ("merge_group", &[]),
];

/// Branches that are ours: what is pushed there is known.
const OWN: [&str; 3] =
    ["refs/heads/tagalong/", "refs/heads/tagalong-from-", "refs/heads/tagalong-rollback"];

/// No more hints are taken from one webhook.
const MANY: usize = 100;

/// What a webhook says; `None` when it cannot be read.
pub(super) fn read(hook: &Webhook, headers: &HeaderMap, body: &[u8]) -> Option<Message> {
    let value: Value = serde_json::from_slice(&payload(headers, body)?).ok()?;
    let registry = hook.registry.as_deref();
    let mut hints = match hook.kind {
        HookKind::GitHub => github(headers, &value, registry),
        HookKind::GitLab => gitlab(headers, &value).into_iter().collect(),
        HookKind::Forgejo | HookKind::Gitea => {
            forgejo(headers, &value, registry).into_iter().collect()
        }
        HookKind::DockerHub => docker_hub(&value).into_iter().collect(),
        HookKind::Harbor => harbor(&value, registry),
        HookKind::Quay => quay(&value, registry).into_iter().collect(),
        HookKind::EventBridge => event_bridge(&value, registry).into_iter().collect(),
        HookKind::Acr => acr(&value, registry).into_iter().collect(),
        HookKind::PubSub => pub_sub(&value).into_iter().collect(),
        HookKind::Distribution => distribution(&value, registry),
    };
    hints.sort();
    hints.dedup();
    hints.truncate(MANY);
    Some(Message { hints, id: id(hook, headers, &value) })
}

/// The JSON of a body. GitHub sends it in a form unless it is told otherwise
/// (<https://docs.github.com/en/webhooks/using-webhooks/creating-webhooks>).
fn payload<'b>(headers: &HeaderMap, body: &'b [u8]) -> Option<Cow<'b, [u8]>> {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Some(Cow::Borrowed(body));
    }
    let mut fields = url::form_urlencoded::parse(body);
    let (_, json) = fields.find(|(name, _)| name == "payload")?;
    Some(Cow::Owned(json.into_owned().into_bytes()))
}

fn id(hook: &Webhook, headers: &HeaderMap, value: &Value) -> Option<String> {
    // Where GitLab signs, it signs this identifier, which is the same as in its other header.
    let signed = headers.get("webhook-id").filter(|_| hook.kind == HookKind::GitLab);
    if let Some(id) = signed.and_then(|id| id.to_str().ok()) {
        return (id.len() <= 100).then(|| format!("{} {id}", hook.path));
    }
    let id = match hook.kind.sender().delivery {
        DeliveryId::Header(name) => headers.get(name)?.to_str().ok()?,
        DeliveryId::Field(fields) => fields.iter().find_map(|at| value.pointer(at))?.as_str()?,
        DeliveryId::None => return None,
    };
    (id.len() <= 100).then(|| format!("{} {id}", hook.path))
}

fn text<'v>(value: &'v Value, at: &str) -> Option<&'v str> {
    value.pointer(at).and_then(Value::as_str)
}

/// An image of a host; what stands for the host wins over what the sender says.
fn image(registry: Option<&str>, host: Option<&str>, path: &str) -> Option<Hint> {
    let host = registry.or(host)?;
    Repository::parse(&format!("{host}/{}", path.to_lowercase())).ok().map(Hint::Image)
}

/// An image by a whole reference, of which the host can be another one than ours.
fn reference(registry: Option<&str>, reference: &str) -> Option<Hint> {
    // What is behind the name may be cut short, or nothing.
    let bare = reference.split('@').next().unwrap_or_default();
    let repository = Reference::parse(&bare.trim_end_matches(':').to_lowercase())?.repository;
    match registry {
        None => Some(Hint::Image(repository)),
        Some(host) => {
            let named = repository.to_string();
            image(Some(host), None, named.split_once('/')?.1)
        }
    }
}

fn github(headers: &HeaderMap, value: &Value, registry: Option<&str>) -> Vec<Hint> {
    let event = headers.get("x-github-event").and_then(|event| event.to_str().ok());
    match event {
        Some(event @ ("package" | "registry_package")) => {
            package(&value[event], registry).into_iter().collect()
        }
        Some(event) if is_news(event, value) => {
            let name = text(value, "/repository/full_name").map(str::to_lowercase);
            name.map(Hint::Config).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// GitLab names its events in a header, and says in each of which project it is
/// (<https://docs.gitlab.com/user/project/integrations/webhook_events/>).
fn gitlab(headers: &HeaderMap, value: &Value) -> Option<Hint> {
    let event = headers.get("x-gitlab-event")?.to_str().ok()?;
    let about = &value["object_attributes"];
    let is_news = match event {
        "Push Hook" => !text(value, "/ref").is_some_and(is_own),
        "Pipeline Hook" => {
            matches!(about["status"].as_str(), Some("success" | "failed" | "canceled" | "skipped"))
        }
        "Merge Request Hook" => match about["action"].as_str() {
            // Of what is edited, labels, reviews, drafts and pushes matter.
            Some("update") => {
                let changes = &value["changes"];
                let matters = ["labels", "draft", "reviewers"];
                about["oldrev"].is_string() || matters.iter().any(|key| !changes[key].is_null())
            }
            Some(action) => action != "open",
            None => false,
        },
        _ => false,
    };
    let name = text(value, "/project/path_with_namespace").filter(|_| is_news)?;
    Some(Hint::Config(name.to_lowercase()))
}

/// What happens to a pull request of Forgejo or Gitea that changes nothing of what a run does.
const OF_PEOPLE: [&str; 8] = [
    "opened",
    "edited",
    "assigned",
    "unassigned",
    "milestoned",
    "demilestoned",
    "review_requested",
    "review_request_removed",
];

/// Forgejo and Gitea name their events in a header
/// (<https://forgejo.org/docs/latest/user/webhooks/>, <https://docs.gitea.com/usage/webhooks>).
fn forgejo(headers: &HeaderMap, value: &Value, registry: Option<&str>) -> Option<Hint> {
    let header = |name: &str| headers.get(name).and_then(|event| event.to_str().ok());
    let event = header("x-forgejo-event").or(header("x-gitea-event"))?;
    let action = text(value, "/action");
    let is_news = match event {
        "package" => {
            let (package, is_new) = (&value["package"], action == Some("created"));
            let is_image = is_new && text(package, "/type") == Some("container");
            return is_image.then(|| of_package(package, registry)).flatten();
        }
        "push" => !text(value, "/ref").is_some_and(is_own),
        "status" => text(value, "/state") != Some("pending"),
        // Texts and people are edited by us all the time.
        "pull_request" => !action.is_some_and(|action| OF_PEOPLE.contains(&action)),
        "pull_request_approved" | "pull_request_rejected" => true,
        "workflow_run" => action == Some("completed"),
        _ => false,
    };
    let name = text(value, "/repository/full_name").filter(|_| is_news)?;
    Some(Hint::Config(name.to_lowercase()))
}

/// The image of a package, which is at the server that its page is on.
fn of_package(package: &Value, registry: Option<&str>) -> Option<Hint> {
    let page = text(package, "/html_url").and_then(|page| url::Url::parse(page).ok());
    let host = page.as_ref().and_then(|page| {
        let port = page.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", page.host_str()?))
    });
    let path = format!("{}/{}", text(package, "/owner/login")?, text(package, "/name")?);
    image(registry, host.as_deref(), &path)
}

/// True if a reference is a tag or a branch of ours.
fn is_own(at: &str) -> bool {
    at.starts_with("refs/tags/") || OWN.iter().any(|own| at.starts_with(own))
}

/// Whether an event can change what a run does.
fn is_news(event: &str, value: &Value) -> bool {
    let known = OF_REPOSITORIES.iter().find(|(name, _)| *name == event);
    let Some((_, actions)) = known else { return false };
    let action = text(value, "/action").filter(|_| !actions.is_empty());
    let is_over = event != "status" || text(value, "/state") != Some("pending");
    action.is_none_or(|action| actions.contains(&action))
        && is_over
        && !text(value, "/ref").is_some_and(is_own)
}

/// The package itself is named, not the repository that it may belong to.
fn package(package: &Value, registry: Option<&str>) -> Option<Hint> {
    let kinds = [
        text(package, "/package_type"),
        text(package, "/registry/type"),
        text(package, "/ecosystem"),
    ];
    let is_image =
        |kind: &str| ["container", "docker"].iter().any(|k| kind.eq_ignore_ascii_case(k));
    kinds.into_iter().flatten().find(|kind| is_image(kind))?;
    let url = text(package, "/package_version/package_url").filter(|url| url.contains('/'));
    url.and_then(|url| reference(registry, url)).or_else(|| {
        let path = format!("{}/{}", text(package, "/owner/login")?, text(package, "/name")?);
        image(registry, Some("ghcr.io"), &path)
    })
}

fn docker_hub(value: &Value) -> Option<Hint> {
    let full = text(value, "/repository/repo_name").map(str::to_owned);
    let parts = || {
        let (space, name) =
            (text(value, "/repository/namespace")?, text(value, "/repository/name")?);
        Some(format!("{space}/{name}"))
    };
    image(None, Some("docker.io"), &full.or_else(parts)?)
}

fn harbor(value: &Value, registry: Option<&str>) -> Vec<Hint> {
    let kind = text(value, "/type").unwrap_or_default();
    if !matches!(kind, "PUSH_ARTIFACT" | "harbor.artifact.pushed") {
        return Vec::new();
    }
    let data = value.get("event_data").or_else(|| value.get("data")).unwrap_or(&Value::Null);
    let named = data["resources"].as_array().into_iter().flatten();
    let named = named.filter_map(|resource| reference(registry, text(resource, "/resource_url")?));
    let full = || image(registry, None, text(data, "/repository/repo_full_name")?);
    let hints: Vec<Hint> = named.collect();
    if hints.is_empty() { full().into_iter().collect() } else { hints }
}

fn quay(value: &Value, registry: Option<&str>) -> Option<Hint> {
    value.get("updated_tags")?;
    let url = text(value, "/docker_url").and_then(|url| reference(registry, url));
    url.or_else(|| image(registry, Some("quay.io"), text(value, "/repository")?))
}

fn event_bridge(value: &Value, registry: Option<&str>) -> Option<Hint> {
    let is_push = text(value, "/source") == Some("aws.ecr")
        && text(value, "/detail/action-type") == Some("PUSH")
        && text(value, "/detail/result") == Some("SUCCESS");
    let name = text(value, "/detail/repository-name").filter(|_| is_push)?;
    let (account, region) = (text(value, "/account")?, text(value, "/region")?);
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    image(registry, Some(&format!("{account}.dkr.ecr.{region}.{end}")), name)
}

fn acr(value: &Value, registry: Option<&str>) -> Option<Hint> {
    let is_push = matches!(text(value, "/action"), Some("push" | "import"));
    let name = text(value, "/target/repository").filter(|_| is_push)?;
    image(registry, text(value, "/request/host"), name)
}

/// The message stands in the wrapping as base64, or by itself where the subscription unwraps it.
fn pub_sub(value: &Value) -> Option<Hint> {
    let inner = || -> Option<Value> {
        let data = STANDARD.decode(text(value, "/message/data")?).ok()?;
        serde_json::from_slice(&data).ok()
    };
    let message = inner().unwrap_or_else(|| value.clone());
    if text(&message, "/action") != Some("INSERT") {
        return None;
    }
    let named = text(&message, "/digest").or_else(|| text(&message, "/tag"))?;
    reference(None, named)
}

fn distribution(value: &Value, registry: Option<&str>) -> Vec<Hint> {
    let events = value["events"].as_array().into_iter().flatten();
    // Blobs are pushed as well, and say nothing yet.
    let is_manifest = |event: &&Value| {
        let kind = text(event, "/target/mediaType").unwrap_or_default();
        text(event, "/action") == Some("push")
            && ["manifest", "index"].iter().any(|k| kind.contains(k))
    };
    let hints = events.filter(is_manifest).filter_map(|event| {
        image(registry, text(event, "/request/host"), text(event, "/target/repository")?)
    });
    hints.collect()
}

#[cfg(test)]
mod tests;

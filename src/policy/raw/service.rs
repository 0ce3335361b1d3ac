//! The daemon's settings, as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The daemon's settings (`tagalong serve --config`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "tagalong serve")]
pub struct RawService {
    /// The config repositories.
    pub repositories: Vec<RawServed>,
    /// The address and port to listen at.
    #[schemars(example = &"0.0.0.0:8080")]
    pub listen: Option<String>,
    /// Another address and port, where `/healthz`, `/readyz` and `/metrics` are and nothing else; without this they are
    /// at `listen`.
    #[schemars(example = &"0.0.0.0:9090")]
    pub status_listen: Option<String>,
    /// How often everything is looked at, unless a repository says otherwise; 5 minutes without this.
    #[schemars(example = &"5m")]
    pub interval: Option<String>,
    /// How long after a webhook its repository is looked at, together with what else comes until then; 10 seconds
    /// without this.
    #[schemars(example = &"10s")]
    pub debounce: Option<String>,
    /// How many repositories are worked on at once; 2 without this.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: Option<u32>,
    /// Memory limit of a run in MiB, 4,096 by default. A run that needs more ends, without an effect on others.
    #[schemars(range(min = 64, max = 1_048_576))]
    pub run_memory: Option<u32>,
    /// How long a stop waits for what is under way; 25 seconds without this.
    #[schemars(example = &"25s")]
    pub grace: Option<String>,
    /// Where to take webhooks.
    #[serde(default)]
    pub webhooks: Vec<RawWebhook>,
}

/// One config repository.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawServed {
    /// OWNER/NAME, HOST/OWNER/NAME where another forge is meant than the usual one, or a URL.
    #[schemars(example = &"acme/fleet")]
    pub repo: String,
    /// The branch; the default branch without this.
    pub branch: Option<String>,
    /// How often everything of it is looked at.
    #[schemars(example = &"15m")]
    pub interval: Option<String>,
    /// Environments that are looked at more often than the rest.
    #[serde(default)]
    pub environments: BTreeMap<String, RawServedEnvironment>,
}

/// An environment that is looked at more often.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawServedEnvironment {
    /// How often.
    #[schemars(example = &"1m")]
    pub interval: String,
}

/// One place for webhooks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawWebhook {
    /// Who sends.
    pub kind: HookKind,
    /// The path of the URL. Where a sender cannot authenticate itself (`docker-hub`, `quay`), the secret follows it.
    #[schemars(example = &"/hooks/github", regex(pattern = r"^/[A-Za-z0-9._/-]+$"))]
    pub path: String,
    /// Files with the secret; several while one is replaced by the next.
    #[serde(default)]
    pub secret_files: Vec<String>,
    /// Variables with the secret.
    #[serde(default)]
    pub secret_variables: Vec<String>,
    /// The header that the secret is in, where that is up to whoever sets the sender up.
    #[schemars(example = &"authorization")]
    pub header: Option<String>,
    /// The registry, where the sender does not say it or says another name.
    #[schemars(example = &"harbor.acme.io")]
    pub registry: Option<String>,
    /// For `pub-sub`: whom Google's tokens have to be for.
    pub audience: Option<String>,
    /// For `pub-sub`: the service account that pushes.
    pub service_account: Option<String>,
}

/// Who sends webhooks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HookKind {
    #[serde(rename = "github")]
    /// GitHub: packages, pushes, checks, statuses, pull requests and reviews.
    GitHub,
    /// GitLab: pushes, pipelines and merge requests of projects and groups.
    #[serde(rename = "gitlab")]
    GitLab,
    /// Forgejo: packages, pushes, statuses, pull requests and reviews.
    Forgejo,
    /// Gitea: the same.
    Gitea,
    /// Docker Hub.
    DockerHub,
    /// Harbor, in its own form or as `CloudEvents`.
    Harbor,
    /// Quay.
    Quay,
    /// Amazon's registry by an API destination of `EventBridge`.
    EventBridge,
    /// Azure's registry.
    Acr,
    /// Google's registry by a push subscription of Pub/Sub.
    PubSub,
    /// Docker's own registry and its descendants.
    Distribution,
}

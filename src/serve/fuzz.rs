//! Webhooks, for the fuzzer.

use http::HeaderMap;

use super::hint;
use crate::policy::{HookKind, Webhook};

/// Senders of webhooks.
const KINDS: [HookKind; 11] = [
    HookKind::GitHub,
    HookKind::GitLab,
    HookKind::Forgejo,
    HookKind::Gitea,
    HookKind::DockerHub,
    HookKind::Harbor,
    HookKind::Quay,
    HookKind::EventBridge,
    HookKind::Acr,
    HookKind::PubSub,
    HookKind::Distribution,
];

/// The events of forges that are listened to.
const EVENTS: [&str; 10] = [
    "push",
    "registry_package",
    "check_suite",
    "status",
    "pull_request",
    "merge_group",
    "Push Hook",
    "Pipeline Hook",
    "Merge Request Hook",
    "package",
];

/// Reads bytes as the body of a webhook, of every sender.
///
/// # Panics
/// One webhook gives more hints than it may.
pub fn webhook(bytes: &[u8]) {
    for (index, kind) in KINDS.into_iter().enumerate() {
        let hook = Webhook {
            kind,
            path: "/hook".to_owned(),
            secrets: (Vec::new(), Vec::new()),
            header: String::new(),
            registry: (index % 2 == 0).then(|| "r.io".to_owned()),
            google: None,
        };
        for event in EVENTS {
            let mut headers = HeaderMap::new();
            headers.insert("x-github-event", http::HeaderValue::from_static(event));
            headers.insert("x-gitlab-event", http::HeaderValue::from_static(event));
            headers.insert("x-forgejo-event", http::HeaderValue::from_static(event));
            let message = hint::read(&hook, &headers, bytes);
            assert!(message.is_none_or(|message| message.hints.len() <= 100));
        }
    }
}

//! Webhooks of all senders, as they are published.

use super::*;
use HookKind::{
    Acr, Distribution, DockerHub, EventBridge, Forgejo, GitHub, GitLab, Gitea, Harbor, PubSub, Quay,
};

fn hints(kind: HookKind, event: &str, registry: Option<&str>, body: &str) -> String {
    let hook = Webhook {
        kind,
        path: "/h".to_owned(),
        secrets: (Vec::new(), Vec::new()),
        header: String::new(),
        registry: registry.map(str::to_owned),
        google: None,
    };
    let headers = ["x-github-event", "x-gitlab-event", "x-gitea-event"]
        .into_iter()
        .map(|name| (name.parse().unwrap(), event.parse().unwrap()))
        .collect();
    let Some(message) = read(&hook, &headers, body.as_bytes()) else {
        return "unreadable".to_owned();
    };
    let shown = message.hints.into_iter().map(|hint| match hint {
        Hint::Image(image) => image.to_string(),
        Hint::Config(name) => format!("config {name}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Google's example in the wrapping of Pub/Sub.
const PUSHED: &str = r#"{"message":{"data":"eyJhY3Rpb24iOiJJTlNFUlQiLCJkaWdlc3QiOiJ1cy1lYXN0MS1kb2NrZXIucGtnLmRldi9teS1wcm9qZWN0L215LXJlcG8vaGVsbG8td29ybGRAc2hhMjU2OjZlYzEyOGUyNmNkNS4uLiIsInRhZyI6InVzLWVhc3QxLWRvY2tlci5wa2cuZGV2L215LXByb2plY3QvbXktcmVwby9oZWxsby13b3JsZDoxLjEifQ==","messageId":"1"},"subscription":"s"}"#;

type Case = (HookKind, &'static str, Option<&'static str>, &'static str, &'static str);
/// The published examples, shortened to what matters: Docker's, Harbor's and Distribution's documentation (Apache-2.0),
/// octokit/webhooks (MIT), Google's documentation (Apache-2.0), and Amazon's, Azure's and Quay's keys.
const CASES: [Case; 52] = [
    (
        DockerHub,
        "",
        None,
        r#"{"push_data":{"tag":"latest"},"repository":{"name":"testhook","namespace":"svendowideit","repo_name":"svendowideit/testhook"}}"#,
        "docker.io/svendowideit/testhook",
    ),
    (
        DockerHub,
        "",
        None,
        r#"{"repository":{"name":"nginx","namespace":"library"}}"#,
        "docker.io/library/nginx",
    ),
    (
        GitHub,
        "package",
        None,
        r#"{"action":"published","package":{"name":"hello-world-npm","package_type":"npm","ecosystem":"docker","owner":{"login":"Codertocat"},"package_version":{"package_url":"ghcr.io/Codertocat/hello-world:"},"registry":{"type":"CONTAINER"}}}"#,
        "ghcr.io/codertocat/hello-world",
    ),
    (
        GitHub,
        "registry_package",
        None,
        r#"{"registry_package":{"name":"Shop/api","package_type":"CONTAINER","owner":{"login":"Acme"},"package_version":{"package_url":""}}}"#,
        "ghcr.io/acme/shop/api",
    ),
    (
        GitHub,
        "package",
        None,
        r#"{"package":{"name":"left-pad","package_type":"npm","owner":{"login":"acme"}}}"#,
        "",
    ),
    (
        GitHub,
        "push",
        None,
        r#"{"ref":"refs/heads/main","head_commit":null,"repository":{"full_name":"Acme/Fleet"}}"#,
        "config acme/fleet",
    ),
    (
        GitHub,
        "status",
        None,
        r#"{"name":"x","context":"kustomization/apps","repository":{"full_name":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (GitHub, "ping", None, r#"{"zen":"x","repository":{"full_name":"acme/fleet"}}"#, ""),
    (
        GitLab,
        "Push Hook",
        None,
        r#"{"ref":"refs/heads/main","project":{"path_with_namespace":"Acme/platform/fleet"}}"#,
        "config acme/platform/fleet",
    ),
    (
        GitLab,
        "Push Hook",
        None,
        r#"{"ref":"refs/heads/tagalong/dev","project":{"path_with_namespace":"acme/fleet"}}"#,
        "",
    ),
    (
        GitLab,
        "Tag Push Hook",
        None,
        r#"{"ref":"refs/tags/v1","project":{"path_with_namespace":"acme/fleet"}}"#,
        "",
    ),
    (
        GitLab,
        "Pipeline Hook",
        None,
        r#"{"object_attributes":{"status":"success"},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (
        GitLab,
        "Pipeline Hook",
        None,
        r#"{"object_attributes":{"status":"running"},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "",
    ),
    (
        GitLab,
        "Merge Request Hook",
        None,
        r#"{"object_attributes":{"action":"approved"},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (
        GitLab,
        "Merge Request Hook",
        None,
        r#"{"object_attributes":{"action":"update"},"changes":{"labels":{"current":[]}},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (
        GitLab,
        "Merge Request Hook",
        None,
        r#"{"object_attributes":{"action":"update","oldrev":"1"},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (
        GitLab,
        "Merge Request Hook",
        None,
        r#"{"object_attributes":{"action":"update"},"changes":{"title":{}},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "",
    ),
    (
        GitLab,
        "Merge Request Hook",
        None,
        r#"{"object_attributes":{"action":"open"},"project":{"path_with_namespace":"acme/fleet"}}"#,
        "",
    ),
    (GitLab, "Note Hook", None, r#"{"project":{"path_with_namespace":"acme/fleet"}}"#, ""),
    (
        Forgejo,
        "push",
        None,
        r#"{"ref":"refs/heads/main","repository":{"full_name":"Acme/Fleet"}}"#,
        "config acme/fleet",
    ),
    (
        Gitea,
        "push",
        None,
        r#"{"ref":"refs/heads/tagalong/dev","repository":{"full_name":"acme/fleet"}}"#,
        "",
    ),
    (
        Gitea,
        "pull_request",
        None,
        r#"{"action":"label_updated","repository":{"full_name":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (
        Forgejo,
        "pull_request",
        None,
        r#"{"action":"edited","repository":{"full_name":"acme/fleet"}}"#,
        "",
    ),
    (
        Forgejo,
        "pull_request_approved",
        None,
        r#"{"action":"reviewed","repository":{"full_name":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (Forgejo, "status", None, r#"{"state":"pending","repository":{"full_name":"acme/fleet"}}"#, ""),
    (
        Forgejo,
        "package",
        None,
        r#"{"action":"created","package":{"type":"container","name":"Shop","owner":{"login":"Acme"},"html_url":"https://git.acme.io:8443/acme/-/packages/container/shop/v1"}}"#,
        "git.acme.io:8443/acme/shop",
    ),
    (
        Gitea,
        "package",
        Some("registry.acme.io"),
        r#"{"action":"created","package":{"type":"container","name":"shop","owner":{"login":"acme"},"html_url":"https://git.acme.io/x"}}"#,
        "registry.acme.io/acme/shop",
    ),
    (
        Gitea,
        "package",
        None,
        r#"{"action":"deleted","package":{"type":"container","name":"shop","owner":{"login":"acme"},"html_url":"https://git.acme.io/x"}}"#,
        "",
    ),
    (
        Gitea,
        "package",
        None,
        r#"{"action":"created","package":{"type":"npm","name":"shop","owner":{"login":"acme"},"html_url":"https://git.acme.io/x"}}"#,
        "",
    ),
    (GitHub, "push", None, "{}", ""),
    // What only begins, and what is ours, is no news.
    (
        GitHub,
        "check_run",
        None,
        r#"{"action":"created","repository":{"full_name":"acme/fleet"}}"#,
        "",
    ),
    (
        GitHub,
        "check_run",
        None,
        r#"{"action":"completed","repository":{"full_name":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (GitHub, "status", None, r#"{"state":"pending","repository":{"full_name":"acme/fleet"}}"#, ""),
    (
        GitHub,
        "push",
        None,
        r#"{"ref":"refs/heads/tagalong/staging","repository":{"full_name":"acme/fleet"}}"#,
        "",
    ),
    (
        GitHub,
        "pull_request",
        None,
        r#"{"action":"closed","repository":{"full_name":"acme/fleet"}}"#,
        "config acme/fleet",
    ),
    (
        Harbor,
        "",
        None,
        r#"{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"v1","resource_url":"harbor.acme.io/shop/api:v1"}],"repository":{"repo_full_name":"shop/api"}}}"#,
        "harbor.acme.io/shop/api",
    ),
    (
        Harbor,
        "",
        Some("registry.acme.io"),
        r#"{"type":"harbor.artifact.pushed","id":"1","data":{"resources":[{"resource_url":"localhost:8080/shop/api@sha256:954b378c"}]}}"#,
        "registry.acme.io/shop/api",
    ),
    (
        Harbor,
        "",
        Some("registry.acme.io"),
        r#"{"type":"harbor.artifact.pushed","id":"1","data":{"resources":[{"resource_url":"localhost:8080/shop/api:v1"}]}}"#,
        "registry.acme.io/shop/api",
    ),
    (
        Harbor,
        "",
        Some("registry.acme.io"),
        r#"{"type":"PUSH_ARTIFACT","event_data":{"repository":{"repo_full_name":"shop/api"}}}"#,
        "registry.acme.io/shop/api",
    ),
    (
        Harbor,
        "",
        None,
        r#"{"type":"DELETE_ARTIFACT","event_data":{"resources":[{"resource_url":"harbor.acme.io/shop/api:v1"}]}}"#,
        "",
    ),
    (
        Quay,
        "",
        None,
        r#"{"repository":"acme/shop","docker_url":"quay.io/acme/shop","updated_tags":["latest"]}"#,
        "quay.io/acme/shop",
    ),
    (Quay, "", None, r#"{"repository":"acme/shop","docker_url":"quay.io/acme/shop"}"#, ""),
    (
        EventBridge,
        "",
        None,
        r#"{"id":"1","source":"aws.ecr","account":"123456789012","region":"us-west-2","detail":{"result":"SUCCESS","repository-name":"team/shop","action-type":"PUSH","image-tag":"latest"}}"#,
        "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/shop",
    ),
    (
        EventBridge,
        "",
        None,
        r#"{"id":"1","source":"aws.ecr","account":"1","region":"us-west-2","detail":{"result":"SUCCESS","repository-name":"shop","action-type":"DELETE"}}"#,
        "",
    ),
    (
        Acr,
        "",
        None,
        r#"{"id":"1","action":"push","target":{"repository":"hello-world","tag":"v1"},"request":{"host":"myregistry.azurecr.io"}}"#,
        "myregistry.azurecr.io/hello-world",
    ),
    (Acr, "", None, r#"{"id":"1","action":"ping"}"#, ""),
    (PubSub, "", None, PUSHED, "us-east1-docker.pkg.dev/my-project/my-repo/hello-world"),
    (
        PubSub,
        "",
        None,
        r#"{"action":"INSERT","tag":"us-docker.pkg.dev/p/r/i:1.1"}"#,
        "us-docker.pkg.dev/p/r/i",
    ),
    (PubSub, "", None, r#"{"message":{"data":"!!"}}"#, ""),
    (
        Distribution,
        "",
        None,
        r#"{"events":[{"action":"push","target":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","repository":"hello-world"},"request":{"host":"192.168.100.227:5000"}},{"action":"pull","target":{"mediaType":"application/vnd.oci.image.index.v1+json","repository":"x"},"request":{"host":"192.168.100.227:5000"}},{"action":"push","target":{"mediaType":"application/octet-stream","repository":"y"},"request":{"host":"192.168.100.227:5000"}}]}"#,
        "192.168.100.227:5000/hello-world",
    ),
    (Distribution, "", None, "not json", "unreadable"),
    (Distribution, "", None, r#"{"events":3}"#, ""),
];

#[test]
fn each_sender_names_its_image() {
    for (kind, event, registry, body, want) in CASES {
        assert_eq!(hints(kind, event, registry, body), want, "{kind:?} {event} {body}");
    }
}

proptest::proptest! {
    /// Nothing that anybody sends makes a panic, or names a host that is not one.
    #[test]
    fn anything_can_be_sent(body in ".{0,200}", event in "[ -~]{0,20}", kind in 0_usize..11) {
        let kind = [Forgejo, Gitea, GitHub, GitLab, DockerHub, Harbor, Quay, EventBridge, Acr, PubSub, Distribution][kind];
        hints(kind, &event, None, &body);
        let value = serde_json::json!({"repository": {"repo_name": body, "full_name": body}, "docker_url": body, "updated_tags": 1,
            "action": "push", "target": {"repository": body}, "request": {"host": body}, "message": {"data": body}});
        hints(kind, &event, None, &value.to_string());
    }
}

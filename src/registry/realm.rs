//! Where a challenge may send us, and with what.
//!
//! A registry names its token server in an answer, so a registry (or who stands in for it) could
//! name any address: see CVE-2026-48978 (oras-go) and CVE-2026-33540 (distribution).

use url::Url;

use crate::http::is_internal;

/// Token servers that are not the registry's own host, as the registries document them.
const KNOWN: [(&str, &str); 3] = [
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("registry.access.redhat.com", "sso.redhat.com"),
];

/// A token server that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Realm {
    pub(super) url: Url,
    /// Whether the registry's credentials may go there.
    pub(super) trusted: bool,
}

/// Judges the realm of a challenge from `registry`.
///
/// A realm on another host that nobody vouched for is asked anonymously; one that cannot be a
/// token server of a registry elsewhere (plain HTTP, an address inside the network) not at all.
pub(super) fn judge(realm: &str, registry: &Url, extra: &[String]) -> Result<Realm, String> {
    let refuse = |why: &str| Err(format!("the token server {:?} is refused: {why}", shown(realm)));
    let Ok(url) = Url::parse(realm) else { return refuse("it is not a URL") };
    let Some(host) = url.host() else { return refuse("it names no host") };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it holds a user name");
    }
    let own = url.origin() == registry.origin();
    let vouched = vouched(&url, registry, extra);
    match url.scheme() {
        "https" => {}
        "http" if own || vouched && registry.scheme() == "http" => {}
        _ => return refuse("it is not asked over HTTPS"),
    }
    if is_internal(&host) && !own && !vouched {
        return refuse("it is an address inside the network, other than the registry's own");
    }
    Ok(Realm { url, trusted: own || vouched })
}

/// Whether a redirect or link from one origin to another may be followed at all.
pub(super) fn may_follow(from: &Url, to: &Url) -> bool {
    let downgrade = from.scheme() == "https" && to.scheme() != "https";
    let own = from.origin() == to.origin();
    let internal = to.host().is_none_or(|host| is_internal(&host));
    matches!(to.scheme(), "https" | "http") && !downgrade && (own || !internal)
}

fn vouched(realm: &Url, registry: &Url, extra: &[String]) -> bool {
    let authority = |url: &Url| url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    let (realm, registry) = (authority(realm), authority(registry));
    let known = KNOWN.iter().any(|(from, to)| *from == registry && *to == realm);
    known || extra.contains(&realm)
}

/// A hostile realm as it may stand in a message: without what could be a secret or a control.
fn shown(realm: &str) -> String {
    realm
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(realm: &str, registry: &str) -> Option<bool> {
        let extra = ["127.0.0.1:5001".to_owned()];
        let registry = Url::parse(registry).unwrap();
        judge(realm, &registry, if registry.port() == Some(5000) { &extra } else { &[] })
            .ok()
            .map(|realm| realm.trusted)
    }

    #[test]
    fn realms_are_refused_anonymous_or_trusted() {
        let cases = [
            ("https://ghcr.io/token", "https://ghcr.io/v2/", Some(true)),
            ("https://auth.docker.io/token", "https://registry-1.docker.io/v2/", Some(true)),
            ("https://auth.docker.io/token", "https://ghcr.io/v2/", Some(false)),
            ("https://auth.docker.io:444/token", "https://registry-1.docker.io/v2/", Some(false)),
            ("https://evil.example/token", "https://ghcr.io/v2/", Some(false)),
            ("http://ghcr.io/token", "https://ghcr.io/v2/", None),
            ("http://169.254.169.254/", "https://ghcr.io/v2/", None),
            ("http://169.254.169.254/", "http://127.0.0.1:5000/v2/", None),
            ("http://[::1]/", "https://ghcr.io/v2/", None),
            ("https://[::ffff:10.0.0.1]/", "https://ghcr.io/v2/", None),
            ("https://10.0.0.1/", "https://ghcr.io/v2/", None),
            ("https://[64:ff9b::a9fe:a9fe]/", "https://ghcr.io/v2/", None),
            ("https://[2002:a9fe:a9fe::]/", "https://ghcr.io/v2/", None),
            ("https://168.63.129.16/", "https://ghcr.io/v2/", None),
            ("https://192.0.0.192/", "https://ghcr.io/v2/", None),
            ("https://198.18.0.1/", "https://ghcr.io/v2/", None),
            ("https://0x7f.1/", "https://ghcr.io/v2/", None),
            ("https://①②⑦.0.0.1/", "https://ghcr.io/v2/", None),
            ("https://localhost./", "https://ghcr.io/v2/", None),
            ("https://metadata.google.internal/", "https://ghcr.io/v2/", None),
            ("file:///etc/passwd", "https://ghcr.io/v2/", None),
            ("https://evil@ghcr.io/", "https://ghcr.io/v2/", None),
            ("token", "https://ghcr.io/v2/", None),
            ("http://127.0.0.1:5000/token", "http://127.0.0.1:5000/v2/", Some(true)),
            ("http://127.0.0.1:5001/token", "http://127.0.0.1:5000/v2/", Some(true)),
            ("http://127.0.0.1:5002/token", "http://127.0.0.1:5000/v2/", None),
            ("https://10.0.0.1:5000/token", "https://10.0.0.1:5000/v2/", Some(true)),
        ];
        for (realm, registry, want) in cases {
            assert_eq!(judged(realm, registry), want, "{realm} from {registry}");
        }
    }

    #[test]
    fn links_and_redirects_stay_outside_the_network() {
        let cases = [
            ("https://a.io/x", "https://a.io/y", true),
            ("https://a.io/x", "https://cdn.io/y", true),
            ("https://a.io/x", "http://a.io/y", false),
            ("https://a.io/x", "https://10.0.0.1/y", false),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1/y", true),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:2/y", false),
            ("https://a.io/x", "ftp://a.io/y", false),
        ];
        for (from, to, want) in cases {
            assert_eq!(
                may_follow(&Url::parse(from).unwrap(), &Url::parse(to).unwrap()),
                want,
                "{from} {to}"
            );
        }
    }
}

//! The HTTP client that every edge starts from: one TLS stack, one set of limits.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use reqwest::{Client, ClientBuilder};
use url::{Host, Url};

use crate::secret::Secret;

/// Who we say we are.
pub const USER_AGENT: &str = concat!("tagalong/", env!("CARGO_PKG_VERSION"));

/// A connection that takes longer than this will not come.
const CONNECT: Duration = Duration::from_secs(10);

/// A silence within an answer that is longer than this will not end.
const IDLE: Duration = Duration::from_secs(30);

/// A client for a host. The proxies of the environment are not for this machine's own servers,
/// whether or not `NO_PROXY` says so.
pub fn client(host: &str) -> ClientBuilder {
    let builder =
        Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT).read_timeout(IDLE);
    if is_loopback(host) { builder.no_proxy() } else { builder }
}

/// A client for hosts that an answer names: one whose name leads inside the network is not reached,
/// whatever the name looked like.
pub fn client_outside() -> ClientBuilder {
    client("").dns_resolver(Arc::new(INTERNAL))
}

/// Resolves names, and leaves addresses out.
#[derive(Debug)]
struct Without {
    is_left_out: fn(IpAddr) -> bool,
    /// What a name leads to that has no other address.
    what: &'static str,
}

const INTERNAL: Without =
    Without { is_left_out: is_internal_address, what: "an address inside the network" };

const METADATA: Without = Without {
    is_left_out: is_metadata_address,
    what: "a link-local address, or to a cloud's metadata",
};

impl Resolve for Without {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { is_left_out, what } = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let others: Vec<SocketAddr> = found.filter(|at| !is_left_out(at.ip())).collect();
            if others.is_empty() {
                return Err(format!("the name leads to {what}").into());
            }
            let addresses: Addrs = Box::new(others.into_iter());
            Ok(addresses)
        })
    }
}

/// The same client for a host that only a config repository names: whatever that is, it is not where a cloud keeps what its
/// machines may know alone.
pub fn without_metadata(builder: ClientBuilder) -> ClientBuilder {
    builder.dns_resolver(Arc::new(METADATA))
}

/// Whether a host, with or without a port, is link-local or a cloud's metadata, by its address or its name.
#[must_use]
pub fn is_metadata(host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}/"));
    url.is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            METADATA_NAMES.contains(&name)
                || name.starts_with("metadata.") && name.ends_with(".internal")
        }
        Some(Host::Ipv4(address)) => is_metadata_address(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_metadata_address(IpAddr::V6(address)),
        None => false,
    })
}

/// Names of clouds' metadata that a network may resolve where this machine does not.
const METADATA_NAMES: [&str; 7] = [
    "metadata",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
];

/// AWS, Azure, Google and most others are at 169.254.169.254; Azure's host, Alibaba and Oracle elsewhere, and
/// AWS, Google and Scaleway over IPv6.
fn is_metadata_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let others = [[168, 63, 129, 16], [100, 100, 100, 200], [192, 0, 0, 192]];
            v4.is_link_local() || others.contains(&v4.octets())
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let octets = v6.octets();
            let last = [octets[12], octets[13], octets[14], octets[15]];
            let behind = (first, second) == (0x64, 0xff9b);
            let mapped = v6.to_ipv4_mapped().or_else(|| v6.to_ipv4());
            let mapped = mapped.or_else(|| behind.then(|| last.into()));
            let to4 =
                (first == 0x2002).then(|| [octets[2], octets[3], octets[4], octets[5]].into());
            let mapped = mapped.or(to4);
            let own = [(0xfd00, 0x0ec2), (0xfd20, 0x00ce), (0xfd00, 0x0042)];
            first & 0xffc0 == 0xfe80
                || own.contains(&(first, second))
                || mapped.is_some_and(|v4| is_metadata_address(IpAddr::V4(v4)))
        }
    }
}

/// Whether a name leads to a link-local address or a cloud's metadata, as far as this machine can tell: a proxy resolves names
/// itself, so that the client's own resolver is not asked.
pub async fn leads_to_metadata(host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}/"));
    let Some(Host::Domain(name)) = url.as_ref().ok().and_then(Url::host) else {
        return is_metadata(host);
    };
    let found = tokio::net::lookup_host((name, 0)).await;
    is_metadata(host) || found.is_ok_and(|mut found| found.any(|at| is_metadata_address(at.ip())))
}

/// Whether a name leads outside the network, by whatever this machine resolves it to. A proxy resolves names itself, so that
/// the client's own resolver is not asked; where this machine cannot tell either, the proxy's rules count.
pub async fn leads_outside(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else { return !is_internal(host) };
    match tokio::net::lookup_host((*name, 0)).await {
        Ok(mut found) => !is_internal(host) && found.all(|at| !is_internal_address(at.ip())),
        Err(_) => !is_internal(host),
    }
}

/// The `Authorization` header for a user and a password.
#[must_use]
pub fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    use base64::Engine as _;
    let pair = format!("{user}:{}", password.expose());
    sensitive(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

/// The `Authorization` header for a token.
#[must_use]
pub fn bearer(token: &Secret) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {}", token.expose()))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a host is loopback, private, link-local (cloud metadata), unspecified or the like, or a
/// name that means one.
#[must_use]
pub fn is_internal(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            // Without a dot, it is a name of this network alone; clusters and clouds have their own as well.
            !name.contains('.')
                || [".localhost", ".internal", ".local", ".svc", ".localdomain", ".home.arpa"]
                    .iter()
                    .any(|end| name.ends_with(end))
                || is_metadata(name)
        }
        Host::Ipv4(address) => is_internal_address(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_internal_address(IpAddr::V6(*address)),
    }
}

fn is_internal_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || shared
                // Clouds have their metadata there as well, and so have some laboratories.
                || v4.octets() == [168, 63, 129, 16]
                || (a, b) == (198, 18) || (a, b) == (198, 19)
                || v4.octets()[..3] == [192, 0, 0]
                || a == 0
                || a >= 224
        }
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().or_else(|| v6.to_ipv4());
            let [first, second, ..] = v6.segments();
            let octets = v6.octets();
            // Addresses of version 4 in those of version 6: behind NAT64, and 6to4.
            let embedded = match (first, second) {
                (0x64, 0xff9b) => Some([octets[12], octets[13], octets[14], octets[15]]),
                (0x2002, _) => Some([octets[2], octets[3], octets[4], octets[5]]),
                _ => None,
            };
            let embedded =
                embedded.is_some_and(|octets| is_internal_address(IpAddr::V4(octets.into())));
            let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
            let mapped = mapped.is_some_and(|v4| is_internal_address(IpAddr::V4(v4)));
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || local
                || mapped
                || embedded
        }
    }
}

/// Whether a host, with or without a port, is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}/"));
    url.is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_inside_are_not_resolved() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let resolve =
            |by: Without| runtime.block_on(by.resolve("localhost".parse().unwrap())).is_ok();
        assert!(!resolve(INTERNAL));
        assert!(resolve(METADATA));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["127.0.0.1:5000", "localhost", "[::1]:5000", "a.localhost:1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "10.0.0.1", "127.0.0.1.evil.com", "localhost.evil.com", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

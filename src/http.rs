//! The HTTP client that every edge starts from: one TLS stack, one set of limits.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};
use url::{Host, Url};

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
    fn only_this_machine_is_loopback() {
        for host in ["127.0.0.1:5000", "localhost", "[::1]:5000", "a.localhost:1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "10.0.0.1", "127.0.0.1.evil.com", "localhost.evil.com", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

//! Answers of registries, for the fuzzer: pages, challenges and manifests.

use http::{HeaderMap, HeaderValue, header};
use url::Url;

use super::auth::Challenge;
use super::budget::Budget;
use super::kind::product;
use super::manifest;
use super::page::Pages;
use crate::policy::RegistryKind;

/// Registries whose answers are read.
const KINDS: [RegistryKind; 6] = [
    RegistryKind::DockerHub,
    RegistryKind::Google,
    RegistryKind::Azure,
    RegistryKind::Quay,
    RegistryKind::Harbor,
    RegistryKind::Other,
];

/// Reads a header and a body as each answer of a registry.
///
/// # Panics
/// A next page is of another origin.
pub fn answer(header: &[u8], body: &[u8]) {
    let url = Url::parse("https://r.io/v2/acme/shop/tags/list?n=1000").expect("an address");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        for name in [header::LINK, header::WWW_AUTHENTICATE, header::ETAG, header::RETRY_AFTER] {
            headers.insert(name, value.clone());
        }
    }
    for kind in KINDS {
        let product = product(kind);
        for list in [Some(product.plain), product.timed].into_iter().flatten() {
            let Ok(page) = list.read(&headers, body, &url) else { continue };
            if let Ok(Some(next)) = Pages::new("/v2/acme/shop/tags/list").add(url.path(), &page) {
                assert!(next.starts_with('/') && !next.starts_with("//"), "{next}");
            }
        }
    }
    drop(Challenge::read(&headers, &url, &[]));
    let pause = Budget::read(&headers, jiff::Timestamp::UNIX_EPOCH).and_then(|one| one.pause());
    assert!(pause.is_none_or(|pause| pause.as_secs() < 1 << 40));
    manifest::fuzz(body);
}

//! Pages of a tag listing: reading one, and finding the next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, LINK};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use url::Url;

use super::ScanError;
use crate::choose::Listing;
use crate::image::Tag;

/// The largest page, in bytes after inflation.
pub(super) const MAX_PAGE: usize = 8 << 20;

/// More pages than any honest registry needs for the largest number of tags.
const MAX_PAGES: usize = 2_000;

/// The most tags of one repository.
pub(super) const MAX_TAGS: usize = 200_000;

/// A longer validator is not kept, in bytes.
const MAX_ETAG: usize = 1_024;

/// One page of a list of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// What it takes to ask whether it changed; empty where the registry has nothing like that.
    #[serde(default)]
    pub(super) etag: String,
    pub(super) tags: Vec<String>,
    /// When the registry got each, where it says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) pushed: BTreeMap<String, Timestamp>,
    /// Path and query of the next one.
    pub(super) next: Option<String>,
}

/// Collects pages and notices when they do not lead anywhere.
pub(super) struct Pages {
    listing: Listing,
    seen: BTreeSet<String>,
    /// How many texts stood in all pages, whatever they were worth.
    texts: usize,
}

/// A page by the [specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags),
/// with what Google adds (<https://cloud.google.com/artifact-registry/docs/docker/store-docker-container-images>).
#[derive(Deserialize)]
struct Body {
    // Some write `null` for none; without the key it is not a list.
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
    errors: Option<IgnoredAny>,
    #[serde(default)]
    manifest: BTreeMap<String, Uploaded>,
}

/// What Google says of a manifest, by its digest.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Uploaded {
    tag: Vec<String>,
    /// A number in a text.
    time_uploaded_ms: serde_json::Value,
}

impl Uploaded {
    fn at(&self) -> Option<Timestamp> {
        let told = &self.time_uploaded_ms;
        let milliseconds = told.as_i64().or_else(|| told.as_str()?.parse().ok())?;
        Timestamp::from_millisecond(milliseconds).ok()
    }
}

impl Page {
    /// Reads a page by the specification.
    pub(super) fn read(headers: &HeaderMap, body: &[u8], url: &Url) -> Result<Self, ScanError> {
        let next = next(headers, url)?;
        let body: Body = parse(headers, body)?;
        if body.errors.is_some() {
            let why = "the answer is a tag list and an error at once";
            return Err(ScanError::Malformed(why.to_owned()));
        }
        let mut pushed = BTreeMap::new();
        for uploaded in body.manifest.into_values() {
            let at = uploaded.at();
            pushed.extend(uploaded.tag.into_iter().filter_map(|tag| Some((tag, at?))));
        }
        Ok(Self { etag: etag(headers), tags: body.tags.unwrap_or_default(), pushed, next })
    }
}

impl Page {
    /// Whether it can be asked for again, and holds nothing but tags.
    pub(super) fn is_worth_keeping(&self) -> bool {
        !self.etag.is_empty() && self.tags.iter().all(|tag| Tag::parse(tag).is_some())
    }
}

/// Reads a body that should be JSON.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, ScanError> {
    let is_html = content_type(headers).contains("html");
    serde_json::from_slice(body).map_err(|_error| not_a_listing(is_html, body))
}

/// What it takes to ask whether an answer changed.
pub(super) fn etag(headers: &HeaderMap) -> String {
    let etag = headers.get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if etag.len() > MAX_ETAG { String::new() } else { etag.to_owned() }
}

impl Pages {
    pub(super) fn new(first: &str) -> Self {
        Self { listing: Listing::default(), seen: BTreeSet::from([first.to_owned()]), texts: 0 }
    }

    /// Adds the page that was at a path; the next one's path and query, if there is one.
    pub(super) fn add(&mut self, path: &str, page: &Page) -> Result<Option<String>, ScanError> {
        let before = self.listing.tags.len();
        self.texts += page.tags.len();
        let mut found = Listing::from_texts(page.tags.iter().map(String::as_str));
        for (tag, listed) in &mut found.tags {
            if let Some(at) = page.pushed.get(tag.as_str()) {
                listed.pushed = Some(*at);
            }
        }
        self.listing.dropped += found.dropped;
        self.listing.tags.extend(found.tags);
        if self.texts > MAX_TAGS {
            return Err(ScanError::Incomplete(format!("more than {MAX_TAGS} tags")));
        }
        let Some(next) = page.next.clone() else { return Ok(None) };
        if without_query(&next) != without_query(path) {
            return Err(elsewhere());
        }
        if self.listing.tags.len() == before {
            return Err(ScanError::Incomplete(
                "a page adds no tag, and names another page".to_owned(),
            ));
        }
        if self.seen.len() >= MAX_PAGES || !self.seen.insert(next.clone()) {
            return Err(ScanError::Incomplete("its pages do not end".to_owned()));
        }
        Ok(Some(next))
    }

    pub(super) fn finish(self) -> Listing {
        self.listing
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn elsewhere() -> ScanError {
    ScanError::Incomplete("the next page is on another address".to_owned())
}

/// The `rel="next"` link of a page ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)) as path and
/// query, which must stay on the same listing of the same registry: another origin could be asked
/// anything.
pub(super) fn next(headers: &HeaderMap, page: &Url) -> Result<Option<String>, ScanError> {
    for value in headers.get_all(LINK) {
        let unclear = || ScanError::Incomplete("where the next page is cannot be read".to_owned());
        let value = value.to_str().map_err(|_error| unclear())?;
        if !value.trim().is_empty() && links(value).next().is_none() {
            return Err(unclear());
        }
        match links(value).find(|(_, is_next)| *is_next) {
            Some(("", _)) => return Err(elsewhere()),
            Some((target, _)) => return following(page, target).map(Some),
            None => {}
        }
    }
    Ok(None)
}

/// Path and query of a page that an answer names.
pub(super) fn following(page: &Url, target: &str) -> Result<String, ScanError> {
    let url = page.join(target).map_err(|_error| elsewhere())?;
    // Behind a proxy that ends TLS, a registry can name itself with the inner scheme or port.
    if url.origin() != page.origin() || !is_same_list(page.path(), url.path()) {
        return Err(elsewhere());
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}{query}", page.path()))
}

/// Whether a link means this list. Artifactory leaves out the first part of the path, which is the
/// name of its own repository (RTFACT-18971); what is asked for is this list in any case.
fn is_same_list(page: &str, link: &str) -> bool {
    page == link
        || page
            .strip_prefix("/v2/")
            .zip(link.strip_prefix("/v2/"))
            .is_some_and(|(page, link)| page.split_once('/').is_some_and(|(_, rest)| rest == link))
}

/// Each link of a header value, with whether its relation is `next`; one that does not say what it is
/// can be nothing else here.
fn links(value: &str) -> impl Iterator<Item = (&str, bool)> {
    value.split('<').skip(1).filter_map(|link| {
        let (target, params) = link.split_once('>')?;
        let mut relations = params.split([';', ',']).filter_map(|param| {
            let (key, value) = param.split_once('=')?;
            key.trim().eq_ignore_ascii_case("rel").then_some(value.trim().trim_matches('"'))
        });
        let is_next = |relations: &str| {
            relations.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        };
        Some((target.trim(), relations.next().is_none_or(is_next)))
    })
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn not_a_listing(is_html: bool, body: &[u8]) -> ScanError {
    let starts_like_html = body.trim_ascii_start().starts_with(b"<");
    let what = match (is_html || starts_like_html, body.is_empty()) {
        (true, _) => "the answer is an HTML page: a login page or a proxy, not a registry",
        (_, true) => "the answer is empty",
        _ => "the answer is not a tag list, or it is cut off",
    };
    ScanError::Malformed(what.to_owned())
}

/// Reads a body up to a limit.
pub(super) async fn read_capped(
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, ScanError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(ScanError::Malformed(format!("the answer is larger than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn next_of(link: &str) -> Result<Option<String>, ScanError> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_str(link).unwrap());
        let page = Url::parse("https://r.io/v2/a/b/tags/list?n=2").unwrap();
        next(&headers, &page)
    }

    #[test]
    fn links_of_all_spellings_are_followed() {
        let want = "/v2/a/b/tags/list?last=x&n=2";
        for link in [
            r#"</v2/a/b/tags/list?last=x&n=2>; rel="next""#,
            "<https://r.io/v2/a/b/tags/list?last=x&n=2>;rel=next",
            r#"<?last=x&n=2>; title="y"; REL="prev next""#,
            r#"</v2/a/b/tags/list>; rel="first", </v2/a/b/tags/list?last=x&n=2>; rel="next""#,
        ] {
            assert_eq!(next_of(link), Ok(Some(want.to_owned())), "{link}");
        }
        assert_eq!(next_of("</v2/a/b/tags/list?last=x&n=2>"), Ok(Some(want.to_owned())));
        assert_eq!(next_of(r#"</v2/a/b/tags/list?last=x>; rel="prev""#), Ok(None));
        assert_eq!(next_of(""), Ok(None));
    }

    #[test]
    fn a_page_says_all_that_it_has_to() {
        let url = Url::parse("https://r.io/v2/a/b/tags/list").unwrap();
        let read = |body: &str| Page::read(&HeaderMap::new(), body.as_bytes(), &url);
        assert_eq!(read(r#"{"name": "a/b", "tags": null}"#), Ok(Page::default()));
        for bad in ["{}", r#"{"name": "a/b"}"#, r#"{"tags": [], "errors": [{"code": "DENIED"}]}"#] {
            assert!(matches!(read(bad), Err(ScanError::Malformed(_))), "{bad}");
        }
        let google = |time: &str| {
            let body = format!(
                r#"{{"tags": ["v1"], "manifest": {{"sha256:x": {{"tag": ["v1"], "timeUploadedMs": {time}}}}}}}"#
            );
            read(&body).unwrap().pushed.get("v1").map(|at| at.as_second())
        };
        assert_eq!(google("\"1700000000000\""), Some(1_700_000_000));
        assert_eq!(google("1700000000000"), Some(1_700_000_000));
        assert_eq!((google("\"soon\""), google("null")), (None, None));
    }

    #[test]
    fn all_texts_count_against_the_limit() {
        let mut pages = Pages::new("/a?1");
        let page = |next: &str| Page {
            tags: vec!["same".to_owned(); MAX_TAGS],
            next: Some(next.to_owned()),
            ..Page::default()
        };
        assert!(pages.add("/a?1", &page("/a?2")).is_ok());
        assert!(matches!(pages.add("/a?2", &page("/a?3")), Err(ScanError::Incomplete(_))));
    }

    #[test]
    fn links_elsewhere_make_the_listing_incomplete() {
        for link in [
            r#"<https://evil.io/v2/a/b/tags/list?last=x>; rel="next""#,
            r#"<http://r.io/v2/a/b/tags/list?last=x>; rel="next""#,
            r#"<https://r.io:444/v2/a/b/tags/list?last=x>; rel="next""#,
            r#"</v2/a/c/tags/list?last=x>; rel="next""#,
            r#"</v2/a/b/../c/tags/list>; rel="next""#,
            r#"<>; rel="next""#,
            r#"<//evil.io/v2/a/b/tags/list>; rel="next""#,
            "/v2/a/b/tags/list?last=x",
            "<\u{e9}>; rel=next",
        ] {
            assert!(matches!(next_of(link), Err(ScanError::Incomplete(_))), "{link}");
        }
    }
}

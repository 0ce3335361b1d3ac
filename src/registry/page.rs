//! Pages of a tag listing: reading one, and finding the next.

use std::collections::BTreeSet;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LINK};
use serde::Deserialize;
use url::Url;

use super::ScanError;
use crate::choose::Listing;

/// The largest page, in bytes after inflation.
const MAX_PAGE: usize = 8 << 20;

/// More pages than any honest registry needs for the largest number of tags.
const MAX_PAGES: usize = 2_000;

/// The most tags of one repository.
pub(super) const MAX_TAGS: usize = 200_000;

/// Collects pages and notices when they do not lead anywhere.
pub(super) struct Pages {
    listing: Listing,
    seen: BTreeSet<Url>,
}

#[derive(Deserialize)]
struct Body {
    tags: Option<Vec<String>>,
}

impl Pages {
    pub(super) fn new(first: Url) -> Self {
        Self { listing: Listing::default(), seen: BTreeSet::from([first]) }
    }

    /// Adds a page; the next one's address, if there is one.
    pub(super) async fn add(
        &mut self,
        url: &Url,
        page: Response,
    ) -> Result<Option<Url>, ScanError> {
        let next = next(page.headers(), url)?;
        let is_html = content_type(page.headers()).contains("html");
        let body = read_capped(page, MAX_PAGE).await?;
        let body: Body =
            serde_json::from_slice(&body).map_err(|_error| not_a_listing(is_html, &body))?;
        let texts = body.tags.unwrap_or_default();
        let page = Listing::from_texts(texts.iter().map(String::as_str));
        let before = self.listing.tags.len();
        self.listing.dropped += page.dropped;
        self.listing.tags.extend(page.tags);
        if self.listing.tags.len() > MAX_TAGS {
            return Err(ScanError::Incomplete(format!("more than {MAX_TAGS} tags")));
        }
        let Some(next) = next else { return Ok(None) };
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

/// The `rel="next"` link of a page ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)), which must
/// stay on the same listing of the same registry: another origin could be asked anything.
fn next(headers: &HeaderMap, page: &Url) -> Result<Option<Url>, ScanError> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = values.flat_map(links).find_map(|(target, rel)| rel.then_some(target))
    else {
        return Ok(None);
    };
    let elsewhere = || ScanError::Incomplete("the next page is on another address".to_owned());
    let mut url = page.join(target).map_err(|_error| elsewhere())?;
    url.set_fragment(None);
    // Behind a proxy that ends TLS, a registry can name itself with the inner scheme or port.
    if url.origin() != page.origin() || url.path() != page.path() || target.is_empty() {
        return Err(elsewhere());
    }
    Ok(Some(url))
}

/// Each link of a header value, with whether its relation is `next`.
fn links(value: &str) -> impl Iterator<Item = (&str, bool)> {
    value.split('<').skip(1).filter_map(|link| {
        let (target, params) = link.split_once('>')?;
        let is_next = params.split([';', ',']).any(|param| {
            let (key, value) = param.split_once('=').unwrap_or_default();
            let relations = value.trim().trim_matches('"').split_ascii_whitespace();
            key.trim().eq_ignore_ascii_case("rel")
                && relations.into_iter().any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        Some((target.trim(), is_next))
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
        next(&headers, &page).map(|url| url.map(|url| url.to_string()))
    }

    #[test]
    fn links_of_all_spellings_are_followed() {
        let want = "https://r.io/v2/a/b/tags/list?last=x&n=2";
        for link in [
            r#"</v2/a/b/tags/list?last=x&n=2>; rel="next""#,
            "<https://r.io/v2/a/b/tags/list?last=x&n=2>;rel=next",
            r#"<?last=x&n=2>; title="y"; REL="prev next""#,
            r#"</v2/a/b/tags/list>; rel="first", </v2/a/b/tags/list?last=x&n=2>; rel="next""#,
        ] {
            assert_eq!(next_of(link), Ok(Some(want.to_owned())), "{link}");
        }
        assert_eq!(next_of(r#"</v2/a/b/tags/list?last=x>; rel="prev""#), Ok(None));
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
        ] {
            assert!(matches!(next_of(link), Err(ScanError::Incomplete(_))), "{link}");
        }
    }
}

//! Which list of a repository's tags is asked for: the one of the specification, or the registry's own,
//! which says as well when it got each tag.

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::ScanError;
use super::page::{self, Page};
use crate::image::Repository;

/// Registries cap a page themselves; ECR refuses more than this.
const PAGE_SIZE: &str = "1000";

/// Where Docker Hub's own interface is, beside its registry.
pub(super) const HUB_API: &str = "hub.docker.com";

/// A list of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// By the
    /// [specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags).
    Tags,
    /// The same without a page size: Docker Hub answers with all tags at once unless it is told one.
    TagsAtOnce,
    /// <https://docs.docker.com/reference/api/hub/latest/#tag/repositories/operation/ListRepositoryTags>
    Hub,
    /// <https://docs.quay.io/api/swagger/#operation--api-v1-repository--repository--tag--get>
    Quay,
    /// <https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml> (`listArtifacts`)
    Harbor,
}

impl List {
    /// Whether it is part of the distribution protocol, with its logins.
    pub(super) fn is_protocol(self) -> bool {
        matches!(self, Self::Tags | Self::TagsAtOnce)
    }

    /// The repository as the host with this list has it.
    pub(super) fn place(self, repository: &Repository) -> Option<Repository> {
        if self == Self::Hub && repository.registry() == "docker.io" {
            return Repository::parse(&format!("{HUB_API}/{}", repository.path())).ok();
        }
        Some(repository.clone())
    }

    /// Path and query of the first page.
    pub(super) fn first(self, path: &str) -> String {
        match self {
            Self::Tags => format!("/v2/{path}/tags/list?n={PAGE_SIZE}"),
            Self::TagsAtOnce => format!("/v2/{path}/tags/list"),
            Self::Hub => format!("/v2/repositories/{path}/tags?page_size=100"),
            Self::Quay => {
                format!("/api/v1/repository/{path}/tag/?limit=100&onlyActiveTags=true&page=1")
            }
            Self::Harbor => {
                let (project, rest) = path.split_once('/').unwrap_or((path, ""));
                // Slashes in a name are encoded twice.
                let rest = rest.replace('/', "%252F");
                format!(
                    "/api/v2.0/projects/{project}/repositories/{rest}/artifacts?page=1&page_size=100&with_tag=true&q=tags%3D*"
                )
            }
        }
    }

    /// Reads a page.
    pub(super) fn read(
        self,
        headers: &HeaderMap,
        body: &[u8],
        url: &Url,
    ) -> Result<Page, ScanError> {
        let (page, next) = match self {
            Self::Tags | Self::TagsAtOnce => return Page::read(headers, body, url),
            Self::Hub => {
                let found: Hub = page::parse(headers, body)?;
                let next = found.next.map(|next| page::following(url, &next)).transpose()?;
                (
                    page_of(found.results.into_iter().map(|tag| (tag.name, tag.tag_last_pushed))),
                    next,
                )
            }
            Self::Quay => {
                let found: Quay = page::parse(headers, body)?;
                let next = quay_next(url, &found)?;
                let time = |at: Option<i64>| at.and_then(|at| Timestamp::from_second(at).ok());
                (page_of(found.tags.into_iter().map(|tag| (tag.name, time(tag.start_ts)))), next)
            }
            Self::Harbor => {
                let found: Vec<Artifact> = page::parse(headers, body)?;
                let tags = found.into_iter().flat_map(|artifact| artifact.tags.unwrap_or_default());
                (page_of(tags.map(|tag| (tag.name, tag.push_time))), page::next(headers, url)?)
            }
        };
        Ok(Page { etag: page::etag(headers), next, ..page })
    }
}

#[derive(Deserialize)]
struct Hub {
    next: Option<String>,
    results: Vec<HubTag>,
}

#[derive(Deserialize)]
struct HubTag {
    name: String,
    tag_last_pushed: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Quay {
    has_additional: bool,
    page: u32,
    tags: Vec<QuayTag>,
}

#[derive(Deserialize)]
struct QuayTag {
    name: String,
    start_ts: Option<i64>,
}

#[derive(Deserialize)]
struct Artifact {
    tags: Option<Vec<HarborTag>>,
}

#[derive(Deserialize)]
struct HarborTag {
    name: String,
    push_time: Option<Timestamp>,
}

fn page_of(tags: impl Iterator<Item = (String, Option<Timestamp>)>) -> Page {
    let mut page = Page::default();
    for (name, at) in tags {
        page.pushed.extend(at.map(|at| (name.clone(), at)));
        page.tags.push(name);
    }
    page
}

/// The page behind this one, which has to be the one that was asked for.
fn quay_next(url: &Url, found: &Quay) -> Result<Option<String>, ScanError> {
    let asked = url.query_pairs().find(|(key, _)| key == "page").map(|(_, page)| page.into_owned());
    if asked != Some(found.page.to_string()) {
        return Err(ScanError::Incomplete("the answer is another page".to_owned()));
    }
    let next = found.page.checked_add(1).filter(|_| found.has_additional);
    Ok(next.map(|page| format!("{}?limit=100&onlyActiveTags=true&page={page}", url.path())))
}

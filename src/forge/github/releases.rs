//! Releases of the repositories that images come from
//! ([REST](https://docs.github.com/en/rest/releases/releases#list-releases)), asked for
//! [conditionally](https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate):
//! what has not changed costs nothing of a limit.

use octocrab::Octocrab;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use serde::{Deserialize, Serialize};

use super::GitHub;
use crate::forge::{ForgeFault, Release};
use crate::repo_id::RepoId;
use crate::store::{Kind, Store};

/// Older ones than these are not looked at.
const RELEASES: usize = 50;

/// No more than this of what a release says is kept, in characters.
const MAX_TEXT: usize = 4_000;

/// Who may see a repository.
#[derive(Deserialize)]
struct VisibleRepository {
    private: bool,
    visibility: Option<String>,
}

/// What an earlier run was told.
#[derive(Serialize, Deserialize)]
struct Kept {
    route: String,
    etag: String,
    releases: Vec<Release>,
}

/// What GitHub says now.
enum ReleasesAnswer {
    Unchanged,
    New(Option<String>, Vec<Release>),
}

impl GitHub {
    /// The newest published releases of a public repository of this server; none of any other, whatever the
    /// token may see: it is an image's label that names the repository, and others read the pull request.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeFault> {
        let found: VisibleRepository = self.get(&format!("/repos/{of}")).await?;
        if found.private || found.visibility.is_some_and(|it| it != "public") {
            return Err(ForgeFault::NotFound(format!("a public repository {of}")));
        }
        self.releases(of).await
    }

    async fn releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeFault> {
        let route = format!("/repos/{of}/releases?per_page={RELEASES}");
        let kept = self.store.as_ref().and_then(|store| kept(store, &route));
        let etag = kept.as_ref().map(|kept| kept.etag.as_str());
        let told = self.patiently(async |rest: Octocrab| ask(&rest, &route, etag).await).await?;
        let (etag, mut releases) = match (told, kept) {
            (ReleasesAnswer::New(etag, releases), _) => (etag, releases),
            (ReleasesAnswer::Unchanged, kept) => {
                return Ok(kept.map(|kept| kept.releases).unwrap_or_default());
            }
        };
        releases.retain(|release| !release.draft);
        for text in releases.iter_mut().filter_map(|release| release.body.as_mut()) {
            *text = text.chars().take(MAX_TEXT).collect();
        }
        if let (Some(store), Some(etag)) = (&self.store, etag) {
            let kept = Kept { route: route.clone(), etag, releases: releases.clone() };
            store.keep(Kind::Forge, &route, &serde_json::to_vec(&kept).unwrap_or_default());
        }
        Ok(releases)
    }
}

fn kept(store: &Store, route: &str) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&store.get(Kind::Forge, route)?).ok()?;
    (kept.route == route).then_some(kept)
}

async fn ask(rest: &Octocrab, route: &str, etag: Option<&str>) -> octocrab::Result<ReleasesAnswer> {
    let known = etag.and_then(|etag| HeaderValue::from_str(etag).ok());
    let headers = known.map(|etag| HeaderMap::from_iter([(IF_NONE_MATCH, etag)]));
    let is_known = headers.is_some();
    let answer = rest._get_with_headers(route, headers).await?;
    if is_known && answer.status() == http::StatusCode::NOT_MODIFIED {
        return Ok(ReleasesAnswer::Unchanged);
    }
    let answer = octocrab::map_github_error(answer).await?;
    let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok().map(str::to_owned));
    let releases = <Vec<Release> as octocrab::FromResponse>::from_response(answer).await?;
    Ok(ReleasesAnswer::New(etag, releases))
}

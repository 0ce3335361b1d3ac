//! Releases of the repositories that images come from (`GET /repos/{owner}/{repo}/releases`).

use serde::Deserialize;

use super::Forgejo;
use crate::forge::{ForgeFault, Release};
use crate::repo_id::RepoId;

/// Older ones than these are not looked at.
const RELEASES: usize = 50;

/// No more than this of a release's text is kept, in characters.
const MAX_TEXT: usize = 4_000;

/// A repository, with who may see it: `internal` is for those who are signed in, and `private` is said of either.
#[derive(Deserialize)]
struct VisibleRepository {
    private: bool,
    #[serde(default)]
    internal: bool,
    owner: VisibleOwner,
}

#[derive(Deserialize)]
struct VisibleOwner {
    #[serde(default)]
    visibility: String,
}

impl VisibleRepository {
    fn is_public(&self) -> bool {
        !self.private && !self.internal && matches!(&*self.owner.visibility, "" | "public")
    }
}

impl Forgejo {
    /// Reads the newest published releases of a public repository of this server; none of any other, whatever the token may
    /// see: it is an image's label that names the repository, and others read the pull request.
    pub(super) async fn releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeFault> {
        let found: VisibleRepository = self.get(&format!("repos/{of}")).await?;
        if !found.is_public() {
            return Err(ForgeFault::NotFound(format!("a public repository {of}")));
        }
        let route = format!("repos/{of}/releases?draft=false&limit={RELEASES}");
        let all: Vec<Release> = self.get(&route).await?;
        let cut = |release: Release| Release {
            body: release.body.map(|text| text.chars().take(MAX_TEXT).collect()),
            ..release
        };
        Ok(all.into_iter().filter(|release| !release.draft).map(cut).collect())
    }
}

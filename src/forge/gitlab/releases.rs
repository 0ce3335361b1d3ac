//! Releases of the projects that images come from
//! ([REST](https://docs.gitlab.com/api/releases/#list-releases)).

use serde::Deserialize;

use super::{GitLab, encoded};
use crate::forge::{ForgeFault, Release};
use crate::repo_id::RepoId;

/// Older ones than these are not looked at.
const RELEASES: usize = 50;

/// No more than this of a release's description is kept, in characters.
const MAX_TEXT: usize = 4_000;

#[derive(Deserialize)]
struct VisibleProject {
    visibility: Option<String>,
    /// Who may see releases: members alone, where this is `private`.
    releases_access_level: Option<String>,
}

#[derive(Deserialize)]
struct ListedRelease {
    tag_name: String,
    description: Option<String>,
    #[serde(default)]
    upcoming_release: bool,
}

impl GitLab {
    /// Reads the newest published releases of a public project of this server; none of any other, whatever the token may
    /// see: it is an image's label that names the project, and others read the merge request.
    pub(super) async fn releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeFault> {
        let project = format!("projects/{}", encoded(of.path()));
        let found: VisibleProject = self.get(&project).await?;
        let is_public = found.visibility.as_deref() == Some("public")
            && found.releases_access_level.as_deref() == Some("enabled");
        if !is_public {
            return Err(ForgeFault::NotFound(format!("a public project {of}")));
        }
        let all: Vec<ListedRelease> =
            self.get(&format!("{project}/releases?per_page={RELEASES}")).await?;
        let published = all.into_iter().filter(|release| !release.upcoming_release);
        let cut = |text: String| text.chars().take(MAX_TEXT).collect();
        let read = published.map(|release| Release {
            tag_name: release.tag_name,
            body: release.description.map(cut),
            draft: false,
        });
        Ok(read.collect())
    }
}

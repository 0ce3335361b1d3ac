//! The catalog of a run: from a file, or filled from registries as far as decisions need it.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use crate::choose::{Catalog, Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::{Digest, Repository, Tag};
use crate::policy::RepositorySettings;
use crate::registry::{self, Options, Registry};
use crate::report::Progress;
use crate::settings::DecideSettings;

/// Tags and digests, each asked for once in a run, however often it plans.
pub struct Tags {
    catalog: Catalog,
    /// Digests that could not be learnt.
    missing: BTreeMap<(Repository, Tag), Reason>,
    /// How registries are asked; `None` when the catalog is all there is.
    options: Option<Options>,
    /// Made when the first registry is needed.
    client: Option<Registry>,
}

impl Tags {
    /// Reads `--catalog`, or gets ready to ask registries.
    ///
    /// # Errors
    /// When the catalog file cannot be read.
    pub fn new(settings: &DecideSettings) -> Result<Self, Failure> {
        let (catalog, options) = match &settings.catalog {
            Some(path) => {
                let failed = |error: String| {
                    Failure::Argument(format!("--catalog {}: {error}", path.display()))
                };
                let text =
                    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
                let catalog = Catalog::parse(&text).map_err(|error| failed(error.to_string()))?;
                (catalog, None)
            }
            None => {
                let options = Options {
                    plain_http: settings.plain_http.clone(),
                    plain_http_anonymous: Vec::new(),
                    token_hosts: settings.token_hosts.clone(),
                };
                (Catalog::default(), Some(options))
            }
        };
        Ok(Self { catalog, missing: BTreeMap::new(), options, client: None })
    }

    /// What is known.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Lists the repositories that are not known yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub async fn list(
        &mut self,
        repositories: &BTreeSet<&Repository>,
        settings: &RepositorySettings,
        progress: bool,
    ) -> Result<(), Failure> {
        let new: Vec<_> =
            repositories.iter().filter(|r| !self.catalog.0.contains_key(**r)).copied().collect();
        let Some(options) = &mut self.options else { return Ok(()) };
        if new.is_empty() {
            return Ok(());
        }
        if self.client.is_none() {
            let plain = settings.registries.iter().filter(|registry| registry.plain_http);
            options.plain_http_anonymous = plain.map(|registry| registry.host.clone()).collect();
            self.client = Some(Registry::new(options.clone()));
        }
        let Some(client) = &self.client else { return Ok(()) };
        let bar = Progress::new(progress, "asking registries for tags", new.len());
        let listed = registry::scan(client, new, &|| bar.step()).await;
        self.catalog.0.extend(listed.0);
        Ok(())
    }

    /// Learns the digests that are not known yet.
    pub async fn digests(&mut self, wanted: BTreeSet<(Repository, Tag)>, progress: bool) {
        let Some(client) = &self.client else { return };
        let known =
            |(repository, tag): &(Repository, Tag)| self.catalog.digest(repository, tag).is_some();
        let new: Vec<_> = wanted.into_iter().filter(|want| !known(want)).collect();
        let bar = Progress::new(progress, "asking registries for digests", new.len());
        let answers = registry::digests(client, new, &|| bar.step()).await;
        for ((repository, tag), answer) in answers {
            match answer {
                Ok(digest) => {
                    let listing = self.catalog.0.get_mut(&repository).and_then(|l| l.as_mut().ok());
                    if let Some(listed) = listing.and_then(|listing| listing.tags.get_mut(&tag)) {
                        listed.digest = Some(digest);
                    }
                }
                Err(reason) => drop(self.missing.insert((repository, tag), reason)),
            }
        }
    }

    /// The digest behind a tag.
    ///
    /// # Errors
    /// The reason why it is not known.
    pub fn digest(&self, repository: &Repository, tag: &Tag) -> Result<Digest, Reason> {
        let missing = self.missing.get(&(repository.clone(), tag.clone()));
        let unknown = || {
            let message = format!("the digest of {repository}:{tag} is not in the catalog");
            missing.cloned().unwrap_or_else(|| Reason::new(ReasonCode::NoDigest, message))
        };
        self.catalog.digest(repository, tag).cloned().ok_or_else(unknown)
    }

    /// What to say when a registry listed texts that are not tags.
    #[must_use]
    pub fn dropped(&self, repository: &Repository) -> Option<Diagnostic> {
        let dropped = self.catalog.listing(repository).ok()?.dropped;
        let message = format!("{repository}: {dropped} listed texts are not tags and were dropped");
        (dropped > 0).then(|| Diagnostic::warning(Code::TagsDropped, message))
    }

    /// Writes `--save-catalog`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, settings: &DecideSettings) -> Result<(), Failure> {
        let Some(path) = &settings.save_catalog else { return Ok(()) };
        let written = std::fs::write(path, self.catalog.to_yaml());
        written.map_err(|error| {
            Failure::Argument(format!("--save-catalog {}: {error}", path.display()))
        })
    }
}

//! The catalog of a run: from a file, or filled from registries as far as decisions need it.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use crate::choose::{Answers, Catalog, Question, Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::{Digest, Repository, Tag};
use crate::policy::{PolicySet, RepositorySettings};
use crate::registry::{self, Options, Registry};
use crate::report::Progress;
use crate::settings::DecideSettings;
use crate::signature::Verifiers;

/// Clocks that differ by more than this, in seconds, are not compared.
const LARGEST_SKEW: u64 = 600;

/// Tags and digests, each asked for once in a run, however often it plans.
pub struct Tags {
    catalog: Catalog,
    answers: Answers,
    /// Repositories whose registry's clock is far from ours: by how many seconds it is ahead.
    skewed: BTreeMap<Repository, i64>,
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
                    clock: settings.clock,
                    plain_http_anonymous: Vec::new(),
                    token_hosts: settings.token_hosts.clone(),
                };
                (Catalog::default(), Some(options))
            }
        };
        Ok(Self {
            catalog,
            answers: Answers::default(),
            skewed: BTreeMap::new(),
            options,
            client: None,
        })
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
        for repository in listed.0.keys() {
            let ahead = client.seconds_ahead(repository).await;
            if ahead.unsigned_abs() > LARGEST_SKEW {
                self.skewed.insert(repository.clone(), ahead);
            }
        }
        self.catalog.0.extend(listed.0);
        Ok(())
    }

    /// Everything that was asked beside the lists.
    #[must_use]
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Repositories whose registry's clock is far from ours.
    #[must_use]
    pub fn skewed(&self) -> &BTreeMap<Repository, i64> {
        &self.skewed
    }

    /// What to say about those of which an age is counted.
    pub fn skews<'a>(&'a self, set: &'a PolicySet) -> impl Iterator<Item = Diagnostic> {
        let is_aged = |repository: &Repository| {
            let mut policies = set.policies.iter();
            policies.any(|p| p.repository == *repository && p.checks.min_age.is_some())
        };
        let aged = self.skewed.iter().filter(move |(repository, _)| is_aged(repository));
        aged.map(|(repository, ahead)| {
            let (by, way) = (ahead.unsigned_abs(), if *ahead > 0 { "behind" } else { "ahead of" });
            let message = format!(
                "the clock here is {by} seconds {way} that of {repository}'s registry; no age is counted"
            );
            Diagnostic::warning(Code::ClockSkew, message).help("set the clock of this machine")
        })
    }

    /// Whether the tags are those of a file, and no registry is asked.
    #[must_use]
    pub fn is_catalog(&self) -> bool {
        self.options.is_none()
    }

    /// The digest behind a tag, when this run knows it.
    #[must_use]
    pub fn digest(&self, repository: &Repository, tag: &Tag) -> Option<&Digest> {
        let listed = self.catalog.listing(repository).ok()?.tags.get(tag);
        let asked = self.answers.digests.get(&(repository.clone(), tag.clone()));
        listed.and_then(|listed| listed.digest.as_ref()).or_else(|| asked?.as_ref().ok())
    }

    /// Answers questions, all at once. What cannot be learnt is answered with the reason.
    pub async fn answer(
        &mut self,
        questions: BTreeSet<Question>,
        verifiers: &Verifiers,
        progress: bool,
    ) {
        let Some(client) = &self.client else {
            for question in questions {
                self.answers.refuse(question, |subject| {
                    let message = format!("{subject} is not in the catalog");
                    Reason::new(ReasonCode::NoDigest, message)
                });
            }
            return;
        };
        let bar = Progress::new(progress, "asking registries about tags", questions.len());
        registry::answer(client, questions, verifiers, &mut self.answers, &|| bar.step()).await;
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
        let known = self.catalog.with(&self.answers);
        let written = std::fs::write(path, known.to_yaml());
        written.map_err(|error| {
            Failure::Argument(format!("--save-catalog {}: {error}", path.display()))
        })
    }
}

//! The catalog of a run: from a file, or filled from registries as far as decisions need it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Failure, load};
use crate::choose::{Answers, Catalog, Deployed, Listing, Question, Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::{Digest, Origin, Repository, Tag};
use crate::policy::{PolicySet, RegistrySettings, RepositorySettings, Times};
use crate::registry::{self, Options, Registry, Usage};
use crate::report::Progress;
use crate::settings::{DecideSettings, Pushed};
use crate::signature::Verifiers;

/// Clocks that differ by more than this, in seconds, are not compared.
const LARGEST_SKEW: u64 = 600;

/// Tags and digests, each asked for once in a run, however often it plans.
pub struct Tags {
    catalog: Catalog,
    answers: Answers,
    /// Repositories whose registry's clock is far from ours: by how many seconds it is ahead.
    skewed: BTreeMap<Repository, i64>,
    /// Whether repositories have digests, each asked for once.
    had: BTreeMap<(Repository, Digest), bool>,
    /// What single tags were said to be.
    behind: BTreeMap<(Repository, Tag), Digest>,
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
            None => (Catalog::default(), Some(options(settings)?)),
        };
        Ok(Self {
            catalog,
            answers: Answers::default(),
            skewed: BTreeMap::new(),
            had: BTreeMap::new(),
            behind: BTreeMap::new(),
            options,
            client: None,
        })
    }

    /// What is known.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Lists the repositories that are not known yet, with times where one of the policies goes by
    /// them.
    #[tracing::instrument(name = "list", skip_all, fields(images = repositories.len()))]
    pub async fn list(
        &mut self,
        repositories: &BTreeSet<&Repository>,
        set: &PolicySet,
        settings: &RepositorySettings,
        progress: bool,
    ) {
        let new: Vec<_> =
            repositories.iter().filter(|r| !self.catalog.0.contains_key(**r)).copied().collect();
        if new.is_empty() || !self.connect(settings) {
            return;
        }
        let Some(client) = &self.client else { return };
        let mut timed: BTreeMap<&Repository, Times> = BTreeMap::new();
        for policy in &set.policies {
            let need = timed.entry(&policy.repository).or_default();
            *need = (*need).max(policy.times());
        }
        let bar = Progress::new(progress, "asking registries for tags", new.len());
        let listed = registry::scan(client, new, &timed, &|| bar.step()).await;
        for repository in listed.0.keys() {
            let ahead = client.seconds_ahead(repository).await;
            if ahead.unsigned_abs() > LARGEST_SKEW {
                self.skewed.insert(repository.clone(), ahead);
            }
        }
        self.catalog.0.extend(listed.0);
    }

    /// Confirms an image that was just pushed, by one request; what else the registry has is not
    /// asked for.
    pub async fn confirm(
        &mut self,
        pushed: &Pushed,
        deployed: impl IntoIterator<Item = Tag>,
        settings: &RepositorySettings,
    ) {
        let repository = &pushed.repository;
        if let Some(known) = self.catalog.0.get_mut(repository) {
            // Another place deploys other tags.
            if let Ok(listing) = known {
                listing.deployed(deployed);
            }
            return;
        }
        if !self.connect(settings) {
            return;
        }
        let Some(client) = &self.client else { return };
        let listing = match client.digest(repository, &pushed.tag).await {
            Ok(found) if pushed.digest.as_ref().is_some_and(|said| *said != found) => {
                let message = format!(
                    "{repository}:{} is {} at the registry, and not what was said",
                    pushed.tag,
                    found.short()
                );
                Err(Reason::new(ReasonCode::TagMoved, message))
            }
            Ok(found) => Ok(Listing::confirmed(&pushed.tag, &found, deployed)),
            Err(error) => Err(error.reason(repository)),
        };
        self.catalog.0.insert(repository.clone(), listing);
    }

    /// Makes the client when the first registry is needed; `false` when no registry is asked.
    fn connect(&mut self, settings: &RepositorySettings) -> bool {
        let Some(options) = &self.options else { return false };
        self.client.get_or_insert_with(|| {
            let mut options = options.clone();
            options.registries.extend(settings.registries.iter().cloned());
            Registry::new(options)
        });
        true
    }

    /// What asking cost so far.
    pub async fn usage(&self) -> Usage {
        match &self.client {
            Some(client) => client.usage().await,
            None => Usage::new(),
        }
    }

    /// Whether a repository has a digest; `None` when no registry is asked.
    ///
    /// # Errors
    /// The reason, when the registry does not say.
    pub async fn has(
        &mut self,
        repository: &Repository,
        digest: &Digest,
        settings: &RepositorySettings,
    ) -> Result<Option<bool>, Reason> {
        let known = (repository.clone(), digest.clone());
        if let Some(has) = self.had.get(&known) {
            return Ok(Some(*has));
        }
        if !self.connect(settings) {
            return Ok(None);
        }
        let Some(client) = &self.client else { return Ok(None) };
        let has = client.has(repository, digest).await;
        let has = has.map_err(|error| error.reason(repository))?;
        self.had.insert(known, has);
        Ok(Some(has))
    }

    /// The digest behind a tag; `None` when no registry is asked and the catalog does not say.
    ///
    /// # Errors
    /// The reason, when the registry does not say.
    pub async fn behind(
        &mut self,
        repository: &Repository,
        tag: &Tag,
        settings: &RepositorySettings,
    ) -> Result<Option<Digest>, Reason> {
        let listed = self.catalog.listing(repository).ok();
        let known = listed.and_then(|listing| listing.tags.get(tag)?.digest.clone());
        let asked = (repository.clone(), tag.clone());
        if let Some(known) = known.or_else(|| self.behind.get(&asked).cloned()) {
            return Ok(Some(known));
        }
        if !self.connect(settings) {
            return Ok(None);
        }
        let Some(client) = &self.client else { return Ok(None) };
        let found = client.digest(repository, tag).await;
        let found = found.map_err(|error| error.reason(repository))?;
        self.behind.insert(asked, found.clone());
        Ok(Some(found))
    }

    /// Why a copy of an image does not hold a tag with its digest; `None` where it does, or nobody can be asked.
    pub async fn lacks(
        &mut self,
        copy: &Repository,
        tag: &Tag,
        digest: Option<&Digest>,
        settings: &RepositorySettings,
    ) -> Option<Reason> {
        let lacking = |what: &str| {
            let message = format!("{copy} has no {what}; copy it there first");
            Some(Reason::new(ReasonCode::NoDigest, message))
        };
        if let Ok(listing) = self.catalog.listing(copy) {
            let Some(listed) = listing.tags.get(tag) else { return lacking(tag.as_str()) };
            let there = listed.digest.clone();
            let digest = digest.filter(|digest| there.as_ref() != Some(digest))?;
            // Another one behind the tag does not say that this one is not there.
            return match self.has(copy, digest, settings).await {
                Ok(Some(true)) => None,
                Ok(None) if there.is_none() => lacking("digests in the catalog"),
                Ok(_) => lacking(digest.short()),
                Err(reason) => Some(reason),
            };
        }
        // A catalog is all there is where no registry can be asked.
        if let Some(digest) = digest {
            return match self.has(copy, digest, settings).await {
                Ok(Some(true)) => None,
                Ok(Some(false)) => lacking(digest.short()),
                Ok(None) => lacking("tags in the catalog"),
                Err(reason) => Some(reason),
            };
        }
        if !self.connect(settings) {
            return lacking("tags in the catalog");
        }
        let found = self.client.as_ref()?.digest(copy, tag).await;
        found.err().map(|error| error.reason_for(&format!("{copy}:{tag}")))
    }

    /// Where an image comes from, as it says itself; nothing when no registry is asked, or it is
    /// not there any more.
    pub async fn origin(&self, repository: &Repository, image: &Deployed) -> Origin {
        let Some(client) = &self.client else { return Origin::default() };
        let found = async {
            let digest = match (&image.digest, &image.tag) {
                (Some(digest), _) => digest.clone(),
                (None, Some(tag)) => match self.digest(repository, tag) {
                    Some(known) => known.clone(),
                    None => client.digest(repository, tag).await?,
                },
                (None, None) => return Ok(Origin::default()),
            };
            client.origin(repository, &digest).await
        };
        found.await.unwrap_or_else(|error| {
            tracing::info!(%repository, %error, "nothing is known of where it comes from");
            Origin::default()
        })
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

    /// Writes `--save-catalog`, and tidies the cache.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, settings: &DecideSettings) -> Result<(), Failure> {
        if let Some(client) = &self.client {
            client.prune();
        }
        let Some(path) = &settings.save_catalog else { return Ok(()) };
        let known = self.catalog.with(&self.answers);
        let written = std::fs::write(path, known.to_yaml());
        written.map_err(|error| {
            Failure::Argument(format!("--save-catalog {}: {error}", path.display()))
        })
    }
}

/// How registries are asked, as the operator says.
fn options(settings: &DecideSettings) -> Result<Options, Failure> {
    let mut registries = load::registries(settings.registries.as_deref())?;
    for host in &settings.plain_http {
        entry(&mut registries, host)?.plain_http = true;
    }
    for (registry, host) in &settings.token_hosts {
        entry(&mut registries, registry)?.connection.token_hosts.push(host.clone());
    }
    Ok(Options {
        registries,
        variables: settings.variables.clone(),
        packages: settings.packages.clone(),
        cache: settings.cache.clone(),
        now: settings.now,
        clock: settings.clock,
    })
}

/// What the operator says about a host.
fn entry<'a>(
    registries: &'a mut Vec<RegistrySettings>,
    host: &str,
) -> Result<&'a mut RegistrySettings, Failure> {
    let fresh = RegistrySettings::by_operator(host).map_err(Failure::Argument)?;
    let known = registries.iter().position(|one| one.prefix == fresh.prefix);
    let index = known.unwrap_or_else(|| {
        registries.push(fresh);
        registries.len() - 1
    });
    Ok(&mut registries[index])
}

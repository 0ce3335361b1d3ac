//! Which files hold sites of the policies' images, and which policy and environment each is for.

mod left_alone;
mod seen;
mod unclaimed;

use std::collections::{BTreeMap, BTreeSet};

use super::kustomize::{Completed, Renamed, renamed};
use super::others::OtherFiles;
use super::plain::{self, Plain};
use super::target::TargetId;
use super::{
    Aim, Basis, Claimed, Found, Named, Names, OtherName, Overlaid, Rest, Scalars, Setters, Site,
    find, is_candidate, notes,
};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Repository;
use crate::policy::{
    ById, DigestMode, Environment, EnvironmentId, Policy, PolicyId, PolicySet, Reach,
};
use crate::yaml::Stream;

pub(super) use seen::OfOthers;
pub use seen::{Left, Seen};
use unclaimed::Accounted;

/// Larger files are reported and left alone, in bytes.
pub const MAX_FILE: usize = 4 << 20;

/// Looks at files, each on its own, for the sites of a set of policies.
pub struct Survey<'p> {
    set: &'p PolicySet,
    /// Policies by environment and repository; several for one where only markers tell them apart.
    lookup: ById<EnvironmentId, BTreeMap<&'p Repository, Vec<PolicyId>>>,
    /// The policies' repositories, for sites outside every environment.
    repositories: BTreeMap<&'p Repository, PolicyId>,
    others: OtherFiles,
}

/// All that files name.
pub struct Looked {
    /// Files with sites.
    pub files: Vec<Surveyed>,
    /// Places that are left alone.
    pub left: Left,
    /// What there is to know.
    pub diagnostics: Vec<Diagnostic>,
}

/// A file with sites.
#[derive(Debug)]
pub struct Surveyed {
    /// The path within the repository.
    pub path: String,
    /// What is kept of its content.
    pub basis: Basis,
    /// The environment, as an index into [`PolicySet::environments`].
    pub environment: EnvironmentId,
    /// The sites with their policies, as indices into [`PolicySet::policies`].
    pub sites: Vec<(Site, PolicyId)>,
}

/// A file with its text, parsed.
#[derive(Clone, Copy)]
struct ParsedFile<'a> {
    path: &'a str,
    text: &'a str,
    stream: &'a Stream<'a>,
}

impl<'p> Survey<'p> {
    /// A survey for these policies.
    #[must_use]
    pub fn new(set: &'p PolicySet) -> Self {
        let by_environment = |environment: &'p Environment| {
            let policies = environment.policies.iter();
            let policies = policies.filter(|index| !set.policies[**index].marked_only());
            let mut lookup: BTreeMap<&'p Repository, Vec<PolicyId>> = BTreeMap::new();
            for index in policies {
                for repository in set.policies[*index].repositories() {
                    lookup.entry(repository).or_default().push(*index);
                }
            }
            lookup
        };
        // Policies of Flux change what is marked, and nothing else.
        let repositories = set.policies.with_ids().filter(|(_, policy)| !policy.marked_only());
        Self {
            set,
            lookup: set.environments.iter().map(by_environment).collect::<Vec<_>>().into(),
            repositories: repositories
                .flat_map(|(index, policy)| policy.repositories().map(move |name| (name, index)))
                .collect(),
            others: OtherFiles::default(),
        }
    }

    /// The same, with what other files say.
    #[must_use]
    pub fn with(self, others: OtherFiles) -> Self {
        Self { others, ..self }
    }

    /// True if one of the files that were looked at says what another one runs with.
    #[must_use]
    pub fn is_covered(&self, path: &str) -> bool {
        self.others.is_over(path)
    }

    /// Learns what gives images of other files another name, and what values are laid over them.
    pub fn learn(&mut self, renamed: Vec<Renamed>, overlaid: Overlaid) {
        self.others = OtherFiles { overlaid, renamed, ..std::mem::take(&mut self.others) };
    }

    /// Looks at one file.
    #[must_use]
    pub fn look(&self, path: &str, bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let environment = self.environment(path);
        let aims = self.aims(path, environment);
        let is_here = |e: &Environment| e.home == self.set.here && e.paths.leaves_out(path);
        if environment.is_none() && self.set.environments.iter().any(is_here) {
            return seen;
        }
        let is_meant = is_candidate(path) || !aims.is_empty();
        let text = match std::str::from_utf8(bytes) {
            // Nobody deploys from whatever else is large or binary.
            Err(_) if !is_meant => return seen,
            _ if !is_meant && bytes.len() > MAX_FILE => return seen,
            _ if bytes.len() > MAX_FILE => {
                let message = format!("more than the limit of {MAX_FILE} bytes; left alone");
                seen.problem(Code::FileTooLarge, message, Place::of_file(path));
                return seen;
            }
            Ok(text) => text,
            Err(error) => {
                let message = format!("not UTF-8 (at byte {}); left alone", error.valid_up_to());
                seen.problem(Code::FileUnreadable, message, Place::of_file(path));
                return seen;
            }
        };
        if !is_yaml(path, &aims) {
            self.plain(path, text, environment, &aims, &mut seen);
            return seen;
        }
        match Stream::parse(text) {
            Ok(stream) => self.parsed(
                ParsedFile { path, text, stream: &stream },
                environment,
                &aims,
                &mut seen,
            ),
            Err(error) => {
                let has_sites = self.plain(path, text, environment, &aims, &mut seen);
                let Some(environment) = environment else { return seen };
                let note = notes::unparsable(path, text, &error, has_sites);
                if has_sites || !seen.unread.is_empty() || self.names_any(text, environment) {
                    seen.problems.push(note);
                } else {
                    seen.unparsable = Some(Place::of_file(path));
                }
            }
        }
        seen
    }

    /// The scalars of the sites of a file that is not YAML, in a new text of it.
    #[must_use]
    pub fn again(&self, path: &str, text: &str) -> Scalars {
        let aims = self.aims(path, self.environment(path));
        plain::find(path, text, &aims).scalars
    }

    /// Everything that was found, in the order of the files that were looked at.
    #[must_use]
    pub fn finish(&self, seen: Vec<Seen>) -> Looked {
        let (mut files, mut diagnostics, mut left) = (Vec::new(), Vec::new(), Left::new());
        let mut outside: BTreeMap<PolicyId, Vec<Place>> = BTreeMap::new();
        let mut reached = BTreeSet::new();
        let (mut unread, mut prose, mut templates) = (Vec::new(), Vec::new(), Vec::new());
        let mut of_others = Vec::new();
        let mut seen = seen;
        let completed: Vec<Completed> =
            seen.iter_mut().filter_map(|seen| seen.completed.take()).collect();
        for seen in seen {
            // A base names its images without tags, and a kustomization gives them.
            let is_bare = |one: &seen::Untagged| {
                !completed.iter().any(|other| other.is_of(&one.repository, &one.path))
            };
            let bare = seen.untagged.into_iter().filter(is_bare);
            diagnostics.extend(bare.map(|one| one.note));
            of_others.extend(seen.of_others);
            unread.extend(seen.unread);
            prose.extend(seen.prose);
            templates.extend(seen.unparsable);
            files.extend(seen.file);
            diagnostics.extend(seen.problems);
            reached.extend(seen.reached);
            for (key, place) in seen.left {
                left.entry(key).or_insert(place);
            }
            for (policy, places) in seen.outside {
                outside.entry(policy).or_default().extend(places);
            }
        }
        let outside = outside.into_iter();
        diagnostics.extend(outside.filter_map(|(policy, places)| {
            notes::outside(&self.set.policies[policy].name, &places)
        }));
        diagnostics.extend(notes::of_others(&of_others));
        diagnostics.extend(notes::unread(&unread));
        diagnostics.extend(notes::templates(&templates));
        diagnostics.extend(notes::prose(&prose));
        diagnostics.extend(self.idle_targets(&reached));
        Looked { files, left, diagnostics }
    }

    /// The environment that a file is in.
    fn environment(&self, path: &str) -> Option<EnvironmentId> {
        let contains = |environment: &Environment| environment.paths.contains(path);
        let is_in = |e: &Environment| e.home == self.set.here && contains(e);
        self.set.environments.find(is_in)
    }

    /// The targets that name a file.
    fn aims(&self, path: &str, environment: Option<EnvironmentId>) -> Vec<Aim<'p>> {
        let policies = environment.map(|index| &self.set.environments[index].policies);
        let aims = policies.into_iter().flatten().flat_map(|index| {
            let policy = &self.set.policies[*index];
            let targets = policy.targets.iter().enumerate();
            let targets = targets.filter(|(_, target)| target.files.is_match(path));
            targets.map(move |(target, aim)| Aim {
                id: (*index, target),
                policy: &policy.name,
                target: aim,
            })
        });
        aims.collect()
    }

    /// Targets that lead nowhere are mistakes, or left-overs.
    fn idle_targets(&self, reached: &BTreeSet<TargetId>) -> Vec<Diagnostic> {
        let policies = self.set.policies.with_ids();
        let targets = policies.flat_map(|(index, policy)| {
            policy
                .targets
                .iter()
                .enumerate()
                .map(move |(target, aim)| ((index, target), policy, aim))
        });
        let is_idle = |id: &TargetId| !reached.contains(id) && self.set.is_for_here(id.0);
        let idle = targets.filter(|(id, ..)| is_idle(id)).map(|(_, policy, target)| {
            let message = format!("this target of `{}` reaches nothing in any file", policy.name);
            Diagnostic::warning(Code::PolicyTarget, message).at(target.place.clone())
        });
        idle.collect()
    }

    fn parsed(
        &self,
        file: ParsedFile<'_>,
        environment: Option<EnvironmentId>,
        aims: &[Aim<'p>],
        seen: &mut Seen,
    ) {
        let ParsedFile { path, text, stream } = file;
        let substituted = self.others.substituted(path);
        let beside = self.others.variables_of(path);
        let lent = self.others.lent(path);
        let setters = Setters { beside, substituted: substituted.as_ref(), lent };
        let mut found = find(path, text, stream, aims, setters);
        self.others.add_unreached(path, &mut found);
        let over = self.others.over(path, stream);
        if let Some(over) = &over {
            over.leave(&mut found);
        }
        if let Some(app_version) = self.others.app_version(path) {
            app_version.explain(&mut found);
        }
        (seen.renamed, seen.completed) = (renamed(path, stream), Completed::of(path, stream));
        seen.names = Names::of(path, stream, &found);
        let Some(environment) = environment else {
            return self.outside(path, stream, found, seen);
        };
        if self.is_of_others(path, text, environment, &found, seen) {
            if found.claimed.is_empty() {
                return;
            }
            // What is marked is meant.
            (found.sites, found.obstructed) = (Vec::new(), Vec::new());
        }
        self.unclaimed(file, environment, &Accounted::of(&found), seen);
        self.all_obstructed(path, environment, &found.obstructed, seen);
        let mut sites = Vec::new();
        for site in found.sites {
            match self.lookup[environment].get(&site.repository).map(Vec::as_slice) {
                None | Some([]) => {}
                Some([policy]) => {
                    let is_copy = site.repository != self.set.policies[*policy].repository;
                    sites.push((Site { is_copy, ..site }, *policy));
                }
                Some(several) => {
                    let names = several.iter().map(|index| self.set.policies[*index].name.as_str());
                    seen.problems.push(notes::ambiguous(path, &site, names));
                }
            }
        }
        let claimed = self.claimed(path, environment, found.claimed, seen).into_iter();
        sites.extend(claimed.filter(|(site, policy)| {
            let objection = over.as_ref().and_then(|over| over.objection_to_claim(site));
            let stopped = objection.map(|obstacle| site.obstructed(obstacle));
            stopped.is_none_or(|stopped| {
                self.obstructed(path, environment, *policy, &stopped, seen);
                false
            })
        }));
        seen.problems.extend(found.idle.into_iter().map(|idle| notes::idle(path, idle)));
        seen.reached(path, aims, &found.reached);
        self.unreadable(path, stream, environment, &found.unreadable, seen);
        if !sites.is_empty() && is_encrypted(stream) {
            seen.encrypted(path);
        } else if !sites.is_empty() {
            let slots = sites.iter().flat_map(|(site, _)| &site.slots);
            let basis = Basis::new(stream, slots);
            seen.file = Some(Surveyed { path: path.to_owned(), basis, environment, sites });
        }
    }

    /// What a file outside every environment names.
    fn outside(&self, path: &str, stream: &Stream, found: Found, seen: &mut Seen) {
        for site in &found.sites {
            let node = site.slots.first().map_or(0, |slot| slot.node);
            let policy = self.repositories.get(&site.repository).copied();
            seen.outside(policy, notes::place(path, stream, node));
        }
        for claimed in &found.claimed {
            let named = |policy: &Policy| policy.is_called(&claimed.policy);
            let place = Place { line: claimed.line, column: 1, ..Place::of_file(path) };
            match self.set.policies.find(named) {
                Some(policy) => seen.outside(Some(policy), place),
                None => seen.problems.push(notes::unknown(path, claimed, "here")),
            }
        }
        seen.problems.extend(found.idle.into_iter().map(|idle| notes::idle(path, idle)));
    }

    /// A file that is not YAML; whether something in it can be changed.
    fn plain(
        &self,
        path: &str,
        text: &str,
        environment: Option<EnvironmentId>,
        aims: &[Aim<'p>],
        seen: &mut Seen,
    ) -> bool {
        let Some(environment) = environment else { return false };
        // What documents mark is an example.
        let is_example = aims.is_empty() && unclaimed::is_document(path);
        let found = if is_example { Plain::default() } else { plain::find(path, text, aims) };
        self.unread(path, text, environment, &Accounted::of_text(&found), seen);
        let Plain { claimed, scalars, idle, reached } = found;
        let sites = self.claimed(path, environment, claimed, seen);
        seen.problems.extend(idle.into_iter().map(|idle| notes::idle(path, idle)));
        seen.reached(path, aims, &reached);
        if sites.is_empty() {
            return false;
        }
        if text.lines().any(|line| line.starts_with("sops_mac=")) {
            seen.encrypted(path);
            return false;
        }
        let basis = Basis { scalars, rest: Rest::Text };
        seen.file = Some(Surveyed { path: path.to_owned(), basis, environment, sites });
        true
    }

    /// The sites of markers and targets, where their policies apply.
    fn claimed(
        &self,
        path: &str,
        environment: EnvironmentId,
        claimed: Vec<Claimed>,
        seen: &mut Seen,
    ) -> Vec<(Site, PolicyId)> {
        let sites = claimed.into_iter().filter_map(|claimed| {
            let named = |index: &&PolicyId| self.set.policies[**index].is_called(&claimed.policy);
            let Some(index) = self.set.environments[environment].policies.iter().find(named) else {
                seen.problems.push(notes::unknown(path, &claimed, "of this environment"));
                return None;
            };
            match self.site(path, *index, claimed, seen) {
                Ok(site) => Some((site, *index)),
                Err(problem) => {
                    let line = problem.place.as_ref().map_or(0, |place| place.line);
                    seen.left(environment, *index, path, line);
                    seen.problems.push(problem);
                    None
                }
            }
        });
        sites.collect()
    }

    /// The policy that an image is of, or may be of.
    fn meant(&self, environment: EnvironmentId, named: &Named) -> Option<PolicyId> {
        let lookup = &self.lookup[environment];
        match named {
            Named::Is(repository) => lookup.get(repository)?.first().copied(),
            Named::Somewhere(_) => {
                let mut all = lookup.iter();
                all.find(|(repository, _)| named.may_be(repository))?.1.first().copied()
            }
        }
    }

    /// The site of a marker or a target; why it is left alone. What is written besides the tag is said.
    fn site(
        &self,
        path: &str,
        index: PolicyId,
        claimed: Claimed,
        seen: &mut Seen,
    ) -> Result<Site, Diagnostic> {
        let policy = &self.set.policies[index];
        let line = claimed.line;
        let claimed = if policy.is_of_flux() {
            let loss = claimed.loss(&policy.repository, policy.digest == DigestMode::Pin);
            let loss = loss.and_then(|fault| notes::loss(path, line, &fault, &policy.name));
            seen.problems.extend(loss);
            claimed
        } else {
            let judged = claimed.judged(&policy.repository);
            judged.map_err(|fault| notes::fault(path, line, &fault, &policy.name))?
        };
        let is_other = claimed.is_other_than(&policy.image);
        if is_other && !policy.is_of_flux() {
            seen.problems.push(notes::renamed(path, line, &claimed, policy));
        }
        Ok(Site {
            repository: policy.repository.clone(),
            tag: claimed.tag,
            digest: claimed.digest,
            line,
            slots: claimed.slots,
            claimed: Some(if is_other { OtherName::Yes } else { OtherName::No }),
            reader: claimed.reader,
            is_copy: false,
        })
    }
}

/// Whether a file is to be read as YAML: by its name, or because a path leads into it.
fn is_yaml(path: &str, aims: &[Aim<'_>]) -> bool {
    is_candidate(path) || aims.iter().any(|aim| matches!(aim.target.reach, Reach::Path(..)))
}

/// Whether a file is encrypted with [SOPS](https://getsops.io/docs/#message-authentication-code), whose
/// code also covers what is left in clear text.
fn is_encrypted(stream: &Stream) -> bool {
    stream.documents().iter().any(|root| {
        let sops = stream.get(*root, "sops");
        sops.is_some_and(|sops| stream.get(stream.target(sops), "mac").is_some())
    })
}

#[cfg(test)]
mod tests;

//! Policies for a repository that has none yet: from what it deploys, and from what other tools were told.
//! What cannot be told is a note, and nothing is guessed that would move a version on its own.

mod ci;
mod fleet;
mod flux;
mod guess;
mod image_updater;
mod places;
mod renovate;
mod write;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

pub use ci::{CiJobs, ci_file, ci_jobs, is_ci_file};
pub use guess::{Guess, Rule, guess};
pub use places::{Place, environments};
pub use renovate::{FILES as RENOVATE_FILES, RenovateConfig};
pub use write::policies;

use crate::image::{Repository, Tag};
use crate::policy::{Overlays, is_within, meet};
use crate::yaml::Stream;
use yaml::YamlObject;

/// A place that names an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeployedImage {
    /// The image repository.
    pub repository: Repository,
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The tag that is written.
    pub tag: Option<Tag>,
    /// True if a digest is written as well.
    pub has_digest: bool,
}

/// What a repository starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Starter {
    /// The policies, by name.
    pub policies: Vec<StarterPolicy>,
    /// The environments; one covers everything when there are none.
    pub environments: Vec<Place>,
    /// What could not be told, and what to do about it.
    pub notes: Vec<String>,
}

/// What a repository tells other tools.
pub struct Imported<'a> {
    /// Manifests, as path and text.
    pub manifests: &'a [(String, String)],
    /// Renovate's configuration.
    pub renovate: Option<RenovateConfig<'a>>,
    /// What changes Flux's resources on their way into a cluster.
    pub overlays: Overlays,
    /// The repository as `owner/name`, in lower case; empty where that is not known.
    pub repository: &'a str,
}

/// One policy to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StarterPolicy {
    /// Its name.
    pub name: String,
    /// The image, as it is written.
    pub image: String,
    /// How a tag is chosen.
    pub rule: Rule,
    /// The name that the markers of another tool have for it.
    pub marker: Option<String>,
    /// True if it changes marked places alone.
    pub is_marked: bool,
    /// True if versions are written into the cluster alone: it is not written, nor is another one of its image.
    pub is_in_cluster: bool,
    /// What is said above it.
    pub comments: Vec<String>,
    /// Other keys, with their values as YAML.
    pub also: Vec<(&'static str, String)>,
}

impl Starter {
    /// Policies for what is deployed, in one environment for each stage that paths name. `taken` are names that
    /// other policies have.
    #[must_use]
    pub fn of(deployed: &[DeployedImage], taken: &BTreeSet<String>) -> Self {
        let mut starter = Self::default();
        let mut images: BTreeMap<&Repository, Vec<&DeployedImage>> = BTreeMap::new();
        for one in deployed {
            images.entry(&one.repository).or_default().push(one);
        }
        let mut names = taken.clone();
        // Docker's own images are what their short names mean.
        let is_official = |image: &Repository| image.to_string().starts_with("docker.io/library/");
        let mut images: Vec<_> = images.into_iter().collect();
        images.sort_by_key(|(image, _)| !is_official(image));
        for (repository, places) in images {
            starter.image(repository, &places, &mut names);
        }
        starter.policies.sort_by(|a, b| a.name.cmp(&b.name));
        let known: BTreeSet<&str> =
            starter.policies.iter().map(|policy| policy.image.as_str()).collect();
        let covered = deployed.iter().filter(|one| known.contains(&*one.repository.to_string()));
        starter.environments = environments(covered.map(|one| one.path.as_str()));
        starter.notes.extend(places::bypasses(&starter.environments));
        starter
    }

    /// A name that no environment has yet.
    fn free(&self, wanted: &str) -> String {
        let numbered = (2..).map(|count| format!("{wanted}-{count}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let is_free = |name: &String| self.environments.iter().all(|place| place.name != *name);
        names.find(is_free).unwrap_or_default()
    }

    /// Says of files with images that several stages share, where these name none of their own; `all` are the files of the
    /// repository.
    pub fn shared<'a>(
        &mut self,
        deployed: &'a [DeployedImage],
        all: impl Iterator<Item = &'a str>,
    ) {
        let files = deployed.iter().map(|one| one.path.as_str());
        self.notes.extend(places::shared_base(files, all));
    }

    /// Says what is deployed without a tag; the places are `path:line`.
    pub fn untagged(&mut self, image: &Repository, places: &[String]) {
        let first = places.first().map(String::as_str).unwrap_or_default();
        let more = more(places.len());
        self.notes.push(format!(
            "{image} at {first}{more} has no tag: write one, and it is kept up to date"
        ));
    }

    /// Says what an empty tag of a chart's values stands for.
    pub fn of_chart(&mut self, image: &Repository, place: &str, chart: &str) {
        self.notes.push(format!(
            "{image} at {place} has an empty tag, for which `appVersion` in {chart} stands: write a policy with the target \
             `{{files: {chart}, path: appVersion, part: tag}}`"
        ));
    }

    /// Policies for what other tools were told.
    ///
    /// # Errors
    /// When Renovate's file cannot be read.
    pub fn imported(told: &Imported<'_>, deployed: &[DeployedImage]) -> Result<Self, String> {
        let mut starter = Self::default();
        if let Some(renovate) = &told.renovate {
            starter = Self::of(deployed, &BTreeSet::new());
            starter.environments.clear();
            renovate::apply(&mut starter, renovate, deployed)?;
        }
        let mut names: BTreeSet<String> = starter.policies.iter().map(|p| p.name.clone()).collect();
        let streams: Vec<(&str, Stream<'_>)> = told
            .manifests
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), Stream::parse(text).ok()?)))
            .collect();
        let mut repositories = flux::Repositories::new(&told.overlays);
        let mut applications = image_updater::Applications::new(told.repository);
        let all = || {
            streams
                .iter()
                .flat_map(|(path, stream)| YamlObject::all(stream).map(move |o| (*path, o)))
        };
        for (_, object) in all() {
            repositories.learn(&object);
            applications.learn(&object, deployed);
        }
        for (path, object) in all() {
            repositories.add(&mut starter, &mut names, &object, path);
            image_updater::add(&mut starter, &mut names, &object, &applications);
            fleet::add(&mut starter, &mut names, &object, path);
        }
        repositories.finish(&mut starter);
        starter.reconcile();
        starter.keep_to_markers(deployed);
        starter.policies.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(starter)
    }

    /// True if each of several policies has environments of its own, whose directories are not those of another one.
    fn are_apart(&self, policies: &[StarterPolicy]) -> bool {
        let places_of = |policy: &StarterPolicy| {
            let name = policy.name.clone();
            self.environments.iter().filter(move |place| place.images.contains(&name))
        };
        let meet = |one: &Place, other: &Place| {
            let mut pairs = one.paths.iter().flat_map(|a| other.paths.iter().map(move |b| (a, b)));
            pairs.any(|(a, b)| meet(a, b))
        };
        let is_alone = |(at, policy): (usize, &StarterPolicy)| {
            let others = || policies.iter().enumerate().filter(move |(index, _)| *index != at);
            let mut places = places_of(policy).peekable();
            places.peek().is_some()
                && places.all(|place| {
                    others().all(|(_, other)| !places_of(other).any(|there| meet(place, there)))
                })
        };
        policies.len() > 1
            && self.environments.iter().all(|place| !place.is_for_all)
            && policies.iter().enumerate().all(is_alone)
    }

    /// Keeps one policy for each image. Where tools, clusters or applications were told different things of one, a person has
    /// to say which place follows which: whatever were kept would be looser than one of them.
    fn reconcile(&mut self) {
        let mut images: BTreeMap<String, Vec<StarterPolicy>> = BTreeMap::new();
        for policy in std::mem::take(&mut self.policies) {
            images.entry(policy.image.clone()).or_default().push(policy);
        }
        for (image, mut policies) in images {
            let is_apart = self.are_apart(&policies);
            if policies.iter().any(|policy| policy.is_in_cluster) {
                policies.retain(|policy| !policy.is_in_cluster);
                if !is_apart {
                    self.notes.extend(overruled(&image, &policies));
                    continue;
                }
            }
            if is_apart {
                self.policies.append(&mut policies);
                continue;
            }
            let is_alike = policies
                .iter()
                .all(|p| (&p.rule, &p.also) == (&policies[0].rule, &policies[0].also));
            if is_alike {
                self.notes.extend(same_again(&policies));
                policies.truncate(1);
                self.policies.append(&mut policies);
                continue;
            }
            let told: Vec<String> = policies
                .iter()
                .map(|p| format!("`{}: {}` ({})", p.rule.order, p.rule.by, p.comments.join("; ")))
                .collect();
            self.notes.push(format!(
                "{image}: {} different rules, {}: write one policy, or one for each of the environments",
                policies.len(),
                told.join(" and ")
            ));
        }
        let names: BTreeSet<&str> =
            self.policies.iter().map(|policy| policy.name.as_str()).collect();
        for place in &mut self.environments {
            place.images.retain(|name| names.contains(name.as_str()));
        }
        self.environments.retain(|place| place.images.is_empty() == place.is_for_all);
    }

    /// Keeps policies of tools that change marked places alone to these, where other places name their image: what a tool
    /// left as it was does not begin to move by `import`.
    fn keep_to_markers(&mut self, deployed: &[DeployedImage]) {
        let environments = &self.environments;
        let is_its = |policy: &StarterPolicy, one: &&DeployedImage| {
            let mut all = environments
                .iter()
                .filter(|place| place.is_for_all || place.images.contains(&policy.name));
            let is_there = environments.is_empty()
                || all.any(|place| place.paths.iter().any(|outer| is_within(&one.path, outer)));
            is_there && one.repository.to_string() == policy.image
        };
        for policy in self.policies.iter_mut().filter(|policy| policy.marker.is_some()) {
            let others: Vec<String> =
                deployed.iter().filter(|one| is_its(policy, one)).map(at).collect();
            policy.is_marked = !others.is_empty();
            if policy.is_marked {
                self.notes.push(format!(
                    "{}: {} not marked, and stays as it is (`places: marked`): mark it with `# tagalong: {}`, or \
                     take that key out of the policy, and it moves too",
                    policy.image,
                    list_of_places(&others),
                    policy.name
                ));
            }
        }
    }

    fn image(
        &mut self,
        image: &Repository,
        places: &[&DeployedImage],
        names: &mut BTreeSet<String>,
    ) {
        let tags: BTreeSet<&Tag> = places.iter().filter_map(|place| place.tag.as_ref()).collect();
        let Guess { rule, left } = guess(tags.into_iter());
        for tag in &left {
            self.left(image, tag, places, rule.is_some());
        }
        if let Some(place) = places.iter().find(|place| place.tag.is_none()) {
            let at = at(place);
            self.notes
                .push(format!("{image} at {at} has no tag, only a digest: write `tag@digest`"));
        }
        let Some((rule, why)) = rule else { return };
        let name = name_of(image, names);
        let comments = vec![why.to_owned()];
        // What is behind a tag that moves is known by its digest alone.
        let also =
            if rule.order == "fixed" { vec![("digest", "pin".to_owned())] } else { Vec::new() };
        let image = image.to_string();
        let policy =
            StarterPolicy { name, image, rule, comments, also, ..StarterPolicy::default() };
        self.policies.push(policy);
    }

    /// Says what to do about a tag that no rule fits.
    fn left(&mut self, image: &Repository, tag: &Tag, places: &[&DeployedImage], has_rule: bool) {
        let held = places.iter().filter(|place| place.tag.as_ref() == Some(tag));
        let held: Vec<String> = held.map(|place| at(place)).collect();
        let first = held.first().map(String::as_str).unwrap_or_default();
        let more = more(held.len());
        let what = if has_rule {
            "is of another kind than the other tags of this image, and stays as it is"
        } else {
            "cannot be ordered: deploy a version, or write `tags: {fixed: TAG}` and `digest: pin`"
        };
        self.notes.push(format!("{image}: `{tag}` at {first}{more} {what}"));
    }
}

/// How many places are not named.
fn more(places: usize) -> String {
    if places > 1 { format!(" and {} more", places - 1) } else { String::new() }
}

/// The message about policies whose image Argo CD Image Updater also changes in the cluster, past the files.
fn overruled(image: &str, policies: &[StarterPolicy]) -> Option<String> {
    let told: Vec<String> = policies.iter().map(|p| p.comments.join("; ")).collect();
    (!told.is_empty()).then(|| {
        format!(
            "{image}: Argo CD Image Updater changes it in the cluster, and another tool updates it too ({}): no policy is \
             written; write one, and remove the image from Argo CD Image Updater",
            told.join(" and ")
        )
    })
}

/// Where several policies say the same of one image, the first stands for the others: told by their names.
fn same_again(policies: &[StarterPolicy]) -> Option<String> {
    let (first, others) = policies.split_first()?;
    let others: Vec<&str> = others.iter().map(|policy| policy.name.as_str()).collect();
    let names = others.join("`, `");
    (!others.is_empty()).then(|| {
        format!(
            "{}: `{names}` say the same as `{}`, which stands for all of them",
            first.image, first.name
        )
    })
}

/// Places with the verb that goes with their number.
fn list_of_places(places: &[String]) -> String {
    let verb = if places.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", places.join(", "))
}

fn at(place: &DeployedImage) -> String {
    format!("{}:{}", place.path, place.line)
}

/// The name of a resource for its policy, with its namespace or a number where another policy has it.
fn own_name(taken: &mut BTreeSet<String>, namespace: &str, name: &str) -> String {
    let plain =
        |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c), "-");
    let longer = [plain(name), plain(format!("{namespace}-{name}").trim_matches('-'))];
    let numbered = (2..).map(|count| format!("{}-{count}", plain(name)));
    let free = |wanted: &String| !wanted.is_empty() && !taken.contains(wanted);
    let own = longer.into_iter().chain(numbered).find(free).unwrap_or_default();
    taken.insert(own.clone());
    own
}

/// A name that no other policy has: the last part of the image's, and what is before it when that is taken.
pub fn name_of(image: &Repository, taken: &mut BTreeSet<String>) -> String {
    let text = image.to_string();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let parts: Vec<String> =
        text.rsplit('/').map(|part| part.chars().map(plain).collect()).collect();
    let longer = (1..=parts.len()).map(|count| {
        let mut words = parts[..count].to_vec();
        words.reverse();
        let name = words.join("-");
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        name.chars().take(60).collect::<String>()
    });
    let numbered = (2..).map(|count| format!("image-{count}"));
    let name = longer.chain(numbered).find(|name| !name.is_empty() && !taken.contains(name));
    let name = name.unwrap_or_default();
    taken.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_never_twice() {
        let mut taken = BTreeSet::new();
        let mut name = |image: &str| name_of(&Repository::parse(image).unwrap(), &mut taken);
        assert_eq!(name("ghcr.io/acme/shop"), "shop");
        assert_eq!(name("quay.io/acme/shop"), "acme-shop");
        assert_eq!(name("ghcr.io/acme/shop"), "ghcr.io-acme-shop");
        assert_eq!(name("ghcr.io/acme/shop"), "image-2");
        assert_eq!(name("nginx"), "nginx");
        assert_eq!(name("localhost:5000/my_app"), "my_app");
    }
}

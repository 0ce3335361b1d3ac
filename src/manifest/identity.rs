//! Registries that stand elsewhere than beside an image's name, as charts put them together: `hub` (Istio),
//! `global.imageRegistry` and `imageRegistry` (Bitnami). A bare name is Docker Hub's only where nothing else may be meant:
//! whoever registers that name there would decide what is proposed.

use std::collections::BTreeMap;

use super::finder::Finder;
use super::{Named, Obstacle, variables};
use crate::image::{Repository, split_registry};
use crate::yaml::NodeId;

/// Keys, normalized, that may name a registry for images beside or beneath them.
const HINTS: [&str; 23] = [
    "registry",
    "imageregistry",
    "dockerregistry",
    "containerregistry",
    "ociregistry",
    "privateregistry",
    "defaultregistry",
    "registryurl",
    "registryhost",
    "registryserver",
    "registryprefix",
    "systemdefaultregistry",
    "registryname",
    "imageregistryprefix",
    "imagebase",
    "imagerepo",
    "dockerhubproxy",
    "dockerproxy",
    "registrymirror",
    "artifactory",
    "imageprefix",
    "repositoryprefix",
    "imagerepositoryprefix",
];

/// Keys, normalized, that may be the front of a name within an image's own mapping.
const FRONTS: [&str; 23] = [
    "account",
    "address",
    "base",
    "domain",
    "group",
    "host",
    "hubuser",
    "location",
    "mirror",
    "namespace",
    "org",
    "organization",
    "owner",
    "prefix",
    "project",
    "repo",
    "repourl",
    "root",
    "path",
    "server",
    "source",
    "user",
    "dockerhubuser",
];

/// Keys, normalized, of the host beneath one that names a registry: `registry: {url: …}`.
const HOSTS: [&str; 9] =
    ["address", "domain", "endpoint", "host", "hostname", "loginserver", "name", "server", "url"];

/// Keys of the name of an image of its own. A tag alone is none: it may be that of all, as in Istio's `global`.
const OWN: [&str; 3] = ["repository", "image", "name"];

/// More entries than this are no mapping of settings that somebody wrote by hand.
const MAX_ENTRIES: usize = 500;

/// What says where images come from, and how sure that is.
#[derive(Clone)]
pub(super) enum Said {
    /// Bitnami's key: the registry of every image beneath, even where one is written.
    Registry(Prefix),
    /// Istio's key: what stands before a name without a slash.
    Hub(Prefix),
    /// Something that may be meant for it.
    Perhaps(Prefix),
}

/// A registry, or a registry and a path.
#[derive(Clone)]
pub(super) struct Prefix {
    key: Box<str>,
    value: Box<str>,
    line: usize,
}

impl Prefix {
    fn describe(&self) -> Box<str> {
        format!("`{}` in line {} is `{}`", self.key, self.line, self.value).into()
    }
}

/// How an image is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WrittenForm {
    /// The name in one scalar, the tag in another: a template puts them together.
    Split,
    /// A reference in one scalar.
    Whole,
}

/// What each collection says.
pub(super) type SaidByNode = BTreeMap<NodeId, Option<Said>>;

impl Finder<'_> {
    /// The image that a name is, by the registry beside it or elsewhere; `None` where it is no name.
    pub(super) fn identify(
        &mut self,
        mapping: NodeId,
        registry: Option<&str>,
        name: &str,
        form: WrittenForm,
    ) -> Option<Result<Repository, (Named, Obstacle)>> {
        let registry = registry.filter(|registry| !registry.is_empty());
        let Some(plain) = join(registry, name) else {
            return variables::of_name(self, registry, name);
        };
        let has_host = split_registry(name).1 != name;
        // A service of Compose has its tag behind the name.
        if has_host || form == WrittenForm::Whole && self.is_in_compose(mapping) {
            return Some(Ok(plain));
        }
        let elsewhere = |prefix: &Prefix| {
            let named = match registry {
                Some(_) => Named::Is(plain.clone()),
                None => Named::Somewhere(name.into()),
            };
            Err((named, Obstacle::Elsewhere(prefix.describe())))
        };
        let joined = |prefix: &Prefix| join(Some(&prefix.value), name);
        Some(match (self.said(mapping), registry) {
            (None, _) | (Some(Said::Hub(_) | Said::Perhaps(_)), Some(_)) => Ok(plain),
            (Some(Said::Registry(at) | Said::Hub(at)), None) if form == WrittenForm::Whole => {
                elsewhere(&at)
            }
            (Some(Said::Registry(prefix)), None) => {
                joined(&prefix).ok_or(()).or_else(|()| elsewhere(&prefix))
            }
            (Some(Said::Registry(prefix)), Some(_)) => match joined(&prefix) {
                Some(joined) if joined == plain => Ok(plain),
                _ => elsewhere(&prefix),
            },
            // A name with a path is whole to Istio's charts.
            (Some(Said::Hub(prefix)), None) => {
                let joined = joined(&prefix).filter(|_| !name.contains('/'));
                let is_path = name.contains('/').then(|| plain.clone());
                joined.or(is_path).ok_or(()).or_else(|()| elsewhere(&prefix))
            }
            (Some(Said::Perhaps(prefix)), None) => elsewhere(&prefix),
        })
    }

    /// A registry in the list of variables that a bare name is one of: `REGISTRY` beside `REDIS_IMAGE`.
    pub(super) fn registry_in_variables(
        &mut self,
        variable: NodeId,
        name: &str,
    ) -> Option<(Named, Obstacle)> {
        if split_registry(name).1 != name {
            return None;
        }
        let all = self.variables_beside(variable);
        let said = all.into_iter().find_map(|item| {
            let key = self.text(item, "name")?;
            let value = self.stream.get(item, "value")?;
            match self.prefix(key, key, value)? {
                Said::Registry(prefix) | Said::Hub(prefix) | Said::Perhaps(prefix) => Some(prefix),
            }
        })?;
        Some((Named::Somewhere(name.into()), Obstacle::Elsewhere(said.describe())))
    }

    /// What the nearest collection around a mapping says.
    fn said(&mut self, mapping: NodeId) -> Option<Said> {
        let (mut at, mut from) = (Some(mapping), None);
        while let Some(node) = at {
            let is_above_image = from.is_some_and(|from| self.is_image_of(node, from));
            let known = match self.known.get(&node).filter(|_| !is_above_image) {
                Some(known) => known.clone(),
                None => {
                    let said = self.says(node, node == mapping, is_above_image);
                    // Of the image's own mapping, and of what is around it, it depends on the image.
                    if node != mapping && !is_above_image {
                        self.known.insert(node, said.clone());
                    }
                    said
                }
            };
            if known.is_some() {
                return known;
            }
            (at, from) = (self.parent(node), Some(node));
        }
        None
    }

    /// True if a mapping is the `image` of the one around it.
    fn is_image_of(&self, around: NodeId, mapping: NodeId) -> bool {
        let image = self.stream.get(around, "image");
        image.is_some_and(|image| self.stream.target(image) == mapping)
    }

    /// What a collection says by itself, and by mappings in it that hold nothing but settings.
    fn says(&self, node: NodeId, is_own: bool, is_above_image: bool) -> Option<Said> {
        let entries = self.stream.entries(node);
        if entries.len() > MAX_ENTRIES {
            return None;
        }
        let is_it = |key: &&&str| !(is_above_image && **key == "image");
        let mut own_keys = OWN.iter().filter(is_it);
        let has_image = own_keys.any(|key| self.stream.get(node, key).is_some());
        let has_tag = ["image", "tag", "name", "chart", "version"]
            .iter()
            .any(|key| self.stream.get(node, key).is_some());
        let own = entries.iter().filter_map(|(key, value)| {
            let name = self.stream.text(*key)?;
            // Above images, a repository on a host is what their names begin with.
            let is_above = !is_own && !has_tag && ["repository", "repo"].contains(&name);
            if is_above || self.is_front(node, name) {
                let on_host = self.stream.text(self.stream.target(*value)).is_some_and(is_on_host);
                if on_host {
                    return self.prefix(name, "imageRepo", *value);
                }
            }
            // A registry of an image is for that one.
            let is_its = name == "registry" && has_image || self.is_of_one_image(node, name);
            let said = (!is_its).then(|| self.prefix(name, name, *value)).flatten();
            said.or_else(|| self.front(node, name, *value).filter(|_| is_own))
        });
        let global = self.stream.get(node, "global").and_then(|global| {
            let image = self.stream.get(self.stream.target(global), "image")?;
            let image = self.stream.target(image);
            let registry = self.stream.get(image, "registry")?;
            let is_own = self.stream.get(image, "repository").is_some();
            let found = self.prefix("global.image.registry", "imageRegistry", registry);
            found.filter(|_| !is_own)
        });
        let inner = entries.iter().flat_map(|(key, value)| {
            let inner = self.stream.target(*value);
            let outer = self.stream.text(*key).unwrap_or_default();
            let has_image = OWN.iter().any(|key| self.stream.get(inner, key).is_some());
            // What is global is for others, whatever else it is for.
            let is_settings = (outer == "global" || !has_image)
                && self.stream.entries(inner).len() <= MAX_ENTRIES;
            let entries = if is_settings { self.stream.entries(inner) } else { &[] };
            entries.iter().filter_map(move |(key, value)| {
                let name = self.stream.text(*key)?;
                let is_place = is_of_registry(&normal(outer))
                    || ["docker", "container", "acr", "ecr", "gcr"].contains(&&*normal(outer));
                let is_host = is_place && HOSTS.contains(&&*normal(name));
                let key = if is_host { "registryHost" } else { name };
                let said = self.prefix(&format!("{outer}.{name}"), key, *value)?;
                Some(match said {
                    // Only what is global is for others.
                    Said::Registry(prefix) | Said::Hub(prefix) if outer != "global" => {
                        Said::Perhaps(prefix)
                    }
                    said => said,
                })
            })
        });
        let mut all: Vec<Said> = own.chain(inner).chain(global).chain(self.deep(node)).collect();
        let rank = |said: &Said| matches!(said, Said::Perhaps(_));
        all.sort_by_key(rank);
        all.into_iter().next()
    }

    /// True if a key is called like the name of an image, of which nothing beside it is a tag, or like a registry of a cloud.
    fn is_front(&self, node: NodeId, key: &str) -> bool {
        let key = normal(key);
        let is_cloud = ["loginserver", "ecr", "acr", "gcr", "gar", "artifactregistry"];
        if is_cloud.iter().any(|word| key.contains(word)) {
            return true;
        }
        let of_images = ["image", "docker", "container", "oci"];
        let Some(front) = key.strip_suffix("repository").or(key.strip_suffix("repo")) else {
            return false;
        };
        let has_tag = |other: &str| {
            let rest = other.strip_prefix(front);
            rest.is_some_and(|rest| ["tag", "version", "digest"].contains(&rest))
        };
        let mut keys =
            self.stream.entries(node).iter().filter_map(|(key, _)| self.stream.text(*key));
        of_images.iter().any(|word| front.contains(word))
            && !keys.any(|other| has_tag(&normal(other)))
    }

    /// True if a key names the registry of one image alone, whose other keys begin like it: `jobRegistry` beside `jobTag`.
    fn is_of_one_image(&self, node: NodeId, key: &str) -> bool {
        let key = normal(key);
        let Some(front) = key.strip_suffix("registry").filter(|front| !front.is_empty()) else {
            return false;
        };
        let is_its = |other: &str| {
            let rest = other.strip_prefix(front);
            rest.is_some_and(|rest| ["repository", "image", "name", "tag"].contains(&rest))
        };
        let mut keys =
            self.stream.entries(node).iter().filter_map(|(key, _)| self.stream.text(*key));
        !HINTS.contains(&&*key) && keys.any(|other| is_its(&normal(other)))
    }

    /// What a group of settings beneath `global` says, as Rancher's `global.cattle.systemDefaultRegistry`.
    fn deep(&self, node: NodeId) -> Option<Said> {
        let global = self.stream.target(self.stream.get(node, "global")?);
        let groups = self.stream.entries(global).iter().take(MAX_ENTRIES);
        let mut said = groups.filter_map(|(group, value)| {
            let value = self.stream.target(*value);
            let is_image = OWN.iter().any(|key| self.stream.get(value, key).is_some());
            let entries = if is_image { &[] } else { self.stream.entries(value) };
            let group = self.stream.text(*group)?;
            entries.iter().take(MAX_ENTRIES).find_map(|(key, value)| {
                let name = self.stream.text(*key)?;
                match self.prefix(&format!("global.{group}.{name}"), name, *value)? {
                    Said::Registry(prefix) | Said::Hub(prefix) | Said::Perhaps(prefix) => {
                        Some(Said::Perhaps(prefix))
                    }
                }
            })
        });
        said.next()
    }

    /// What may be the front of the name in an image's own mapping.
    fn front(&self, mapping: NodeId, key: &str, value: NodeId) -> Option<Said> {
        let normal = normal(key);
        let outer = self.key_of(mapping).unwrap_or_default();
        let is_image = outer == "image" || outer.ends_with("Image") || normal.contains("hub");
        let text = self.stream.text(self.stream.target(value)).filter(|_| !self.is_blank(value))?;
        let is_name = Repository::parse(&format!("{}/a", text.trim_end_matches('/'))).is_ok();
        let line = self.stream.node(value).line();
        let prefix = Prefix { key: key.into(), value: text.into(), line };
        (is_image && is_name && FRONTS.contains(&&*normal)).then_some(Said::Perhaps(prefix))
    }

    /// A registry, by the key.
    fn prefix(&self, shown: &str, key: &str, value: NodeId) -> Option<Said> {
        let text = self.stream.text(self.stream.target(value)).filter(|_| !self.is_blank(value))?;
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
        let normal = normal(key);
        let prefix = || Prefix {
            key: shown.into(),
            value: bare.into(),
            line: self.stream.node(value).line(),
        };
        // Docker Hub itself is what a bare name means anyway; a place in it is not.
        let is_hub = !bare.contains('/')
            && Repository::parse(&format!("{bare}/a"))
                .is_ok_and(|repository| repository.registry() == "docker.io" && bare.contains('.'));
        match (key, &*normal) {
            ("imageRegistry", _) => Some(Said::Registry(prefix())),
            ("hub", _) => Some(Said::Hub(prefix())),
            (_, normal) if HINTS.contains(&normal) && !is_hub => Some(Said::Perhaps(prefix())),
            (_, normal) if is_of_registry(normal) && !is_hub && is_on_host(text) => {
                Some(Said::Perhaps(prefix()))
            }
            _ => None,
        }
    }
}

/// True if a key may name the registry of images beside or beneath it.
pub(super) fn names_registry(key: &str) -> bool {
    let normal = normal(key);
    key == "hub" || HINTS.contains(&&*normal) || is_of_registry(&normal)
}

/// A key in lower case, without what joins its words.
fn normal(key: &str) -> String {
    key.chars().filter(|c| !"_-".contains(*c)).collect::<String>().to_ascii_lowercase()
}

/// True if a normalized key may name where images are, however it is worded. One of an image or of its tag is not meant.
fn is_of_registry(key: &str) -> bool {
    let is_of_image = ["repository", "image", "name", "tag", "version", "digest"];
    let of_images = ["image", "docker", "container", "oci"];
    let places = ["repo", "hub", "host", "prefix", "mirror", "proxy", "base", "server", "source"];
    let has = |words: &[&str]| words.iter().any(|word| key.contains(word));
    !is_of_image.iter().any(|end| key.ends_with(end))
        && (key.contains("registry") || has(&of_images) && has(&places))
}

/// True if a text is a registry's host, perhaps with a path, and no address of anything else.
fn is_on_host(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    let name = format!("{text}/a");
    !text.contains("://") && split_registry(&name).1 != name && Repository::parse(&name).is_ok()
}

/// The repository that a registry, where one is written, and a name are.
pub(super) fn join(registry: Option<&str>, name: &str) -> Option<Repository> {
    let registry = registry.filter(|registry| !registry.is_empty());
    let joined = registry.map(|registry| format!("{}/{name}", registry.trim_end_matches('/')));
    Repository::parse(joined.as_deref().unwrap_or(name)).ok()
}

//! Compose files that are put together: override files (<https://docs.docker.com/compose/how-tos/multiple-compose-files/merge/>),
//! `extends` (<https://docs.docker.com/reference/compose-file/services/#extends>) and `include`
//! (<https://docs.docker.com/reference/compose-file/include/>). What one of them builds, no other one pulls, and who includes a file
//! sets its variables.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::beside;
use crate::yaml::{NodeId, Stream};

/// The names that Compose looks for by itself, and that it then lays over what it found.
const BASES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];

/// Services that extend each other further than this are nobody's.
const MAX_EXTENDS: usize = 10;

/// A Compose file, by what it says for others.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The services that are built, with the line of `build`.
    built: BTreeMap<String, usize>,
    /// The service that each one extends.
    extended: BTreeMap<String, ComposeService>,
    /// The files that it includes.
    pub includes: Vec<Include>,
}

/// Compose files by their path.
pub type Compositions = BTreeMap<String, Composed>;

/// A service of a file.
#[derive(Clone, Debug)]
struct ComposeService {
    path: String,
    name: String,
}

/// A file that is included, or whose services are extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The file.
    pub path: String,
    /// Files that set its variables, the last one first.
    pub setters: Vec<String>,
}

impl Composed {
    /// Reads a Compose file; `None` for any other.
    #[must_use]
    pub fn read(path: &str, text: &str) -> Option<Self> {
        let stream = Stream::parse(text).ok()?;
        let root = *stream.documents().first()?;
        let services = child(&stream, root, "services");
        let is_compose = stream.get(root, "apiVersion").is_none()
            && (services.is_some() || stream.get(root, "include").is_some());
        let mut composed = Self {
            built: BTreeMap::new(),
            extended: BTreeMap::new(),
            includes: includes(&stream, root, path),
        };
        for (name, service) in services.map_or(&[][..], |services| stream.entries(services)) {
            let Some(name) = stream.text(*name) else { continue };
            let service = stream.target(*service);
            if let Some(build) = stream.get(service, "build") {
                composed.built.insert(name.to_owned(), stream.node(build).line());
            }
            if let Some(base) = extended(&stream, service, path) {
                composed.extended.insert(name.to_owned(), base);
            }
        }
        is_compose.then_some(composed)
    }

    /// Other Compose files that it names.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let included = self.includes.iter().map(|include| include.path.as_str());
        included.chain(self.extended.values().map(|base| base.path.as_str()))
    }
}

/// The files of services that others extend: whose project it is, sets the variables, and not what lies beside the file.
#[must_use]
pub fn extended_files(all: &Compositions) -> Vec<Include> {
    let mut found = BTreeMap::new();
    for project in all.keys() {
        let mut open = vec![project.as_str()];
        let mut known = BTreeSet::from([project.as_str()]);
        while let Some(path) = open.pop() {
            let bases = all.get(path).into_iter().flat_map(|one| one.extended.values());
            open.extend(bases.map(|base| base.path.as_str()).filter(|path| known.insert(path)));
        }
        for path in known.into_iter().filter(|path| path != project) {
            let setters: &mut Vec<String> = found.entry(path.to_owned()).or_default();
            setters.push(beside(project, ".env"));
        }
    }
    found.into_iter().map(|(path, setters)| Include { path, setters }).collect()
}

fn child(stream: &Stream, mapping: NodeId, key: &str) -> Option<NodeId> {
    stream.get(mapping, key).map(|node| stream.target(node))
}

fn extended(stream: &Stream, service: NodeId, path: &str) -> Option<ComposeService> {
    let extends = child(stream, service, "extends")?;
    let text = |key: &str| stream.text(child(stream, extends, key)?);
    let name = stream.text(extends).or_else(|| text("service"))?.to_owned();
    let path = text("file").map_or_else(|| path.to_owned(), |file| beside(path, file));
    Some(ComposeService { path, name })
}

fn includes(stream: &Stream, root: NodeId, path: &str) -> Vec<Include> {
    let texts = |node: NodeId| {
        let one = stream.text(node).map(str::to_owned);
        let several = stream.items(node).iter().filter_map(|item| stream.text(*item));
        one.into_iter().chain(several.map(str::to_owned)).collect::<Vec<_>>()
    };
    let list = child(stream, root, "include");
    let items = list.map_or(&[][..], |list| stream.items(list)).iter();
    let all = items.flat_map(|item| {
        let item = stream.target(*item);
        let of = |key: &str| child(stream, item, key).map(texts).unwrap_or_default();
        let paths = if stream.text(item).is_some() { texts(item) } else { of("path") };
        // What the project sets counts more than what is set for the file.
        let own = of("env_file").into_iter().rev().map(|file| beside(path, &file));
        let setters: Vec<String> = std::iter::once(beside(path, ".env")).chain(own).collect();
        let include =
            move |file: String| Include { path: beside(path, &file), setters: setters.clone() };
        paths.into_iter().map(include).collect::<Vec<_>>()
    });
    all.collect()
}

/// The file and line where a service is built: by what it extends, or by the file that Compose lays over it.
pub(super) fn built(all: &Compositions, path: &str, service: &str) -> Option<String> {
    let at = |path: &str, service: &str| {
        all.get(path)?.built.get(service).map(|line| format!("in {path}:{line}"))
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let others: &[&str] = match name {
        name if BASES.contains(&name) => &OVERRIDES,
        name if OVERRIDES.contains(&name) => &BASES,
        _ => &[],
    };
    let laid = others.iter().find_map(|other| at(&beside(path, other), service));
    let (mut path, mut service) = (path, service);
    laid.or_else(|| {
        (0..MAX_EXTENDS).find_map(|_| {
            let base = all.get(path)?.extended.get(service)?;
            (path, service) = (&base.path, &base.name);
            at(path, service)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_anywhere_is_not_pulled() {
        let files = [
            (
                "a/compose.yaml",
                "services:\n  x: {image: i}\n  y: {extends: x}\n  z: {extends: {service: base, file: ../common.yml}}\n",
            ),
            ("a/compose.override.yaml", "services:\n  x: {build: .}\n"),
            ("common.yml", "services:\n  base: {extends: first}\n  first:\n    build: .\n"),
            ("b/compose.prod.yaml", "services:\n  x: {build: .}\n"),
            ("b/compose.yaml", "services:\n  x: {image: i}\n  loop: {extends: loop}\n"),
        ];
        let read =
            |(path, text): &(&str, &str)| Some(((*path).to_owned(), Composed::read(path, text)?));
        let all: Compositions = files.iter().filter_map(read).collect();
        let at = |path: &str, service: &str| built(&all, path, service).unwrap_or_default();
        assert_eq!(at("a/compose.yaml", "x"), "in a/compose.override.yaml:2");
        assert_eq!(at("a/compose.yaml", "z"), "in common.yml:4");
        assert_eq!(at("b/compose.yaml", "x"), "");
        assert_eq!(at("b/compose.yaml", "loop"), "");
    }

    #[test]
    fn who_includes_a_file_sets_its_variables() {
        let text = "include:\n- sub/compose.yaml\n- {path: [x.yaml, ./y.yaml], env_file: [a.env, ../b.env]}\n";
        let composed = Composed::read("p/compose.yaml", text).unwrap();
        let include = |path: &str, setters: &[&str]| Include {
            path: path.to_owned(),
            setters: setters.iter().map(|&setter| setter.to_owned()).collect(),
        };
        let both = ["p/.env", "b.env", "p/a.env"];
        let want = [
            include("p/sub/compose.yaml", &["p/.env"]),
            include("p/x.yaml", &both),
            include("p/y.yaml", &both),
        ];
        assert_eq!(composed.includes, want);
    }
}

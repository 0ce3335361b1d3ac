//! Which files hold sites of the policies' images, and which policy and environment each is for.

use std::collections::BTreeMap;

use super::{Basis, Idle, Idleness, Marked, Obstacle, Obstructed, OtherName, Site, find};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Repository;
use crate::policy::PolicySet;
use crate::yaml::{NodeId, Stream, SyntaxError};

/// Larger YAML files are reported and left alone, in bytes.
pub const MAX_FILE: usize = 4 << 20;

/// Looks at files, each on its own, for the sites of a set of policies.
pub struct Survey<'p> {
    set: &'p PolicySet,
    /// Policies by environment and repository.
    lookup: Vec<BTreeMap<&'p Repository, usize>>,
    /// The policies' repositories, for sites outside every environment.
    repositories: BTreeMap<&'p Repository, usize>,
}

/// What one file holds.
#[derive(Debug, Default)]
pub struct Seen {
    file: Option<Surveyed>,
    /// Sites outside every environment, by policy: how many, and the first.
    outside: BTreeMap<usize, (usize, Place)>,
    problems: Vec<Diagnostic>,
}

/// A file with sites.
#[derive(Debug)]
pub struct Surveyed {
    /// The path within the repository.
    pub path: String,
    /// What is kept of its content.
    pub basis: Basis,
    /// The environment, as an index into [`PolicySet::environments`].
    pub environment: usize,
    /// The sites with their policies, as indices into [`PolicySet::policies`].
    pub sites: Vec<(Site, usize)>,
}

impl<'p> Survey<'p> {
    /// A survey for these policies.
    #[must_use]
    pub fn new(set: &'p PolicySet) -> Self {
        let by_environment = |environment: &'p crate::policy::Environment| {
            let policies = environment.policies.iter();
            let policies = policies.filter(|index| !set.policies[**index].marked_only());
            policies.map(|index| (&set.policies[*index].repository, *index)).collect()
        };
        // Policies of Flux change what is marked, and nothing else.
        let repositories =
            set.policies.iter().enumerate().filter(|(_, policy)| !policy.marked_only());
        Self {
            set,
            lookup: set.environments.iter().map(by_environment).collect(),
            repositories: repositories.map(|(index, policy)| (&policy.repository, index)).collect(),
        }
    }

    /// Looks at one file.
    #[must_use]
    pub fn look(&self, path: &str, bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        self.bytes(path, bytes, &mut seen);
        seen
    }

    fn bytes(&self, path: &str, bytes: &[u8], seen: &mut Seen) {
        if bytes.len() > MAX_FILE {
            let message =
                format!("{} bytes are more than the limit of {MAX_FILE}; left alone", bytes.len());
            return seen.problem(Code::FileTooLarge, message, Place::of_file(path));
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("not UTF-8 (at byte {}); left alone", error.valid_up_to());
                return seen.problem(Code::FileUnreadable, message, Place::of_file(path));
            }
        };
        match Stream::parse(text) {
            Ok(stream) => self.parsed(path, text, &stream, seen),
            Err(error) => self.unparsable(path, text, &error, seen),
        }
    }

    /// Everything that was found, in the order of the files that were looked at.
    #[must_use]
    pub fn finish(&self, seen: Vec<Seen>) -> (Vec<Surveyed>, Vec<Diagnostic>) {
        let (mut files, mut diagnostics) = (Vec::new(), Vec::new());
        let mut outside: BTreeMap<usize, (usize, Place)> = BTreeMap::new();
        for seen in seen {
            files.extend(seen.file);
            diagnostics.extend(seen.problems);
            for (policy, (count, place)) in seen.outside {
                outside.entry(policy).or_insert((0, place)).0 += count;
            }
        }
        for (policy, (count, place)) in outside {
            let name = &self.set.policies[policy].name;
            let places = if count == 1 { "place" } else { "places" };
            let message = format!(
                "{count} {places} with the image of `{name}` outside every environment; left alone"
            );
            let problem = Diagnostic::warning(Code::SiteOutside, message).at(place);
            diagnostics.push(problem.help("add its directory to the `paths` of an environment"));
        }
        (files, diagnostics)
    }

    fn parsed(&self, path: &str, text: &str, stream: &Stream, seen: &mut Seen) {
        let mut environments = self.set.environments.iter();
        let environment = environments.position(|environment| environment.paths.contains(path));
        let found = find(path, text, stream);
        for obstructed in &found.obstructed {
            self.obstructed(path, stream, environment, obstructed, seen);
        }
        let Some(environment) = environment else {
            for site in &found.sites {
                self.outside(path, site, stream, seen);
            }
            return;
        };
        let policy = |site: &Site| self.lookup[environment].get(&site.repository).copied();
        let mut sites: Vec<_> = found
            .sites
            .into_iter()
            .filter_map(|site| policy(&site).map(|policy| (site, policy)))
            .collect();
        for marked in found.marked {
            sites.extend(self.marked(path, environment, marked, seen));
        }
        for idle in found.idle {
            seen.idle(path, idle);
        }
        if !sites.is_empty() && is_encrypted(stream) {
            let message =
                "SOPS signs every value of this file, so a change would break it; left alone";
            return seen.problem(Code::FileEncrypted, message.to_owned(), Place::of_file(path));
        }
        if !sites.is_empty() {
            let slots = sites.iter().flat_map(|(site, _)| &site.slots);
            let basis = Basis::new(stream, slots);
            seen.file = Some(Surveyed { path: path.to_owned(), basis, environment, sites });
        }
    }

    /// The site of a marker, when its policy applies here.
    fn marked(
        &self,
        path: &str,
        environment: usize,
        marked: Marked,
        seen: &mut Seen,
    ) -> Option<(Site, usize)> {
        let named = |index: &&usize| self.set.policies[**index].name == marked.policy;
        let Some(index) = self.set.environments[environment].policies.iter().find(named) else {
            let name = marked.policy.escape_debug();
            let message =
                format!("the marker names `{name}`, which is no policy of this environment");
            let place = Place { line: marked.line, column: 1, ..Place::of_file(path) };
            seen.problem(Code::MarkerUnknown, message, place);
            return None;
        };
        let policy = &self.set.policies[*index];
        let marked =
            if policy.marked_only() { marked } else { marked.keeping_name_of(&policy.repository) };
        let other = marked.name.as_ref().is_some_and(|name| *name != policy.image);
        let site = Site {
            repository: policy.repository.clone(),
            tag: marked.tag,
            digest: marked.digest,
            line: marked.line,
            slots: marked.slots,
            marked: Some(if other { OtherName::Yes } else { OtherName::No }),
        };
        Some((site, *index))
    }

    fn outside(&self, path: &str, site: &Site, stream: &Stream, seen: &mut Seen) {
        if let Some(policy) = self.repositories.get(&site.repository) {
            let node = site.slots.first().map_or(0, |slot| slot.node);
            let place = place(path, stream, node);
            seen.outside.entry(*policy).or_insert((0, place)).0 += 1;
        }
    }

    fn obstructed(
        &self,
        path: &str,
        stream: &Stream,
        environment: Option<usize>,
        found: &Obstructed,
        seen: &mut Seen,
    ) {
        let Some(environment) = environment else { return };
        let Some(policy) = self.lookup[environment].get(&found.repository) else { return };
        let name = &self.set.policies[*policy].name;
        let place = place(path, stream, found.node);
        let diagnostic = match found.obstacle {
            Obstacle::Untagged => {
                let message = format!("the image of `{name}` has no tag here; left alone");
                Diagnostic::info(Code::SiteUntagged, message)
                    .help("write a tag, and it is kept up to date")
            }
            Obstacle::Aliased => {
                let message =
                    format!("the tag of `{name}` is shared through a YAML alias; left alone");
                let help = "other places than this image use it; write the tag without an anchor";
                Diagnostic::warning(Code::SiteUnsupported, message).help(help)
            }
            Obstacle::Repeated => {
                let message =
                    format!("the image of `{name}` is written with a key twice; left alone");
                Diagnostic::warning(Code::SiteUnsupported, message).help("keep one of them")
            }
            Obstacle::NotATag => {
                let message =
                    format!("the image of `{name}` has something else than a tag here; left alone");
                Diagnostic::warning(Code::SiteUnsupported, message)
            }
            Obstacle::Escaped => {
                let message = format!(
                    "the tag of `{name}` is written with escapes or over several lines; left alone"
                );
                let help = "write the image on one line, in plain or quoted form without escapes";
                Diagnostic::warning(Code::SiteUnsupported, message).help(help)
            }
        };
        seen.problems.push(diagnostic.at(place));
    }

    fn unparsable(&self, path: &str, text: &str, error: &SyntaxError, seen: &mut Seen) {
        let covered =
            self.set.environments.iter().any(|environment| environment.paths.contains(path));
        if !covered {
            return;
        }
        let start = error.offset(text);
        let (line, column) = (error.line, error.column);
        let place = Place { path: path.to_owned(), line, column, span: start..start };
        seen.problem(Code::FileUnreadable, format!("this is not YAML: {error}; left alone"), place);
    }
}

impl Seen {
    fn problem(&mut self, code: Code, message: String, place: Place) {
        self.problems.push(Diagnostic::warning(code, message).at(place));
    }

    fn idle(&mut self, path: &str, idle: Idle) {
        let message = match idle.why {
            Idleness::Alone => "this marker stands beside no value, so it does nothing",
            Idleness::Shadowed => "another marker is nearer to the value, so this one does nothing",
            Idleness::Mixed => "other text stands in this comment, so it is not read as a marker",
            Idleness::Escaped => {
                "this value is written with escapes or over several lines, so it cannot be changed"
            }
        };
        let place = Place { line: idle.line, column: 1, ..Place::of_file(path) };
        self.problem(Code::MarkerIdle, message.to_owned(), place);
    }
}

/// Whether a file is encrypted with [SOPS](https://getsops.io/docs/#message-authentication-code), whose
/// code also covers what is left in clear text.
fn is_encrypted(stream: &Stream) -> bool {
    stream.documents().iter().any(|root| {
        let sops = stream.get(*root, "sops");
        sops.is_some_and(|sops| stream.get(stream.target(sops), "mac").is_some())
    })
}

fn place(path: &str, stream: &Stream, node: NodeId) -> Place {
    let node = stream.node(node);
    Place { path: path.to_owned(), line: node.line(), column: node.column(), span: node.span() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{PolicyFile, read};

    #[test]
    fn sites_go_to_their_environment_and_the_rest_is_reported() {
        let text = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}\n  \
                    web: {image: ghcr.io/acme/web, tags: {semver: '*'}}\n\
                    environments:\n  a: {paths: [a]}\n  b: {paths: [b], images: [web]}\n";
        let (set, _) = read(&[PolicyFile::new("policies/p.yaml", text)]);
        let survey = Survey::new(&set);
        let large = [&b"# shop"[..], &vec![b' '; MAX_FILE]].concat();
        let look: [(&str, &[u8]); 8] = [
            ("a/x.yaml", b"image: ghcr.io/acme/shop:1.0.0\nx: {image: ghcr.io/other/shop:1}\n"),
            ("a/template.yaml", b"{{ if }}\nimage: shop\n"),
            ("a/latin1.yaml", b"# \xe9\nimage: ghcr.io/acme/shop:1.0.0\n"),
            ("a/none.yaml", b"image: ghcr.io/acme/shop\n"),
            ("a/large.yaml", &large),
            ("b/x.yaml", b"image: ghcr.io/acme/shop:1.0.0\n---\nimage: ghcr.io/acme/web:1.0.0\n"),
            ("c/x.yaml", b"image: ghcr.io/acme/shop:1.0.0\n"),
            ("c/y.yaml", b"image: ghcr.io/acme/shop:1.0.0\n"),
        ];
        let seen = look.map(|(path, bytes)| survey.look(path, bytes));
        let (files, diagnostics) = survey.finish(seen.into());
        let got: Vec<_> =
            files.iter().map(|f| (&*f.path, f.environment, f.sites.len(), f.sites[0].1)).collect();
        assert_eq!(got, [("a/x.yaml", 0, 1, 0), ("b/x.yaml", 1, 1, 1)]);
        let codes: Vec<_> = diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "file.unreadable",
                "file.unreadable",
                "site.untagged",
                "file.too-large",
                "site.outside-environments"
            ]
        );
    }
}

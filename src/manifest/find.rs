//! Walks a stream and collects sites by the shape of mappings, whatever kind of object they are in.

use std::collections::BTreeSet;

use super::{Obstacle, Obstructed, Part, Site, Slot, kustomize, reference, values};
use crate::image::{Digest, Repository, Tag};
use crate::yaml::{Data, NodeId, Stream};

/// The comment that takes a line out.
const IGNORE: &str = "tagalong: ignore";

/// What one file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Places that can be changed.
    pub sites: Vec<Site>,
    /// Places that cannot.
    pub obstructed: Vec<Obstructed>,
}

/// Whether a file may name images, by its path: YAML, and kustomize's file without an extension.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml")) || name == "Kustomization"
}

/// Finds every image that a file names, in the order of the file.
#[must_use]
pub fn find(path: &str, stream: &Stream) -> Found {
    let mut finder = Finder { stream, aliased: aliased(stream), found: Found::default() };
    let kustomize_items = kustomize::items(path, stream);
    for (id, node) in stream.nodes() {
        if !matches!(node.data, Data::Mapping(_)) {
            continue;
        }
        if kustomize_items.contains(&id) {
            kustomize::visit(&mut finder, id);
        } else {
            reference::visit(&mut finder, id);
            values::visit(&mut finder, id);
        }
    }
    finder.found
}

/// What the shapes share while a stream is walked.
pub(super) struct Finder<'a> {
    pub(super) stream: &'a Stream,
    /// Scalars that aliases repeat: to change one is to change places that nobody looked at.
    aliased: BTreeSet<NodeId>,
    found: Found,
}

/// A tag and a digest as they are written, with the slots that hold them.
#[derive(Default)]
pub(super) struct Written {
    pub(super) tag: Option<Tag>,
    pub(super) digest: Option<Digest>,
    pub(super) slots: Vec<Slot>,
}

impl Finder<'_> {
    /// The text of a mapping's entry, looking through aliases, because it is only read.
    pub(super) fn text(&self, mapping: NodeId, key: &str) -> Option<&str> {
        let value = self.inherited(mapping, key)?;
        self.stream.text(self.stream.target(value))
    }

    /// A mapping's entry, or that of a mapping that it merges with `<<`.
    pub(super) fn inherited(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.stream.get(mapping, key).or_else(|| {
            let merged = self.stream.target(self.stream.get(mapping, "<<")?);
            let mut all = std::iter::once(&merged).chain(self.stream.items(merged));
            all.find_map(|base| self.stream.get(self.stream.target(*base), key))
        })
    }

    /// Whether a key stands twice: programs differ in which one they read.
    pub(super) fn is_repeated(&self, mapping: NodeId, key: &str) -> bool {
        let entries = self.stream.entries(mapping).iter();
        entries.filter(|(k, _)| self.stream.text(*k) == Some(key)).count() > 1
    }

    /// Records an image whose tag and digest were collected from the entries around its name.
    pub(super) fn record(
        &mut self,
        repository: Repository,
        name: NodeId,
        written: Result<Written, Obstacle>,
    ) {
        let slots = written.as_ref().ok().into_iter().flat_map(|written| &written.slots);
        if slots.map(|slot| slot.node).chain([name]).any(|node| self.is_ignored(node)) {
            return;
        }
        match written {
            Ok(Written { tag: None, digest: None, .. }) => {
                self.obstruct(repository, name, Obstacle::Untagged);
            }
            Ok(Written { tag, digest, slots }) => {
                let line = slots.first().map_or(name, |slot| slot.node);
                let line = self.stream.node(line).line;
                self.found.sites.push(Site { repository, tag, digest, line, slots });
            }
            Err(obstacle) => self.obstruct(repository, name, obstacle),
        }
    }

    /// Whether `# tagalong: ignore` stands on the line.
    fn is_ignored(&self, node: NodeId) -> bool {
        self.stream.comments_on(self.stream.node(node).line).any(|comment| comment == IGNORE)
    }

    pub(super) fn obstruct(&mut self, repository: Repository, node: NodeId, obstacle: Obstacle) {
        self.found.obstructed.push(Obstructed { repository, node, obstacle });
    }

    /// Collects what the first of `tag_keys` that exists, and `digest`, hold.
    pub(super) fn siblings(&self, mapping: NodeId, tag_keys: &[&str]) -> Result<Written, Obstacle> {
        let mut written = Written::default();
        if tag_keys
            .iter()
            .chain(&["digest", "repository"])
            .any(|key| self.is_repeated(mapping, key))
        {
            return Err(Obstacle::Repeated);
        }
        let tag = tag_keys.iter().find_map(|key| self.stream.get(mapping, key));
        if let Some(node) = tag.filter(|node| !self.is_blank(*node)) {
            self.tag(node, &mut written)?;
        }
        // `digest: ""` can be filled; where nothing is written there is no place to fill.
        let digest = self.stream.get(mapping, "digest");
        let fillable = |node: &NodeId| match self.stream.text(*node) {
            Some("null" | "~") => false,
            Some("") => !self.stream.node(*node).span.is_empty(),
            _ => true,
        };
        if let Some(node) = digest.filter(fillable) {
            self.digest(node, &mut written)?;
        }
        Ok(written)
    }

    /// Whether a scalar may be changed: it is not an alias, and no alias repeats it.
    pub(super) fn editable(&self, node: NodeId) -> Result<&str, Obstacle> {
        if self.aliased.contains(&node) || matches!(self.stream.node(node).data, Data::Alias(_)) {
            return Err(Obstacle::Aliased);
        }
        self.stream.text(node).ok_or(Obstacle::NotATag)
    }

    fn tag(&self, node: NodeId, written: &mut Written) -> Result<(), Obstacle> {
        let text = self.editable(node)?;
        let (tag, digest) = match text.split_once('@') {
            Some((tag, digest)) => (tag, Some(Digest::parse(digest).ok_or(Obstacle::NotATag)?)),
            None => (text, None),
        };
        written.tag = Some(Tag::parse(tag).ok_or(Obstacle::NotATag)?);
        written.digest = digest;
        written.slots.push(Slot { part: Part::Tag, node, range: 0..text.len() });
        Ok(())
    }

    fn digest(&self, node: NodeId, written: &mut Written) -> Result<(), Obstacle> {
        let text = self.editable(node)?;
        if !text.is_empty() {
            written.digest = Some(Digest::parse(text).ok_or(Obstacle::NotATag)?);
        }
        written.slots.push(Slot { part: Part::Digest, node, range: 0..text.len() });
        Ok(())
    }

    /// Whether nothing is written there: `tag: ""`, `tag:`, `tag: null`.
    fn is_blank(&self, node: NodeId) -> bool {
        matches!(self.stream.text(node), Some("" | "null" | "~"))
    }
}

fn aliased(stream: &Stream) -> BTreeSet<NodeId> {
    let targets = stream.nodes().filter_map(|(_, node)| match node.data {
        Data::Alias(target) => target,
        _ => None,
    });
    targets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each found image as `repository tag digest? line`, obstacles as `repository obstacle`.
    fn found(path: &str, text: &str) -> Vec<String> {
        let stream = Stream::parse(text).unwrap();
        let found = find(path, &stream);
        let sites = found.sites.iter().map(|site| {
            let tag = site.tag.as_ref().map_or("-", Tag::as_str);
            let digest = site.digest.as_ref().map_or("", |digest| digest.short());
            format!("{} {tag} {digest} {}", site.repository, site.line)
        });
        let obstacles =
            found.obstructed.iter().map(|o| format!("{} {:?}", o.repository, o.obstacle));
        sites.chain(obstacles).collect()
    }

    #[test]
    fn pod_specs_of_any_kind_lists_and_custom_resources() {
        let text = "\
apiVersion: v1
kind: List
items:
- spec: {template: {spec: {initContainers: [{image: nginx:1.27}]}}}
- kind: Widget
  spec:
    image: 'ghcr.io/acme/shop:v1'
---
- image: ghcr.io/acme/web
- image: {{a: b}: c}
- image: not an image
- image: \"{{ .Values.image }}\"
";
        let want = [
            "docker.io/library/nginx 1.27  4",
            "ghcr.io/acme/shop v1  7",
            "ghcr.io/acme/web Untagged",
        ];
        assert_eq!(found("a.yaml", text), want);
    }

    #[test]
    fn helm_values_in_parts() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "a: {{repository: acme/a, tag: v1}}\n\
             b: {{registry: ghcr.io, repository: acme/b, tag: \"1.0\", digest: \"\"}}\n\
             c: {{registry: ghcr.io, repository: acme/c, tag: v1, digest: '{digest}'}}\n\
             d: {{repository: acme/d, tag: v1@{digest}}}\n\
             e: {{repository: acme/e, tag: \"\"}}\n\
             f: {{image: acme/f, tag: v1}}\n\
             g: {{repository: 'https://charts.example.com', version: 1.0.0}}\n\
             h: {{repository: acme/h, tag: '{{{{ x }}}}'}}\n\
             k: {{repository: acme/k, tag: v1, tag: v2}}\n\
             l: {{image: 'acme/l:${{TAG}}'}}\n\
             m: &m {{repository: acme/m, tag: v1}}\n\
             n: {{<<: *m, tag: v2}}\n\
             i: {{repository: &r acme/i, tag: &t v1}}\n\
             j: {{repository: *r, tag: *t}}\n"
        );
        let want = [
            "docker.io/acme/a v1  1".to_owned(),
            "ghcr.io/acme/b 1.0  2".to_owned(),
            "ghcr.io/acme/c v1 sha256:aaaaaaaaaaaa 3".to_owned(),
            "docker.io/acme/d v1 sha256:aaaaaaaaaaaa 4".to_owned(),
            "docker.io/acme/f v1  6".to_owned(),
            "docker.io/acme/m v1  11".to_owned(),
            "docker.io/acme/m v2  12".to_owned(),
            "docker.io/acme/e Untagged".to_owned(),
            "docker.io/acme/h NotATag".to_owned(),
            "docker.io/acme/k Repeated".to_owned(),
            "docker.io/acme/l NotATag".to_owned(),
            "docker.io/acme/i Aliased".to_owned(),
            "docker.io/acme/i Aliased".to_owned(),
        ];
        assert_eq!(found("values.yaml", &text), want);
    }

    #[test]
    fn kustomize_images() {
        let text = "\
images:
- name: nginx
  newTag: \"1.27\"
- newName: ghcr.io/acme/shop
  name: shop
  newTag: v1
- name: redis
";
        let want = [
            "docker.io/library/nginx 1.27  3",
            "ghcr.io/acme/shop v1  6",
            "docker.io/library/redis Untagged",
        ];
        assert_eq!(found("apps/kustomization.yaml", text), want);
        assert_eq!(found("apps/Kustomization", text), want);
        let object =
            format!("kind: Kustomization\n{text}").replace("images:", "x: {image: a:b}\nimages:");
        assert_eq!(found("any.yaml", &object).len(), 4);
        assert_eq!(found("values.yaml", text), Vec::<String>::new());
    }

    #[test]
    fn a_line_can_be_taken_out() {
        let text = "a: {image: 'a/b:1'} # tagalong: ignore\nb: {image: 'a/b:1'} # not ignored\n\
                    c:\n  repository: a/b\n  tag: v1 #tagalong: ignore\n";
        assert_eq!(found("a.yaml", text), ["docker.io/a/b 1  2"]);
    }

    #[test]
    fn only_yaml_and_kustomize_files_are_candidates() {
        for path in ["a.yaml", "a/b.yml", "x/Kustomization"] {
            assert!(is_candidate(path), "{path}");
        }
        for path in ["a.txt", "yaml", "a.yaml.bak", "Kustomization.md"] {
            assert!(!is_candidate(path), "{path}");
        }
    }
}

//! What the shapes share while a stream is walked.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::argocd::Override;
use super::around::Around;
use super::beside::{Beside, Digests};
use super::claim::{self, Claimed, Taken};
use super::identity::{SaidByNode, WrittenForm};
use super::kustomize::Changed;
use super::marker::{self, Markers};
use super::named;
use super::sharing::{self, Sharing, aliases};
use super::target::Reached;
use super::{
    Found, Named, Obstacle, Obstructed, Obstruction, Part, Reader, Setters, Site, Slot, Spot,
    Variables,
};
use crate::image::{Digest, Reference, Repository, Tag};
use crate::yaml::{Data, NodeId, Resolved, Stream, Style, resolve};

/// Why a target does not change a place.
const SHARED: &str = "it is shared through an alias";

/// More mappings than anybody merges into one; every use of a list walks it.
const MAX_MERGED: usize = 16;

/// A stream, and what was found in it so far.
pub(super) struct Finder<'a> {
    pub(super) stream: &'a Stream<'a>,
    pub(super) text: &'a str,
    /// The aliases of each anchored value. To change one is to change all of these places.
    aliases: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// Where anchored scalars are used: by the anchor, the places with the sites there.
    shared: BTreeMap<NodeId, Vec<(NodeId, usize)>>,
    /// Scalars that are claimed for a policy, which beats their shape.
    pub(super) taken: BTreeSet<NodeId>,
    /// Their claimed bytes.
    pieces: Taken,
    /// Lists that were looked at, behind however many aliases.
    pub(super) lists: BTreeSet<NodeId>,
    /// Values of charts that something else counts more than, and what.
    pub(super) overridden: BTreeMap<NodeId, Vec<Override>>,
    /// Texts that were read as YAML.
    looked_into: BTreeSet<NodeId>,
    /// What names the image of each site.
    pub(super) names: Vec<NodeId>,
    /// The digests of the mapping that was looked at last: several images can be in one.
    pub(super) digests: (Option<NodeId>, Digests<'a>),
    /// The list of kustomize's that was looked at last, with the last entry that changes each name.
    pub(super) entries: (Option<NodeId>, HashMap<String, Changed>),
    /// What collections say of registries.
    pub(super) known: SaidByNode,
    /// What a file beside this one sets, where this one is Compose's.
    pub(super) variables: Option<&'a Variables>,
    /// The collection that each node is in, and the key that leads to it.
    pub(super) around: OnceCell<Vec<Around>>,
    pub(super) found: Found,
}

/// A tag and a digest as they are written, with the slots that hold them.
#[derive(Default)]
pub(super) struct Written {
    pub(super) tag: Option<Tag>,
    pub(super) digest: Option<Digest>,
    pub(super) slots: Vec<Slot>,
    /// Which of the slots are shared through an anchor: the anchored scalar, and the place.
    pub(super) shared: Vec<(NodeId, NodeId)>,
    /// Who reads the tag.
    pub(super) reader: Reader,
}

/// The name of an image, the shape that it has, and its scalar.
#[derive(Clone, Copy)]
pub(super) struct NameAt<'a> {
    pub(super) text: &'a str,
    pub(super) form: WrittenForm,
    pub(super) node: NodeId,
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a str, stream: &'a Stream<'a>, setters: Setters<'a>) -> Self {
        let Markers { claims, scalars, idle } = marker::find(text, stream);
        let mut pieces = Taken::default();
        for claim in &claims {
            pieces.take(&claim.slot);
        }
        let found = Found { claimed: claim::group(claims), idle, ..Found::default() };
        let (aliases, shared) = (aliases(stream), BTreeMap::new());
        let (lists, names) = (BTreeSet::new(), Vec::new());
        let digests = (None, Digests::default());
        let mut finder = Self {
            stream,
            text,
            aliases,
            shared,
            taken: scalars,
            pieces,
            lists,
            overridden: BTreeMap::new(),
            looked_into: BTreeSet::new(),
            names,
            digests,
            entries: (None, HashMap::new()),
            known: SaidByNode::new(),
            variables: None,
            around: OnceCell::new(),
            found,
        };
        let is_compose = stream.documents().iter().any(|root| finder.is_compose(*root));
        finder.variables = if is_compose { setters.beside } else { setters.substituted };
        finder
    }

    /// Gives places to the policies whose targets reach them; those of markers stay theirs. What
    /// several targets of a policy reach beside each other is one image.
    pub(super) fn claim(&mut self, all: impl IntoIterator<Item = Reached>) {
        let mut claims = Vec::new();
        for mut reached in all {
            self.settle(&mut reached);
            self.taken.extend(reached.claims.iter().map(|claim| claim.slot.node));
            claims.extend(reached.claims.iter().cloned());
            self.found.reached.push(reached);
        }
        self.found.claimed.extend(claim::group(claims));
    }

    /// Leaves a target what it may change.
    fn settle(&mut self, reached: &mut Reached) {
        for claim in std::mem::take(&mut reached.claims) {
            if self.is_ignored(claim.slot.node) {
                reached.ignored += 1;
            } else if self.is_shared(claim.slot.node) {
                reached.missed.push((claim.slot.line, SHARED));
            } else {
                reached.claims.push(claim);
            }
        }
        reached.yield_to(&mut self.pieces);
    }

    /// What was found. An anchored scalar is changed when every place that uses it is a site of one
    /// image; otherwise its sites cannot be.
    pub(super) fn finish(mut self) -> Found {
        self.look_beside_claims();
        let mut refused = BTreeMap::new();
        for (target, uses) in &self.shared {
            let places: BTreeSet<NodeId> = uses.iter().map(|(place, _)| *place).collect();
            let known = self.aliases.get(target).map_or(0, BTreeSet::len) + 1;
            let images: BTreeSet<&Repository> =
                uses.iter().map(|(_, site)| &self.found.sites[*site].repository).collect();
            if places.len() != known || images.len() != 1 {
                refused.extend(uses.iter().map(|(place, site)| (*site, *place)));
            }
        }
        for (site, node) in refused {
            let site = &mut self.found.sites[site];
            site.slots.clear();
            let repository = site.repository.clone();
            self.obstruct(repository, node, Obstacle::Aliased);
        }
        for site in self.shared_collections() {
            let (repository, node) = (self.found.sites[site].repository.clone(), self.names[site]);
            self.found.sites[site].slots.clear();
            self.obstruct(repository, node, Obstacle::Aliased);
        }
        self.leave_overridden();
        self.found.sites.retain(|site| !site.slots.is_empty());
        self.found
    }

    /// Sites in collections that others use for something else.
    fn shared_collections(&self) -> Vec<usize> {
        let Some(sharing) = Sharing::of(self.stream, &self.aliases) else { return Vec::new() };
        let users = sharing::users(&self.found.sites, &self.names);
        let sites = self.found.sites.iter().zip(&self.names).enumerate();
        let stopped = sites.filter(|(_, (site, name))| sharing.stops(site, **name, &users));
        stopped.map(|(index, _)| index).collect()
    }

    /// The text of a mapping's entry, looking through aliases, because it is only read.
    pub(super) fn text(&self, mapping: NodeId, key: &str) -> Option<&str> {
        let value = self.inherited(mapping, key)?;
        let value = self.stream.target(value);
        self.stream.text(value).filter(|_| !self.stream.is_null(value))
    }

    /// A mapping's entry, or that of a mapping that it merges with `<<`.
    pub(super) fn inherited(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.stream.get(mapping, key).or_else(|| {
            self.merged(mapping).into_iter().find_map(|base| self.stream.get(base, key))
        })
    }

    /// The mappings that a mapping merges with `<<`.
    pub(super) fn merged(&self, mapping: NodeId) -> Vec<NodeId> {
        let Some(merged) = self.stream.get(mapping, "<<") else { return Vec::new() };
        let merged = self.stream.target(merged);
        let all = std::iter::once(&merged).chain(self.stream.items(merged)).take(MAX_MERGED);
        all.map(|base| self.stream.target(*base)).collect()
    }

    /// Records an image whose tag and digest were collected from the entries around its name.
    pub(super) fn record(
        &mut self,
        repository: Repository,
        name: NodeId,
        written: Result<Written, Obstruction>,
    ) {
        let slots = written.as_ref().ok().into_iter().flat_map(|written| &written.slots);
        let places = written.as_ref().ok().into_iter().flat_map(|written| &written.shared);
        let places = places.map(|(_, place)| *place);
        let mut nodes = slots.map(|slot| slot.node).chain(places).chain([name]);
        if nodes.any(|node| self.taken.contains(&node) || self.is_ignored(node)) {
            return;
        }
        match written {
            Ok(Written { tag: None, digest: None, .. }) => {
                self.obstruct(repository, name, Obstacle::Untagged);
            }
            Ok(Written { tag, digest, slots, shared, reader }) => {
                let line = slots.first().map_or(0, |slot| slot.line);
                let line =
                    shared.first().map_or(line, |(_, place)| self.stream.node(*place).line());
                let site = self.found.sites.len();
                self.names.push(name);
                for (target, place) in shared {
                    self.shared.entry(target).or_default().push((place, site));
                }
                let (claimed, is_copy) = (None, false);
                self.found.sites.push(Site {
                    repository,
                    tag,
                    digest,
                    line,
                    slots,
                    claimed,
                    reader,
                    is_copy,
                });
            }
            Err(Obstruction { obstacle, at }) => {
                self.obstruct(repository, at.unwrap_or(name), obstacle);
            }
        }
    }

    /// Adds a site that was found elsewhere.
    pub(super) fn add(&mut self, site: Site, name: NodeId) {
        if site.slots.iter().all(|slot| self.pieces.is_free(slot)) {
            self.names.push(name);
            self.found.sites.push(site);
        }
    }

    /// Adds what markers within a text claim, and those that do nothing.
    pub(super) fn add_claimed(&mut self, claimed: Claimed) {
        for slot in &claimed.slots {
            self.pieces.take(slot);
        }
        self.found.claimed.push(claimed);
    }

    /// Notes a text that was read as YAML.
    pub(super) fn looked_into(&mut self, node: NodeId) {
        self.looked_into.insert(node);
    }

    pub(super) fn is_looked_into(&self, node: NodeId) -> bool {
        self.looked_into.contains(&node)
    }

    /// Notes a text that should be YAML and is not.
    pub(super) fn add_unreadable(&mut self, node: NodeId) {
        self.found.unreadable.push(node);
    }

    /// Whether `# tagalong: ignore` stands on the line.
    pub(super) fn is_ignored(&self, node: NodeId) -> bool {
        self.stream.comments_on(self.stream.node(node).line()).any(marker::is_ignore)
    }

    pub(super) fn obstruct(&mut self, repository: Repository, node: NodeId, obstacle: Obstacle) {
        let spot = Spot::of(self.stream, node);
        self.obstruct_at(Obstructed { named: Named::Is(repository), spot, obstacle });
    }

    /// Records an image by its name in a mapping, with what was collected around it.
    pub(super) fn record_named(
        &mut self,
        mapping: NodeId,
        registry: Option<&str>,
        name: NameAt<'_>,
        written: Result<Written, Obstruction>,
    ) {
        let NameAt { text, form, node } = name;
        match self.identify(mapping, registry, text, form) {
            None => {}
            Some(Ok(repository)) => {
                let pinned = self.pinned_beside(mapping, node, &repository);
                let written = pinned.map_or(written, Err);
                self.record(repository, node, written);
            }
            Some(Err((named, obstacle))) => {
                let is_left = self.taken.contains(&node) || self.is_ignored(node);
                let spot = Spot::of(self.stream, node);
                if !is_left {
                    self.obstruct_at(Obstructed { named, spot, obstacle });
                }
            }
        }
    }

    /// The same, of a place that is not a node of this stream.
    pub(super) fn obstruct_at(&mut self, obstructed: Obstructed) {
        self.found.obstructed.push(obstructed);
    }

    /// Collects what the first of `tag_keys` that exists, and the digests beside it, hold.
    pub(super) fn siblings(
        &mut self,
        mapping: NodeId,
        tag_keys: &[&str],
    ) -> Result<Written, Obstruction> {
        if self.stream.is_repeated(mapping, "repository") {
            return Err(Obstacle::Repeated.into());
        }
        self.siblings_named(mapping, tag_keys, "")
    }

    /// The same for an image whose keys begin with `stem`.
    pub(super) fn siblings_named(
        &mut self,
        mapping: NodeId,
        tag_keys: &[impl AsRef<str>],
        stem: &str,
    ) -> Result<Written, Obstruction> {
        let mut written = Written::default();
        let tag_keys = || tag_keys.iter().map(AsRef::as_ref);
        let digest_key = named::beside(stem, "digest");
        if tag_keys().chain([&*digest_key]).any(|key| self.stream.is_repeated(mapping, key)) {
            return Err(Obstacle::Repeated.into());
        }
        let tag = tag_keys().find_map(|key| self.stream.get(mapping, key));
        if let Some(node) = tag.filter(|node| !self.is_blank(*node)) {
            self.tag(node, &mut written)?;
            if !self.taken.contains(&node) {
                self.is_whole_tag(mapping, stem)?;
            }
        }
        // A template, say, where a digest is to be.
        let odd = self.stream.get(mapping, &digest_key).filter(|node| !self.is_blank(*node));
        let odd = odd.map(|node| self.stream.text(self.stream.target(node)));
        if odd.is_some_and(|text| text.is_none_or(|text| Digest::parse(text).is_none())) {
            return Err(Obstacle::NotATag.into());
        }
        self.digests(mapping, stem, &mut written)?;
        Ok(written)
    }

    /// Whether a scalar may be changed: it is not an alias, and no alias repeats it.
    pub(super) fn editable(&self, node: NodeId) -> Result<&str, Obstacle> {
        if self.is_shared(node) {
            return Err(Obstacle::Aliased);
        }
        self.stream.text(node).ok_or(Obstacle::NotATag)
    }

    /// What follows the name in a reference that begins at `start` of a scalar.
    pub(super) fn suffix(
        &self,
        node: NodeId,
        start: usize,
        reference: &Reference,
    ) -> Result<Written, Obstruction> {
        let range = start + reference.suffix.start..start + reference.suffix.end;
        let (tag, digest) = (reference.tag.clone(), reference.digest.clone());
        let mut written = Written { tag, digest, ..Written::default() };
        self.slot(Part::Suffix, node, range, &mut written)?;
        Ok(written)
    }

    /// The same for a reference that is an entry of a mapping, with the digests beside it.
    pub(super) fn whole(
        &mut self,
        mapping: NodeId,
        stem: &str,
        node: NodeId,
        reference: &Reference,
    ) -> Result<Written, Obstruction> {
        let mut written = self.suffix(node, 0, reference)?;
        self.digests(mapping, stem, &mut written)?;
        Ok(written)
    }

    pub(super) fn tag(&self, node: NodeId, written: &mut Written) -> Result<(), Obstacle> {
        let text = self.stream.text(self.stream.target(node)).ok_or(Obstacle::NotATag)?;
        let (tag, digest) = match text.split_once('@') {
            Some((tag, digest)) => (tag, Some(Digest::parse(digest).ok_or(Obstacle::NotATag)?)),
            None => (text, None),
        };
        written.tag = Some(Tag::parse(tag).ok_or(Obstacle::NotATag)?);
        written.digest = digest;
        self.slot(Part::Tag, node, 0..text.len(), written)
    }

    /// A digest beside a tag, or the place for one.
    pub(super) fn digest(&self, at: &Beside, written: &mut Written) -> Result<(), Obstacle> {
        let target = self.stream.target(at.node);
        let text = self.stream.text(target).ok_or(Obstacle::NotATag)?;
        let read = Digest::parse(text).or_else(|| Digest::from_hex(text));
        // Of two that differ, one is of something else.
        if read.is_some() && written.digest.is_some() && read != written.digest {
            return Err(Obstacle::OtherDigest);
        }
        written.digest = read.or(written.digest.take());
        let is_missing = text.is_empty() && self.stream.node(target).span().is_empty();
        if !is_missing {
            return self.slot(at.part, at.node, 0..text.len(), written);
        }
        let start = at.named_by.filter(|_| target == at.node).and_then(|key| self.value_of(key));
        written.slots.extend(start.map(|start| Slot {
            part: at.part,
            node: target,
            range: 0..0,
            start,
            line: self.stream.node(at.named_by.unwrap_or(target)).line(),
            inner: None,
            is_missing: true,
        }));
        Ok(())
    }

    /// Where the value of a key would begin that has none: behind its colon, where nothing else stands on the line.
    fn value_of(&self, key: NodeId) -> Option<usize> {
        let end = self.stream.node(key).span().end;
        let behind = self.text.get(end..)?;
        let colon = behind.find(|c: char| c != ' ').filter(|at| behind[*at..].starts_with(':'))?;
        let rest = behind[colon + 1..].trim_start_matches([' ', '\t']);
        let is_free = rest.is_empty() || rest.starts_with(['\n', '\r', '#', ',', '}']);
        is_free.then_some(end + colon + 1)
    }

    /// Adds a piece of a scalar; behind an alias, of the anchored one.
    pub(super) fn slot(
        &self,
        part: Part,
        node: NodeId,
        range: Range<usize>,
        written: &mut Written,
    ) -> Result<(), Obstacle> {
        let target = self.stream.target(node);
        let slot = self.located(part, target, range)?;
        if self.is_shared(node) {
            written.shared.push((target, node));
        }
        written.slots.push(slot);
        Ok(())
    }

    /// A piece of a scalar as a slot.
    pub(super) fn located(
        &self,
        part: Part,
        node: NodeId,
        range: Range<usize>,
    ) -> Result<Slot, Obstacle> {
        self.stream.text(node).ok_or(Obstacle::NotATag)?;
        Slot::locate(self.text, self.stream, part, node, range).ok_or(Obstacle::Escaped)
    }

    /// Whether aliases use a mapping, or one that it is in.
    pub(super) fn is_used_elsewhere(&self, mapping: NodeId) -> bool {
        let mut up = std::iter::successors(Some(mapping), |node| self.parent(*node));
        up.any(|node| self.aliases.contains_key(&node))
    }

    /// Whether a scalar is used in more places than one.
    fn is_shared(&self, node: NodeId) -> bool {
        self.aliases.contains_key(&node) || matches!(self.stream.node(node).data, Data::Alias(_))
    }

    /// True if a scalar is text to everybody: `true` and `3` name no image.
    pub(super) fn is_text(&self, node: NodeId) -> bool {
        match &self.stream.node(node).data {
            Data::Scalar { value, style: Style::Plain } => resolve(value) == Resolved::Text,
            _ => true,
        }
    }

    /// Whether nothing is written there: `tag: ""`, `tag:`, `tag: null`.
    pub(super) fn is_blank(&self, node: NodeId) -> bool {
        matches!(self.stream.text(node), Some("" | "null" | "~"))
    }
}

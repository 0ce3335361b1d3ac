//! Where files name images: from parsed YAML to [`Site`]s.

mod apart;
mod app_version;
mod argocd;
mod around;
mod beside;
mod claim;
mod claim_beside;
mod compose;
mod embedded;
mod find;
mod finder;
mod identity;
mod kustomize;
mod layers;
mod lent;
mod marker;
#[cfg(test)]
mod marker_tests;
mod mention;
mod named;
mod notes;
mod oci_source;
mod others;
mod place;
mod plain;
mod reader;
mod reference;
mod release;
mod search;
mod sharing;
mod stems;
mod survey;
mod target;
mod values;
mod variables;
mod wholes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub use app_version::AppVersion;
pub use claim::Claimed;
pub use compose::{Composed, Compositions, Include, extended_files};
pub use find::{find, is_candidate, may_be_text};
pub use kustomize::{
    KUSTOMIZATIONS, Renamed, is_kustomization, names as kustomize_names, taken_by,
};
pub use layers::Layer;
pub use lent::{Lent, Names, unlent};
pub use marker::{Idle, Idleness};
pub use others::OtherFiles;
pub use reader::Reader;
pub use release::{Chains, Overlaid, Releases, may_hold_values};
pub use search::{Form, Hit, Needle, Search};
pub use survey::{Left, Looked, MAX_FILE, Seen, Survey, Surveyed};
pub use target::Aim;
pub use variables::{Setters, Variables};

use crate::diagnostic::Place;
use crate::image::{Digest, Repository, Tag};
use crate::yaml::{Data, Locator, NodeId, Outline, Stream, Style};

/// What one file names.
#[derive(Debug, Default)]
pub struct Found {
    /// Places that can be changed.
    pub sites: Vec<Site>,
    /// Places that cannot.
    pub obstructed: Vec<Obstructed>,
    /// Places that markers and targets give to policies.
    pub claimed: Vec<Claimed>,
    /// Markers that do nothing.
    pub idle: Vec<Idle>,
    /// What each target reaches.
    reached: Vec<target::Reached>,
    /// Texts that should be YAML and are not.
    unreadable: Vec<NodeId>,
}

/// A scalar that a site is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// What it holds.
    pub value: Box<str>,
    /// How it is written; `None` where the file is not YAML.
    pub style: Option<Style>,
}

/// The scalars that the sites of a file are in.
pub type Scalars = BTreeMap<NodeId, Scalar>;

/// What is kept of a file, so that it can be changed, and the change proven, without its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The scalars that may change.
    pub scalars: Scalars,
    /// What everything else is.
    pub rest: Rest,
}

/// What a file is beside the scalars that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// YAML of this outline.
    Yaml(Outline),
    /// Not YAML. That the same places are found in the new text, with what they are to hold, is the
    /// proof.
    Text,
}

/// One place in a file that names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The image repository, in canonical form.
    pub repository: Repository,
    /// The tag that is written.
    pub tag: Option<Tag>,
    /// The digest that is written.
    pub digest: Option<Digest>,
    /// The line that a person would look at, from 1.
    pub line: usize,
    /// The pieces of text that hold tag and digest.
    pub slots: Vec<Slot>,
    /// Whether a marker or a target claims it for its policy, and another image is written.
    pub claimed: Option<OtherName>,
    /// Who reads the tag.
    pub reader: Reader,
    /// True if it names a copy of the policy's image at another registry.
    pub is_copy: bool,
}

/// Whether what a claimed site names is the policy's image, as the policy writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherName {
    /// It is, or no name is claimed.
    No,
    /// It is not: the name is to be written as well.
    Yes,
}

/// A piece of a scalar that holds a tag, a digest or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What the piece holds.
    pub part: Part,
    /// The scalar.
    pub node: NodeId,
    /// The bytes of the piece within the scalar's value.
    pub range: Range<usize>,
    /// The first byte of the piece in the file, where it stands character for character.
    pub start: usize,
    /// Its line, from 1.
    pub line: usize,
    /// The scalar within the scalar, where the text is YAML itself.
    pub inner: Option<Inner>,
    /// True if nothing stands there yet, so that a space is written between the key and the value.
    pub is_missing: bool,
}

/// A scalar within a text that is YAML itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Its bytes, quotes included, within the text.
    pub raw: Range<usize>,
    /// What it holds and how it is written.
    pub scalar: Scalar,
    /// The bytes of the piece within its value.
    pub range: Range<usize>,
}

/// What a [`Slot`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What follows the name in a reference: `:tag`, `@digest` or both.
    Suffix,
    /// A tag, with or without `@digest` behind it.
    Tag,
    /// A tag that is always to have its digest behind it.
    TagAndDigest,
    /// A digest alone; may be empty.
    Digest,
    /// The digits of a SHA-256 digest, without its algorithm; may be empty.
    Hash,
    /// A whole reference that is claimed for a policy, whatever it is now.
    Whole,
    /// The name of an image that is claimed for a policy; without the registry, where that is
    /// claimed as well.
    Name,
    /// The registry of an image that is claimed for a policy.
    Registry,
}

/// Why an image that is named cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Neither a tag nor a digest is written.
    Untagged,
    /// The tag is empty, and the version of the chart's application stands for it.
    AppVersion(AppVersion),
    /// The tag is shared through an alias with places that are not of this image.
    Aliased,
    /// A key stands twice in the mapping.
    Repeated,
    /// The tag is something else: a template, a mapping, a text outside the grammar.
    NotATag,
    /// The tag does not stand in the file as it is: escapes, folded lines, text within text.
    Escaped,
    /// A digest stands beside the tag, and nothing says of which image it is.
    OtherDigest,
    /// The tag goes on under another key: which, and where.
    InTwoKeys(Box<str>),
    /// A digest of the image stands in another file: where.
    LaidDigest(Box<str>),
    /// A tag in another file counts more, and the digest here would move beneath it: where.
    LaidTag(Box<str>),
    /// The registry may be another one: where it is named.
    Elsewhere(Box<str>),
    /// It is not known what else counts: why.
    Unread(Box<str>),
    /// The tag's name stands in another file, and cannot be followed from here.
    NamedElsewhere,
    /// The tag stands under a key that is not read: where its name is.
    Apart(Box<str>),
    /// Two scalars name the image, and contradict each other.
    TwoNames,
    /// A variable decides: its name, and where it is set.
    Variable(Box<str>),
    /// A Compose service that is built, and not pulled: where.
    Built(Box<str>),
}

/// An image that is named but cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstructed {
    /// The image.
    pub named: Named,
    /// Where: the scalar that names it, or the one that is in the way.
    pub spot: Spot,
    /// Why not.
    pub obstacle: Obstacle,
}

/// The image of a place that cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// This repository.
    Is(Repository),
    /// A repository of a registry that is not known, by the end of its path.
    Somewhere(Box<str>),
}

impl Named {
    /// True if it is this repository, or may be.
    #[must_use]
    pub fn may_be(&self, repository: &Repository) -> bool {
        match self {
            Self::Is(named) => named == repository,
            Self::Somewhere(path) => {
                let front = repository.path().strip_suffix(&**path);
                front.is_some_and(|front| front.is_empty() || front.ends_with('/'))
            }
        }
    }

    /// The name, as far as it is known.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Is(repository) => repository.to_string(),
            Self::Somewhere(path) => path.to_string(),
        }
    }
}

impl Part {
    /// True if it holds a digest alone.
    pub(crate) const fn is_digest(self) -> bool {
        matches!(self, Self::Digest | Self::Hash)
    }
}

impl Site {
    /// The same place, as one that cannot be changed.
    fn obstructed(&self, obstacle: Obstacle) -> Obstructed {
        let spot = Spot::on(self.line);
        Obstructed { named: Named::Is(self.repository.clone()), spot, obstacle }
    }
}

impl Obstacle {
    /// Why it is not known which image is named; `None` where that is clear.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        match self {
            Self::Elsewhere(said) => Some(format!("it may be of another registry ({said})")),
            Self::TwoNames => Some("`repository` and another key name an image".to_owned()),
            Self::Variable(variable) => Some(format!("the variable {variable} decides")),
            _ => None,
        }
    }
}

/// A scalar's place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The bytes.
    pub span: Range<usize>,
}

/// Why a tag or digest cannot be changed, and the scalar that is in the way, where it is not the image's name.
struct Obstruction {
    obstacle: Obstacle,
    at: Option<NodeId>,
}

impl From<Obstacle> for Obstruction {
    fn from(obstacle: Obstacle) -> Self {
        Self { obstacle, at: None }
    }
}

impl Spot {
    /// The place of a node.
    fn of(stream: &Stream, node: NodeId) -> Self {
        let node = stream.node(node);
        Self { line: node.line(), column: node.column(), span: node.span() }
    }

    /// A line, where the column does not matter.
    fn on(line: usize) -> Self {
        Self { line, column: 1, span: 0..0 }
    }

    /// The same, as a place of a file.
    fn place(self, path: &str) -> Place {
        Place { path: path.to_owned(), line: self.line, column: self.column, span: self.span }
    }
}

impl Slot {
    /// A piece of a scalar; `None` where the piece does not stand in the text as it is.
    fn locate(
        text: &str,
        stream: &Stream,
        part: Part,
        node: NodeId,
        range: Range<usize>,
    ) -> Option<Self> {
        Self::within(&stream.locator(text, node)?, part, node, range)
    }

    /// The same, with the way into the scalar.
    fn within(
        locator: &Locator<'_>,
        part: Part,
        node: NodeId,
        range: Range<usize>,
    ) -> Option<Self> {
        let (bytes, line) = locator.find(range.clone())?;
        Some(Self { part, node, range, start: bytes.start, line, inner: None, is_missing: false })
    }
}

impl Basis {
    /// What is to be kept of a file with these pieces.
    #[must_use]
    pub fn new<'a>(stream: &Stream, slots: impl Iterator<Item = &'a Slot>) -> Self {
        // Many pieces can be in one scalar.
        let nodes: BTreeSet<NodeId> = slots.map(|slot| slot.node).collect();
        let scalars = nodes.iter().filter_map(|node| Some((*node, Scalar::of(stream, *node)?)));
        let scalars: Scalars = scalars.collect();
        let rest = Rest::Yaml(stream.outline(&nodes));
        Self { scalars, rest }
    }
}

impl Scalar {
    /// The scalar that a node is.
    #[must_use]
    pub fn of(stream: &Stream, node: NodeId) -> Option<Self> {
        let Data::Scalar { value, style } = &stream.node(node).data else { return None };
        Some(Self { value: value.as_ref().into(), style: Some(*style) })
    }
}

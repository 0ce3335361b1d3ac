//! A parsed YAML stream: documents, nodes, spans and comments.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// A run of comment lines this long between a key and its value is refused by the parser's
/// default; real files have longer ones, and a file's size is capped before it gets here.
const MAX_COMMENT_RUN: usize = 1_000_000;

/// Configuration files have a node for about so many bytes.
const BYTES_FOR_A_NODE: usize = 12;

/// In larger mappings, keys are looked up by halving.
const LARGE_MAPPING: usize = 64;

/// Which node of a [`Stream`].
pub type NodeId = usize;

/// Every document of one file. What stands in the text as it is, is not copied.
#[derive(Debug, Default)]
pub struct Stream<'t> {
    nodes: Vec<Node<'t>>,
    documents: Vec<NodeId>,
    comments: Vec<Comment<'t>>,
    /// Explicit tags (`!!str`), resolved, and the anchors' numbers, of the few nodes with one.
    properties: Vec<(NodeId, Properties)>,
    /// The entries of large mappings, sorted by their keys, so that looking many keys up in one
    /// takes no time that grows with its square.
    sorted: HashMap<NodeId, Box<[(NodeId, NodeId)]>>,
}

/// One node: a scalar, a collection or an alias. Kept small, as files have many.
#[derive(Debug)]
pub struct Node<'t> {
    /// What the node holds.
    pub data: Data<'t>,
    start: u32,
    end: u32,
    line: u32,
    column: u32,
}

/// What can stand before a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) tag: Option<Box<str>>,
    pub(super) anchor: usize,
}

impl Node<'_> {
    /// The bytes that the node occupies, quotes included, anchors and tags not.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The line of the first byte, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line as usize
    }

    /// The column of the first character, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column as usize
    }
}

/// The content of a [`Node`].
#[derive(Debug)]
pub enum Data<'t> {
    /// A scalar.
    Scalar {
        /// The value after unescaping and folding.
        value: Cow<'t, str>,
        /// How it is written.
        style: Style,
    },
    /// A sequence's items.
    Sequence(Box<[NodeId]>),
    /// A mapping's keys and values, in order, duplicates kept.
    Mapping(Box<[(NodeId, NodeId)]>),
    /// An alias and the node that it points at.
    Alias(Option<NodeId>),
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// A block scalar, literal `|` or folded `>`.
    Block,
}

/// A comment.
#[derive(Debug, PartialEq, Eq)]
pub struct Comment<'t> {
    text: Cow<'t, str>,
    pub(super) line: usize,
    start: usize,
}

impl Comment<'_> {
    /// What follows the `#`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The byte of its `#`.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether another comment says the same on the same line, wherever it moved on it.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.text == other.text && self.line == other.line
    }
}

/// Text that is not YAML, or is nested deeper than the parser's bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What the parser says.
    pub message: String,
    /// The line it stopped at, from 1.
    pub line: usize,
    /// The column it stopped at, from 1.
    pub column: usize,
}

impl SyntaxError {
    /// The byte of the text that the error is at.
    #[must_use]
    pub fn offset(&self, text: &str) -> usize {
        let before: usize =
            text.split_inclusive('\n').take(self.line.saturating_sub(1)).map(str::len).sum();
        let line = text.get(before..).unwrap_or_default();
        let column = line.char_indices().nth(self.column.saturating_sub(1));
        before + column.map_or(line.trim_end().len(), |(at, _)| at)
    }
}

impl<'t> Stream<'t> {
    /// Parses every document of `text`.
    ///
    /// # Errors
    /// At the first byte that cannot be YAML 1.2.
    pub fn parse(text: &'t str) -> Result<Self, SyntaxError> {
        let options = granit_parser::options! { max_buffered_comment_events: MAX_COMMENT_RUN };
        let mut builder = Builder::default();
        builder.stream.nodes.reserve(text.len() / BYTES_FOR_A_NODE);
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| SyntaxError {
                message: error.info().clone(),
                line: error.marker().line(),
                column: error.marker().col() + 1,
            })?;
            builder.event(event, span);
        }
        Ok(builder.stream)
    }

    /// The root node of each document.
    #[must_use]
    pub fn documents(&self) -> &[NodeId] {
        &self.documents
    }

    /// A node.
    ///
    /// # Panics
    /// When `id` belongs to another stream.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node<'t> {
        &self.nodes[id]
    }

    /// Every node in the order of the text.
    #[must_use]
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node<'t>)> {
        self.nodes.iter().enumerate()
    }

    /// The entries of a mapping; empty for anything else.
    #[must_use]
    pub fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.nodes[id].data {
            Data::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; empty for anything else.
    #[must_use]
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.nodes[id].data {
            Data::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The value of the first entry with this key, not looking through aliases.
    #[must_use]
    pub fn get(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.all(mapping, key).next()
    }

    /// Value at some keys, looking through aliases.
    #[must_use]
    pub fn at(&self, node: NodeId, keys: &[&str]) -> Option<NodeId> {
        keys.iter().try_fold(self.target(node), |node, key| Some(self.target(self.get(node, key)?)))
    }

    /// Value at a key of a mapping or an index of a list, not looking through aliases.
    #[must_use]
    pub fn step(&self, node: NodeId, key: &str) -> Option<NodeId> {
        self.get(node, key).or_else(|| self.items(node).get(key.parse::<usize>().ok()?).copied())
    }

    /// Whether a key stands twice in a mapping.
    #[must_use]
    pub fn is_repeated(&self, mapping: NodeId, key: &str) -> bool {
        self.all(mapping, key).nth(1).is_some()
    }

    /// The values of a key, in order.
    fn all<'s>(&'s self, mapping: NodeId, key: &'s str) -> impl Iterator<Item = NodeId> + 's {
        let sorted = self.sorted.get(&mapping).map(|sorted| {
            let first = sorted.partition_point(|(k, _)| self.text(*k) < Some(key));
            let end = sorted.partition_point(|(k, _)| self.text(*k) <= Some(key));
            &sorted[first..end]
        });
        let entries = sorted.unwrap_or_else(|| self.entries(mapping)).iter();
        entries.filter(move |(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// A scalar's value; `None` for collections and aliases.
    #[must_use]
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[id].data {
            Data::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Whether a scalar is a null in so many words; one that is empty may be there to be filled
    /// (<https://yaml.org/spec/1.2.2/#1032-tag-resolution>).
    #[must_use]
    pub fn is_null(&self, id: NodeId) -> bool {
        let Data::Scalar { value, style: Style::Plain } = &self.nodes[id].data else {
            return false;
        };
        matches!(value.as_ref(), "null" | "Null" | "NULL" | "~")
    }

    /// The node that an alias stands for, or the node itself.
    #[must_use]
    pub fn target(&self, id: NodeId) -> NodeId {
        match self.nodes[id].data {
            Data::Alias(Some(target)) => target,
            _ => id,
        }
    }

    /// The comments on a line, without their marks.
    pub fn comments_on(&self, line: usize) -> impl Iterator<Item = &str> {
        let first = self.comments.partition_point(|comment| comment.line < line);
        let here = self.comments[first..].iter().take_while(move |comment| comment.line == line);
        here.map(|comment| comment.text.trim())
    }

    /// Every comment, in the order of the text.
    #[must_use]
    pub fn comments(&self) -> &[Comment<'t>] {
        &self.comments
    }

    /// What stands before nodes, for those that have something there.
    pub(super) fn properties(&self) -> &[(NodeId, Properties)] {
        &self.properties
    }
}

#[derive(Default)]
struct Builder<'t> {
    stream: Stream<'t>,
    /// Collections that are open, outermost first, with how many of `children` came before theirs.
    open: Vec<(NodeId, usize)>,
    children: Vec<NodeId>,
    anchors: HashMap<usize, NodeId>,
}

impl<'t> Builder<'t> {
    fn event(&mut self, event: Event<'t>, span: Span) {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                // The parser reports a missing value as `~`; nothing is written there.
                let missing = style == ScalarStyle::Plain && span.is_empty();
                let value = if missing { Cow::Borrowed("") } else { value };
                let id = self.add(Data::Scalar { value, style: style_of(style) }, &span);
                self.properties(id, anchor, tag.map(|tag| tag.to_string()));
            }
            Event::SequenceStart(_, anchor, tag) => {
                let id = self.begin(Data::Sequence(Box::default()), &span);
                self.properties(id, anchor, tag.map(|tag| tag.to_string()));
            }
            Event::MappingStart(_, anchor, tag) => {
                let id = self.begin(Data::Mapping(Box::default()), &span);
                self.properties(id, anchor, tag.map(|tag| tag.to_string()));
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                self.add(Data::Alias(target), &span);
            }
            Event::Comment(text, _) => {
                let comment = Comment { text, line: span.start.line(), start: bytes(&span).start };
                self.stream.comments.push(comment);
            }
            _ => {}
        }
    }

    fn begin(&mut self, data: Data<'t>, span: &Span) -> NodeId {
        let id = self.add(data, span);
        self.open.push((id, self.children.len()));
        id
    }

    fn end(&mut self, span: &Span) {
        let Some((id, first)) = self.open.pop() else { return };
        let children = &self.children[first..];
        let node = &mut self.stream.nodes[id];
        node.end = node.end.max(number(bytes(span).end));
        node.data = match &node.data {
            Data::Mapping(_) => Data::Mapping(pairs(children)),
            _ => Data::Sequence(children.into()),
        };
        self.children.truncate(first);
        self.sort(id);
    }

    fn sort(&mut self, id: NodeId) {
        let stream = &self.stream;
        let entries = stream.entries(id);
        if entries.len() > LARGE_MAPPING {
            let mut sorted: Box<[_]> = entries.into();
            sorted.sort_by_key(|(key, _)| stream.text(*key));
            self.stream.sorted.insert(id, sorted);
        }
    }

    fn add(&mut self, data: Data<'t>, span: &Span) -> NodeId {
        let id = self.stream.nodes.len();
        let Range { start, end } = bytes(span);
        self.stream.nodes.push(Node {
            data,
            start: number(start),
            end: number(end),
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
        });
        let siblings =
            if self.open.is_empty() { &mut self.stream.documents } else { &mut self.children };
        siblings.push(id);
        id
    }

    fn properties(&mut self, id: NodeId, anchor: usize, tag: Option<String>) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        if anchor != 0 || tag.is_some() {
            let tag = tag.map(Into::into);
            self.stream.properties.push((id, Properties { tag, anchor }));
        }
    }
}

fn pairs(children: &[NodeId]) -> Box<[(NodeId, NodeId)]> {
    children.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Files are much smaller than this can say.
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        ScalarStyle::Plain => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(String, &str)> {
        let stream = Stream::parse(text).unwrap();
        let scalars = stream
            .nodes()
            .filter_map(|(id, node)| Some((stream.text(id)?.to_owned(), text.get(node.span())?)));
        scalars.collect()
    }

    #[test]
    fn a_scalars_span_is_its_bytes_with_quotes() {
        let text = "é: 'a''b' # c\r\n\"k\\n\": &x {p: 1, q: *x}\r\n---\r\n- plain text\r\n- ''";
        let got = spans(text);
        let want = [
            ("é", "é"),
            ("a'b", "'a''b'"),
            ("k\n", "\"k\\n\""),
            ("p", "p"),
            ("1", "1"),
            ("q", "q"),
            ("plain text", "plain text"),
            ("", "''"),
        ];
        let want: Vec<_> = want.into_iter().map(|(v, s)| (v.to_owned(), s)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn documents_keys_and_aliases_are_found() {
        let stream = Stream::parse("a: &x 1\nb: *x\n---\n- c\n").unwrap();
        assert_eq!(stream.documents().len(), 2);
        let root = stream.documents()[0];
        let b = stream.get(root, "b").unwrap();
        assert_eq!(stream.text(b), None);
        assert_eq!(stream.text(stream.target(b)), Some("1"));
        assert_eq!((stream.node(b).line(), stream.node(b).column()), (2, 4));
    }

    #[test]
    fn an_error_names_its_line() {
        let error = Stream::parse("a: 1\nb: {{ x }}\nc: [\n").unwrap_err();
        assert!(error.line >= 2, "{error:?}");
    }

    #[test]
    fn hostile_nesting_ends_in_an_error() {
        for opener in ["[", "{", "- ", "? "] {
            assert!(Stream::parse(&opener.repeat(100_000)).is_err(), "{opener}");
        }
    }

    #[test]
    fn long_comment_runs_are_read() {
        let text = format!("a:\n{}  b: 1\n", "  # c\n".repeat(5_000));
        assert!(Stream::parse(&text).is_ok());
    }
}

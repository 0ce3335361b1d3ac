//! One policy or settings file: its documents, judged by a schema, with places for every value.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema::SchemaForm;
use super::violation::violations;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::yaml::{NodeId, Stream, SyntaxError, to_json};

/// A file of the config repository.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// Its path within the repository.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether it is read for Flux's resources alone, because it is not where policies are.
    pub manifests: bool,
    /// The namespace that the nearest kustomization gives to what has none.
    pub namespace: Option<String>,
}

impl PolicyFile {
    /// A file where policies are.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), manifests: false, namespace: None }
    }
}

/// A document that its schema accepts, and where its values stand.
pub(super) struct Document<'a, T> {
    pub(super) raw: T,
    pub(super) places: Places<'a>,
}

/// Finds the place of a value in a document.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    path: &'a str,
    stream: &'a Stream<'a>,
    root: NodeId,
}

/// Parses a file.
pub(super) fn parse(file: &PolicyFile) -> Result<Stream<'_>, Diagnostic> {
    Stream::parse(&file.text).map_err(|error| {
        let start = error.offset(&file.text);
        let place = Place {
            path: file.path.clone(),
            line: error.line,
            column: error.column,
            span: start..start,
        };
        let message = format!("this is not YAML: {}", error.message);
        let problem = Diagnostic::error(Code::PolicySyntax, message).at(place);
        problem.help(advice(&file.text, &error))
    })
}

/// The most likely mistake. The parser stops where it cannot go on, which may be a line behind the mistake.
fn advice(text: &str, error: &SyntaxError) -> &'static str {
    let near = text.lines().skip(error.line.saturating_sub(2)).take(2);
    let near: Vec<&str> = near.filter(|line| !line.trim_start().starts_with('#')).collect();
    let values = near.iter().flat_map(|line| {
        let parts = line.split(": ").flat_map(|part| part.split(", "));
        parts.flat_map(|part| part.split('[')).skip(1)
    });
    let items = near.iter().filter_map(|line| line.trim_start().strip_prefix("- "));
    let values: Vec<&str> = values.chain(items).map(str::trim_start).collect();
    let begins = |signs: &[char]| values.iter().any(|value| value.starts_with(signs));
    let says = |words: &[&str]| words.iter().any(|word| error.message.contains(word));
    let lacks_colon = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.contains(':') && !line.starts_with(['-', '[', '{', '}', ']'])
    };
    match () {
        () if says(&["tab"]) => "YAML is indented with spaces, never with tabs",
        () if says(&["escape"]) => "write it in single quotes, in which `\\` stands for itself",
        () if says(&["trailing content"]) => "a text is quoted as a whole, or not at all",
        () if says(&["unclosed", "end of stream", "',' or '}'", "',' or ']'"]) => {
            "a quote or a bracket is not closed, here or above"
        }
        () if begins(&['>', '|']) && error.message.contains(&['>', '|'][..])
            || error.message.contains("block scalar") =>
        {
            "put a text that begins with `>` or `|` in quotes, as in `'>=1.0 <2'`"
        }
        () if begins(&['*', '&', '!', '%', '@', '`']) => {
            "put a text that begins with a sign in quotes, as in `'*'`"
        }
        () if near.iter().any(lacks_colon) => {
            "a line may lack its colon, this one or the one above it"
        }
        () => "are all keys of a mapping indented alike? A text with `: ` in it needs quotes",
    }
}

/// Whether a document is a Kubernetes object, which `policies/` may hold for other programs.
#[must_use]
pub fn is_kubernetes_object(stream: &Stream, root: NodeId) -> bool {
    stream.get(root, "apiVersion").is_some() && stream.get(root, "kind").is_some()
}

/// Whether a document holds nothing.
pub(super) fn is_empty(stream: &Stream, root: NodeId) -> bool {
    stream.text(root) == Some("") && stream.node(root).span().is_empty()
}

impl<'a, T: DeserializeOwned + SchemaForm> Document<'a, T> {
    /// Checks one document against the schema of `T`. Entries with a problem are left out, so that
    /// what is wrong with the others is found as well.
    pub(super) fn read(
        path: &'a str,
        stream: &'a Stream<'a>,
        root: NodeId,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let places = Places { path, stream, root };
        let Some(mut value) = to_json(stream, root) else {
            let message = "aliases multiply this document beyond reason";
            return (None, vec![Diagnostic::error(Code::PolicySyntax, message).at(places.of(&[]))]);
        };
        let mut problems = places.duplicate_keys();
        let (violations, pointers) = violations(T::judge(), &value, places);
        problems.extend(violations);
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.span.start));
        for pointer in &pointers {
            leave_out(&mut value, pointer);
        }
        let raw = serde_json::from_value(value);
        if let (Err(error), true) = (&raw, problems.is_empty()) {
            problems.push(
                Diagnostic::error(Code::PolicyInvalidValue, error.to_string()).at(places.of(&[])),
            );
        }
        (raw.ok().map(|raw| Self { raw, places }), problems)
    }
}

/// Reads a file that holds one document, or none.
///
/// # Errors
/// Every problem of the file, and those that `make` finds.
pub(super) fn sole<T: DeserializeOwned + SchemaForm + Default, R>(
    file: &PolicyFile,
    make: impl FnOnce(T, Option<Places<'_>>) -> Result<R, Vec<Diagnostic>>,
) -> Result<R, Vec<Diagnostic>> {
    let stream = parse(file).map_err(|problem| vec![problem])?;
    match stream.documents() {
        [] => make(T::default(), None),
        [root] if is_empty(&stream, *root) => make(T::default(), None),
        [root] => {
            let (document, problems) = Document::read(&file.path, &stream, *root);
            match document.filter(|_| problems.is_empty()) {
                Some(document) => make(document.raw, Some(document.places)),
                None => Err(problems),
            }
        }
        [_, second, ..] => {
            let at = stream.node(*second);
            let (line, column) = (at.line(), at.column());
            let place = Place { path: file.path.clone(), line, column, span: at.span() };
            let message = "this file holds one document";
            Err(vec![Diagnostic::error(Code::PolicyInvalidValue, message).at(place)])
        }
    }
}

/// Removes the entry (`images.NAME`, or a key of the top) that a pointer leads into.
fn leave_out(value: &mut Value, pointer: &[String]) {
    let parent = match pointer {
        [] => return,
        [_] => Some(value),
        [section, ..] => value.get_mut(section),
    };
    if let (Some(Value::Object(parent)), Some(key)) = (parent, pointer.get(1).or(pointer.first())) {
        parent.remove(key);
    }
}

impl Places<'_> {
    /// The place of the value at a path of keys and indices, or of the nearest one above it.
    pub(super) fn of(&self, keys: &[&str]) -> Place {
        self.place(keys.iter().try_fold(self.root, |node, key| self.child(node, key).ok_or(node)))
    }

    /// The place of a key itself.
    pub(super) fn of_key(&self, keys: &[&str], key: &str) -> Place {
        let parent = keys.iter().try_fold(self.root, |node, key| self.child(node, key).ok_or(node));
        let parent = self.stream.target(parent.unwrap_or_else(|nearest| nearest));
        let mut entries = self.stream.entries(parent).iter();
        self.place(
            entries.find(|(k, _)| self.stream.text(*k) == Some(key)).map(|(k, _)| *k).ok_or(parent),
        )
    }

    fn child(&self, node: NodeId, key: &str) -> Option<NodeId> {
        let node = self.stream.target(node);
        let item = || {
            key.parse().ok().and_then(|index: usize| self.stream.items(node).get(index)).copied()
        };
        self.stream.get(node, key).or_else(item)
    }

    fn place(&self, node: Result<NodeId, NodeId>) -> Place {
        let node = self.stream.node(node.unwrap_or_else(|nearest| nearest));
        let (line, column) = (node.line(), node.column());
        Place { path: self.path.to_owned(), line, column, span: node.span() }
    }

    fn duplicate_keys(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (mapping, _) in self.stream.nodes() {
            let mut seen = std::collections::BTreeSet::new();
            for (key, _) in self.stream.entries(mapping) {
                let Some(text) = self.stream.text(*key) else { continue };
                if !seen.insert(text) {
                    let message = format!("`{}` stands twice in this mapping", text.escape_debug());
                    let problem = Diagnostic::error(Code::PolicyDuplicateKey, message);
                    problems.push(problem.at(self.place(Ok(*key))).help("keep one of them"));
                }
            }
        }
        problems
    }
}

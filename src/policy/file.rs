//! One policy or settings file: its documents, judged by a schema, with places for every value.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema::{Judge, SchemaForm};
use crate::diagnostic::{Code, Diagnostic, Place, nearest};
use crate::yaml::{NodeId, Stream, to_json};

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
        Diagnostic::error(Code::PolicySyntax, format!("this is not YAML: {}", error.message))
            .at(place)
    })
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

/// Every way in which a value violates a schema, as diagnostics, and where.
fn violations(
    judge: &Judge,
    value: &Value,
    places: Places<'_>,
) -> (Vec<Diagnostic>, Vec<Vec<String>>) {
    let (schema, validator) = match judge {
        Judge { schema, validator: Ok(validator) } => (schema, validator),
        Judge { validator: Err(why), .. } => {
            return (vec![Diagnostic::error(Code::PolicySyntax, why.clone())], Vec::new());
        }
    };
    let (mut problems, mut pointers) = (Vec::new(), Vec::new());
    for error in validator.iter_errors(value) {
        let pointer: Vec<String> =
            error.instance_path().as_str().split('/').skip(1).map(unescape).collect();
        let keys: Vec<&str> = pointer.iter().map(String::as_str).collect();
        problems.extend(violation(schema, error.kind(), error.instance(), &keys, places));
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } if pointer.len() < 2 => {
                pointers.extend(
                    unexpected.iter().map(|key| [&pointer[..], std::slice::from_ref(key)].concat()),
                );
            }
            _ => pointers.push(pointer),
        }
    }
    (problems, pointers)
}

fn violation(
    schema: &Value,
    kind: &ValidationErrorKind,
    instance: &Value,
    keys: &[&str],
    places: Places<'_>,
) -> Vec<Diagnostic> {
    let place = places.of(keys);
    let problem = match kind {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            return unexpected.iter().map(|key| unknown_key(schema, keys, key, places)).collect();
        }
        ValidationErrorKind::Type { kind } => wrong_type(kind, instance, keys),
        ValidationErrorKind::Required { property } => {
            let message = format!("{} lacks the key {}", subject(keys), quoted(property));
            Diagnostic::error(Code::PolicyMissingKey, message)
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::Enum { .. } => {
            let message = format!("{} cannot be {}", subject(keys), quoted(instance));
            let allowed = allowed_values(schema, keys).join(", ");
            Diagnostic::error(Code::PolicyInvalidValue, message)
                .help(format!("write one of {allowed}"))
        }
        ValidationErrorKind::MaxLength { limit } => {
            let message = format!("{} is longer than {limit} characters", subject(keys));
            Diagnostic::error(Code::PolicyInvalidValue, message)
        }
        ValidationErrorKind::MinLength { .. } => {
            Diagnostic::error(Code::PolicyInvalidValue, format!("{} is empty", subject(keys)))
        }
        ValidationErrorKind::Pattern { pattern } => {
            let message = format!("{} cannot be {}", subject(keys), quoted(instance));
            Diagnostic::error(Code::PolicyInvalidValue, message)
                .help(format!("it must match {pattern}"))
        }
        other => {
            let message = format!("{} does not fit: {}", subject(keys), other.keyword());
            Diagnostic::error(Code::PolicyInvalidValue, message)
        }
    };
    vec![problem.at(place)]
}

fn unknown_key(schema: &Value, keys: &[&str], key: &str, places: Places<'_>) -> Diagnostic {
    let known = properties(schema, keys);
    let message = format!("unknown key `{}` in {}", key.escape_debug(), subject(keys));
    let help = match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    Diagnostic::error(Code::PolicyUnknownKey, message).at(places.of_key(keys, key)).help(help)
}

fn wrong_type(wanted: &TypeKind, found: &Value, keys: &[&str]) -> Diagnostic {
    let wanted = match wanted {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(_) => "another type".to_owned(),
    };
    let (wanted_word, help) = match (&*wanted, found) {
        ("string", Value::Number(_) | Value::Bool(_)) => (
            "text",
            Some("put the value in quotes, so that YAML does not read it as a number".to_owned()),
        ),
        ("string", _) => ("text", None),
        ("array", Value::String(one)) => ("a list", Some(format!("write [{one}]"))),
        ("array", _) => ("a list", None),
        ("object", _) => ("a mapping", None),
        ("boolean", _) => ("true or false", None),
        (other, _) => (other, None),
    };
    let found = match found {
        Value::Null => "empty".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        scalar => quoted(scalar),
    };
    let message = format!("{} must be {wanted_word}, not {found}", subject(keys));
    Diagnostic { help, ..Diagnostic::error(Code::PolicyWrongType, message) }
}

fn subject(keys: &[&str]) -> String {
    if keys.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{}`", keys.join(".").escape_debug())
    }
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", text.escape_debug()),
        other => format!("`{other}`"),
    }
}

/// The keys that the schema knows at a place.
fn properties(schema: &Value, keys: &[&str]) -> Vec<String> {
    let node = descend(schema, keys);
    let properties = node.and_then(|node| node["properties"].as_object());
    properties.into_iter().flat_map(|object| object.keys().cloned()).collect()
}

/// The constants that the schema allows at a place.
fn allowed_values(schema: &Value, keys: &[&str]) -> Vec<String> {
    let Some(node) = descend(schema, keys) else { return Vec::new() };
    let constants = node["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]);
    let listed = node["enum"].as_array().into_iter().flatten();
    constants.chain(listed).filter(|value| !value.is_null()).map(quoted).collect()
}

/// Follows a path through a schema: properties, maps of anything, lists, references.
fn descend<'s>(schema: &'s Value, keys: &[&str]) -> Option<&'s Value> {
    keys.iter().try_fold(schema, |node, key| {
        let named = node.get("properties").and_then(|properties| properties.get(key));
        let next =
            named.or_else(|| node.get("additionalProperties")).or_else(|| node.get("items"))?;
        match next["$ref"].as_str() {
            Some(reference) => schema.pointer(reference.strip_prefix('#')?),
            None => Some(next),
        }
    })
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

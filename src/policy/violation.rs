//! The mistakes that a schema finds in a value, as a person would word them.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::file::Places;
use super::schema::Judge;
use crate::diagnostic::{Code, Diagnostic, nearest};

/// Every way in which a value violates a schema, as diagnostics, and where.
pub(super) fn violations(
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
    let said = Violated { schema: Schema(schema), places };
    let outdented: Vec<Outdented<'_>> = ["images", "environments"]
        .into_iter()
        .filter_map(|section| Outdented::find(said.schema, section, &value[section]))
        .collect();
    problems.extend(outdented.iter().map(|one| one.problem(places)));
    for error in validator.iter_errors(value) {
        let pointer = pointer(&error);
        if !outdented.iter().any(|one| one.explains(&pointer)) {
            problems.extend(said.problems(&error));
        }
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

/// Keys of an entry that stand beside its name instead of beneath it.
struct Outdented<'v> {
    section: &'static str,
    /// The entry, which is empty for it.
    entry: &'v str,
    /// Those keys.
    keys: Vec<&'v str>,
}

impl<'v> Outdented<'v> {
    fn find(schema: Schema<'_>, section: &'static str, entries: &'v Value) -> Option<Self> {
        let entries = entries.as_object()?;
        let (entry, _) = entries.iter().find(|(_, value)| value.is_null())?;
        let known = schema.properties(&[section, entry]);
        let keys = entries.keys().map(String::as_str);
        let keys: Vec<&str> = keys.filter(|key| known.contains(key)).collect();
        (!keys.is_empty()).then_some(Self { section, entry, keys })
    }

    fn problem(&self, places: Places<'_>) -> Diagnostic {
        let keys = self.keys.join("`, `");
        let message = format!("`{}.{}` is empty, and `{keys}` beside it", self.section, self.entry);
        Diagnostic::error(Code::PolicyWrongType, message)
            .at(places.of_key(&[self.section], self.keys[0]))
            .help(format!("indent `{keys}`, beneath `{}`", self.entry))
    }

    /// True if this is the mistake there.
    fn explains(&self, pointer: &[String]) -> bool {
        let name = pointer.get(1).map(String::as_str);
        pointer.first().is_some_and(|section| section == self.section)
            && name.is_some_and(|name| name == self.entry || self.keys.contains(&name))
    }
}

/// The keys that lead to the value of an error.
fn pointer(error: &ValidationError<'_>) -> Vec<String> {
    error.instance_path().as_str().split('/').skip(1).map(unescape).collect()
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// A schema, and where the values of a document stand that violates it.
#[derive(Clone, Copy)]
struct Violated<'a> {
    schema: Schema<'a>,
    places: Places<'a>,
}

impl Violated<'_> {
    fn problems(self, error: &ValidationError<'_>) -> Vec<Diagnostic> {
        let pointer = pointer(error);
        let keys: Vec<&str> = pointer.iter().map(String::as_str).collect();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                unexpected.iter().map(|key| self.unknown_key(&keys, key)).collect()
            }
            ValidationErrorKind::AnyOf { context } => self.no_form(error, context, &keys),
            kind => vec![self.problem(kind, error.instance(), &keys).at(self.places.of(&keys))],
        }
    }

    fn problem(self, kind: &ValidationErrorKind, found: &Value, keys: &[&str]) -> Diagnostic {
        let subject = subject(keys);
        let wrong = |message: String| Diagnostic::error(Code::PolicyInvalidValue, message);
        match kind {
            ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => {
                self.wrong_type(&[&wanted.to_string()], found, keys)
            }
            ValidationErrorKind::Required { property } => {
                let message = format!("{subject} lacks the key {}", quoted(property));
                let example = property.as_str().and_then(|key| {
                    let example = self.schema.example(&[keys, &[key]].concat())?;
                    Some(format!("as in `{key}: {}`", flow(example)))
                });
                let problem = Diagnostic::error(Code::PolicyMissingKey, message);
                Diagnostic { help: example, ..problem }
            }
            ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::Enum { .. } => {
                let allowed = self.schema.allowed_values(keys);
                // Short words are near to anything: `on` to `off`.
                let written = found.as_str().filter(|found| found.len() > 3);
                let near = written.and_then(|found| nearest(found, allowed.iter().copied()));
                let meant = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                wrong(format!("{subject} cannot be {}", quoted(found)))
                    .help(format!("{meant}write one of `{}`", allowed.join("`, `")))
            }
            ValidationErrorKind::MaxLength { limit } => {
                wrong(format!("{subject} is longer than {limit} characters"))
            }
            ValidationErrorKind::MinLength { .. } => wrong(format!("{subject} is empty")),
            ValidationErrorKind::Pattern { pattern } => {
                wrong(format!("{subject} cannot be {}", quoted(found)))
                    .help(format!("it must match {pattern}"))
            }
            ValidationErrorKind::Minimum { limit } => {
                wrong(format!("{subject} is {}, and is {limit} at least", quoted(found)))
            }
            ValidationErrorKind::Maximum { limit } => {
                wrong(format!("{subject} is {}, and is {limit} at most", quoted(found)))
            }
            ValidationErrorKind::MinItems { limit } => {
                wrong(format!("{subject} has {} items, and needs {limit} at least", count(found)))
            }
            ValidationErrorKind::MaxItems { limit } => {
                wrong(format!("{subject} has {} items, and takes {limit} at most", count(found)))
            }
            other => wrong(format!("{subject} does not fit: {}", other.keyword())),
        }
    }

    /// The mistake in a value that can be written in several forms: the one in the form that it has.
    fn no_form(
        self,
        error: &ValidationError<'_>,
        context: &[Vec<ValidationError<'_>>],
        keys: &[&str],
    ) -> Vec<Diagnostic> {
        // Words are no form of a mapping or a list.
        let is_other = |one: &ValidationError<'_>| {
            let is_kind = match one.kind() {
                ValidationErrorKind::Type { .. } => true,
                ValidationErrorKind::OneOfNotValid { .. } => !error.instance().is_string(),
                _ => false,
            };
            is_kind && one.instance_path() == error.instance_path()
        };
        let meant = context.iter().filter(|errors| !errors.iter().any(is_other));
        if let Some(errors) = meant.min_by_key(|errors| errors.len()) {
            return errors.iter().flat_map(|error| self.problems(error)).collect();
        }
        let wanted: Vec<String> = context
            .iter()
            .flatten()
            .filter_map(|one| match one.kind() {
                ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => {
                    Some(kind.to_string())
                }
                ValidationErrorKind::OneOfNotValid { .. } => Some("string".to_owned()),
                _ => None,
            })
            .collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        vec![self.wrong_type(&wanted, error.instance(), keys).at(self.places.of(keys))]
    }

    fn wrong_type(self, wanted: &[&str], found: &Value, keys: &[&str]) -> Diagnostic {
        let words: Vec<&str> = wanted.iter().map(|wanted| word(wanted)).collect();
        let example = self.schema.example(keys);
        let is_of_texts =
            || self.schema.at(keys).iter().any(|node| node["items"]["type"] == "string");
        let help = match (wanted, found, example) {
            (["string"], Value::Number(_) | Value::Bool(_), example) => {
                let example = example.map(|example| format!(", as in `{}`", flow(example)));
                Some(format!("write a text in quotes{}", example.unwrap_or_default()))
            }
            (["array"], Value::String(one), _) if is_of_texts() => Some(format!("write [{one}]")),
            (["boolean"], ..) => Some("write `true` or `false`".to_owned()),
            _ => self.schema.example_around(keys),
        };
        let found = match found {
            Value::Null => "empty".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a mapping".to_owned(),
            scalar => quoted(scalar),
        };
        let message = format!("{} must be {}, not {found}", subject(keys), words.join(" or "));
        Diagnostic { help, ..Diagnostic::error(Code::PolicyWrongType, message) }
    }

    fn unknown_key(self, keys: &[&str], key: &str) -> Diagnostic {
        let known = self.schema.properties(keys);
        let message = format!("unknown key `{}` in {}", key.escape_debug(), subject(keys));
        let near = || {
            let near = nearest(key, known.iter().copied())?;
            Some(format!("did you mean `{near}`?"))
        };
        let help = self.schema.beneath(keys, key).or_else(near);
        let help = help.or_else(|| self.schema.above(keys, key));
        let help = help.unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        Diagnostic::error(Code::PolicyUnknownKey, message)
            .at(self.places.of_key(keys, key))
            .help(help)
    }
}

/// A JSON Schema, as far as those of ours go.
#[derive(Clone, Copy)]
struct Schema<'s>(&'s Value);

impl<'s> Schema<'s> {
    /// The nodes that a node stands for: the one that it refers to, each of its forms.
    fn forms(self, node: &'s Value) -> Vec<&'s Value> {
        let node = match node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.0.pointer(pointer).unwrap_or(node),
            None => node,
        };
        match node["anyOf"].as_array() {
            Some(forms) => forms.iter().flat_map(|form| self.forms(form)).collect(),
            None => vec![node],
        }
    }

    /// The schema of a key of a mapping, or of an index of a list.
    fn child(node: &'s Value, key: &str) -> Option<&'s Value> {
        let named = node.get("properties").and_then(|properties| properties.get(key));
        named.or_else(|| node.get("additionalProperties")).or_else(|| node.get("items"))
    }

    /// The forms of the value at a path: properties, maps of anything, lists.
    fn at(self, keys: &[&str]) -> Vec<&'s Value> {
        keys.iter().fold(self.forms(self.0), |nodes, key| {
            let children = nodes.into_iter().filter_map(|node| Self::child(node, key));
            children.flat_map(|child| self.forms(child)).collect()
        })
    }

    /// The keys that are known at a place.
    fn properties(self, keys: &[&str]) -> Vec<&'s str> {
        let objects = self.at(keys).into_iter().filter_map(|node| node["properties"].as_object());
        objects.flat_map(|object| object.keys().map(String::as_str)).collect()
    }

    /// The constants that are allowed at a place.
    fn allowed_values(self, keys: &[&str]) -> Vec<&'s str> {
        let constants = |node: &'s Value| {
            let constants = node["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]);
            constants.chain(node["enum"].as_array().into_iter().flatten())
        };
        self.at(keys).into_iter().flat_map(constants).filter_map(Value::as_str).collect()
    }

    /// An example of the value at a place.
    fn example(self, keys: &[&str]) -> Option<&'s Value> {
        let (last, above) = keys.split_last()?;
        let described = self.at(above).into_iter().filter_map(|node| Self::child(node, last));
        let mut all = described.chain(self.at(keys));
        all.find_map(|node| node["examples"].get(0))
    }

    /// An example of the value at a place, or of the nearest one around it that has one.
    fn example_around(self, keys: &[&str]) -> Option<String> {
        // An item of a list, or an entry of a map, is shown with what is around it.
        let is_inner = |key: &&&str| key.bytes().all(|b| b.is_ascii_digit());
        let inner = keys.iter().rev().take_while(is_inner).count();
        let least = if keys.len() == 2 { 1 } else { keys.len() - inner };
        let around = (least.max(1)..=keys.len()).rev().map(|length| &keys[..length]);
        around
            .filter_map(|keys| Some((keys, self.example(keys)?)))
            .map(|(keys, example)| format!("as in `{}: {}`", keys[keys.len() - 1], flow(example)))
            .next()
    }

    /// Names the key one level deeper that has a key.
    fn beneath(self, keys: &[&str], key: &str) -> Option<String> {
        let is_there = |inner: &&&str| self.properties(&[keys, &[inner]].concat()).contains(&key);
        let properties = self.properties(keys);
        let inner = properties.iter().find(is_there)?;
        Some(format!("`{key}` belongs into `{inner}`"))
    }

    /// Names the level further up that has a key.
    fn above(self, keys: &[&str], key: &str) -> Option<String> {
        let is_there = |length: &usize| self.properties(&keys[..*length]).contains(&key);
        let length = (0..keys.len()).rev().find(is_there)?;
        Some(match length {
            0 => format!("`{key}` belongs to the top of the file"),
            length => format!("`{key}` belongs into {}", subject(&keys[..length])),
        })
    }
}

/// The word for a type of JSON.
fn word(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "array" => "a list",
        "object" => "a mapping",
        "boolean" => "true or false",
        "integer" => "a whole number",
        other => other,
    }
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
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

/// A value as one writes it into YAML, on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => {
            let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || " ./_-".contains(c));
            if is_plain { text.clone() } else { format!("'{}'", text.replace('\'', "''")) }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;

//! YAML to the JSON data model, for files that a schema judges.

use serde_json::{Map, Number, Value};

use super::stream::{Data, NodeId, Stream, Style};

/// More nodes than any settings or policy file has. Aliases are followed here, and this is what
/// stops one that multiplies itself.
const MAX_NODES: usize = 1_000_000;

/// Deeper than any such file; an alias that contains itself gets here.
const MAX_DEPTH: usize = 128;

/// Converts a node by the YAML 1.2 core schema; `None` when aliases blow it up beyond reason.
///
/// Numbers stay numbers, so that `fixed: 1.10` is refused by the schema rather than read as 1.1.
/// A key that stands twice keeps its first value; callers report duplicates from the nodes.
#[must_use]
pub fn to_json(stream: &Stream, id: NodeId) -> Option<Value> {
    convert(stream, id, MAX_DEPTH, &mut MAX_NODES.clone())
}

fn convert(stream: &Stream, id: NodeId, depth: usize, budget: &mut usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    *budget = budget.checked_sub(1)?;
    match &stream.node(id).data {
        Data::Scalar { value, style: Style::Plain } => Some(plain(value)),
        Data::Scalar { value, .. } => Some(Value::String(value.to_string())),
        Data::Sequence(items) => {
            items.iter().map(|item| convert(stream, *item, depth, budget)).collect::<Option<_>>()
        }
        Data::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = stream.text(stream.target(*key)).unwrap_or_default().to_owned();
                let value = convert(stream, *value, depth, budget)?;
                map.entry(key).or_insert(value);
            }
            Some(Value::Object(map))
        }
        Data::Alias(Some(target)) => convert(stream, *target, depth, budget),
        Data::Alias(None) => Some(Value::Null),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if !numeric || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    match text.parse::<i64>() {
        Ok(integer) => Some(integer.into()),
        Err(_) => Number::from_f64(text.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;

    use super::*;

    fn json_of(text: &str) -> Option<Value> {
        let stream = Stream::parse(text).unwrap();
        to_json(&stream, stream.documents()[0])
    }

    #[test]
    fn follows_the_core_schema() {
        let got = json_of(
            "{a: 1, b: 1.5, c: '1', d: yes, e: true, f: , g: [x], h: &h 3d, i: *h, j: 2027-01-04}",
        );
        let want = json!({
            "a": 1, "b": 1.5, "c": "1", "d": "yes", "e": true, "f": null, "g": ["x"],
            "h": "3d", "i": "3d", "j": "2027-01-04",
        });
        assert_eq!(got, Some(want));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            writeln!(text, "a{n}: &a{n} [{refs}]").unwrap();
        }
        assert_eq!(json_of(&text), None);
        for text in ["a: &a\n  x: *a\n", "&a [*a]\n"] {
            assert_eq!(json_of(text), None, "{text}");
        }
    }
}

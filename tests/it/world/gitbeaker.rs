//! GitLab's bodies as its most used client types them: samples to start answers from, and the judge of bodies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use serde_json::{Map, Value, json};

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/parts/gitlab.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run scripts/test, which makes it", path.display())
    });
    serde_json::from_slice(&text).unwrap()
});

static VALIDATORS: LazyLock<Mutex<BTreeMap<String, &'static jsonschema::Validator>>> =
    LazyLock::new(Mutex::default);

/// A body with everything that its type requires, and nothing in it.
pub fn sample(name: &str) -> Value {
    empty(&SCHEMAS["definitions"][name])
}

fn empty(schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return empty(SCHEMAS.pointer(&reference[1..]).unwrap());
    }
    for key in ["const", "default"] {
        if !schema[key].is_null() {
            return schema[key].clone();
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(all) = schema["anyOf"].as_array() {
        let is_null = |one: &&Value| one["type"] == "null";
        return all.iter().find(is_null).map_or_else(|| empty(&all[0]), |_| Value::Null);
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    if kinds.contains(&json!("null")) {
        return Value::Null;
    }
    match kinds[0].as_str() {
        Some("string") => json!(""),
        Some("number" | "integer") => json!(0),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            let fields = required.filter_map(Value::as_str);
            fields.map(|key| (key.to_owned(), empty(&schema["properties"][key]))).collect()
        }
        _ => Value::Null,
    }
}

/// A sample with these fields set.
pub fn filled(name: &str, fields: Value) -> Value {
    let mut body = sample(name);
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    body.as_object_mut().unwrap().extend(fields);
    body
}

/// An account.
pub fn user(id: usize, username: &str) -> Value {
    json!({"id": id, "name": username, "username": username, "state": "active", "avatar_url": "", "web_url": ""})
}

/// What is wrong with a body, by its type.
pub fn violations(name: &str, body: &Value) -> Vec<String> {
    let mut known = VALIDATORS.lock().unwrap();
    let validator = *known.entry(name.to_owned()).or_insert_with(|| {
        let schema =
            json!({"$ref": format!("#/definitions/{name}"), "definitions": SCHEMAS["definitions"]});
        Box::leak(Box::new(jsonschema::validator_for(&schema).unwrap()))
    });
    let errors = validator.iter_errors(body);
    errors.map(|error| format!("{name}: {error} at {}", error.instance_path())).collect()
}

/// A request's body as the client names its fields.
pub fn camel(body: &Value) -> Value {
    let Value::Object(fields) = body else { return body.clone() };
    let camel = |key: &String| {
        let mut out = String::new();
        for (index, part) in key.split('_').enumerate() {
            let (first, rest) = part.split_at(usize::from(index > 0));
            out.push_str(&first.to_uppercase());
            out.push_str(rest);
        }
        out
    };
    Value::Object(
        fields.iter().map(|(key, value)| (camel(key), value.clone())).collect::<Map<_, _>>(),
    )
}

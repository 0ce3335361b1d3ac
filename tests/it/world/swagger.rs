//! Forgejo's published description, which comes with the crate of a client of it: the judge of requests and answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/parts/forgejo.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run scripts/test, which makes it", path.display())
    });
    let mut description: Value = serde_json::from_slice(&text).unwrap();
    for definition in description["definitions"].as_object_mut().unwrap().values_mut() {
        // It says what there is, and not that there is nothing else.
        if definition["properties"].is_object() {
            definition["additionalProperties"] = json!(false);
        }
    }
    description
});

static VALIDATORS: LazyLock<Mutex<BTreeMap<String, &'static jsonschema::Validator>>> =
    LazyLock::new(Mutex::default);

/// What is wrong with a request, by the description.
pub fn request(method: &str, template: &str, query: &str, body: &Value) -> Vec<String> {
    let operation = operation(method, template);
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    let is_known =
        |name: &str| parameters.iter().any(|known| known["in"] == "query" && known["name"] == name);
    let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
    let unknown = names.filter(|name| !is_known(name));
    let mut wrong: Vec<String> =
        unknown.map(|name| format!("{method} {template} knows no `{name}`")).collect();
    let schema = parameters.iter().find(|parameter| parameter["in"] == "body");
    match schema.map(|parameter| &parameter["schema"]) {
        Some(schema) if !body.is_null() => {
            wrong.extend(violations(&format!("{method} {template}"), schema, body));
        }
        None if body.as_object().is_some_and(|body| !body.is_empty()) => {
            wrong.push(format!("{method} {template} takes no body"));
        }
        _ => {}
    }
    wrong
}

/// What is wrong with an answer.
pub fn answer(method: &str, template: &str, status: u16, body: &Value) -> Vec<String> {
    let said = &operation(method, template)["responses"][status.to_string()];
    if said.is_null() {
        return vec![format!("{method} {template} never answers {status}")];
    }
    let said = match said["$ref"].as_str() {
        Some(reference) => DESCRIPTION.pointer(&reference[1..]).unwrap(),
        None => said,
    };
    match &said["schema"] {
        Value::Null => Vec::new(),
        schema => violations(&format!("{method} {template} {status}"), schema, body),
    }
}

fn operation(method: &str, template: &str) -> &'static Value {
    let operation = &DESCRIPTION["paths"][template][method.to_ascii_lowercase()];
    assert!(operation.is_object(), "Forgejo has no {method} {template}");
    operation
}

fn violations(key: &str, schema: &Value, body: &Value) -> Vec<String> {
    let mut known = VALIDATORS.lock().unwrap();
    let validator = *known.entry(key.to_owned()).or_insert_with(|| {
        let mut root = schema.clone();
        root["definitions"] = DESCRIPTION["definitions"].clone();
        let whole = json!({"allOf": [schema], "definitions": DESCRIPTION["definitions"]});
        let schema = if root["$ref"].is_null() { root } else { whole };
        Box::leak(Box::new(jsonschema::validator_for(&schema).unwrap()))
    });
    let errors = validator.iter_errors(body);
    errors.map(|error| format!("{key}: {error} at {}", error.instance_path())).collect()
}

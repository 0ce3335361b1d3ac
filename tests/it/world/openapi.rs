//! GitHub's published descriptions: examples to start answers from, and the judges of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde_json::{Map, Value, json};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let path = npm().join("@octokit/openapi/generated/api.github.com.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run scripts/test, which installs it", path.display())
    });
    serde_json::from_slice(&text).unwrap()
});

static VALIDATORS: LazyLock<Mutex<BTreeMap<String, &'static jsonschema::Validator>>> =
    LazyLock::new(Mutex::default);

/// Where `scripts/test` puts packages.
pub fn npm() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/parts/node_modules")
}

/// A published example of an answer.
pub fn example(name: &str) -> Value {
    DESCRIPTION["components"]["examples"][name]["value"].clone()
}

/// What executes GraphQL: one program for all tests of a run, as it takes long to read the schema. It
/// ends when its input does.
struct Node {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

static GITHUB: LazyLock<Mutex<Node>> = LazyLock::new(|| Node::start(&["github.mjs"]));
static GITLAB: LazyLock<Mutex<Node>> =
    LazyLock::new(|| Node::start(&["gitlab.mjs", "gitlab.graphql"]));

impl Node {
    /// Starts a script, with the packages and with files beside it.
    #[expect(clippy::zombie_processes, reason = "it ends with the tests, which nobody waits for")]
    fn start(files: &[&str]) -> Mutex<Self> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/world/forge");
        let mut node = Command::new("node")
            .arg(directory.join(files[0]))
            .arg(npm())
            .args(files[1..].iter().map(|file| directory.join(file)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is missing; run scripts/test, which installs it");
        let (input, output) = (node.stdin.take().unwrap(), node.stdout.take().unwrap());
        Mutex::new(Self { input, output: BufReader::new(output) })
    }
}

/// Executes a question on the used part of GitLab's GraphQL schema; its answer, and what is wrong with it.
pub fn gitlab_graphql(input: &Value) -> Value {
    executed(&GITLAB, input)
}

/// Executes an operation on the published GraphQL schema; its answer, what is wrong with it, and what it
/// does.
pub fn graphql(input: &Value) -> Value {
    executed(&GITHUB, input)
}

fn executed(node: &LazyLock<Mutex<Node>>, input: &Value) -> Value {
    let mut node = node.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writeln!(node.input, "{input}").unwrap();
    let mut line = String::new();
    node.output.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "the script failed; run scripts/test, which installs what it needs");
    serde_json::from_str(&line).unwrap()
}

/// What is wrong with a body, by the description: `kind` is `request` or a status.
pub fn violations(method: &str, template: &str, kind: &str, body: &Value) -> Vec<String> {
    let operation = &DESCRIPTION["paths"][template][method.to_ascii_lowercase()];
    assert!(operation.is_object(), "GitHub has no {method} {template}");
    let holder = match kind {
        "request" => &operation["requestBody"],
        status => resolved(&operation["responses"][status]),
    };
    let schema = &holder["content"]["application/json"]["schema"];
    if schema.is_null() {
        return vec![format!("{method} {template} has no body for {kind}")];
    }
    let validator = validator(&format!("{method} {template} {kind}"), schema);
    let errors = validator.iter_errors(body);
    errors
        .map(|error| format!("{method} {template} {kind}: {} at {}", error, error.instance_path()))
        .collect()
}

fn resolved(node: &'static Value) -> &'static Value {
    match node["$ref"].as_str() {
        Some(reference) => DESCRIPTION.pointer(&reference[1..]).unwrap(),
        None => node,
    }
}

fn validator(key: &str, schema: &Value) -> &'static jsonschema::Validator {
    let mut known = VALIDATORS.lock().unwrap();
    if let Some(validator) = known.get(key) {
        return validator;
    }
    let mut root = plain(schema);
    let mut schemas = Map::new();
    let mut todo: Vec<String> = references(schema).into_iter().collect();
    while let Some(name) = todo.pop() {
        if !schemas.contains_key(&name) {
            let found = &DESCRIPTION["components"]["schemas"][&name];
            todo.extend(references(found));
            schemas.insert(name, plain(found));
        }
    }
    root["components"] = json!({"schemas": schemas});
    let validator = Box::leak(Box::new(jsonschema::validator_for(&root).unwrap()));
    known.insert(key.to_owned(), validator);
    validator
}

/// `OpenAPI` 3.0 says `nullable` where JSON Schema lists a type.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let mut out: Map<String, Value> = object
                .iter()
                .filter(|(key, _)| *key != "nullable" && *key != "example")
                .map(|(k, v)| (k.clone(), plain(v)))
                .collect();
            if object.get("nullable") == Some(&json!(true)) {
                return json!({"anyOf": [{"type": "null"}, out]});
            }
            // It allows `$ref` beside other keys only by ignoring them.
            if let Some(reference) = out.remove("$ref") {
                out = Map::from_iter([("$ref".to_owned(), reference)]);
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn references(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str);
            let own = own.and_then(|r| r.strip_prefix("#/components/schemas/")).map(str::to_owned);
            object.values().flat_map(references).chain(own).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

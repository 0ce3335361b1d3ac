//! The JSON Schemas of policy and settings files, derived from their types.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::raw::{RawPolicies, RawRegistries, RawService, RawSettings};

/// The schema of policy files.
#[must_use]
pub fn policies() -> Value {
    schema_of::<RawPolicies>()
}

/// The schema of `tagalong.yaml`.
#[must_use]
pub fn settings() -> Value {
    schema_of::<RawSettings>()
}

/// The schema of the operator's file about registries.
#[must_use]
pub fn registries() -> Value {
    schema_of::<RawRegistries>()
}

/// The schema of the daemon's settings.
#[must_use]
pub fn service() -> Value {
    schema_of::<RawService>()
}

/// A schema, and what judges values by it. Both are made once: it takes longer than to judge a file.
pub(super) struct Judge {
    pub(super) schema: Value,
    /// Or why the schema is none.
    pub(super) validator: Result<Validator, String>,
}

/// A form that files are judged by.
pub(super) trait SchemaForm: JsonSchema {
    /// What judges them.
    fn judge() -> &'static Judge;
}

macro_rules! judged {
    ($($form:ty),*) => {$(
        impl SchemaForm for $form {
            fn judge() -> &'static Judge {
                static JUDGE: LazyLock<Judge> = LazyLock::new(Judge::of::<$form>);
                &JUDGE
            }
        }
    )*};
}

judged!(RawPolicies, RawSettings, RawRegistries, RawService);

impl Judge {
    fn of<T: JsonSchema>() -> Self {
        let schema = schema_of::<T>();
        let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string());
        Self { schema, validator }
    }
}

/// Makes ready what every run needs to judge its files, ahead of the first one.
pub fn prepare() {
    RawPolicies::judge();
    RawSettings::judge();
}

fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    RecursiveTransform(forbid_null).transform(&mut schema);
    schema.to_value()
}

/// A key that is not wanted is left out, not set to null: an empty value is a slip to report.
fn forbid_null(schema: &mut schemars::Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get("type") {
        let kept: Vec<Value> = types.iter().filter(|t| *t != "null").cloned().collect();
        if let [only] = &kept[..] {
            object.insert("type".into(), only.clone());
        }
    }
    let null = serde_json::json!({"type": "null"});
    if let Some(Value::Array(choices)) = object.get("anyOf") {
        let kept: Vec<Value> = choices.iter().filter(|choice| **choice != null).cloned().collect();
        if let [Value::Object(only)] = &kept[..] {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_accepts_null_and_every_key_is_described() {
        for schema in [policies(), settings()] {
            let text = schema.to_string();
            assert!(!text.contains("\"null\""), "{text}");
            for object in objects(&schema) {
                for (key, property) in object["properties"].as_object().unwrap() {
                    assert!(property["description"].is_string(), "{key} has no description");
                }
            }
        }
    }

    fn objects(schema: &Value) -> Vec<&Value> {
        let definitions = schema["$defs"].as_object().into_iter().flat_map(|defs| defs.values());
        definitions.chain([schema]).filter(|s| s["properties"].is_object()).collect()
    }
}

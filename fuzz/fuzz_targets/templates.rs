//! Reads text as a template of a title, a message and a body, and as a JSON path, and uses them.

#![no_main]

use tagalong::changeset::tried_templates;
use tagalong::policy::{PolicyFile, read};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let template = serde_json::to_string(text).unwrap();
    let file = format!(
        "images: {{a: {{image: r.io/a, tags: {{semver: '*'}}, targets: [{{files: x.yaml, path: {template}}}]}}}}\n\
         environments: {{e: {{paths: [x], deliver: {{title: {template}, message: {template}, body: {template}}}}}}}\n"
    );
    let (set, _) = read(&[PolicyFile::new("p.yaml", file)]);
    for environment in &set.environments {
        drop(tried_templates(environment));
    }
});

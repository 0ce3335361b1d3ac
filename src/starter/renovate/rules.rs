//! A configuration of Renovate's as rules, in the order in which they count.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::select::texts;

/// Keys that say how updates come, and where ours are said.
const ELSEWHERE: [(&str, &str); 13] = [
    ("automerge", "`deliver: {autoMerge: bot}`"),
    ("schedule", "`deliver: {schedule: …}`"),
    ("groupName", "`deliver: {group: …}`"),
    ("labels", "`deliver: {labels: …}`"),
    ("reviewers", "`deliver: {reviewers: …}`"),
    ("assignees", "`deliver: {assignees: …}`"),
    ("draftPR", "`deliver: {draft: true}`"),
    ("prConcurrentLimit", "`deliver: {maxOpen: …}`"),
    ("hostRules", "credentials, as in docs/registries.md"),
    ("ignorePaths", "`paths` of the environments"),
    ("includePaths", "`paths` of the environments"),
    ("enabledManagers", "`paths` of the environments"),
    ("registryAliases", "a mirror, as in docs/registries.md"),
];

/// Keys that are read, or mean nothing for which version comes.
const READ: [&str; 21] = [
    "$schema",
    "description",
    "extends",
    "packageRules",
    "ignoreDeps",
    "enabled",
    "pinDigests",
    "allowedVersions",
    "minimumReleaseAge",
    "ignoreUnstable",
    "versioning",
    "major",
    "minor",
    "patch",
    "dependencyDashboard",
    "timezone",
    "semanticCommits",
    "commitMessagePrefix",
    "configMigration",
    "dependencyDashboardApproval",
    "stabilityDays",
];

/// What selectors were called before
/// (<https://docs.renovatebot.com/configuration-options/#packagerules>): Renovate still understands them.
const RENAMED: [(&str, &str); 9] = [
    ("packageNames", "matchPackageNames"),
    ("packagePatterns", "matchPackagePatterns"),
    ("datasources", "matchDatasources"),
    ("managers", "matchManagers"),
    ("paths", "matchFileNames"),
    ("updateTypes", "matchUpdateTypes"),
    ("languages", "matchCategories"),
    ("depTypeList", "matchDepTypes"),
    ("sourceUrlPrefixes", "matchSourceUrlPrefixes"),
];

/// Managers of images, whose settings stand at the top.
const MANAGERS: [&str; 6] =
    ["kubernetes", "kustomize", "docker-compose", "helm-values", "flux", "argocd"];

/// The rules of a configuration, and what is said of it.
pub(super) struct Rules {
    pub(super) all: Vec<Value>,
    pub(super) notes: Vec<String>,
}

impl Rules {
    /// Presets come first, then the top level, then `packageRules`.
    pub(super) fn of(config: &Value, path: &str) -> Self {
        let mut rules = Self { all: Vec::new(), notes: Vec::new() };
        for preset in texts(&config["extends"]) {
            rules.preset(preset);
        }
        rules.add(config);
        for manager in MANAGERS.into_iter().filter(|name| config[name]["enabled"] == false) {
            rules.all.push(json!({"matchManagers": [manager], "enabled": false}));
        }
        for rule in config["packageRules"].as_array().into_iter().flatten() {
            rules.add(&renamed(rule));
        }
        rules.left(path);
        rules
    }

    fn preset(&mut self, preset: &str) {
        match preset {
            "docker:disable" => {
                self.all.push(json!({"matchDatasources": ["docker"], "enabled": false}));
            }
            "docker:pinDigests" | "config:best-practices" => {
                self.all.push(json!({"pinDigests": true}));
            }
            "docker:disableMajor" | ":disableMajorUpdates" => {
                self.all.push(json!({"matchUpdateTypes": ["major"], "enabled": false}));
            }
            "config:recommended" | "config:base" => {}
            other => self.notes.push(format!("the preset `{other}` is not followed")),
        }
    }

    /// A rule, and what it says of some kinds of updates alone.
    fn add(&mut self, rule: &Value) {
        self.all.push(rule.clone());
        for kind in ["major", "minor", "patch"] {
            let Some(of_kind) = rule[kind].as_object() else { continue };
            let mut nested = rule.as_object().cloned().unwrap_or_default();
            nested.retain(|key, _| key.starts_with("match") || key.starts_with("exclude"));
            nested.extend(of_kind.clone());
            nested.insert("matchUpdateTypes".to_owned(), json!([kind]));
            self.all.push(Value::Object(nested));
        }
    }

    /// Says which keys mean nothing here.
    fn left(&mut self, path: &str) {
        let is_selector = |key: &str| key.starts_with("match") || key.starts_with("exclude");
        let keys = self.all.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys);
        let keys: BTreeSet<&str> = keys.map(String::as_str).collect();
        for (key, ours) in ELSEWHERE.iter().filter(|(key, _)| keys.contains(key)) {
            self.notes.push(format!("{path}: `{key}` is not carried over; here it is {ours}"));
        }
        let is_known = |key: &str| {
            READ.contains(&key)
                || MANAGERS.contains(&key)
                || ELSEWHERE.iter().any(|(known, _)| *known == key)
        };
        let others: Vec<&str> =
            keys.into_iter().filter(|key| !is_known(key) && !is_selector(key)).collect();
        if !others.is_empty() {
            self.notes.push(format!("{path}: not carried over: `{}`", others.join("`, `")));
        }
    }
}

/// A rule with the names that selectors have now.
fn renamed(rule: &Value) -> Value {
    let mut rule = rule.clone();
    if let Some(keys) = rule.as_object_mut() {
        for (old, new) in RENAMED {
            if let Some(value) = keys.remove(old) {
                keys.insert(new.to_owned(), value);
            }
        }
    }
    rule
}

/// Keys that keep versions away. A rule that has one and is not carried over would let in what it keeps away.
pub(super) fn restricts(rule: &Value) -> bool {
    let keys = [
        "allowedVersions",
        "minimumReleaseAge",
        "stabilityDays",
        "versioning",
        "extractVersion",
        "followTag",
    ];
    rule["enabled"] == false
        || rule["dependencyDashboardApproval"] == true
        || rule["ignoreUnstable"] == true
        || keys.iter().any(|key| rule.get(key).is_some_and(|value| !value.is_null()))
}

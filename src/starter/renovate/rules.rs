//! A configuration of Renovate's as rules, in the order in which they count.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::select::texts;

/// Keys that say how updates come, and where ours are said.
const ELSEWHERE: [(&str, &str); 10] = [
    ("automerge", "`deliver: {autoMerge: bot}`"),
    ("schedule", "`deliver: {schedule: …}`"),
    ("groupName", "`deliver: {group: …}`"),
    ("labels", "`deliver: {labels: …}`"),
    ("reviewers", "`deliver: {reviewers: …}`"),
    ("assignees", "`deliver: {assignees: …}`"),
    ("draftPR", "`deliver: {draft: true}`"),
    ("prConcurrentLimit", "`deliver: {maxOpen: …}`"),
    ("hostRules", "credentials, as in docs/registries.md"),
    ("registryAliases", "a mirror, as in docs/registries.md"),
];

/// Keys that are read, or mean nothing for which version comes.
const READ: [&str; 31] = [
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
    "digest",
    "pin",
    "pinDigest",
    "dependencyDashboard",
    "timezone",
    "semanticCommits",
    "commitMessagePrefix",
    "configMigration",
    "dependencyDashboardApproval",
    "stabilityDays",
    "ignorePaths",
    "includePaths",
    "enabledManagers",
    "docker",
    "managerFilePatterns",
    "fileMatch",
    "force",
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

/// Managers that read images, whose settings stand in an object of their own.
pub(super) const MANAGERS: [Manager; 15] = [
    Manager::of("argocd", &[]),
    Manager::of("crossplane", &[]),
    Manager::of("devcontainer", &[r"/(^|/)\.devcontainer(/devcontainer)?\.json$/"]),
    Manager::of("docker-compose", &[r"/(^|/)(?:docker-)?compose[^/]*\.ya?ml$/"]),
    Manager::of("dockerfile", &[r"/(^|/|\.)([Dd]ocker|[Cc]ontainer)file[^/]*$/"]),
    Manager::of("fleet", &[r"/(^|/)fleet\.ya?ml/"]),
    Manager::of("flux", &[r"/(^|/)gotk-components\.ya?ml$/"]),
    Manager::of("gitlabci", &[r"/\.gitlab-ci\.ya?ml$/"]),
    Manager::of("helm-values", &[r"/(^|/)values\.ya?ml$/"]),
    Manager::of("helmfile", &[r"/(^|/)helmfile(\.d/.+)?\.ya?ml(\.gotmpl)?$/"]),
    Manager::of("helmv3", &[r"/(^|/)Chart\.ya?ml$/"]),
    Manager::of("kubernetes", &[]),
    Manager::of("kustomize", &[r"/(^|/)kustomization\.ya?ml$/"]),
    Manager::of("quadlet", &[r"/\.(container|image|volume)$/"]),
    Manager::of("tekton", &[]),
];

/// What reads whatever regular expressions say.
pub(super) const CUSTOM: &str = "custom.regex";

/// A manager, and the files that it reads by default
/// (<https://docs.renovatebot.com/modules/manager/>, on the page of each).
pub(super) struct Manager {
    pub(super) name: &'static str,
    pub(super) patterns: &'static [&'static str],
}

impl Manager {
    const fn of(name: &'static str, patterns: &'static [&'static str]) -> Self {
        Self { name, patterns }
    }
}

/// Presets that leave out vendored files and tests
/// (<https://docs.renovatebot.com/presets-default/#ignoremodulesandtests>), and those paths.
const IGNORING: [&str; 4] =
    ["config:recommended", "config:base", "config:best-practices", ":ignoreModulesAndTests"];
const IGNORED: [&str; 8] = [
    "**/node_modules/**",
    "**/bower_components/**",
    "**/vendor/**",
    "**/examples/**",
    "**/__tests__/**",
    "**/test/**",
    "**/tests/**",
    "**/__fixtures__/**",
];

/// Presets that keep no version of an image away, by what their names begin with
/// (<https://docs.renovatebot.com/presets-default/> and the pages beside it).
const HARMLESS: [&str; 46] = [
    ":assign",
    ":automerge",
    ":combinePatchMinorReleases",
    ":configMigration",
    ":dependencyDashboard",
    ":disableDependencyDashboard",
    ":disableLockFileMaintenance",
    ":disablePeerDependencies",
    ":disablePrControls",
    ":disableRateLimiting",
    ":disableVulnerabilityAlerts",
    ":doNotPinPackage",
    ":enable",
    ":gitSignOff",
    ":ignoreUnstable",
    ":label",
    ":maintainLockFiles",
    ":noUnscheduledUpdates",
    ":onlyNpm",
    ":pathSemanticCommitType",
    ":pin",
    ":prConcurrentLimit",
    ":prHourlyLimit",
    ":prImmediately",
    ":prNotPending",
    ":preserveSemverRanges",
    ":rebaseStalePrs",
    ":renovatePrefix",
    ":reviewer",
    ":semantic",
    ":separate",
    ":skipStatusChecks",
    ":timezone",
    ":unpublishSafe",
    ":updateNotScheduled",
    ":widenPeerDependencies",
    "abandonments:",
    "customManagers:",
    "docker:enableMajor",
    "group:",
    "helpers:",
    "mergeConfidence:",
    "monorepo:",
    "regexManagers:",
    "replacements:",
    "schedule:",
];

/// Where a rule stands: those of a later stage count more. Renovate merges configurations first, then applies
/// `packageRules`, then the object of the kind of update, and `packageRules` again
/// (<https://docs.renovatebot.com/configuration-options/#packagerules>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RuleStage {
    Top,
    Manager,
    /// `major: {…}` and its like, at the top or in the object of a manager.
    Kind,
    /// The same, in a rule.
    KindOfRule,
    Rule,
    Force,
    /// Settings that are off at the top or in the object of a manager, which no rule enables.
    Off,
}

/// Presets in files, one within another, are followed so far.
const MAX_PRESETS: usize = 5;

/// The repository that a configuration is of.
pub(super) struct ConfigurationHome<'a> {
    /// `owner/name`, in lower case; empty where that is not known.
    pub(super) name: &'a str,
    /// Its files.
    pub(super) read: &'a dyn Fn(&str) -> Option<String>,
}

/// The rules of a configuration, and what is said of it.
#[derive(Default)]
pub(super) struct RenovateRules {
    pub(super) all: Vec<Value>,
    /// The same, until they are in order.
    staged: Vec<(RuleStage, Value)>,
    pub(super) notes: Vec<String>,
    /// Presets that are not followed: what they say is lost.
    pub(super) lost: Vec<String>,
    /// Paths that are left out, those that are meant, and the managers that are on; each as the last that says so has it.
    pub(super) ignored: Vec<String>,
    pub(super) included: Vec<String>,
    pub(super) managers: Vec<String>,
    /// Which files managers read, where their objects say it.
    pub(super) read: Vec<Reads>,
}

/// The files that one manager reads.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) manager: String,
    /// Patterns beside its own.
    pub(super) patterns: Vec<String>,
    pub(super) ignored: Vec<String>,
    pub(super) included: Vec<String>,
}

/// Keys of a rule that say which versions come, and that nothing here says.
const UNSAID: [&str; 5] =
    ["followTag", "extractVersion", "maxMajorIncrement", "ignoreVersions", "ignorePresets"];

/// A key that keeps versions away and cannot be said here.
pub(super) fn unsaid(rule: &Value) -> Option<&'static str> {
    // What a preset within a rule says is not looked up.
    let is_lost = texts(&rule["extends"]).iter().any(|preset| !is_harmless(preset));
    let mut keys = UNSAID.into_iter();
    let unsaid = keys.find(|key| rule.get(key).is_some_and(|value| !value.is_null()));
    unsaid.or_else(|| is_lost.then_some("extends"))
}

fn is_harmless(preset: &str) -> bool {
    HARMLESS.iter().any(|begin| preset.starts_with(begin))
}

fn is_manager(key: &str) -> bool {
    MANAGERS.iter().any(|manager| manager.name == key)
}

/// True if a rule has a key that is not carried over.
pub(super) fn is_lossy(rule: &Value) -> bool {
    let keys = rule.as_object().into_iter().flat_map(serde_json::Map::keys);
    let is_known = |key: &String| {
        READ.contains(&key.as_str())
            || is_manager(key)
            || ELSEWHERE.iter().any(|(known, _)| known == key)
            || key.starts_with("match")
            || key.starts_with("exclude")
    };
    !keys.into_iter().all(|key| is_known(key) || key == "force")
}

impl RenovateRules {
    /// Presets come first, then the top level, then the objects of managers, then `packageRules`.
    pub(super) fn of(config: &Value, path: &str, home: &ConfigurationHome<'_>) -> Self {
        let mut rules = Self::default();
        rules.take(config, home, 0);
        rules.switch_off();
        rules.staged.sort_by_key(|(stage, _)| *stage);
        rules.all = std::mem::take(&mut rules.staged).into_iter().map(|(_, rule)| rule).collect();
        rules.left(path);
        rules
    }

    /// Renovate reads no file for a manager that is off, and nothing of a repository that is
    /// (<https://docs.renovatebot.com/configuration-options/#enabled>), whatever rules say. The last word on each counts.
    fn switch_off(&mut self) {
        let mut last: BTreeMap<String, Value> = BTreeMap::new();
        for (stage, rule) in &self.staged {
            if *stage > RuleStage::Manager || rule.get("enabled").is_none() {
                continue;
            }
            let mut rule = rule.as_object().cloned().unwrap_or_default();
            rule.retain(|key, _| key.starts_with("match") || key == "enabled");
            let enabled = rule.remove("enabled");
            let selects = Value::Object(rule.clone()).to_string();
            rule.extend(enabled.map(|enabled| ("enabled".to_owned(), enabled)));
            last.insert(selects, Value::Object(rule));
        }
        let off = last.into_values().filter(|rule| rule["enabled"] == false);
        self.staged.extend(off.map(|rule| (RuleStage::Off, rule)));
    }

    fn take(&mut self, config: &Value, home: &ConfigurationHome<'_>, depth: usize) {
        for preset in texts(&config["extends"]) {
            self.preset(preset, home, depth);
        }
        self.paths(config);
        let mut top = config.clone();
        top.as_object_mut().into_iter().for_each(|top| drop(top.remove("extends")));
        self.add(RuleStage::Top, &top);
        self.within(&config["docker"], &json!({"matchDatasources": ["docker"]}));
        for Manager { name, .. } in MANAGERS {
            self.within(&config[name], &json!({"matchManagers": [name]}));
        }
        for rule in config["packageRules"].as_array().into_iter().flatten() {
            self.add(RuleStage::Rule, &renamed(rule));
        }
        if config["force"].is_object() {
            self.add(RuleStage::Force, &config["force"]);
        }
        for key in ["customManagers", "regexManagers"] {
            for custom in config[key].as_array().into_iter().flatten() {
                let patterns = ["managerFilePatterns", "fileMatch"].map(|key| texts(&custom[key]));
                let patterns = patterns.concat().into_iter().map(str::to_owned).collect();
                self.read.push(Reads { manager: CUSTOM.to_owned(), patterns, ..Reads::default() });
            }
        }
    }

    /// What an object says, and its rules, for what it is about.
    fn within(&mut self, object: &Value, selects: &Value) {
        let Some(object) = object.as_object() else { return };
        let with = |rule: &serde_json::Map<String, Value>| {
            let mut rule = rule.clone();
            rule.remove("packageRules");
            rule.extend(selects.as_object().cloned().unwrap_or_default());
            Value::Object(rule)
        };
        let list = |key: &str| -> Vec<String> {
            object.get(key).into_iter().flat_map(texts).map(str::to_owned).collect()
        };
        let manager = selects["matchManagers"][0].as_str().unwrap_or_default();
        self.read.push(Reads {
            manager: manager.to_owned(),
            patterns: [list("managerFilePatterns"), list("fileMatch")].concat(),
            ignored: list("ignorePaths"),
            included: list("includePaths"),
        });
        self.add(RuleStage::Manager, &with(object));
        let rules = object.get("packageRules").and_then(Value::as_array).into_iter().flatten();
        for rule in rules.map(renamed) {
            let Some(rule) = rule.as_object() else { continue };
            // A rule that names managers of its own is for those among them that are this one.
            let names_own =
                selects.as_object().is_some_and(|s| s.keys().any(|k| rule.contains_key(k)));
            if names_own {
                self.notes.push(
                    "a rule within the object of a manager names managers, and is not carried over"
                        .to_owned(),
                );
                self.lost.push("packageRules".to_owned());
            } else {
                self.add(RuleStage::Rule, &with(rule));
            }
        }
    }

    fn paths(&mut self, config: &Value) {
        let list = |key: &str, into: &mut Vec<String>| {
            if config.get(key).is_some() {
                *into = texts(&config[key]).into_iter().map(str::to_owned).collect();
            }
        };
        list("ignorePaths", &mut self.ignored);
        list("includePaths", &mut self.included);
        list("enabledManagers", &mut self.managers);
    }

    fn preset(&mut self, preset: &str, home: &ConfigurationHome<'_>, depth: usize) {
        if IGNORING.contains(&preset) {
            self.ignored = IGNORED.map(str::to_owned).to_vec();
        }
        match preset {
            "docker:disable" => {
                let rule = json!({"matchDatasources": ["docker"], "enabled": false});
                self.staged.push((RuleStage::Manager, rule));
            }
            "docker:pinDigests" | "config:best-practices" => {
                self.staged.push((RuleStage::Manager, json!({"pinDigests": true})));
            }
            "docker:disableMajor" => {
                let rule = json!({"matchUpdateTypes": ["major"], "enabled": false});
                self.staged.push((RuleStage::Rule, rule));
            }
            ":disableMajorUpdates" => {
                self.add(RuleStage::Top, &json!({"major": {"enabled": false}}));
            }
            ":approveMajorUpdates" => {
                self.add(RuleStage::Top, &json!({"major": {"dependencyDashboardApproval": true}}));
            }
            "config:recommended" | "config:base" | ":ignoreModulesAndTests" => {}
            other if is_harmless(other) => {}
            other => {
                let config = of_home(other, home).filter(|_| depth < MAX_PRESETS);
                match config.and_then(|text| super::read(&text).ok()) {
                    Some(config) => self.take(&config, home, depth + 1),
                    None => {
                        self.notes.push(format!(
                            "the preset `{other}` cannot be read here, and may keep versions away: write what it says into \
                             the configuration, and import that"
                        ));
                        self.lost.push(other.to_owned());
                    }
                }
            }
        }
    }

    /// A rule, and what it says of some kinds of updates alone.
    fn add(&mut self, stage: RuleStage, rule: &Value) {
        self.staged.push((stage, rule.clone()));
        let of_kind = if stage < RuleStage::Kind { RuleStage::Kind } else { RuleStage::KindOfRule };
        for kind in ["major", "minor", "patch", "digest", "pin", "pinDigest"] {
            let Some(settings) = rule[kind].as_object() else { continue };
            let mut nested = rule.as_object().cloned().unwrap_or_default();
            nested.retain(|key, _| key.starts_with("match") || key.starts_with("exclude"));
            nested.extend(settings.clone());
            nested.insert("matchUpdateTypes".to_owned(), json!([kind]));
            self.staged.push((of_kind, Value::Object(nested)));
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
                || is_manager(key)
                || ELSEWHERE.iter().any(|(known, _)| *known == key)
        };
        let others: Vec<&str> =
            keys.into_iter().filter(|key| !is_known(key) && !is_selector(key)).collect();
        if !others.is_empty() {
            self.notes.push(format!("{path}: not carried over: `{}`", others.join("`, `")));
        }
    }
}

/// The text of a preset that is a file of the same repository: `local>owner/name//path`, `github>owner/name:name`
/// (<https://docs.renovatebot.com/config-presets/#preset-hosting>).
fn of_home(preset: &str, home: &ConfigurationHome<'_>) -> Option<String> {
    let (_, rest) =
        preset.split_once('>').filter(|(host, _)| ["local", "github"].contains(host))?;
    // At another commit, it may say something else.
    let rest = Some(rest).filter(|rest| !rest.contains(['#', '(']))?;
    let (repository, path) = match rest.split_once("//") {
        Some((repository, path)) => (repository, path.to_owned()),
        None => match rest.split_once(':') {
            Some((repository, path)) => (repository, path.to_owned()),
            None => (rest, "default".to_owned()),
        },
    };
    let is_home = !home.name.is_empty() && repository.eq_ignore_ascii_case(home.name);
    let has_end = [".json", ".json5", ".jsonc"].iter().any(|end| path.ends_with(end));
    let paths =
        if has_end { vec![path] } else { vec![format!("{path}.json"), format!("{path}.json5")] };
    paths.iter().filter(|_| is_home).find_map(|path| (home.read)(path))
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

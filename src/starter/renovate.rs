//! What Renovate was told about images (<https://docs.renovatebot.com/configuration-options/>): its rules are applied to the
//! images that are deployed, and what comes of them is written as a policy for each. Rules that select by something that is not
//! known here are named, not guessed.

use std::collections::BTreeSet;

use globset::GlobBuilder;
use regex::RegexBuilder;
use serde_json::Value;

use super::{Deployed, Starter, StarterPolicy};
use crate::policy::Range;

/// Where its configuration is looked for; the first that there is counts.
pub const FILES: [&str; 8] = [
    "renovate.json",
    "renovate.jsonc",
    "renovate.json5",
    ".github/renovate.json",
    ".github/renovate.jsonc",
    ".github/renovate.json5",
    ".renovaterc",
    ".renovaterc.json",
];

/// Keys of a rule that select, and are understood.
const MATCHERS: [&str; 9] = [
    "matchDatasources",
    "matchManagers",
    "matchPackageNames",
    "matchDepNames",
    "matchPackagePatterns",
    "matchPackagePrefixes",
    "excludePackageNames",
    "matchUpdateTypes",
    "matchFileNames",
];

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

/// What holds for one image.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each key")]
struct Settings {
    is_disabled: bool,
    is_pinned: bool,
    no_major: bool,
    no_minor: bool,
    allowed: Option<String>,
    min_age: Option<String>,
    prereleases: bool,
    versioning: Option<String>,
}

/// Applies a configuration to what a starter has for the images that are deployed.
pub(super) fn apply(starter: &mut Starter, path: &str, text: &str, deployed: &[Deployed]) {
    let config: Value = match json5::from_str(text) {
        Ok(config) => config,
        Err(error) => return starter.notes.push(format!("{path} cannot be read: {error}")),
    };
    let rules = rules(starter, &config);
    let ignored: BTreeSet<&str> = texts(&config["ignoreDeps"]).into_iter().collect();
    let mut kept = Vec::new();
    for mut policy in std::mem::take(&mut starter.policies) {
        let spellings = spellings(&policy.image);
        let files: Vec<&str> = deployed
            .iter()
            .filter(|one| one.repository.to_string() == policy.image)
            .map(|one| one.path.as_str())
            .collect();
        let mut settings = Settings::default();
        for rule in rules.iter().filter(|rule| is_meant(rule, &spellings, &files)) {
            settings.take(rule);
        }
        settings.is_disabled |= spellings.iter().any(|name| ignored.contains(name.as_str()));
        if settings.is_disabled {
            starter.notes.push(format!(
                "{}: Renovate leaves it alone, and no policy is written for it",
                policy.image
            ));
            continue;
        }
        settings.say(&mut policy);
        kept.push(policy);
    }
    starter.policies = kept;
    let said = ELSEWHERE.iter().filter(|(key, _)| rules.iter().any(|rule| rule.get(key).is_some()));
    for (key, ours) in said {
        starter.notes.push(format!("{path}: `{key}` is not carried over; here it is {ours}"));
    }
}

/// The rules in the order in which they count: presets, the top level, then `packageRules`.
fn rules(starter: &mut Starter, config: &Value) -> Vec<Value> {
    let mut rules = Vec::new();
    for preset in texts(&config["extends"]) {
        match preset {
            "docker:pinDigests" | "config:best-practices" => {
                rules.push(serde_json::json!({"pinDigests": true}));
            }
            "docker:disableMajor" | ":disableMajorUpdates" => {
                rules.push(serde_json::json!({"matchUpdateTypes": ["major"], "enabled": false}));
            }
            "config:recommended" | "config:base" => {}
            other => starter.notes.push(format!("the preset `{other}` is not followed")),
        }
    }
    rules.push(config.clone());
    for kind in ["major", "minor", "patch"] {
        if config[kind]["enabled"] == false {
            rules.push(serde_json::json!({"matchUpdateTypes": [kind], "enabled": false}));
        }
    }
    for rule in config["packageRules"].as_array().into_iter().flatten() {
        let keys = rule.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let selects = |key: &&str| key.starts_with("match") || key.starts_with("exclude");
        let strange: Vec<&str> = keys
            .filter(selects)
            .filter(|key| !MATCHERS.contains(key) || texts(&rule[*key]).into_iter().any(is_strange))
            .collect();
        if strange.is_empty() {
            rules.push(rule.clone());
        } else {
            starter.notes.push(format!("a rule by `{}` is not carried over", strange.join("`, `")));
        }
    }
    rules
}

/// Whether a pattern is none that is understood here.
fn is_strange(pattern: &str) -> bool {
    let positive = pattern.strip_prefix('!').unwrap_or(pattern);
    match positive.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
        Some((regex, _)) => regex::Regex::new(regex).is_err(),
        None => GlobBuilder::new(positive).build().is_err(),
    }
}

/// Whether a file is one that a manager looks at, by its name.
fn is_of(manager: &str, file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let kind = match name {
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => "kustomize",
        name if name.contains("compose") => "docker-compose",
        name if name.starts_with("values") => "helm-values",
        name if name.starts_with("helmfile") => "helmfile",
        _ => "",
    };
    match kind {
        // Manifests of all kinds look alike.
        "" => ["kubernetes", "flux", "argocd"].contains(&manager),
        kind => kind == manager,
    }
}

/// The names that people write for an image: Renovate compares what is written.
fn spellings(image: &str) -> Vec<String> {
    let mut all = vec![image.to_owned()];
    let short = image.strip_prefix("docker.io/");
    all.extend(short.map(str::to_owned));
    all.extend(short.and_then(|short| short.strip_prefix("library/")).map(str::to_owned));
    all
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether every matcher of a rule lets an image through.
fn is_meant(rule: &Value, names: &[String], files: &[&str]) -> bool {
    let any = |key: &str, is: &dyn Fn(&str) -> bool| {
        let wanted = texts(&rule[key]);
        rule.get(key).is_none() || wanted.into_iter().any(is)
    };
    let list = |key: &str| {
        let patterns = texts(&rule[key]);
        // One spelling has to be let in, and none kept out.
        let is_kept_out = |name: &String| {
            let negative: Vec<&str> =
                patterns.iter().copied().filter(|p| p.starts_with('!')).collect();
            !negative.is_empty() && !is_listed(&negative, name)
        };
        rule.get(key).is_none()
            || names.iter().any(|name| is_listed(&patterns, name)) && !names.iter().any(is_kept_out)
    };
    let in_files = || {
        let patterns = texts(&rule["matchFileNames"]);
        rule.get("matchFileNames").is_none() || files.iter().any(|file| is_listed(&patterns, file))
    };
    let excluded = texts(&rule["excludePackageNames"]);
    any("matchDatasources", &|name| name == "docker")
        && any("matchManagers", &|name| files.iter().any(|file| is_of(name, file)))
        && any("matchPackagePatterns", &|pattern| names.iter().any(|name| is_match(pattern, name)))
        && any("matchPackagePrefixes", &|prefix| names.iter().any(|name| name.starts_with(prefix)))
        && list("matchPackageNames")
        && list("matchDepNames")
        && in_files()
        && !names.iter().any(|name| excluded.contains(&name.as_str()))
}

/// Renovate's lists of patterns: one of the positive ones, and none of the negative ones.
fn is_listed(patterns: &[&str], name: &str) -> bool {
    let (negative, positive): (Vec<&str>, Vec<&str>) =
        patterns.iter().partition(|p| p.starts_with('!'));
    let is = |pattern: &str| match pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'))
    {
        Some((regex, flags)) => {
            let regex = RegexBuilder::new(regex).case_insensitive(flags == "i").build();
            regex.is_ok_and(|regex| regex.is_match(name))
        }
        None => {
            let glob =
                GlobBuilder::new(pattern).literal_separator(true).case_insensitive(true).build();
            pattern == "*" || glob.is_ok_and(|glob| glob.compile_matcher().is_match(name))
        }
    };
    !patterns.is_empty()
        && (positive.is_empty() || positive.iter().any(|pattern| is(pattern)))
        && !negative.iter().any(|pattern| is(&pattern[1..]))
}

fn is_match(pattern: &str, name: &str) -> bool {
    pattern == "*" || regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(name))
}

impl Settings {
    /// Takes what a rule says; a later one counts more.
    fn take(&mut self, rule: &Value) {
        let kinds = texts(&rule["matchUpdateTypes"]);
        if let Some(enabled) = rule["enabled"].as_bool() {
            let of = |kind: &str| kinds.contains(&kind);
            self.is_disabled = if kinds.is_empty() { !enabled } else { self.is_disabled };
            self.no_major = if of("major") { !enabled } else { self.no_major };
            self.no_minor = if of("minor") { !enabled } else { self.no_minor };
        }
        if !kinds.is_empty() {
            return;
        }
        let text = |key: &str| rule[key].as_str().map(str::to_owned);
        self.is_pinned = rule["pinDigests"].as_bool().unwrap_or(self.is_pinned);
        self.allowed = text("allowedVersions").or(self.allowed.take());
        self.min_age = text("minimumReleaseAge").or(self.min_age.take());
        self.prereleases =
            rule["ignoreUnstable"].as_bool().map_or(self.prereleases, |ignored| !ignored);
        self.versioning = text("versioning").or(self.versioning.take());
    }

    /// Writes it into a policy.
    fn say(&self, policy: &mut StarterPolicy) {
        if policy.rule.order == "semver" {
            policy.comments.clear();
            let level = match (self.no_major, self.no_minor) {
                (false, _) => "major",
                (true, false) => "minor",
                (true, true) => "patch",
            };
            level.clone_into(&mut policy.rule.by);
            if let Some(allowed) = &self.allowed {
                Self::allow(policy, allowed);
            }
            if self.prereleases && Range::parse(&policy.rule.by).is_ok() {
                policy.rule.also.push(("prereleases", "true".to_owned()));
            }
            policy.comments.insert(0, "as Renovate was told".to_owned());
        } else if self.allowed.is_some() {
            policy.comments.push("its `allowedVersions` is for versions, and left out".to_owned());
        }
        if let Some(versioning) =
            self.versioning.as_deref().filter(|v| !matches!(*v, "docker" | "semver"))
        {
            policy.comments.push(format!(
                "its `versioning: {versioning}` is left out; `match` and `extract` say such things"
            ));
        }
        if self.is_pinned {
            policy.also.push(("digest", "pin".to_owned()));
        }
        match self.min_age.as_deref().map(|text| (text, age(text))) {
            Some((_, Some(age))) => policy.also.push(("minAge", age)),
            Some((text, None)) => {
                policy.comments.push(format!("its `minimumReleaseAge: {text}` is left out"));
            }
            None => {}
        }
    }

    fn allow(policy: &mut StarterPolicy, allowed: &str) {
        let negative = allowed.strip_prefix("!/");
        let pattern = negative.or(allowed.strip_prefix('/')).and_then(|rest| rest.rsplit_once('/'));
        match (negative, pattern) {
            (_, Some((pattern, _))) if regex::Regex::new(pattern).is_err() => {
                policy.comments.push(format!("its `allowedVersions: {allowed}` is left out"));
            }
            (Some(_), Some((pattern, _))) => policy.rule.exclude.push(pattern.to_owned()),
            (None, Some((pattern, _))) => policy.rule.pattern = Some(pattern.to_owned()),
            _ if Range::parse(allowed).is_ok() => {
                allowed.clone_into(&mut policy.rule.by);
                policy.rule.also.push(("variant", "keep".to_owned()));
            }
            _ => policy.comments.push(format!("its `allowedVersions: {allowed}` is left out")),
        }
    }
}

/// `3 days` as `3d`.
fn age(text: &str) -> Option<String> {
    let (number, unit) = text.split_once(' ')?;
    let number: u32 = number.parse().ok()?;
    let short = match unit.trim_end_matches('s') {
        "minute" => "m",
        "hour" => "h",
        "day" => "d",
        "week" => return Some(format!("{}d", number.checked_mul(7)?)),
        _ => return None,
    };
    (number > 0).then(|| format!("{number}{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Repository, Tag};

    /// The policy of an image that is deployed as `tag`, as `order by key=value…`; or what is said instead.
    fn policy(config: &str, image: &str, tag: &str) -> String {
        let repository = Repository::parse(image).unwrap();
        let deployed = [Deployed {
            repository,
            path: "apps/web.yaml".to_owned(),
            line: 1,
            tag: Tag::parse(tag),
        }];
        let starter = Starter::imported(&[], Some(("renovate.json", config)), &deployed);
        let Some(policy) = starter.policies.first() else { return starter.notes.join("; ") };
        let rule = &policy.rule;
        let mut all = vec![rule.order.to_owned(), rule.by.clone()];
        all.extend(rule.pattern.iter().map(|pattern| format!("match={pattern}")));
        all.extend(rule.exclude.iter().map(|pattern| format!("exclude={pattern}")));
        all.extend(
            rule.also.iter().chain(&policy.also).map(|(key, value)| format!("{key}={value}")),
        );
        all.join(" ")
    }

    #[test]
    fn rules_are_applied_in_their_order() {
        let of = |rules: &str| format!("{{packageRules: [{rules}]}}");
        let cases: [(String, &str, &str); 24] = [
            ("{}".into(), "nginx", "semver major"),
            (
                "{extends: ['docker:disableMajor', 'docker:pinDigests']}".into(),
                "nginx",
                "semver minor digest=pin",
            ),
            (
                "{'major': {'enabled': false}, minor: {enabled: false}}".into(),
                "nginx",
                "semver patch",
            ),
            ("// comments\n{\"pinDigests\": true,}".into(), "nginx", "semver major digest=pin"),
            (of("{matchPackageNames: ['redis'], enabled: false}"), "nginx", "semver major"),
            (
                of("{matchDatasources: ['docker'], allowedVersions: '<7.4'}"),
                "nginx",
                "semver <7.4 variant=keep",
            ),
            (of("{matchDatasources: ['npm'], allowedVersions: '<7.4'}"), "nginx", "semver major"),
            (
                of("{matchPackageNames: ['nginx'], allowedVersions: '/^1\\\\./'}"),
                "nginx",
                "semver major match=^1\\.",
            ),
            (of("{allowedVersions: '!/-debug$/'}"), "nginx", "semver major exclude=-debug$"),
            (
                of("{matchPackageNames: ['/^ngi/'], minimumReleaseAge: '3 days'}"),
                "nginx",
                "semver major minAge=3d",
            ),
            (
                of("{matchPackageNames: ['ghcr.io/acme/**'], pinDigests: true}"),
                "ghcr.io/acme/a/b",
                "semver major digest=pin",
            ),
            (
                of("{matchPackageNames: ['ghcr.io/acme/*'], pinDigests: true}"),
                "ghcr.io/acme/a/b",
                "semver major",
            ),
            (of("{matchPackageNames: ['!nginx'], pinDigests: true}"), "nginx", "semver major"),
            (
                of("{matchPackagePatterns: ['^library/'], pinDigests: true}"),
                "nginx",
                "semver major digest=pin",
            ),
            (
                of("{matchFileNames: ['apps/**'], pinDigests: true}"),
                "nginx",
                "semver major digest=pin",
            ),
            (of("{matchFileNames: ['infra/**'], pinDigests: true}"), "nginx", "semver major"),
            (of("{pinDigests: true}, {pinDigests: false}"), "nginx", "semver major"),
            (of("{matchCurrentVersion: '<1', pinDigests: true}"), "nginx", "semver major"),
            (of("{matchPackageNames: ['/^nginx(?!-)/'], enabled: false}"), "nginx", "semver major"),
            (of("{matchManagers: ['docker-compose'], enabled: false}"), "nginx", "semver major"),
            (
                of("{matchManagers: ['kubernetes'], pinDigests: true}"),
                "nginx",
                "semver major digest=pin",
            ),
            (of("{allowedVersions: '/^16(?!0)/'}"), "nginx", "semver major"),
            (of("{minimumReleaseAge: '2 weeks'}"), "nginx", "semver major minAge=14d"),
            (
                of("{ignoreUnstable: false, allowedVersions: '>=1'}"),
                "nginx",
                "semver >=1 variant=keep prereleases=true",
            ),
        ];
        for (config, image, want) in cases {
            assert_eq!(policy(&config, image, "1.2.3"), want, "{config}");
        }
    }

    #[test]
    fn what_is_left_alone_and_what_cannot_be_read_is_told() {
        let off = "{packageRules: [{matchPackageNames: ['nginx'], enabled: false}]}";
        assert!(policy(off, "nginx", "1.2.3").contains("no policy is written"));
        assert!(
            policy("{ignoreDeps: ['nginx']}", "nginx", "1.2.3").contains("no policy is written")
        );
        let broken = Starter::imported(&[], Some(("renovate.json", "{")), &[]);
        assert!(broken.notes[0].starts_with("renovate.json cannot be read"), "{:?}", broken.notes);
        let rule =
            "{packageRules: [{matchCurrentAge: '> 1 year', enabled: false}], automerge: true}";
        let deployed: [Deployed; 0] = [];
        let notes = Starter::imported(&[], Some(("renovate.json", rule)), &deployed).notes;
        assert!(
            notes[0].contains("matchCurrentAge") && notes[1].contains("autoMerge"),
            "{notes:?}"
        );
        assert_eq!(policy("{}", "nginx", "main-1234"), "numerical asc match=^main-(?<build>\\d+)$");
    }
}

//! Which images a rule of Renovate's is for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::rules::Rules;

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

/// Managers that read manifests which Kubernetes' own one may read as well, or anything.
const UNTOLD: [&str; 5] = ["flux", "argocd", "custom.regex", "custom.jsonata", "regex"];

/// Whether a rule is for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Yes,
    No,
    /// It may be, or for some of its places alone; this is why.
    Perhaps(String),
}

/// One image, as rules see it.
pub(super) struct Image<'a> {
    /// The names that people write for it: Renovate compares what is written.
    pub(super) names: Vec<String>,
    /// The files that name it.
    pub(super) files: &'a [&'a str],
}

impl<'a> Image<'a> {
    pub(super) fn new(image: &str, files: &'a [&'a str]) -> Self {
        let mut names = vec![image.to_owned()];
        let short = image.strip_prefix("docker.io/");
        names.extend(short.map(str::to_owned));
        names.extend(short.and_then(|short| short.strip_prefix("library/")).map(str::to_owned));
        Self { names, files }
    }
}

/// A glob, or a regular expression between slashes.
enum Pattern {
    Glob(GlobMatcher),
    Regex(Regex),
}

/// Patterns that were read, each once.
#[derive(Default)]
pub(super) struct Patterns(RefCell<BTreeMap<String, Option<Pattern>>>);

impl Patterns {
    /// What a question to a pattern is answered with; `None` for one that cannot be read.
    fn ask(&self, pattern: &str, question: impl FnOnce(&Pattern) -> bool) -> Option<bool> {
        let mut known = self.0.borrow_mut();
        if !known.contains_key(pattern) {
            known.insert(pattern.to_owned(), read(pattern));
        }
        known.get(pattern)?.as_ref().map(question)
    }

    fn is(&self, pattern: &str, name: &str) -> bool {
        let is = |read: &Pattern| match read {
            Pattern::Glob(glob) => pattern == "*" || glob.is_match(name),
            Pattern::Regex(regex) => regex.is_match(name),
        };
        self.ask(pattern, is).unwrap_or_default()
    }

    /// True if a pattern of files fits one: a regular expression, between slashes or as it was written before.
    fn reads(&self, pattern: &str, file: &str) -> bool {
        let is_marked =
            pattern.starts_with('/') || pattern.contains('*') && !pattern.contains(".*");
        self.is(pattern, file) || !is_marked && self.is(&between_slashes(pattern), file)
    }

    /// Keys that select and are not understood here, and patterns that cannot be read.
    fn strange<'r>(&self, rule: &'r Value) -> Vec<&'r str> {
        let keys = rule.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let selects = |key: &&str| key.starts_with("match") || key.starts_with("exclude");
        let is_readable = |key: &str, pattern: &str| {
            let pattern = match key {
                "matchPackagePatterns" => Cow::Owned(between_slashes(pattern)),
                _ => Cow::Borrowed(pattern.strip_prefix('!').unwrap_or(pattern)),
            };
            self.ask(&pattern, |_| true).is_some()
        };
        let is_known = |key: &&str| {
            MATCHERS.contains(key) && texts(&rule[*key]).iter().all(|p| is_readable(key, p))
        };
        keys.filter(selects).filter(|key| !is_known(key)).collect()
    }

    /// Renovate's lists of patterns: one of the positive ones, and none of the negative ones.
    fn is_listed(&self, patterns: &[&str], name: &str) -> bool {
        let (negative, positive): (Vec<&str>, Vec<&str>) =
            patterns.iter().partition(|p| p.starts_with('!'));
        !patterns.is_empty()
            && (positive.is_empty() || positive.iter().any(|pattern| self.is(pattern, name)))
            && !negative.iter().any(|pattern| self.is(&pattern[1..], name))
    }

    /// Why none of an image's files, or not each, is one that Renovate reads.
    pub(super) fn kept_away(&self, rules: &Rules, files: &[&str]) -> Option<String> {
        let is_in = |patterns: &[String], file: &str| {
            patterns.iter().any(|pattern| {
                let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
                // A path without wildcards is part of a file's.
                self.is(pattern, file)
                    || !pattern.contains('*') && file.contains(pattern.trim_end_matches('/'))
            })
        };
        let managers: Vec<&str> = rules.managers.iter().map(String::as_str).collect();
        let is_left = |key: &str, file: &str| match key {
            "ignorePaths" => is_in(&rules.ignored, file),
            "includePaths" => !rules.included.is_empty() && !is_in(&rules.included, file),
            "managerFilePatterns" => rules.read.iter().any(|reads| {
                let is_its = is_managed(&[&reads.manager], file) == Some(true);
                // Only Kubernetes' has no patterns of its own.
                let is_unread = reads.manager == "kubernetes"
                    && reads
                        .patterns
                        .as_ref()
                        .is_some_and(|all| !all.iter().any(|p| self.reads(p, file)));
                let is_left = is_in(&reads.ignored, file)
                    || !reads.included.is_empty() && !is_in(&reads.included, file);
                is_its && (is_unread || is_left)
            }),
            _ => !managers.is_empty() && is_managed(&managers, file) != Some(true),
        };
        ["ignorePaths", "includePaths", "enabledManagers", "managerFilePatterns"].into_iter().find_map(|key| {
            let count = files.iter().filter(|file| is_left(key, file)).count();
            match count {
                0 => None,
                count if count == files.len() => Some(format!("Renovate leaves its files alone (`{key}`)")),
                count => Some(format!(
                    "Renovate leaves {count} of its {} places alone (`{key}`), which has to be said by `paths`",
                    files.len()
                )),
            }
        })
    }

    /// Whether every matcher of a rule lets an image through.
    pub(super) fn meant(&self, rule: &Value, image: &Image<'_>) -> Meant {
        let (names, strange) = (&image.names, self.strange(rule));
        // What cannot be read may be about anything.
        let has = |key: &str| rule.get(key).is_some() && !strange.contains(&key);
        let list = |key: &str| {
            let patterns = texts(&rule[key]);
            // One spelling has to be let in, and none kept out.
            let is_kept_out = |name: &String| {
                let negative: Vec<&str> =
                    patterns.iter().copied().filter(|p| p.starts_with('!')).collect();
                !negative.is_empty() && !self.is_listed(&negative, name)
            };
            !has(key)
                || names.iter().any(|name| self.is_listed(&patterns, name))
                    && !names.iter().any(is_kept_out)
        };
        let any = |key: &str, is: &dyn Fn(&str, &str) -> bool| {
            let wanted = texts(&rule[key]);
            !has(key) || wanted.iter().any(|wanted| names.iter().any(|name| is(wanted, name)))
        };
        let excluded = texts(&rule["excludePackageNames"]);
        let is_docker =
            !has("matchDatasources") || self.is_listed(&texts(&rule["matchDatasources"]), "docker");
        let is_named = is_docker
            && any("matchPackagePatterns", &|pattern, name| {
                self.is(&between_slashes(pattern), name)
            })
            && any("matchPackagePrefixes", &|prefix, name| name.starts_with(prefix))
            && list("matchPackageNames")
            && list("matchDepNames")
            && !names.iter().any(|name| excluded.contains(&name.as_str()));
        match is_named.then(|| self.places(rule, image.files)) {
            None | Some(Meant::No) => Meant::No,
            Some(_) if !strange.is_empty() => {
                Meant::Perhaps(format!("it selects by `{}`", strange.join("`, `")))
            }
            Some(meant) => meant,
        }
    }

    /// Whether the files of an image are those of a rule.
    fn places(&self, rule: &Value, files: &[&str]) -> Meant {
        let (names, managers) = (texts(&rule["matchFileNames"]), texts(&rule["matchManagers"]));
        let mut count = 0;
        for file in files {
            let is_file = names.is_empty() || self.is_listed(&names, file);
            let manager =
                if managers.is_empty() { Some(true) } else { is_managed(&managers, file) };
            match (is_file, manager) {
                (true, Some(true)) => count += 1,
                (true, None) => {
                    let managers = managers.join("`, `");
                    return Meant::Perhaps(format!("which files `{managers}` reads is not known"));
                }
                (false, _) | (_, Some(false)) => {}
            }
        }
        match count {
            0 if !files.is_empty() => Meant::No,
            count if count < files.len() => {
                Meant::Perhaps(format!("it is for {count} of its {} places alone", files.len()))
            }
            _ => Meant::Yes,
        }
    }
}

/// A regular expression as lists of patterns have it.
fn between_slashes(regex: &str) -> String {
    format!("/{regex}/")
}

fn read(pattern: &str) -> Option<Pattern> {
    if let Some((regex, flags)) = pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
        let regex = RegexBuilder::new(regex).case_insensitive(flags == "i").build();
        return regex.ok().map(Pattern::Regex);
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).case_insensitive(true).build();
    glob.ok().map(|glob| Pattern::Glob(glob.compile_matcher()))
}

/// Whether one of these managers looks at a file, by its name; `None` where the name does not tell.
fn is_managed(managers: &[&str], file: &str) -> Option<bool> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let kind = match name {
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => "kustomize",
        name if name.contains("compose") => "docker-compose",
        name if name.starts_with("values") => "helm-values",
        name if name.starts_with("helmfile") => "helmfile",
        _ => "",
    };
    if !kind.is_empty() {
        return Some(managers.contains(&kind));
    }
    // Manifests of all kinds look alike; most are Kubernetes' own.
    if managers.contains(&"kubernetes") {
        return Some(true);
    }
    let is_untold = managers.iter().any(|manager| UNTOLD.contains(manager));
    (!is_untold).then_some(false)
}

pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

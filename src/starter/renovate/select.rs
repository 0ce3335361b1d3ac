//! Which images a rule of Renovate's is for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::rules::{CUSTOM, MANAGERS, RenovateRules};

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

/// Managers that read charts, or something of a file that only its contents tell.
const UNTOLD: [&str; 8] =
    ["argocd", "crossplane", CUSTOM, "fleet", "flux", "helmfile", "helmv3", "tekton"];

const KUBERNETES: &str = "kubernetes";

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
    pub(super) files: Vec<File<'a>>,
}

/// A file that names an image.
pub(super) struct File<'a> {
    path: &'a str,
    readers: Readers<'a>,
}

/// The managers that read a file; the key that keeps all of them away from it.
type Readers<'a> = Result<Vec<&'a str>, &'static str>;

impl<'a> Image<'a> {
    pub(super) fn new(
        image: &str,
        files: &[&'a str],
        patterns: &Patterns,
        rules: &'a RenovateRules,
    ) -> Self {
        let files = files
            .iter()
            .map(|path| File { path, readers: patterns.readers(rules, path) })
            .collect();
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

    /// The managers that read a file; the key that keeps all of them away from it.
    fn readers<'r>(&self, rules: &'r RenovateRules, file: &str) -> Readers<'r> {
        let is_in = |patterns: &[String]| {
            patterns.iter().any(|pattern| {
                let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
                // A path without wildcards is part of a file's.
                self.is(pattern, file)
                    || !pattern.contains('*') && file.contains(pattern.trim_end_matches('/'))
            })
        };
        let is_left = |ignored: &[String], included: &[String]| match () {
            () if is_in(ignored) => Some("ignorePaths"),
            () if !included.is_empty() && !is_in(included) => Some("includePaths"),
            () => None,
        };
        if let Some(key) = is_left(&rules.ignored, &rules.included) {
            return Err(key);
        }
        let own = MANAGERS.iter().filter(|m| m.patterns.iter().any(|p| self.reads(p, file)));
        let told =
            rules.read.iter().filter(|reads| reads.patterns.iter().any(|p| self.reads(p, file)));
        let all: BTreeSet<&str> =
            own.map(|m| m.name).chain(told.map(|reads| reads.manager.as_str())).collect();
        let is_told = rules.read.iter().any(|reads| reads.manager == KUBERNETES);
        // Whoever imports manifests means them, though Renovate reads none where nothing says which: `assumed` says so.
        let is_assumed = all.is_empty() && !is_told;
        let all = if is_assumed { BTreeSet::from([KUBERNETES]) } else { all };
        let runs = |name: &&str| {
            let is_custom = |on: &String| *name == CUSTOM && (on == "regex" || on == "custom");
            rules.managers.is_empty() || rules.managers.iter().any(|on| on == name || is_custom(on))
        };
        let on: Vec<&str> = all.iter().copied().filter(runs).collect();
        let of = |name: &&str| {
            let mut reads = rules.read.iter().filter(|reads| reads.manager == **name);
            reads.find_map(|reads| is_left(&reads.ignored, &reads.included))
        };
        let left: Vec<&str> = on.iter().copied().filter(|name| of(name).is_none()).collect();
        match (left.is_empty(), on.first(), all.is_empty()) {
            (false, ..) => Ok(left),
            (true, Some(name), _) => Err(of(name).unwrap_or("ignorePaths")),
            (true, None, false) => Err("enabledManagers"),
            (true, None, true) => Err("managerFilePatterns"),
        }
    }

    /// Says of files that Renovate reads none of them, as nothing says that they are Kubernetes' own.
    pub(super) fn assumed(&self, rules: &RenovateRules, files: &BTreeSet<&str>) -> Option<String> {
        let is_told = rules.read.iter().any(|reads| reads.manager == KUBERNETES);
        let is_read = |file: &str| {
            let mut own = MANAGERS.iter().flat_map(|manager| manager.patterns);
            let mut told = rules.read.iter().flat_map(|reads| &reads.patterns);
            own.any(|p| self.reads(p, file)) || told.any(|p| self.reads(p, file))
        };
        let unread: Vec<&str> = files.iter().copied().filter(|file| !is_read(file)).collect();
        let first = unread.first().filter(|_| !is_told)?;
        let more = super::super::more(unread.len());
        Some(format!(
            "Renovate reads {first}{more} only where `kubernetes: {{managerFilePatterns: …}}` names it, which nothing does: the \
             policies are written as if it did; take out what is to stay"
        ))
    }

    /// Why none of an image's files, or not each, is one that Renovate reads.
    pub(super) fn kept_away(image: &Image<'_>) -> Option<String> {
        let count_of = |is: &dyn Fn(&Readers<'_>) -> bool| {
            image.files.iter().filter(|file| is(&file.readers)).count()
        };
        let all = image.files.len();
        let left = ["ignorePaths", "includePaths", "enabledManagers", "managerFilePatterns"];
        let left = left.into_iter().find_map(|key| match count_of(&|r| *r == Err(key)) {
            0 => None,
            count if count == all => Some(format!("Renovate leaves its files alone (`{key}`)")),
            count => Some(format!(
                "Renovate leaves {count} of its {all} places alone (`{key}`), which has to be said by `paths`"
            )),
        });
        let is_untold = |readers: &Readers<'_>| {
            readers.as_ref().is_ok_and(|all| all.iter().all(|name| UNTOLD.contains(name)))
        };
        left.or_else(|| {
            let file = image.files.iter().find(|file| is_untold(&file.readers))?;
            let names = file.readers.as_ref().map(|all| all.join("`, `")).unwrap_or_default();
            Some(format!("which places of {} `{names}` reads is not known", file.path))
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
        match is_named.then(|| self.places(rule, &image.files)) {
            None | Some(Meant::No) => Meant::No,
            Some(_) if !strange.is_empty() => {
                Meant::Perhaps(format!("it selects by `{}`", strange.join("`, `")))
            }
            Some(meant) => meant,
        }
    }

    /// Whether the files of an image are those of a rule.
    fn places(&self, rule: &Value, files: &[File<'_>]) -> Meant {
        let (names, managers) = (texts(&rule["matchFileNames"]), texts(&rule["matchManagers"]));
        let mut count = 0;
        for File { path, readers } in files {
            let is_file = names.is_empty() || self.is_listed(&names, path);
            let readers = readers.as_deref().unwrap_or_default();
            let mut meant = readers.iter().filter(|name| self.is_listed(&managers, name));
            let manager = match meant.clone().next() {
                _ if managers.is_empty() => Some(true),
                None => Some(false),
                Some(_) => (!meant.all(|name| UNTOLD.contains(name))).then_some(true),
            };
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

pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

//! From what is written to a [`PolicySet`], collecting every problem on the way.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::file::{Document, Places, PolicyFile, is_empty, is_kubernetes_object, parse};
use super::raw::{RawEnvironment, RawImage, RawPolicies, RawTags};
use super::{
    Environment, IMPLICIT_ENVIRONMENT, Order, Paths, Policy, PolicySet, Range, TagRule, Via,
};
use crate::diagnostic::{Code, Diagnostic, Place, any_error, nearest};
use crate::image::{Repository, Tag};

/// The largest compiled size of a regular expression, in bytes.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

/// The longest name of a policy or environment, in bytes: that of a Kubernetes label.
const MAX_NAME: usize = 63;

/// Reads every policy file.
///
/// Documents with `apiVersion` and `kind` are Kubernetes objects and passed over. The set is
/// usable only when no diagnostic is an error.
#[must_use]
pub fn read(files: &[PolicyFile]) -> (PolicySet, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    for file in files {
        reader.file(file);
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    policies: BTreeMap<String, Policy>,
    /// Names that are declared, also those whose policy has a problem.
    declared: BTreeSet<String>,
    environments: BTreeMap<String, Declared>,
    problems: Vec<Diagnostic>,
}

/// An environment whose policies are not looked up yet.
struct Declared {
    environment: Environment,
    images: Vec<(String, Place)>,
    path_places: Vec<Place>,
}

impl Reader {
    fn file(&mut self, file: &PolicyFile) {
        let stream = match parse(file) {
            Ok(stream) => stream,
            Err(problem) => return self.problems.push(problem),
        };
        for root in stream.documents() {
            if is_kubernetes_object(&stream, *root) || is_empty(&stream, *root) {
                continue;
            }
            match Document::<RawPolicies>::read(&file.path, &stream, *root) {
                Ok(document) => self.document(document),
                Err(problems) => self.problems.extend(problems),
            }
        }
    }

    fn document(&mut self, document: Document<'_, RawPolicies>) {
        let places = document.places;
        for (name, raw) in document.raw.images {
            let place = places.of_key(&["images"], &name);
            self.name(&name, &place);
            if !self.declared.insert(name.clone()) {
                let other = self.policies.get(&name).map(|policy| &policy.place);
                self.problems.push(twice("policy", &name, place, other));
                continue;
            }
            if let Some(policy) = self.policy(&name, &raw, places, place) {
                self.policies.insert(name, policy);
            }
        }
        for (name, raw) in document.raw.environments {
            let place = places.of_key(&["environments"], &name);
            self.name(&name, &place);
            match self.environments.get(&name) {
                Some(other) => {
                    let problem =
                        twice("environment", &name, place, Some(&other.environment.place));
                    self.problems.push(problem);
                }
                None => self.environment(name, raw, places, place),
            }
        }
    }

    fn policy(
        &mut self,
        name: &str,
        raw: &RawImage,
        places: Places<'_>,
        place: Place,
    ) -> Option<Policy> {
        let repository = Repository::parse(&raw.image).map_err(|error| {
            let problem = Diagnostic::error(Code::PolicyInvalidImage, error.to_string());
            self.problems.push(problem.at(places.of(&["images", name, "image"])));
        });
        let rule = self.rule(name, &raw.tags, places);
        Some(Policy {
            name: name.to_owned(),
            repository: repository.ok()?,
            rule: rule?,
            digest: raw.digest,
            allow_downgrade: raw.allow_downgrade,
            allow_vanished: raw.allow_vanished,
            place,
        })
    }

    fn rule(&mut self, name: &str, raw: &RawTags, places: Places<'_>) -> Option<TagRule> {
        let at = |key: &[&str]| places.of(&[&["images", name, "tags"], key].concat());
        let before = self.problems.len();
        let matcher = raw.r#match.as_deref().map(compile);
        let matcher = self.keep(matcher.transpose(), at(&["match"])).flatten();
        if let Some(template) = &raw.extract {
            let problem = match &matcher {
                Some(regex) => check_template(template, regex),
                None if raw.r#match.is_some() => None,
                None => Some(unmatched_template()),
            };
            self.problems.extend(problem.map(|problem| problem.at(at(&["extract"]))));
        }
        let exclude = self.excludes(&raw.exclude, &at);
        let order = match order(raw, name) {
            Ok(order) => Some(order),
            Err((key, problem)) => {
                self.problems.push(problem.at(at(&[key])));
                None
            }
        };
        let complete = self.problems.len() == before;
        let rule = TagRule { matcher, extract: raw.extract.clone(), exclude, order: order? };
        complete.then_some(rule)
    }

    fn excludes(&mut self, patterns: &[String], at: &dyn Fn(&[&str]) -> Place) -> RegexSet {
        let mut good = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let place = at(&["exclude", &index.to_string()]);
            good.extend(self.keep(compile(pattern), place).map(|_| pattern));
        }
        RegexSetBuilder::new(good).size_limit(REGEX_SIZE_LIMIT).build().unwrap_or_default()
    }

    fn environment(&mut self, name: String, raw: RawEnvironment, places: Places<'_>, place: Place) {
        let at =
            |key: &str, index: usize| places.of(&["environments", &name, key, &index.to_string()]);
        if raw.paths.is_empty() {
            let problem =
                Diagnostic::error(Code::PolicyPaths, format!("environment `{name}` has no paths"));
            let place = places.of(&["environments", &name, "paths"]);
            self.problems
                .push(problem.at(place).help("name the directories that it syncs, or `.` for all"));
        }
        let mut builder = GlobSetBuilder::new();
        let mut written = Vec::new();
        for (index, path) in raw.paths.iter().enumerate() {
            match add_path(&mut builder, path) {
                Ok(path) => written.push(path),
                Err(problem) => self.problems.push(problem.at(at("paths", index))),
            }
        }
        let globs = builder.build().unwrap_or_else(|_| GlobSet::empty());
        let path_places = (0..raw.paths.len()).map(|index| at("paths", index)).collect();
        let images = raw.images.iter().enumerate();
        let images = images.map(|(index, image)| (image.clone(), at("images", index))).collect();
        let environment = Environment {
            name: name.clone(),
            paths: Paths { written, globs },
            policies: Vec::new(),
            via: raw.deliver.via,
            labels: raw.deliver.labels,
            place,
        };
        self.environments.insert(name, Declared { environment, images, path_places });
    }

    fn finish(mut self) -> (PolicySet, Vec<Diagnostic>) {
        self.overlaps();
        let policies: Vec<Policy> = std::mem::take(&mut self.policies).into_values().collect();
        let mut environments = Vec::new();
        for (_, declared) in std::mem::take(&mut self.environments) {
            environments.push(self.assign(declared, &policies));
        }
        if environments.is_empty() && !policies.is_empty() {
            environments.push(implicit(policies.len()));
        }
        for environment in &environments {
            self.ambiguities(environment, &policies);
        }
        if self.declared.is_empty() && !any_error(&self.problems) {
            let problem = Diagnostic::error(Code::PolicyNone, "the repository declares no policy");
            self.problems.push(problem.help(
                "write one into policies/NAME.yaml:\n\
                 images:\n  shop:\n    image: ghcr.io/acme/shop\n    tags: {semver: '>=1.0'}",
            ));
        }
        (PolicySet { policies, environments }, self.problems)
    }

    /// Looks up an environment's policies by name or glob.
    fn assign(&mut self, declared: Declared, policies: &[Policy]) -> Environment {
        let mut chosen = BTreeSet::new();
        for (pattern, place) in declared.images {
            let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(false).build() else {
                let message = format!("`{pattern}` is neither a policy's name nor a glob");
                self.problems.push(Diagnostic::error(Code::PolicyUnknownImage, message).at(place));
                continue;
            };
            let glob = glob.compile_matcher();
            let is_known = self.declared.iter().any(|name| glob.is_match(name));
            if !is_known && pattern != "*" {
                let problem = Diagnostic::error(
                    Code::PolicyUnknownImage,
                    format!("no policy is named `{pattern}`"),
                );
                let near = nearest(&pattern, self.declared.iter().map(String::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                self.problems.push(Diagnostic { help, ..problem.at(place) });
            }
            let named =
                policies.iter().enumerate().filter(|(_, policy)| glob.is_match(&policy.name));
            chosen.extend(named.map(|(index, _)| index));
        }
        Environment { policies: chosen.into_iter().collect(), ..declared.environment }
    }

    /// Two policies for one repository in one environment would fight over every site.
    fn ambiguities(&mut self, environment: &Environment, policies: &[Policy]) {
        let mut first: BTreeMap<&Repository, &Policy> = BTreeMap::new();
        for policy in environment.policies.iter().map(|index| &policies[*index]) {
            if let Some(other) = first.insert(&policy.repository, policy) {
                let message = format!(
                    "`{}` and `{}` are both for {} in environment `{}`",
                    other.name, policy.name, policy.repository, environment.name
                );
                let help = "list one of them in `images` of each environment";
                let problem = Diagnostic::error(Code::PolicyAmbiguous, message).help(help);
                self.problems.push(problem.at(policy.place.clone()));
            }
        }
    }

    /// Every file belongs to one environment, so that it has one promotion state.
    fn overlaps(&mut self) {
        let all: Vec<_> = self.environments.values().collect();
        let mut problems = Vec::new();
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                problems.extend(overlap(&one.environment, other));
            }
        }
        self.problems.extend(problems);
    }

    /// Names go into branches, titles and tables, so they are plain words.
    fn name(&mut self, name: &str, place: &Place) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !first || name.len() > MAX_NAME || !name.bytes().all(plain) {
            let message = format!("`{}` is not a name", name.escape_debug());
            let help = "letters, digits, `.`, `_` and `-`, at most 63, a letter or digit first";
            let problem = Diagnostic::error(Code::PolicyInvalidName, message).help(help);
            self.problems.push(problem.at(place.clone()));
        }
    }

    fn keep<T>(&mut self, result: Result<T, Diagnostic>, place: Place) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem.at(place))).ok()
    }
}

fn twice(what: &str, name: &str, place: Place, other: Option<&Place>) -> Diagnostic {
    let message = format!("{what} `{name}` is declared twice");
    let problem = Diagnostic::error(Code::PolicyDuplicateName, message).at(place);
    match other {
        Some(other) => problem.help(format!("the other one is at {}:{}", other.path, other.line)),
        None => problem,
    }
}

fn implicit(policies: usize) -> Environment {
    let mut builder = GlobSetBuilder::new();
    let written = add_path(&mut builder, ".").into_iter().collect();
    Environment {
        name: IMPLICIT_ENVIRONMENT.to_owned(),
        paths: Paths { written, globs: builder.build().unwrap_or_else(|_| GlobSet::empty()) },
        policies: (0..policies).collect(),
        via: Via::default(),
        labels: Vec::new(),
        place: Place::default(),
    }
}

fn overlap(one: &Environment, other: &Declared) -> Option<Diagnostic> {
    let beneath = |inner: &str, outer: &str| {
        outer == "."
            || inner == outer
            || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    for path in &one.paths.written {
        let others = other.environment.paths.written.iter().zip(&other.path_places);
        for (theirs, place) in others {
            if beneath(path, theirs) || beneath(theirs, path) {
                let message = format!(
                    "environments `{}` and `{}` both cover `{}`",
                    one.name,
                    other.environment.name,
                    if beneath(path, theirs) { path } else { theirs }
                );
                let help = "a file belongs to one environment; narrow one of the paths";
                let problem = Diagnostic::error(Code::PolicyOverlap, message).help(help);
                return Some(problem.at(place.clone()));
            }
        }
    }
    None
}

fn add_path(builder: &mut GlobSetBuilder, path: &str) -> Result<String, Diagnostic> {
    let problem = |message: String| Diagnostic::error(Code::PolicyPaths, message);
    let trimmed = path.trim_end_matches('/');
    let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
    if path.starts_with('/') || trimmed.is_empty() || trimmed.split('/').any(|part| part == "..") {
        let message = format!("`{path}` is not a path within the repository");
        return Err(problem(message)
            .help("write it from the root of the repository, as in clusters/staging"));
    }
    let beneath = if trimmed == "." { "**".to_owned() } else { format!("{trimmed}/**") };
    for pattern in [trimmed, &beneath] {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        builder.add(glob.map_err(|error| problem(error.to_string()))?);
    }
    Ok(trimmed.to_owned())
}

fn compile(pattern: &str) -> Result<Regex, Diagnostic> {
    RegexBuilder::new(pattern).size_limit(REGEX_SIZE_LIMIT).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            Diagnostic::error(Code::PolicyInvalidRegex, "the regular expression is too large")
                .help("use smaller repetition counts")
        }
        other => {
            // The crate's message is a drawing over several lines; its last line is the reason.
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Diagnostic::error(
                Code::PolicyInvalidRegex,
                format!("not a regular expression: {reason}"),
            )
            .help("the syntax is that of Go and Rust: no look-around, no back-references")
        }
    })
}

fn unmatched_template() -> Diagnostic {
    Diagnostic::error(Code::PolicyUnknownGroup, "`extract` needs a `match` to take groups from")
}

/// Checks that every `$group` of a template exists in the regular expression.
fn check_template(template: &str, regex: &Regex) -> Option<Diagnostic> {
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    let known = |group: &str| match group.parse::<usize>() {
        Ok(index) => index < regex.captures_len(),
        Err(_) => names.contains(&group),
    };
    let unknown = groups(template).into_iter().find(|group| !known(group))?;
    let message = format!("`match` has no group `{unknown}`");
    let help = match nearest(&unknown, names.iter().copied()) {
        Some(near) => format!("did you mean `${{{near}}}`?"),
        None => "write ${name} for (?<name>…), or ${1} for the first group".to_owned(),
    };
    Some(Diagnostic::error(Code::PolicyUnknownGroup, message).help(help))
}

/// The groups that a template names: `$name` takes the longest run of word characters.
fn groups(template: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            found.push(name.to_owned());
            rest = after;
        } else {
            let end =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.extend((end > 0).then(|| rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

/// The one order that is given; otherwise the key to point at and the problem.
fn order(raw: &RawTags, name: &str) -> Result<Order, (&'static str, Diagnostic)> {
    let semver = raw.semver.as_deref().map(|range| {
        Range::parse(range).map(Order::Semver).map_err(|error| {
            let problem = Diagnostic::error(Code::PolicyInvalidRange, error.to_string());
            ("semver", problem.help("as in `>=1.2 <3`, `^1.4`, `~2.1`, `1.x || 2.x`, `>=1.0.0-0`"))
        })
    });
    let fixed = raw.fixed.as_deref().map(|tag| {
        let problem = || Diagnostic::error(Code::PolicyInvalidTag, format!("`{tag}` is not a tag"));
        Tag::parse(tag).map(Order::Fixed).ok_or_else(|| ("fixed", problem()))
    });
    let numerical = raw.numerical.map(|direction| Ok(Order::Numerical(direction)));
    let alphabetical = raw.alphabetical.map(|direction| Ok(Order::Alphabetical(direction)));
    let mut given = [semver, numerical, alphabetical, fixed].into_iter().flatten();
    let choices = "write one of `semver`, `numerical`, `alphabetical`, `fixed`";
    match (given.next(), given.next()) {
        (Some(order), None) => order,
        (None, _) => {
            let message = format!("policy `{name}` does not say how tags are ordered");
            Err(("", Diagnostic::error(Code::PolicyOrder, message).help(choices)))
        }
        (Some(_), Some(_)) => {
            let message = format!("policy `{name}` gives more than one order");
            Err(("", Diagnostic::error(Code::PolicyOrder, message).help(choices)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (PolicySet, Vec<Diagnostic>) {
        read(&[PolicyFile { path: "policies/p.yaml".into(), text: text.into() }])
    }

    fn problems(text: &str) -> Vec<(String, usize)> {
        let (_, problems) = read_text(text);
        let line = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.line);
        problems.iter().map(|d| (d.code.to_string(), line(d))).collect()
    }

    #[test]
    fn a_good_file_becomes_a_set() {
        let (set, problems) = read_text(
            "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '>=1'}}\n  \
             web: {image: nginx, tags: {fixed: stable}, digest: pin}\n\
             environments:\n  prod: {paths: [clusters/prod/], images: [w*]}\n  \
             stage: {paths: ['clusters/stage-*'], deliver: {via: push}}\n",
        );
        assert_eq!(problems, []);
        let names: Vec<_> = set.environments.iter().map(|e| (&*e.name, e.policies.len())).collect();
        assert_eq!(names, [("prod", 1), ("stage", 2)]);
        assert!(set.environments[0].paths.contains("clusters/prod/a/b.yaml"));
        assert!(!set.environments[0].paths.contains("clusters/production/a.yaml"));
        assert!(set.environments[1].paths.contains("clusters/stage-eu/a.yaml"));
    }

    #[test]
    fn without_environments_one_covers_everything() {
        let (set, _) = read_text("images: {a: {image: nginx, tags: {semver: '*'}}}\n");
        assert!(set.environments[0].paths.contains("x/y.yaml"));
        assert!(set.environments[0].paths.contains("z.yaml"));
    }

    #[test]
    fn every_mistake_is_found_at_once_and_at_its_line() {
        let text = "\
images:
  a:
    image: https://ghcr.io/x
    tags:
      match: '('
      semver: '>=1 ||'
  b: {image: nginx, tags: {match: 'v(?<ver>.*)', extract: '$version', semver: '*'}}
  c: {image: nginx, tags: {semver: '*', fixed: x}}
  d: {image: nginx, tags: {}}
  e: {image: nginx, tags: {fixed: 'a b'}}
  f: {image: nginx, tags: {semver: '*'}}
environments:
  one: {paths: []}
  two: {paths: [../x, /y]}
  three: {paths: [clusters], images: [g]}
  four: {paths: [clusters/a]}
";
        let want = [
            ("policy.invalid-image", 3),
            ("policy.invalid-regex", 5),
            ("policy.invalid-range", 6),
            ("policy.unknown-group", 7),
            ("policy.order", 8),
            ("policy.order", 9),
            ("policy.invalid-tag", 10),
            ("policy.paths", 13),
            ("policy.paths", 14),
            ("policy.paths", 14),
            ("policy.overlap", 15),
            ("policy.unknown-image", 15),
        ];
        assert_eq!(problems(text), want.map(|(code, line)| (code.to_owned(), line)));
    }

    #[test]
    fn the_schema_speaks_in_lines_and_words() {
        let text = "\
images:
  a:
    image: nginx
    tag: {semver: '*'}
    tags: {fixed: 1.10, exclude: x}
    digest: always
  a: 3
";
        let (_, found) = read_text(text);
        let mut got: Vec<_> = found
            .iter()
            .map(|d| (d.place.as_ref().unwrap().line, d.code.as_str(), d.help.as_deref()))
            .collect();
        got.sort_unstable();
        let want = [
            (4, "policy.unknown-key", Some("did you mean `tags`?")),
            (
                5,
                "policy.wrong-type",
                Some("put the value in quotes, so that YAML does not read it as a number"),
            ),
            (5, "policy.wrong-type", Some("write [x]")),
            (6, "policy.invalid-value", Some("write one of `keep`, `pin`, `drop`")),
            (7, "policy.duplicate-key", Some("keep one of them")),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn names_are_unique_over_files_and_images_over_environments() {
        let file = |path: &str, text: &str| PolicyFile { path: path.into(), text: text.into() };
        let (_, found) = read(&[
            file("policies/a.yaml", "images: {a: {image: nginx, tags: {semver: '*'}}}\n"),
            file(
                "policies/b.yaml",
                "images: {a: {image: redis, tags: {semver: '*'}}, b: {image: library/nginx, tags: {semver: '*'}}}\n",
            ),
        ]);
        let codes: Vec<_> = found.iter().map(|d| d.code).collect();
        assert_eq!(codes, [Code::PolicyDuplicateName, Code::PolicyAmbiguous]);
    }

    #[test]
    fn kubernetes_objects_are_passed_over_and_nothing_is_an_error() {
        let kyverno = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nspec: {}\n";
        assert_eq!(problems(kyverno), [("policy.none".to_owned(), 0)]);
        assert_eq!(read(&[]).1[0].code, Code::PolicyNone);
        assert_eq!(problems("a: [\n")[0].0, "policy.syntax");
    }

    #[test]
    fn names_are_plain_words() {
        for bad in ["'a b'", "-a", "'@acme/team'", r#""a\nb""#, "''", &"a".repeat(64)] {
            let text = format!("images: {{{bad}: {{image: nginx, tags: {{semver: '*'}}}}}}\n");
            assert_eq!(problems(&text), [("policy.invalid-name".to_owned(), 1)], "{bad}");
        }
    }

    #[test]
    fn a_regex_bomb_is_refused() {
        let text =
            "images: {a: {image: nginx, tags: {match: '((a{1000}){1000}){1000}', semver: '*'}}}\n";
        assert_eq!(problems(text), [("policy.invalid-regex".to_owned(), 1)]);
    }
}

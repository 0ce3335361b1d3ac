//! Places that a policy names itself: `targets`.

use globset::{GlobSet, GlobSetBuilder};
use regex::Regex;
use serde_json::Value;
use serde_json_path::{JsonPath, PathElement};

use super::raw::{PartName, RawTarget};
use super::{paths, tags};
use crate::diagnostic::{Code, Diagnostic, Place};

/// Longer than any path that somebody writes, in bytes.
const MAX_PATH: usize = 1024;

/// Places in files that hold parts of a policy's image.
#[derive(Clone, Debug)]
pub struct Target {
    /// The files.
    pub files: GlobSet,
    /// Where in them.
    pub reach: Reach,
    /// Where the target is declared.
    pub place: Place,
}

/// How a target finds its places.
#[derive(Clone, Debug)]
pub enum Reach {
    /// By a path through YAML or JSON.
    Path(Query, PartName),
    /// By a regular expression over the text, whose groups are named as parts.
    Match(Regex),
}

/// A compiled path expression of [RFC 9535](https://www.rfc-editor.org/rfc/rfc9535).
#[derive(Clone, Debug)]
pub struct Query {
    path: JsonPath,
    cost: PathCost,
}

/// What a path costs, by how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PathCost {
    /// How often it goes down to every descendant (`..`).
    descents: u32,
    /// In how many ways it can come to one place: the selectors of each bracket, multiplied.
    ways: usize,
    /// How many filters are in one another at most.
    filters: usize,
    /// How often it begins again at the root (`$`), within a filter: for each of the places that the filter looks at.
    absolute: usize,
    /// True if it leads to one place at most: no `*`, `..`, filter, slice or list of selectors.
    is_straight: bool,
}

/// More than these are in no path that somebody writes: each filter within a filter doubles the work.
const MAX_FILTERS: usize = 3;
const MAX_DESCENTS: u32 = 2;
const MAX_WAYS: usize = 64;

/// A path that could come to more places of a document is not followed: each is remembered with the way to it.
const MAX_VISITS: usize = 1_000_000;

impl PathCost {
    /// Counts, outside texts in quotes.
    fn of(path: &str) -> Self {
        let mut cost = Self { descents: 0, ways: 1, filters: 0, absolute: 0, is_straight: true };
        let (mut quote, mut is_escaped, mut before) = (None, false, ' ');
        // Of each open bracket or parenthesis: its selectors, and whether it has a filter. Commas in parentheses part arguments.
        let mut open = Vec::<(usize, bool)>::new();
        for (at, c) in path.chars().enumerate() {
            if let Some(end) = quote {
                quote = quote.filter(|_| is_escaped || c != end);
                is_escaped = c == '\\' && !is_escaped;
                continue;
            }
            cost.is_straight &= !"*?:,".contains(c);
            match c {
                '"' | '\'' => quote = Some(c),
                '[' | '(' => open.push((1, false)),
                ']' => {
                    let (selectors, _) = open.pop().unwrap_or((1, false));
                    cost.ways = cost.ways.saturating_mul(selectors);
                }
                ')' => drop(open.pop()),
                ',' => {
                    if let Some((selectors, _)) = open.last_mut() {
                        *selectors += 1;
                    }
                }
                '?' => {
                    if let Some((_, has_filter)) = open.last_mut() {
                        *has_filter = true;
                    }
                }
                '.' if before == '.' => {
                    cost.descents += 1;
                    cost.is_straight = false;
                }
                '$' if at > 0 => cost.absolute += 1,
                _ => {}
            }
            cost.filters =
                cost.filters.max(open.iter().filter(|(_, has_filter)| *has_filter).count());
            before = if c == '.' && before == '.' { ' ' } else { c };
        }
        cost
    }

    /// What of it is too much.
    fn excess(self) -> Option<String> {
        match self {
            Self { filters, .. } if filters > MAX_FILTERS => {
                Some(format!("it has more than {MAX_FILTERS} filters in one another"))
            }
            Self { descents, .. } if descents > MAX_DESCENTS => {
                Some(format!("it has `..` more than {MAX_DESCENTS} times"))
            }
            Self { absolute, .. } if absolute > 0 => {
                Some("it begins again at the root (`$`) within a filter".to_owned())
            }
            Self { ways, .. } if ways > MAX_WAYS => {
                Some(format!("its brackets lead to one place in more than {MAX_WAYS} ways"))
            }
            _ => None,
        }
    }
}

/// The values of a document and its depth.
fn extent(document: &Value) -> (usize, usize) {
    let (mut count, mut deepest, mut open) = (0, 0, vec![(document, 1)]);
    while let Some((value, depth)) = open.pop() {
        count += 1;
        deepest = deepest.max(depth);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(entries) => open.extend(entries.values().map(|value| (value, depth + 1))),
            _ => {}
        }
    }
    (count, deepest)
}

/// One step from a collection into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a sequence.
    Index(usize),
}

impl Query {
    /// The ways to the places of a document; `left` is how many places may still be visited, of which its visits are taken off.
    ///
    /// # Errors
    /// When the document is so large and deep that the path could come to more places than are visited.
    pub fn ways(&self, document: &Value, left: &mut usize) -> Result<Vec<Vec<Step>>, &'static str> {
        let visits = self.visits(document);
        if visits > MAX_VISITS {
            return Err(
                "the path could come to more places here than are visited; write it without `..`",
            );
        }
        let Some(rest) = left.checked_sub(visits) else {
            return Err(
                "the targets of this file come to more places than are visited in a file of its size; write them without `..`, `*` and filters",
            );
        };
        *left = rest;
        let found = self.path.query_located(document);
        let step = |element: &PathElement<'_>| match element {
            PathElement::Name(name) => Step::Key((*name).to_owned()),
            PathElement::Index(index) => Step::Index(*index),
        };
        Ok(found.locations().map(|way| way.iter().map(step).collect()).collect())
    }
}

impl Query {
    /// The most places of a document that the path can come to.
    fn visits(&self, document: &Value) -> usize {
        if self.cost.is_straight {
            return 1;
        }
        let (count, depth) = extent(document);
        // From each of the places that one `..` comes to, the next one comes to all beneath it.
        let descents = self.cost.descents.saturating_sub(1);
        count.saturating_mul(depth.saturating_pow(descents)).saturating_mul(self.cost.ways)
    }
}

/// Reads a policy's targets; problems with the key that they are about.
pub(super) fn read(
    raw: &[RawTarget],
    place: impl Fn(usize, Option<&str>) -> Place,
) -> (Vec<Target>, Vec<Diagnostic>) {
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    for (index, raw) in raw.iter().enumerate() {
        let mut problem =
            |key: &str, problem: Diagnostic| problems.push(problem.at(place(index, Some(key))));
        let files = files(&raw.files).map_err(|why| problem("files", why)).ok();
        let reach = reach(raw).map_err(|(key, why)| problem(key, why)).ok();
        if let (Some(files), Some(reach)) = (files, reach) {
            targets.push(Target { files, reach, place: place(index, None) });
        }
    }
    (targets, problems)
}

fn files(written: &[String]) -> Result<GlobSet, Diagnostic> {
    let mut builder = GlobSetBuilder::new();
    if written.is_empty() {
        return Err(Diagnostic::error(Code::PolicyTarget, "no files are named"));
    }
    for path in written {
        paths::add(&mut builder, path)?;
    }
    builder.build().map_err(|error| Diagnostic::error(Code::PolicyTarget, error.to_string()))
}

fn reach(raw: &RawTarget) -> Result<Reach, (&'static str, Diagnostic)> {
    let wrong = |key, message: &str, help: &str| {
        Err((key, Diagnostic::error(Code::PolicyTarget, message).help(help)))
    };
    match (&raw.path, &raw.r#match, raw.part) {
        (Some(path), None, Some(part)) => {
            query(path).map(|query| Reach::Path(query, part)).map_err(|why| ("path", why))
        }
        (Some(_), None, None) => {
            wrong("path", "`part` is missing", "say what the path leads to, as in `part: tag`")
        }
        (None, Some(pattern), None) => {
            pattern_of(pattern).map(Reach::Match).map_err(|why| ("match", why))
        }
        (None, Some(_), Some(_)) => {
            wrong("part", "`part` goes with `path`", "in a `match`, groups are named as parts")
        }
        (None, None, _) => {
            wrong("files", "neither `path` nor `match` is given", "write one of them")
        }
        (Some(_), Some(_), _) => {
            wrong("match", "`path` and `match` are both given", "write two targets")
        }
    }
}

/// A path as it is written: `image.tag` is short for `$.image.tag`.
fn query(path: &str) -> Result<Query, Diagnostic> {
    let problem = |why: String| Diagnostic::error(Code::PolicyTarget, why);
    if path.len() > MAX_PATH {
        return Err(problem(format!("the path is longer than {MAX_PATH} bytes")));
    }
    let full = match path {
        path if path.starts_with('$') => path.to_owned(),
        path if path.starts_with('[') => format!("${path}"),
        path => format!("$.{path}"),
    };
    let cost = PathCost::of(&full);
    if let Some(why) = cost.excess() {
        return Err(problem(why));
    }
    if let Some(why) = expressions(&full) {
        return Err(problem(why.to_owned()));
    }
    JsonPath::parse(&full).map(|path| Query { path, cost }).map_err(|error| {
        problem(format!("not a path: {error}"))
            .help("as in `image.tag`, `spec.containers[0].image`, or any JSONPath of RFC 9535")
    })
}

/// The reason why the regular expressions of a path cost too much: each is compiled for each place that it looks at, and one that stands
/// in the document is written by whoever writes that.
fn expressions(path: &str) -> Option<&'static str> {
    let calls = ["match(", "search("].iter().flat_map(|name| path.split(name).skip(1));
    calls.map(str::trim_start).find_map(|arguments| {
        let (_, pattern) = arguments.split_once(',')?;
        let pattern = pattern.trim_start();
        let Some(quote) = pattern.chars().next().filter(|c| "'\"".contains(*c)) else {
            return Some("a regular expression in it is no text between quotes");
        };
        let pattern = pattern[1..].split(quote).next().unwrap_or_default();
        let has_class =
            pattern.split('\\').skip(1).any(|rest| rest.starts_with(char::is_alphanumeric));
        match () {
            () if pattern.contains('{') => {
                Some("a regular expression in it repeats something (`{`)")
            }
            () if has_class => {
                Some("a regular expression in it has a class (`\\w`); write `[a-z]`")
            }
            () => None,
        }
    })
}

/// The names of groups.
const GROUPS: [&str; 5] = ["image", "registry", "repository", "tag", "digest"];

fn pattern_of(pattern: &str) -> Result<Regex, Diagnostic> {
    // `^` and `$` are those of lines, whichever way these end.
    let lines = tags::compile(&format!("(?mR){pattern}"))?;
    let named: Vec<&str> = lines.capture_names().flatten().collect();
    let problem = |message: String| Diagnostic::error(Code::PolicyTarget, message);
    let known = GROUPS.join(", ");
    if let Some(unknown) = named.iter().find(|name| !GROUPS.contains(name)) {
        return Err(problem(format!("the group `{unknown}` is no part of an image"))
            .help(format!("name groups {known}, or `(?:…)` for none")));
    }
    if named.is_empty() {
        return Err(problem("no group says what is to be changed".to_owned())
            .help(format!("as in `VERSION=(?<tag>\\S+)`; groups are {known}")));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_cost_too_much_are_refused() {
        let nested =
            |levels: usize| format!("$[?@{}{}", "[?@".repeat(levels - 1), "]".repeat(levels));
        for (path, why) in [
            (nested(3).as_str(), None),
            (nested(4).as_str(), Some("filters")),
            (nested(40).as_str(), Some("filters")),
            ("$..a..b", None),
            ("$..*..*..*", Some("`..`")),
            ("$[?@..a..b..c]", Some("`..`")),
            ("$['..a..b..c', 'x\\'..']", None),
            ("$['a','b','c'][0,1][?@.x == 'y']", None),
            ("$[*,*][*,*][*,*][*,*][*,*][*,*][*,*]", Some("ways")),
            ("$[?match(@.a, 'x')]", None),
            ("$[?search(@, '(a{200}){200}')]", Some("repeats")),
            ("$[?search(@.a, @.b)]", Some("quotes")),
            ("$[?search(@, '\\\\w\\\\w')]", Some("class")),
            ("$[?match(@.a, 'v1\\\\..*')]", None),
            ("$[?$[?@==2]]", Some("root")),
            ("$[?(@[*,*][*,*][*,*][*,*][*,*][*,*][*,*])]", Some("ways")),
        ] {
            let said = query(path).map(drop).map_err(|problem| problem.message);
            assert_eq!(said.is_err(), why.is_some(), "{path}: {said:?}");
            assert!(said.err().is_none_or(|said| said.contains(why.unwrap())), "{path}");
        }
        let many = serde_json::json!(vec![1; 50_000]);
        let deep = (0..90).fold(many, |inner, _| Value::Array(vec![inner]));
        let ways = |path: &str, mut left: usize| query(path).unwrap().ways(&deep, &mut left);
        assert!(ways("$..*..*", usize::MAX).is_err());
        assert_eq!(ways("$..*", 60_000).unwrap().len(), 50_090);
        assert!(ways("$..*", 50_000).unwrap_err().contains("of its size"));
        // What leads to one place costs one, however large the document is.
        assert_eq!(ways("$[0][0]", 1).unwrap().len(), 1);
    }

    #[test]
    fn paths_find_ways_and_short_ones_are_meant_from_the_root() {
        let document =
            serde_json::json!({"a": {"b.c": [{"n": "x", "t": 1}, {"n": "y", "t": 2}]}, "t": 3});
        let ways = |path: &str| query(path).unwrap().ways(&document, &mut 1_000).unwrap();
        let key = |name: &str| Step::Key(name.to_owned());
        let second = [key("a"), key("b.c"), Step::Index(1), key("t")];
        assert_eq!(ways("a['b.c'][1].t"), std::slice::from_ref(&second));
        assert_eq!(ways("$.a['b.c'][?@.n == 'y'].t"), [second]);
        assert_eq!(ways("$..t").len(), 3);
        assert_eq!(ways("none.t"), Vec::<Vec<Step>>::new());
        for bad in ["", "a..", "$[", "a b", &"a.".repeat(1_000)] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_are_parts() {
        assert!(pattern_of(r"^V=(?<tag>\S+)$").unwrap().is_match("a\nV=1\nb"));
        for bad in [r"V=(\S+)", r"V=(?<version>\S+)", "("] {
            assert!(pattern_of(bad).is_err(), "{bad}");
        }
    }
}

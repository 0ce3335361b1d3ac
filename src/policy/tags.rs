//! Reads `tags`: the filters and the one order of a policy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::raw::{Newest, RawTags};
use super::{Calver, Clock, Level, Order, Range, Span, TagRule, Variant};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::image::{Tag, version};

/// The largest compiled size of a regular expression, in bytes.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

/// The longest regular expression, in bytes.
const MAX_PATTERN: usize = 1 << 10;

/// More regular expressions than this are not remembered.
const MAX_KNOWN: usize = 1_000;

/// More regular expressions than this are not read in one list.
const MAX_PATTERNS: usize = 50;

/// The longest `extract`, in bytes.
pub(super) const MAX_TEMPLATE: usize = 256;

/// A problem and the keys below `tags` that lead to it.
type TagsProblem = (Vec<String>, Diagnostic);

/// The rule, and every problem of it. With a problem, the rule is not to be used.
pub(super) fn read(name: &str, raw: &RawTags) -> (Option<TagRule>, Vec<TagsProblem>) {
    let mut problems: Vec<TagsProblem> = Vec::new();
    let mut keep = |result: Result<Regex, Diagnostic>, keys: &[&str]| {
        let keys = || keys.iter().map(|key| (*key).to_owned()).collect();
        result.map_err(|problem| problems.push((keys(), problem))).ok()
    };
    let matcher = raw.r#match.as_deref().and_then(|pattern| keep(compile(pattern), &["match"]));
    let exclude =
        raw.exclude.iter().enumerate().take(MAX_PATTERNS).filter_map(|(index, pattern)| {
            keep(compile(pattern), &["exclude", &index.to_string()]).map(|_| pattern)
        });
    let exclude: Vec<String> = exclude.cloned().collect();
    let exclude = compile_all(&exclude);
    if let Err(problem) = &exclude {
        problems.push((vec!["exclude".to_owned()], problem.clone()));
    }
    if raw.exclude.len() > MAX_PATTERNS {
        let message = format!("more than {MAX_PATTERNS} regular expressions");
        let problem = Diagnostic::error(Code::PolicyInvalidRegex, message);
        problems.push((vec!["exclude".to_owned()], problem.help("join them with `|`")));
    }
    let template = raw.extract.as_deref().and_then(|template| match (&matcher, &raw.r#match) {
        (Some(regex), _) => check_template(template, regex),
        (None, Some(_)) => None,
        (None, None) => Some(unmatched_template()),
    });
    problems.extend(template.map(|problem| (vec!["extract".to_owned()], problem)));
    let order =
        order(raw, name).map_err(|(key, problem)| problems.push((vec![key.to_owned()], problem)));
    problems.extend(versions_only(raw).map(|(key, problem)| (vec![key.to_owned()], problem)));
    let rule = order.ok().map(|order| {
        problems.extend(unmatchable(&order, raw).map(|p| (vec!["semver".to_owned()], p)));
        let only = single(&order, raw).map(|(key, problem)| (vec![key.to_owned()], problem));
        problems.extend(only);
        let is_level = matches!(order, Order::Semver(Span::Level(_)));
        TagRule {
            matcher,
            extract: raw.extract.clone(),
            exclude: exclude.unwrap_or_default(),
            attachments: true,
            order,
            prereleases: raw.prereleases,
            variant: raw.variant.unwrap_or(if is_level { Variant::Keep } else { Variant::Any }),
            numbers_only: false,
        }
    });
    (rule, problems)
}

/// Keys that say something about versions, where something else is ordered.
fn versions_only(raw: &RawTags) -> Option<(&'static str, Diagnostic)> {
    let key = match raw {
        RawTags { semver: Some(_), .. } => return None,
        RawTags { variant: Some(_), .. } => "variant",
        RawTags { prereleases: true, .. } => "prereleases",
        _ => return None,
    };
    let message = format!("`{key}` says something about versions, and needs `semver`");
    Some((key, Diagnostic::error(Code::PolicyInvalidValue, message)))
}

/// A range that no version is in chooses nothing for ever.
fn unmatchable(order: &Order, raw: &RawTags) -> Option<Diagnostic> {
    let Order::Semver(Span::Range(range)) = order else { return None };
    if range.can_match(raw.prereleases) {
        return None;
    }
    let message = format!("no version is in `{range}`");
    let help = "space and comma mean and, `||` means or";
    Some(Diagnostic::warning(Code::PolicyUnmatchable, message).help(help))
}

/// A policy that lets one tag through alone, and does not say so by `fixed`.
fn single(order: &Order, raw: &RawTags) -> Option<(&'static str, Diagnostic)> {
    let (key, text) = match (order, &raw.r#match, &raw.semver) {
        (Order::Fixed(_), ..) => return None,
        (_, Some(pattern), _) if fits_one(pattern) => ("match", pattern),
        (_, _, Some(range)) if version::parse(range.trim_start_matches(['=', ' '])).is_some() => {
            ("semver", range)
        }
        _ => return None,
    };
    let message = format!("`{text}` lets one tag through, so that nothing newer can be chosen");
    let help = "`fixed: TAG` says so; a range such as `^1.4` or a wildcard lets others through";
    Some((key, Diagnostic::warning(Code::PolicyNeverMoves, message).help(help)))
}

/// True if a pattern is a text that a tag has to be as a whole.
fn fits_one(pattern: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    inner.is_some_and(|inner| {
        let mut characters = inner.chars();
        while let Some(c) = characters.next() {
            let is_escaped =
                c == '\\' && characters.next().is_some_and(|c| c.is_ascii_punctuation());
            if !is_escaped && (c == '\\' || ".+*?()|[]{}^$".contains(c)) {
                return false;
            }
        }
        true
    })
}

/// Compiles an expression. Policies of one team share theirs, so those that are known are not compiled
/// again.
pub(super) fn compile(pattern: &str) -> Result<Regex, Diagnostic> {
    static KNOWN: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    if pattern.len() > MAX_PATTERN {
        let message = format!("the regular expression is longer than {MAX_PATTERN} bytes");
        return Err(Diagnostic::error(Code::PolicyInvalidRegex, message));
    }
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known().get(pattern) {
        return Ok(regex.clone());
    }
    let regex = compile_anew(pattern)?;
    let mut known = known();
    if known.len() < MAX_KNOWN {
        known.insert(pattern.to_owned(), regex.clone());
    }
    Ok(regex)
}

fn compile_anew(pattern: &str) -> Result<Regex, Diagnostic> {
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

/// Compiles a list, each by the same limits, and all together.
pub(super) fn compile_all(patterns: &[String]) -> Result<RegexSet, Diagnostic> {
    for pattern in patterns {
        compile(pattern)?;
    }
    RegexSetBuilder::new(patterns).size_limit(REGEX_SIZE_LIMIT).build().map_err(|_error| {
        let message = "these regular expressions are too large together";
        Diagnostic::error(Code::PolicyInvalidRegex, message)
            .help("use fewer, or smaller repetition counts")
    })
}

fn unmatched_template() -> Diagnostic {
    Diagnostic::error(Code::PolicyUnknownGroup, "`extract` needs a `match` to take groups from")
}

/// Checks that every `$group` of a template exists in the regular expression.
fn check_template(template: &str, regex: &Regex) -> Option<Diagnostic> {
    if template.len() > MAX_TEMPLATE {
        let message = format!("`extract` is longer than {MAX_TEMPLATE} bytes");
        return Some(Diagnostic::error(Code::PolicyInvalidValue, message));
    }
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
    let semver = raw.semver.as_deref().map(|text| span(text).map(Order::Semver));
    let calver = raw.calver.as_deref().map(|format| {
        Calver::parse(format).map(Order::Calver).map_err(|error| {
            let problem = Diagnostic::error(Code::PolicyInvalidRange, error.to_string());
            ("calver", problem.help("as in `YYYY.0M.DD.MICRO`, `YYYY0M0D`, `YY.MM`"))
        })
    });
    let newest = raw.newest.map(|newest| match newest {
        Newest::Pushed => Ok(Order::Newest(Clock::Pushed)),
        Newest::Created => Ok(Order::Newest(Clock::Created)),
    });
    let fixed = raw.fixed.as_deref().map(|tag| {
        let problem = || Diagnostic::error(Code::PolicyInvalidTag, format!("`{tag}` is not a tag"));
        Tag::parse(tag).map(Order::Fixed).ok_or_else(|| ("fixed", problem()))
    });
    let numerical = raw.numerical.map(|direction| Ok(Order::Numerical(direction)));
    let alphabetical = raw.alphabetical.map(|direction| Ok(Order::Alphabetical(direction)));
    let mut given = [semver, calver, numerical, alphabetical, newest, fixed].into_iter().flatten();
    let choices = "write one of `semver`, `calver`, `numerical`, `alphabetical`, `newest`, `fixed`";
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

/// A range, or one of the three words.
fn span(text: &str) -> Result<Span, (&'static str, Diagnostic)> {
    match text.trim() {
        "patch" => return Ok(Span::Level(Level::Patch)),
        "minor" => return Ok(Span::Level(Level::Minor)),
        "major" => return Ok(Span::Level(Level::Major)),
        _ => {}
    }
    Range::parse(text).map(Span::Range).map_err(|error| {
        let problem = Diagnostic::error(Code::PolicyInvalidRange, error.to_string());
        let help =
            "as in `>=1.2 <3`, `^1.4`, `~2.1`, `1.x || 2.x`, `>=1.0.0-0`; or `patch`, `minor`, `major`";
        ("semver", problem.help(help))
    })
}

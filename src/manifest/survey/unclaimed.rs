//! Images of policies that stand in a text where no shape, marker or target claims them: somebody may expect them to move,
//! so each is reported with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::mention::{is_part, versioned, words};
use super::super::{Found, Named, Obstructed, Slot, marker, notes};
use super::seen::{OfOthers, Seen};
use super::{ParsedFile, Plain, Survey};
use crate::diagnostic::Place;
use crate::image::Repository;
use crate::policy::{EnvironmentId, PolicyId};

/// Files that nothing runs: what they name is counted, and markers in them are examples.
const DOCUMENTS: [&str; 8] = ["adoc", "htm", "html", "markdown", "md", "mdx", "rst", "txt"];

/// True if a file is for people.
pub(super) fn is_document(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_named = |prefix: &&str| name.starts_with(*prefix);
    DOCUMENTS.iter().any(|one| extension.eq_ignore_ascii_case(one))
        || ["CHANGELOG", "LICENSE", "README"].iter().any(is_named)
}

/// So many references in one line are looked at.
const MAX_IN_LINE: usize = 1000;

/// A reference with a version or a digest, wherever it stands.
struct Mention<'t> {
    reference: &'t str,
    bytes: Range<usize>,
    line: usize,
    repository: Repository,
    policy: PolicyId,
    /// True if it stands in a sentence or a comment.
    is_prose: bool,
}

/// Bytes and lines of a file of which something is known already.
#[derive(Default)]
pub(super) struct Accounted {
    starts: BTreeSet<usize>,
    lines: BTreeSet<usize>,
    /// Scalars that are in the way: where each ends, by where it begins.
    spans: BTreeMap<usize, usize>,
    /// Lines of places that are left alone, by their image.
    left: BTreeMap<Repository, BTreeSet<usize>>,
}

/// Lines around a reported place whose mentions of the same image need no report of their own.
const NEAR: usize = 5;

impl Accounted {
    /// What a file of YAML holds.
    pub(super) fn of(found: &Found) -> Self {
        let mut all = Self::default();
        found.sites.iter().for_each(|site| all.slots(&site.slots));
        found.claimed.iter().for_each(|one| all.slots(&one.slots));
        for Obstructed { named, spot, .. } in &found.obstructed {
            all.spans.insert(spot.span.start, spot.span.end);
            match named {
                Named::Is(repository) => {
                    all.left.entry(repository.clone()).or_default().insert(spot.line);
                }
                Named::Somewhere(_) => drop(all.lines.insert(spot.line)),
            }
        }
        all.lines.extend(found.idle.iter().map(|one| one.line));
        let missed = found.reached.iter().flat_map(|reached| &reached.missed);
        all.lines.extend(missed.map(|(line, _)| *line));
        all
    }

    /// What any other text holds.
    pub(super) fn of_text(plain: &Plain) -> Self {
        let mut all = Self::default();
        plain.claimed.iter().for_each(|one| all.slots(&one.slots));
        all.lines.extend(plain.idle.iter().map(|one| one.line));
        all
    }

    fn slots(&mut self, slots: &[Slot]) {
        self.starts.extend(slots.iter().map(|slot| slot.start));
    }

    fn has(&self, mention: &Mention<'_>) -> bool {
        let Range { start, end } = mention.bytes;
        self.lines.contains(&mention.line)
            || self.starts.range(start..=end).next().is_some()
            || self.spans.range(..=start).next_back().is_some_and(|(_, end)| start < *end)
            || self.left.get(&mention.repository).is_some_and(|lines| {
                let near = mention.line.saturating_sub(NEAR)..=mention.line + NEAR;
                lines.range(near).next().is_some()
            })
    }
}

impl Survey<'_> {
    /// Notes a file that something else writes, where it names images of policies; true if it is one.
    pub(super) fn is_of_others(
        &self,
        path: &str,
        text: &str,
        environment: EnvironmentId,
        found: &Found,
        seen: &mut Seen,
    ) -> bool {
        let paths = &self.set.environments[environment].paths;
        let Some(writer) = paths.writer(path, text) else { return false };
        let lookup = &self.lookup[environment];
        let sites = found.sites.iter().filter(|site| lookup.contains_key(&site.repository));
        let line = sites.map(|site| site.line).next();
        let line = line.or_else(|| Some(self.mentions(text, environment).first()?.line));
        seen.of_others = line.map(|line| {
            let place = Place { line, column: 1, ..Place::of_file(path) };
            OfOthers { place, writer }
        });
        true
    }

    /// Reports what a file of YAML names besides.
    pub(super) fn unclaimed(
        &self,
        ParsedFile { path, text, stream }: ParsedFile<'_>,
        environment: EnvironmentId,
        accounted: &Accounted,
        seen: &mut Seen,
    ) {
        let mut by_policy: BTreeMap<PolicyId, Vec<Mention<'_>>> = BTreeMap::new();
        let comments = stream.comments();
        let is_comment = |at: usize| {
            let next = comments.partition_point(|comment| comment.start() <= at);
            let before = next.checked_sub(1).map(|index| comments[index].start());
            before.is_some_and(|start| !text[start..at].contains('\n'))
        };
        for mention in self.mentions(text, environment) {
            if accounted.has(&mention) {
                continue;
            }
            if mention.is_prose || is_comment(mention.bytes.start) {
                seen.prose(Place { line: mention.line, column: 1, ..Place::of_file(path) });
            } else {
                by_policy.entry(mention.policy).or_default().push(mention);
            }
        }
        for (policy, mentions) in by_policy {
            let lines: BTreeSet<usize> = mentions.iter().map(|mention| mention.line).collect();
            let name = &self.set.policies[policy].name;
            let lines: Vec<usize> = lines.into_iter().collect();
            let reference = mentions.first().map_or("", |mention| mention.reference);
            seen.problems.push(notes::unclaimed(path, name, reference, &lines));
        }
    }

    /// Remembers what a file names that is not read as YAML.
    pub(super) fn unread(
        &self,
        path: &str,
        text: &str,
        environment: EnvironmentId,
        accounted: &Accounted,
        seen: &mut Seen,
    ) {
        let writer = self.set.environments[environment].paths.writer(path, text);
        for mention in self.mentions(text, environment) {
            let place = Place { line: mention.line, column: 1, ..Place::of_file(path) };
            if accounted.has(&mention) {
                continue;
            }
            if let Some(writer) = writer {
                seen.of_others.get_or_insert(OfOthers { place, writer });
            } else if is_document(path) || mention.is_prose {
                seen.prose(place);
            } else {
                seen.unread.push(place);
            }
        }
    }

    /// True if a text names the image of a policy, with whatever behind it.
    pub(super) fn names_any(&self, text: &str, environment: EnvironmentId) -> bool {
        let is_in = |repository: &Repository| {
            let path = repository.path();
            let path = path.strip_prefix("library/").unwrap_or(path);
            let mut found = text.match_indices(path);
            found.any(|(at, _)| {
                let (before, behind) = (&text[..at], &text[at + path.len()..]);
                !before.ends_with(|c: char| is_part(c) && c != '/')
                    && !behind.starts_with(|c: char| is_part(c) && !":@".contains(c))
            })
        };
        self.lookup[environment].keys().any(|repository| is_in(repository))
    }

    /// The references to images of an environment's policies in a text, in its order, but for those that are silenced.
    fn mentions<'t>(&self, text: &'t str, environment: EnvironmentId) -> Vec<Mention<'t>> {
        let lookup = &self.lookup[environment];
        let policy = |repository: &Repository| lookup.get(repository)?.first().copied();
        let (mut found, mut at) = (Vec::new(), 0);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let first = found.len();
            let words = words(line).filter_map(|(start, word)| {
                let repository = versioned(word)?.repository;
                let policy = policy(&repository)?;
                let bytes = at + start..at + start + word.len();
                let is_prose = is_prose(&line[..start], &line[start + word.len()..]);
                let line = index + 1;
                Some(Mention { reference: word, bytes, line, repository, policy, is_prose })
            });
            found.extend(words.take(MAX_IN_LINE));
            if found.len() > first && marker::is_ignored_at(line, 0) {
                found.truncate(first);
            }
            if is_comment(line) {
                found[first..].iter_mut().for_each(|mention| mention.is_prose = true);
            }
            at += line.len();
        }
        found
    }
}

/// True if a line is a comment in one of the languages that people write such files in.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    ["#", "//", "/*", "* ", "--", ";"].iter().any(|mark| line.starts_with(mark))
}

/// Words before an image in a command.
const COMMANDS: [&str; 8] = ["create", "exec", "from", "image", "inspect", "pull", "run", "start"];

/// True if a reference stands in a sentence: words are around it, and it is not what a command takes.
fn is_prose(before: &str, behind: &str) -> bool {
    let rest = behind.trim_start_matches(['.', ':', '-', '/']);
    let words = rest.trim_start();
    let goes_on = words.len() < rest.len() && words.starts_with(|c: char| c.is_alphabetic());
    let front = before.trim_end();
    let last = front.rsplit([' ', '\t', '"', '\'']).next().unwrap_or_default();
    let is_word =
        front.len() < before.len() && last.ends_with(|c: char| c.is_alphabetic() || c == ',');
    let is_command = COMMANDS.iter().any(|command| last.eq_ignore_ascii_case(command));
    goes_on && is_word && !is_command && !last.starts_with('-')
}

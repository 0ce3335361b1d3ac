//! Images of policies that stand in a text where no shape, marker or target claims them: somebody may expect them to move,
//! so each is told by its line.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::{Found, Named, Obstacle, Slot, marker, notes};
use super::seen::{OfOthers, Seen};
use super::{Plain, Survey};
use crate::diagnostic::Place;
use crate::image::{Reference, Repository, Tag};
use crate::yaml::Stream;

/// Files that nothing runs: what they name is counted, and markers in them are examples.
const DOCUMENTS: [&str; 8] = ["adoc", "htm", "html", "markdown", "md", "mdx", "rst", "txt"];

/// A bare name with a number from here on is a host with a port, as `redis:6379`.
const FIRST_PORT: u32 = 1000;

/// True if a file is for people.
pub(super) fn is_document(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_named = |prefix: &&str| name.starts_with(*prefix);
    DOCUMENTS.iter().any(|one| extension.eq_ignore_ascii_case(one))
        || ["CHANGELOG", "LICENSE", "README"].iter().any(is_named)
}

/// A reference with a version or a digest, wherever it stands.
struct Mention<'t> {
    reference: &'t str,
    bytes: Range<usize>,
    line: usize,
    repository: Repository,
    policy: usize,
    /// True if text goes on behind it, as in a sentence.
    is_prose: bool,
}

/// Bytes and lines of a file of which something is known already.
#[derive(Default)]
pub(super) struct Accounted {
    starts: BTreeSet<usize>,
    lines: BTreeSet<usize>,
    /// Scalars that are in the way.
    spans: Vec<Range<usize>>,
    /// Images of which a key stands twice.
    repeated: Vec<Repository>,
}

impl Accounted {
    /// What a file of YAML holds.
    pub(super) fn of(found: &Found) -> Self {
        let mut all = Self::default();
        found.sites.iter().for_each(|site| all.slots(&site.slots));
        found.claimed.iter().for_each(|one| all.slots(&one.slots));
        all.lines.extend(found.obstructed.iter().map(|one| one.spot.line));
        all.spans.extend(found.obstructed.iter().map(|one| one.spot.span.clone()));
        let repeated = found.obstructed.iter().filter(|one| one.obstacle == Obstacle::Repeated);
        all.repeated.extend(repeated.filter_map(|one| match &one.named {
            Named::Is(repository) => Some(repository.clone()),
            Named::Somewhere(_) => None,
        }));
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
            || self.spans.iter().any(|span| span.contains(&start))
            || self.repeated.contains(&mention.repository)
    }
}

impl Survey<'_> {
    /// Notes a file that something else writes, where it names images of policies; true if it is one.
    pub(super) fn is_of_others(
        &self,
        (path, text): (&str, &str),
        environment: usize,
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
        (path, text, stream): (&str, &str, &Stream),
        environment: usize,
        accounted: &Accounted,
        seen: &mut Seen,
    ) {
        let mut by_policy: BTreeMap<usize, Vec<Mention<'_>>> = BTreeMap::new();
        let comments = stream.comments();
        let is_comment = |at: usize| {
            let next = comments.partition_point(|comment| comment.start() <= at);
            let before = next.checked_sub(1).map(|index| comments[index].start());
            before.is_some_and(|start| !text[start..at].contains('\n'))
        };
        for mention in self.mentions(text, environment) {
            if accounted.has(&mention) || stream.comments_on(mention.line).any(marker::is_ignore) {
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
        environment: usize,
        accounted: &Accounted,
        seen: &mut Seen,
    ) {
        let writer = self.set.environments[environment].paths.writer(path, text);
        for mention in self.mentions(text, environment) {
            let place = Place { line: mention.line, column: 1, ..Place::of_file(path) };
            if accounted.has(&mention) || marker::is_ignored_at(text, mention.bytes.start) {
                continue;
            }
            let start = text[..mention.bytes.start].rfind('\n').map_or(0, |end| end + 1);
            let line = text[start..].trim_start();
            let is_comment = ["#", "//", "/*", "* ", "--", ";"].iter().any(|c| line.starts_with(c));
            if let Some(writer) = writer {
                seen.of_others.get_or_insert(OfOthers { place, writer });
            } else if is_document(path) || is_comment {
                seen.prose(place);
            } else {
                seen.unread.push(place);
            }
        }
    }

    /// True if a text names the image of a policy, with whatever behind it.
    pub(super) fn names_any(&self, text: &str, environment: usize) -> bool {
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

    /// The references to images of an environment's policies in a text, in its order.
    fn mentions<'t>(&self, text: &'t str, environment: usize) -> Vec<Mention<'t>> {
        let lookup = &self.lookup[environment];
        let policy = |repository: &Repository| lookup.get(repository)?.first().copied();
        let (mut found, mut line, mut counted) = (Vec::new(), 1, 0);
        for (start, word) in words(text) {
            let Some(reference) = versioned(word) else { continue };
            let Some(policy) = policy(&reference.repository) else { continue };
            line += text[counted..start].matches('\n').count();
            counted = start;
            let bytes = start..start + word.len();
            let is_prose = is_prose(&text[bytes.end..]);
            let repository = reference.repository;
            found.push(Mention { reference: word, bytes, line, repository, policy, is_prose });
        }
        found
    }
}

/// What may be a reference in a text, with where it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let runs = text.split(|c: char| !is_part(c)).filter(|run| run.contains([':', '@']));
    runs.filter_map(move |run| {
        // `docker://`, `oci://`.
        let word = run.rsplit_once("://").map_or(run, |(_, word)| word);
        let word = word.trim_end_matches(['.', ':', '-', '/']).trim_start_matches('-');
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        word.contains([':', '@']).then_some((start, word))
    })
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-/:@".contains(c)
}

/// A reference with a digest, or with a tag that has a digit.
fn versioned(word: &str) -> Option<Reference> {
    let reference = Reference::parse(word)?;
    let has_digit = |tag: &Tag| tag.as_str().bytes().any(|b| b.is_ascii_digit());
    let is_port = |tag: &Tag| tag.as_str().parse().is_ok_and(|port: u32| port >= FIRST_PORT);
    let is_host = !word.contains('/') && reference.tag.as_ref().is_some_and(is_port);
    let is_version = reference.digest.is_some() || reference.tag.as_ref().is_some_and(has_digit);
    (is_version && !is_host).then_some(reference)
}

/// True if a sentence goes on behind a reference.
fn is_prose(behind: &str) -> bool {
    let line = behind.lines().next().unwrap_or_default();
    let rest = line.trim_start_matches(['.', ':', '-', '/']);
    let words = rest.trim_start();
    words.len() < rest.len() && words.starts_with(|c: char| c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let digest = format!("r.io/a/b@sha256:{}", "a".repeat(64));
        let cases = [
            ("--sidecar-image=r.io/a/b:1.2.3", vec!["r.io/a/b:1.2.3"]),
            ("uses: docker://r.io/a/b:v1", vec!["r.io/a/b:v1"]),
            ("{\"image\": \"a/b:1\", 'x': 'c/d:2'}", vec!["a/b:1", "c/d:2"]),
            ("FROM --platform=x a/b:1 AS c", vec!["a/b:1"]),
            ("We ran a/b:1.2.3. Then", vec!["a/b:1.2.3"]),
            (&digest, vec![digest.as_str()]),
            ("url: redis:6379", vec![]),
            ("image: redis:7", vec!["redis:7"]),
            ("a/b:latest, key: value, 10:30", vec![]),
        ];
        for (text, want) in cases {
            let known = |word: &&str| versioned(word).is_some();
            let got: Vec<&str> = words(text).map(|(_, word)| word).filter(known).collect();
            let got: Vec<&str> = got.into_iter().filter(|word| !word.starts_with("10")).collect();
            assert_eq!(got, want, "{text}");
        }
    }
}

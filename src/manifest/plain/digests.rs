//! Digests beside claimed tags in a text that nothing parses: the lines around a tag say what belongs to it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::claim::{Claimed, Taken};
use super::super::marker;
use crate::image::{Digest, Reference};

/// Lines of a paragraph further from a tag than this are of something else.
const NEAR: usize = 5;

/// A digest of a text.
struct Written {
    /// Its bytes, with what says the algorithm.
    bytes: Range<usize>,
    /// Its line, from 1.
    line: usize,
}

/// Puts claimed digests to the tags of their policies that they are nearest to, and notes digests that nobody claims and
/// that would stay as they are beside a tag that moves.
pub(super) fn look_beside(text: &str, taken: &Taken, claimed: Vec<Claimed>) -> Vec<Claimed> {
    let is_alone =
        |one: &Claimed| one.mapping.is_none() && one.slots.iter().all(|slot| slot.part.is_digest());
    // Most files have neither tags nor digests that anybody claims.
    if claimed.is_empty() {
        return claimed;
    }
    let (written, lines) = (all(text), Lines::of(text));
    let (alone, mut others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(is_alone);
    let left = paired(alone, &mut others, &lines);
    for one in others.iter_mut().filter(|one| is_open(one)) {
        let mut near = written.iter().filter(|digest| lines.are_near(one.line, digest.line));
        let stays = near.find(|digest| taken.is_free_at(&digest.bytes));
        one.stays = one.stays.or(stays.map(|digest| digest.line));
    }
    others.extend(left);
    others
}

/// True if a place has a tag and no digest.
fn is_open(one: &Claimed) -> bool {
    one.mapping.is_none() && one.tag.is_some() && one.digest.is_none()
}

/// Puts claimed digests to tags, in their order: as many as there are tags belong to these one by one, the tag first; else each
/// belongs to the nearest. What fits several holds them. Returns those that belong to no tag.
fn paired(alone: Vec<Claimed>, others: &mut [Claimed], lines: &Lines) -> Vec<Claimed> {
    let mut left = Vec::new();
    let mut by_policy: BTreeMap<String, Vec<Claimed>> = BTreeMap::new();
    for digest in alone {
        by_policy.entry(digest.policy.clone()).or_default().push(digest);
    }
    for (policy, mut digests) in by_policy {
        digests.sort_by_key(|digest| digest.line);
        let is_its = |one: &Claimed| one.policy == policy && is_open(one);
        let mut tags: Vec<usize> = (0..others.len()).filter(|at| is_its(&others[*at])).collect();
        tags.sort_by_key(|at| others[*at].line);
        if tags.is_empty() {
            left.extend(digests);
        } else if tags.len() == digests.len() {
            for (at, digest) in tags.into_iter().zip(digests) {
                others[at].join(digest);
            }
        } else {
            left.extend(digests.into_iter().filter_map(|it| nearest(&tags, it, others, lines)));
        }
    }
    left
}

/// Puts a digest to the open tag that is nearest; where there are several, or it is near none, it holds them all, and is returned.
fn nearest(
    tags: &[usize],
    digest: Claimed,
    others: &mut [Claimed],
    lines: &Lines,
) -> Option<Claimed> {
    let open = tags.iter().copied().filter(|at| is_open(&others[*at]));
    let near = open.filter(|at| lines.are_near(others[*at].line, digest.line));
    let near: Vec<(usize, usize)> =
        near.map(|at| (others[at].line.abs_diff(digest.line), at)).collect();
    let least = near.iter().map(|(steps, _)| *steps).min();
    let near = near.into_iter().filter(|(steps, _)| Some(*steps) == least);
    let mut best: Vec<usize> = near.map(|(_, at)| at).collect();
    if let [at] = best[..] {
        others[at].join(digest);
        return None;
    }
    if best.is_empty() {
        best = tags.to_vec();
    }
    for at in best {
        others[at].stays = Some(digest.line);
    }
    Some(digest)
}

/// The blank lines of a text, which end paragraphs.
struct Lines {
    blank: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let lines = text.lines().enumerate();
        let blank = lines.filter(|(_, line)| line.trim().is_empty()).map(|(at, _)| at + 1);
        Self { blank: blank.collect() }
    }

    fn are_near(&self, one: usize, other: usize) -> bool {
        let between = one.min(other)..one.max(other);
        let at = self.blank.partition_point(|line| *line < between.start);
        let is_apart = self.blank.get(at).is_some_and(|line| *line < between.end);
        between.len() <= NEAR && !is_apart
    }
}

/// The digests of a text, but for those of whole references, and of lines that are to be ignored.
fn all(text: &str) -> Vec<Written> {
    let mut found = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        for bytes in digests(line) {
            let is_own = !is_of_reference(&line[..bytes.start])
                && !marker::is_ignored_at(text, start + bytes.start);
            if is_own {
                let bytes = start + bytes.start..start + bytes.end;
                found.push(Written { bytes, line: index + 1 });
            }
        }
        start += line.len();
    }
    found
}

/// The bytes of the digests of a line.
pub(super) fn digests(line: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| Digest::from_hex(word).is_some()).map(|word| {
        let at = word.as_ptr() as usize - line.as_ptr() as usize;
        let start = line[..at].strip_suffix("sha256:").map_or(at, str::len);
        start..at + word.len()
    })
}

/// True if a text ends with a reference that names its own image, as `debian:12@`.
fn is_of_reference(before: &str) -> bool {
    let Some(before) = before.strip_suffix('@') else { return false };
    let word = before.rsplit(|c: char| c.is_whitespace() || "\"'=(".contains(c)).next();
    word.is_some_and(|word| Reference::parse(word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_digests_that_stand_alone() {
        let hex = "a".repeat(64);
        let cases = [
            (format!("X=sha256:{hex}"), Some(2..73)),
            (format!("\"{hex}\""), Some(1..65)),
            (format!("{hex}0"), None),
            (format!("x{hex}"), None),
        ];
        for (line, want) in cases {
            assert_eq!(digests(&line).next(), want, "{line}");
        }
        assert_eq!(all(&format!("FROM debian:12@sha256:{hex}\n")).len(), 0);
        assert_eq!(all(&format!("FROM a/b:${{V}}@sha256:{hex}\n")).len(), 1);
        assert_eq!(all(&format!("X={hex} # tagalong: ignore\n")).len(), 0);
    }

    #[test]
    fn a_blank_line_ends_what_belongs_together() {
        let lines = Lines::of("1\n2\n\n4\n5\n6\n7\n8\n9\n10\n");
        let cases = [(1, 2, true), (2, 4, false), (4, 9, true), (4, 10, false), (9, 4, true)];
        for (one, other, want) in cases {
            assert_eq!(lines.are_near(one, other), want, "{one} {other}");
        }
    }
}

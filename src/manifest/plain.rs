//! Files that are not YAML, such as Helm's templates: marked lines, each read by itself, and what
//! targets match.

mod digests;

use super::claim::{self, Claim, Parent, Taken};
use super::marker::{self, Idle, Idleness, Markers};
use super::mention::{versioned, words};
use super::target::{self, Aim, Effort, Reached};
use super::{Claimed, Part, Scalar, Scalars, Slot, is_candidate};
use crate::image::Shape;
use crate::yaml::{Data, Stream, Style};

/// A longer line is nobody's image.
const MAX_LINE: usize = 10_000;

/// What a text names.
#[derive(Default)]
pub(super) struct Plain {
    pub(super) claimed: Vec<Claimed>,
    pub(super) scalars: Scalars,
    pub(super) idle: Vec<Idle>,
    /// What each target reaches.
    pub(super) reached: Vec<Reached>,
}

/// Looks through a text.
pub(super) fn find(path: &str, text: &str, aims: &[Aim<'_>]) -> Plain {
    let is_template = is_template(path);
    let mut plain = Plain::default();
    let mut claims = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if marker::is_in(line) {
            marked_line(line, start, index + 1, &mut claims, &mut plain);
        }
        start += line.len();
    }
    let mut taken = Taken::default();
    for claim in &claims {
        taken.take(&claim.slot);
    }
    let (mut aimed, mut effort) = (Vec::new(), Effort::of(text));
    for aim in aims {
        let mut reached = target::in_text(*aim, text, &mut effort);
        reached.yield_to(&mut taken);
        for claim in &reached.claims {
            let style = is_template.then(|| style_at(text, &claim.slot)).flatten();
            let scalar = Scalar { value: claim.text.as_str().into(), style };
            plain.scalars.insert(claim.slot.node, scalar);
        }
        aimed.extend(reached.claims.iter().cloned());
        plain.reached.push(reached);
    }
    let claimed = claim::group(aimed).into_iter().chain(claim::group(claims)).collect();
    plain.claimed = digests::look_beside(text, &taken, claimed);
    plain
}

/// True if a file becomes YAML when it is filled in, by its path.
fn is_template(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    is_candidate(path) || ["gotmpl", "j2", "jinja", "tmpl", "tpl"].contains(&extension)
}

/// Style of a piece that is all of a value: plain, so that YAML gives it a type. `None` for anything else.
fn style_at(text: &str, slot: &Slot) -> Option<Style> {
    let end = slot.start + slot.range.len();
    let before = text[..slot.start].rsplit('\n').next().unwrap_or_default();
    let behind = text[end..].lines().next().unwrap_or_default().trim_end();
    let begins = before.ends_with(": ") || before.trim_start() == "- ";
    (begins && (behind.is_empty() || behind.starts_with(" #"))).then_some(Style::Plain)
}

/// Reads a line by itself. It is clear what is meant when it is a mapping's entry, or an item of a
/// list, whose value has the marker and is no template.
fn marked_line(
    line: &str,
    start: usize,
    number: usize,
    claims: &mut Vec<Claim>,
    plain: &mut Plain,
) {
    let bare = line.trim_end_matches(['\n', '\r']);
    let margin = bare.len() - bare.trim_start_matches([' ', '\t']).len();
    let content = &bare[margin..];
    let unclear = Idle { line: number, why: Idleness::Unclear };
    if let Some(comment) = content.strip_prefix('#') {
        // A line that was commented out says nothing; a marker for the next line would.
        return plain.idle.extend(marker::is_marker(comment).then_some(unclear));
    }
    let Some(stream) = Stream::parse(content).ok().filter(|_| content.len() <= MAX_LINE) else {
        return match marked_word(line, start, number) {
            Some((claim, scalar)) => {
                plain.scalars.insert(claim.slot.node, scalar);
                claims.push(claim);
            }
            None => plain.idle.push(unclear),
        };
    };
    let Markers { claims: found, idle, .. } = marker::find(content, &stream);
    if found.is_empty()
        && let Some((claim, scalar)) = marked_word(line, start, number)
    {
        plain.scalars.insert(claim.slot.node, scalar);
        return claims.push(claim);
    }
    // It stands within a value.
    if found.is_empty() && idle.is_empty() && marker::lines_in(content).next().is_some() {
        plain.idle.push(unclear);
    }
    plain.idle.extend(idle.into_iter().map(|idle| Idle { line: number, ..idle }));
    let scalars =
        stream.nodes().filter(|(_, node)| matches!(node.data, Data::Scalar { .. })).count();
    for claim in found {
        // A key and its value, or an item alone.
        if scalars > 2 || claim.text.contains("{{") {
            plain.idle.push(unclear);
            continue;
        }
        let start = start + margin + claim.slot.start;
        let scalar = Scalar::of(&stream, claim.slot.node);
        plain.scalars.extend(scalar.map(|scalar| (start, scalar)));
        let slot = Slot { node: start, start, line: number, ..claim.slot };
        claims.push(Claim { slot, parent: Parent::Text(start), ..claim });
    }
}

/// What begins a comment in the languages that people write such files in.
const COMMENTS: [&str; 6] = ["#", "//", "--", ";", "/*", "<!--"];

/// The reference, or the version, that a line of any language has a marker for: the only one of its kind before the comment.
fn marked_word(line: &str, start: usize, number: usize) -> Option<(Claim, Scalar)> {
    if line.len() > MAX_LINE {
        return None;
    }
    let at = line.rfind("tagalong:")?;
    let front = line[..at].trim_end();
    let mark = COMMENTS.iter().find(|mark| front.ends_with(**mark))?;
    let comment = line[at..].trim_end().trim_end_matches("*/").trim_end_matches("-->");
    let (policy, part) = marker::own(comment)?;
    let front = &front[..front.len() - mark.len()];
    let fits = |word: &str| match part {
        Part::Whole => versioned(word).is_some(),
        Part::Tag => Shape::parse(word).is_some(),
        Part::Digest => true,
        _ => false,
    };
    let whole = words(front).filter(|_| part == Part::Whole);
    let tags = front.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let tags = tags.map(|tag| (tag.as_ptr() as usize - front.as_ptr() as usize, tag));
    let digests = digests::digests(front).filter(|_| part == Part::Digest);
    let digests = digests.map(|bytes| (bytes.start, &front[bytes]));
    let words = whole.chain(tags.filter(|_| part == Part::Tag)).chain(digests);
    let mut found = words.filter(|(_, word)| fits(word));
    let (word_at, word) = found.next().filter(|_| !front.contains("{{"))?;
    let slot = Slot {
        part,
        node: start + word_at,
        range: 0..word.len(),
        start: start + word_at,
        line: number,
        inner: None,
        is_missing: false,
    };
    let scalar = Scalar { value: word.into(), style: None };
    let parent = Parent::Text(start + word_at);
    let is_only = found.next().is_none();
    is_only.then(|| (Claim { policy, slot, text: word.to_owned(), parent }, scalar))
}

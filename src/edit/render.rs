//! What to write into the slots of a site, in the way that the site is written.

use std::ops::Range;

use super::Edit;
use crate::image::{Digest, Tag};
use crate::manifest::{Inner, Part, Site, Slot};
use crate::policy::DigestMode;
use crate::yaml::{NodeId, Resolved, Stream, Style, resolve, same_but_for};

/// What a site is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The image's name as the policy writes it, for markers that ask for it.
    pub name: &'a str,
    /// The tag.
    pub tag: &'a Tag,
    /// The digest behind it, where one is wanted.
    pub digest: Option<&'a Digest>,
    /// What happens to digests.
    pub mode: DigestMode,
}

/// A scalar whose source does not hold its value as it stands: escapes, folded lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text on line {line} is written with escapes or over several lines")]
pub struct Unwritable {
    /// Its line, from 1.
    pub line: usize,
}

/// The edits that make a site hold its target; none for slots that hold it already.
///
/// # Errors
/// When one slot cannot be written; the site is then left alone as a whole.
pub fn edits(
    text: &str,
    stream: &Stream,
    site: &Site,
    target: Target<'_>,
) -> Result<Vec<Edit>, Unwritable> {
    let mut edits = Vec::new();
    for slot in &site.slots {
        let value = stream.text(slot.node).unwrap_or_default();
        let old = &value[slot.range.clone()];
        let new = slot_text(slot, old, site, target);
        if new != old {
            let edit = write(text, stream, slot, &new);
            edits.push(edit.ok_or(Unwritable { line: stream.node(slot.node).line })?);
        }
    }
    Ok(edits)
}

/// The new content of a slot.
fn slot_text(slot: &Slot, old: &str, site: &Site, target: Target<'_>) -> String {
    let separate = site.slots.iter().any(|slot| slot.part == Part::Digest);
    let wanted = match target.mode {
        DigestMode::Pin => !separate || old.contains('@'),
        DigestMode::Keep => old.contains('@'),
        DigestMode::Drop => old.contains('@') && site.tag.is_none(),
    };
    // A marker says which part a scalar holds; nothing is added to it.
    let wanted = match (site.marked.is_some(), slot.part) {
        (true, Part::Whole) => {
            target.mode == DigestMode::Pin || target.mode == DigestMode::Keep && old.contains('@')
        }
        (true, Part::Tag) => wanted && old.contains('@'),
        _ => wanted,
    };
    let digest = target.digest.filter(|_| wanted).map(|digest| format!("@{digest}"));
    let digest = digest.unwrap_or_default();
    match slot.part {
        Part::Suffix if site.tag.is_some() || target.mode == DigestMode::Pin => {
            format!(":{}{digest}", target.tag)
        }
        Part::Suffix => digest,
        Part::Tag => format!("{}{digest}", target.tag),
        Part::Whole => format!("{}:{}{digest}", target.name, target.tag),
        Part::Name => target.name.to_owned(),
        Part::Digest => digest_alone(old, site, target),
    }
}

fn digest_alone(old: &str, site: &Site, target: Target<'_>) -> String {
    match target.mode {
        DigestMode::Drop if site.tag.is_some() && site.marked.is_none() => String::new(),
        DigestMode::Drop => old.to_owned(),
        DigestMode::Keep if Digest::parse(old).is_none() && site.marked.is_none() => old.to_owned(),
        _ => target.digest.map_or_else(|| old.to_owned(), Digest::to_string),
    }
}

/// Replaces a slot, quoting the scalar where the plain text would get another type.
fn write(text: &str, stream: &Stream, slot: &Slot, new: &str) -> Option<Edit> {
    let node = stream.node(slot.node);
    let value = stream.text(slot.node)?;
    let edit = |span: Range<usize>, new: String, within: Range<usize>, into: String| Edit {
        line: node.line,
        old: text[span.clone()].to_owned(),
        span,
        new,
        node: slot.node,
        within,
        text: into,
    };
    if let Some(inner) = &slot.inner {
        let (within, new) = write_inner(value, slot, inner, new)?;
        let span = in_block(text, stream, slot.node, within.clone())?;
        return Some(edit(span, new.clone(), within, new));
    }
    let (start, style) = locate(text, stream, slot.node)?;
    let full = [&value[..slot.range.start], new, &value[slot.range.end..]].concat();
    if style == Style::Plain && plain_or_quoted(value, &full) != full {
        let quoted = plain_or_quoted(value, &full);
        return Some(edit(node.span.clone(), quoted, slot.range.clone(), new.to_owned()));
    }
    let old = &value[slot.range.clone()];
    // The colon of `:tag` stays where it is on both sides of most changes.
    let same = usize::from(old.starts_with(':') && new.starts_with(':'));
    let span = start + slot.range.start + same..start + slot.range.end;
    Some(edit(span, new[same..].to_owned(), slot.range.clone(), new.to_owned()))
}

/// Replaces a piece of a scalar within a text that is YAML itself, by the same rule for plain ones;
/// the text must be the same YAML afterwards, but for that scalar.
fn write_inner(
    text: &str,
    slot: &Slot,
    inner: &Inner,
    new: &str,
) -> Option<(Range<usize>, String)> {
    let raw = &text[inner.raw.clone()];
    let at = slot.range.start - inner.raw.start..slot.range.end - inner.raw.start;
    let full = [&raw[..at.start], new, &raw[at.end..]].concat();
    let is_quoted = inner.is_plain && plain_or_quoted(raw, &full) != full;
    let (within, new) = if is_quoted {
        (inner.raw.clone(), plain_or_quoted(raw, &full))
    } else {
        (slot.range.clone(), new.to_owned())
    };
    let mut after = text.to_owned();
    after.replace_range(within.clone(), &new);
    let (before, after) = (Stream::parse(text).ok()?, Stream::parse(&after).ok()?);
    let changed = before.nodes().find(|(_, node)| node.span == inner.raw)?.0;
    let value = before.text(changed)?;
    let quotes = usize::from(!inner.is_plain);
    let (start, end) = (at.start - quotes, at.end - quotes);
    let unquoted = if is_quoted {
        full[..].to_owned()
    } else {
        [&value[..start], &new, &value[end..]].concat()
    };
    let expected = |node: NodeId| (node == changed).then(|| unquoted.clone());
    same_but_for(&before, &after, &expected).ok()?;
    Some((within, new))
}

/// Where a piece of one line of a literal block scalar stands in the file: behind its indentation.
fn in_block(
    text: &str,
    stream: &Stream,
    node: NodeId,
    within: Range<usize>,
) -> Option<Range<usize>> {
    let value = stream.text(node)?;
    let span = stream.node(node).span.clone();
    let line_start = value[..within.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = value[line_start..].find('\n').map_or(value.len(), |at| line_start + at);
    let line = value.get(line_start..line_end).filter(|_| within.end <= line_end)?;
    let index = value[..line_start].matches('\n').count();
    let mut at = span.start;
    // A block begins where its first line's content does.
    for (number, raw) in text.get(span)?.split_inclusive('\n').enumerate() {
        if number == index {
            let bare = raw.trim_end_matches(['\n', '\r']);
            let indent = bare.strip_suffix(line)?;
            let is_literal = indent.bytes().all(|b| b == b' ');
            let start = at + indent.len() + within.start - line_start;
            return is_literal.then_some(start..start + within.len());
        }
        at += raw.len();
    }
    None
}

/// Where a scalar's value begins in the text, when it stands there as it is.
fn locate(text: &str, stream: &Stream, node: NodeId) -> Option<(usize, Style)> {
    let span = stream.node(node).span.clone();
    let value = stream.text(node)?;
    let raw = text.get(span.clone())?;
    let crate::yaml::Data::Scalar { style, .. } = stream.node(node).data else { return None };
    let offset = match style {
        Style::Plain => (raw == value).then_some(0),
        Style::SingleQuoted | Style::DoubleQuoted => {
            (raw.get(1..raw.len() - 1)? == value).then_some(1)
        }
        Style::Block => {
            let line = value.trim_end_matches('\n');
            raw.find(line).filter(|at| !line.is_empty() && raw.rfind(line) == Some(*at))
        }
    }?;
    Some((span.start + offset, style))
}

/// The one rule for plain scalars: text stays text, and a number stays plain only when it is of the
/// type it replaces and a program that reads it as a number prints the same characters again.
///
/// `11.8` → `11.9` stays plain; `0.4` → `0.10` is quoted, because a float would print `0.1`, and so is
/// `1.2.3` → `1.3`, which was text and would become a float.
fn plain_or_quoted(old: &str, new: &str) -> String {
    let (before, after) = (resolve(old), resolve(new));
    let prints_alike = match after {
        Resolved::Int => !new.starts_with('0') && new.parse::<u64>().is_ok(),
        Resolved::Float => {
            let digits = new.split_once('.');
            digits.is_some_and(|(whole, fraction)| {
                whole.parse::<u32>().is_ok_and(|n| n.to_string() == whole)
                    && fraction.len() < 6
                    && !fraction.ends_with('0')
                    && fraction.bytes().all(|b| b.is_ascii_digit())
            })
        }
        Resolved::Text | Resolved::Timestamp => true,
        Resolved::Null | Resolved::Bool => false,
    };
    if after == Resolved::Text || (before == after && prints_alike) {
        new.to_owned()
    } else {
        format!("\"{new}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::apply;
    use crate::manifest::find;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn rewritten(text: &str, tag: &str, mode: DigestMode) -> String {
        let stream = Stream::parse(text).unwrap();
        let found = find("kustomization.yaml", &stream);
        let (tag, digest) = (Tag::parse(tag).unwrap(), Digest::parse(B).unwrap());
        let target = Target { name: "a/b", tag: &tag, digest: Some(&digest), mode };
        let edits: Vec<_> = found
            .sites
            .iter()
            .flat_map(|site| edits(text, &stream, site, target).unwrap())
            .collect();
        apply(text, &stream, &edits).unwrap()
    }

    #[test]
    fn each_shape_is_written_as_it_was() {
        use DigestMode::{Drop, Keep, Pin};
        let cases = [
            ("image: a/b:v1 # c\n", Keep, "image: a/b:v2 # c\n".to_owned()),
            ("image: 'a/b:v1'", Keep, "image: 'a/b:v2'".into()),
            ("{image: \"a/b:v1\"}\r\n", Keep, "{image: \"a/b:v2\"}\r\n".into()),
            ("image: >-\n  a/b:v1\n", Keep, "image: >-\n  a/b:v2\n".into()),
            ("image: a/b:v1\n", Pin, format!("image: a/b:v2@{B}\n")),
            (&format!("image: a/b:v1@{A}\n"), Keep, format!("image: a/b:v2@{B}\n")),
            (&format!("image: a/b:v1@{A}\n"), Drop, "image: a/b:v2\n".into()),
            (&format!("image: a/b@{A}\n"), Keep, format!("image: a/b@{B}\n")),
            (&format!("image: a/b@{A}\n"), Pin, format!("image: a/b:v2@{B}\n")),
            ("repository: a/b\ntag: v1\n", Keep, "repository: a/b\ntag: v2\n".into()),
            ("repository: a/b\ntag: v1\n", Pin, format!("repository: a/b\ntag: v2@{B}\n")),
            (
                &format!("{{repository: a/b, tag: v1@{A}}}"),
                Keep,
                format!("{{repository: a/b, tag: v2@{B}}}"),
            ),
            (
                "repository: a/b\ntag: v1\ndigest: ''\n",
                Keep,
                "repository: a/b\ntag: v2\ndigest: ''\n".into(),
            ),
            (
                "repository: a/b\ntag: v1\ndigest: ''\n",
                Pin,
                format!("repository: a/b\ntag: v2\ndigest: '{B}'\n"),
            ),
            (
                "repository: a/b
tag: v1
digest:
",
                Pin,
                format!(
                    "repository: a/b
tag: v2@{B}
digest:
"
                ),
            ),
            (
                &format!("repository: a/b\ntag: v1\ndigest: {A}\n"),
                Keep,
                format!("repository: a/b\ntag: v2\ndigest: {B}\n"),
            ),
            (
                &format!("images: [{{name: a/b, digest: {A}}}]"),
                Keep,
                format!("images: [{{name: a/b, digest: {B}}}]"),
            ),
            (
                "images:\n- name: a/b\n  newTag: v1",
                Keep,
                "images:\n- name: a/b\n  newTag: v2".into(),
            ),
        ];
        for (before, mode, after) in cases {
            assert_eq!(rewritten(before, "v2", mode), after, "{before:?} {mode:?}");
        }
    }

    #[test]
    fn a_plain_tag_keeps_its_type_or_is_quoted() {
        let cases = [
            ("11.8", "11.9", "11.9"),
            ("0.4", "0.10", "\"0.10\""),
            ("0.4", "0.4.1", "0.4.1"),
            ("1.2.3", "1.3", "\"1.3\""),
            ("1.2.3", "1.2.4", "1.2.4"),
            ("11", "12", "12"),
            ("11", "11.5", "\"11.5\""),
            ("v1", "1e5", "\"1e5\""),
            ("v1", "on", "\"on\""),
            ("v1", "0x1", "\"0x1\""),
            ("v1", "1_0", "\"1_0\""),
            ("7", "08", "\"08\""),
            ("2024-11-01", "2024-11-02", "2024-11-02"),
            ("latest", "2024-11-02", "\"2024-11-02\""),
            ("1.5", "1.25", "1.25"),
            ("'1.2'", "1.10", "'1.10'"),
            ("\"1.2\"", "1.10", "\"1.10\""),
        ];
        for (old, new, want) in cases {
            let before = format!("image: {{repository: a/b, tag: {old}}}\n");
            let after = format!("image: {{repository: a/b, tag: {want}}}\n");
            assert_eq!(rewritten(&before, new, DigestMode::Keep), after, "{old} -> {new}");
        }
    }

    #[test]
    fn escapes_and_folded_lines_are_refused() {
        for text in ["image: \"a/b:\\x76\\x31\"\n", "image: \"a/b:\\\n  v1\"\n"] {
            let stream = Stream::parse(text).unwrap();
            let site = &find("a.yaml", &stream).sites[0];
            let tag = Tag::parse("v2").unwrap();
            let target = Target { name: "a/b", tag: &tag, digest: None, mode: DigestMode::Keep };
            assert_eq!(edits(text, &stream, site, target), Err(Unwritable { line: 1 }), "{text}");
        }
    }
}

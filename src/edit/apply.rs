//! Splices edits into a text and proves that nothing else changed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Edit, values};
use crate::manifest::{Basis, Rest, Scalar, Scalars};
use crate::yaml::{Mismatch, NodeId, Outline, Stream, SyntaxError, same_but_for};

/// Why a file was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bytes at the span are not the ones that were planned for.
    #[error("line {0} no longer holds the expected text")]
    Stale(usize),
    /// Two edits touch the same bytes.
    #[error("two changes meet on line {0}")]
    Overlap(usize),
    /// The new text does not parse.
    #[error("the file would no longer be YAML: {0}")]
    Syntax(SyntaxError),
    /// The new text differs in more than the scalars that were meant.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The file is not YAML, and the places would not be found again as they are.
    #[error("the places would not be found again in the new text")]
    Lost,
    /// The file is not the one that the edits were made for.
    #[error("the file changed while the run was under way")]
    Changed,
}

/// A file after its edits.
#[derive(Debug)]
pub struct Applied {
    /// Its text.
    pub text: String,
    /// What the scalars with edits hold.
    pub values: BTreeMap<NodeId, String>,
}

/// Makes the new text of a file.
///
/// # Errors
/// When the result, parsed again, is not the old file with exactly the intended scalars changed.
pub fn apply(
    text: &str,
    basis: &Basis,
    edits: &[Edit],
    again: impl Fn(&str) -> Scalars,
) -> Result<Applied, Refused> {
    let out = splice(
        text,
        edits.iter().map(|edit| (edit.line, edit.span.clone(), &*edit.old, &*edit.new)),
    )?;
    let values = values(&basis.scalars, edits);
    match &basis.rest {
        Rest::Yaml(outline) => {
            prove(text, &out, *outline, &basis.scalars, &values)?;
            prove_within(&basis.scalars, edits, &values)?;
        }
        Rest::Text if is_found_again(&basis.scalars, &again(&out), &values) => {}
        Rest::Text => return Err(Refused::Lost),
    }
    Ok(Applied { text: out, values })
}

/// Whether the same places are there in a text that is not YAML, with what they are to hold.
fn is_found_again(before: &Scalars, after: &Scalars, values: &BTreeMap<NodeId, String>) -> bool {
    let mut both = before.iter().zip(after.values());
    before.len() == after.len()
        && both.all(|((node, before), after)| match values.get(node) {
            Some(value) => *after.value == **value,
            None => before == after,
        })
}

/// Everything but the scalars with edits is what it was, and those hold what they are to hold.
fn prove(
    text: &str,
    out: &str,
    outline: Outline,
    scalars: &Scalars,
    values: &BTreeMap<NodeId, String>,
) -> Result<(), Refused> {
    let after = Stream::parse(out).map_err(Refused::Syntax)?;
    let mut all = scalars.iter();
    let is_proven = after.outline(&scalars.keys().copied().collect()) == outline
        && all.all(|(node, before)| holds(&after, *node, before, values.get(node)));
    if is_proven { Ok(()) } else { Err(difference(text, &after, values)) }
}

/// The same for scalars whose text is YAML itself.
fn prove_within(
    scalars: &Scalars,
    edits: &[Edit],
    values: &BTreeMap<NodeId, String>,
) -> Result<(), Refused> {
    let mut inner: BTreeMap<NodeId, BTreeMap<usize, &(Range<usize>, String)>> = BTreeMap::new();
    for edit in edits {
        let Some(within) = &edit.inner else { continue };
        inner.entry(edit.node).or_default().insert(within.0.start, within);
    }
    // What a target matches in such a text may be no scalar of it; the text itself is proven.
    for edit in edits.iter().filter(|edit| edit.inner.is_none()) {
        inner.remove(&edit.node);
    }
    for (node, changed) in inner {
        if let (Some(before), Some(value)) = (scalars.get(&node), values.get(&node)) {
            same_within(&before.value, value, &changed)?;
        }
    }
    Ok(())
}

/// Whether a scalar holds what it is to hold; one that is not to change, exactly what it did.
fn holds(after: &Stream, node: NodeId, before: &Scalar, value: Option<&String>) -> bool {
    match value {
        Some(value) => after.text(node) == Some(value),
        None => Scalar::of(after, node).as_ref() == Some(before),
    }
}

/// What differs that should not: an answer for people, which needs the text before once more.
fn difference(text: &str, after: &Stream, values: &BTreeMap<NodeId, String>) -> Refused {
    let Ok(before) = Stream::parse(text) else { return Refused::Changed };
    let compared = same_but_for(&before, after, &|node| values.get(&node).cloned());
    compared.err().map_or(Refused::Changed, Refused::Mismatch)
}

/// Puts new texts into the places of old ones: line, bytes, old and new.
///
/// # Errors
/// When the old texts are not there, or places overlap.
pub fn splice<'e>(
    text: &str,
    edits: impl Iterator<Item = (usize, Range<usize>, &'e str, &'e str)>,
) -> Result<String, Refused> {
    let mut ordered: Vec<_> = edits.collect();
    ordered.sort_by_key(|(_, span, _, _)| (span.start, span.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (line, span, old, new) in ordered {
        let gap = text.get(at..span.start).ok_or(Refused::Overlap(line))?;
        if text.get(span.clone()) != Some(old) {
            return Err(Refused::Stale(line));
        }
        out.push_str(gap);
        out.push_str(new);
        at = span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

/// The same proof for a text that is YAML itself: only the scalars at these bytes may differ.
fn same_within(
    before: &str,
    after: &str,
    changed: &BTreeMap<usize, &(Range<usize>, String)>,
) -> Result<(), Refused> {
    let before = Stream::parse(before).map_err(Refused::Syntax)?;
    let after = Stream::parse(after).map_err(Refused::Syntax)?;
    let expected = |node: NodeId| {
        let span = before.node(node).span();
        before.text(node)?;
        changed.get(&span.start).filter(|(raw, _)| *raw == span).map(|(_, value)| value.clone())
    };
    Ok(same_but_for(&before, &after, &expected)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, old: &str, new: &str, value: &str) -> Edit {
        let start = text.find(old).unwrap();
        let (old, new, value) = (old.to_owned(), new.to_owned(), value.to_owned());
        let stream = Stream::parse(text).unwrap();
        let inside = |span: &Range<usize>| span.contains(&start) && span.end - span.start < 40;
        let node =
            stream.nodes().filter(|(id, n)| stream.text(*id).is_some() && inside(&n.span())).last();
        let node = node.unwrap().0;
        let within = 0..stream.text(node).unwrap().len();
        let span = start..start + old.len();
        Edit { line: 1, span, old, new, node, within, text: value, inner: None }
    }

    #[test]
    fn what_would_change_more_than_meant_is_refused() {
        let text = "a: v1\nb: v2 # c\n";
        let stream = Stream::parse(text).unwrap();
        let scalars = [1, 2, 3, 4].map(|id| (id, Scalar::of(&stream, id).unwrap()));
        let scalars = Scalars::from(scalars);
        let rest = Rest::Yaml(stream.outline(&scalars.keys().copied().collect()));
        let basis = Basis { scalars, rest };
        let again = |_: &str| Scalars::new();
        let go = |edits: &[Edit]| apply(text, &basis, edits, again).map(|applied| applied.text);
        let good = edit(text, "v1", "v9", "v9");
        assert_eq!(go(std::slice::from_ref(&good)).unwrap(), "a: v9\nb: v2 # c\n");
        let stale = Edit { old: "v0".into(), ..good.clone() };
        assert_eq!(go(&[stale]), Err(Refused::Stale(1)));
        assert_eq!(go(&[good.clone(), good.clone()]), Err(Refused::Overlap(1)));
        let comment = edit(text, "v1", "v9 # x", "v9");
        assert_eq!(go(&[comment]), Err(Refused::Mismatch(Mismatch::Structure)));
        let unclosed = edit(text, "v1", "'v9", "v9");
        assert!(matches!(go(&[unclosed]), Err(Refused::Syntax(_))));
        let more = edit(text, "v1", "v9\nc: 1", "v9");
        assert_eq!(go(&[more]), Err(Refused::Mismatch(Mismatch::Structure)));
        let other = Edit { text: "v8".into(), ..good };
        assert!(matches!(go(&[other]), Err(Refused::Mismatch(Mismatch::Node { line: 1 }))));
    }
}

//! Where a piece of a scalar's value stands in the text.

use std::ops::Range;

use super::stream::{Data, NodeId, Stream, Style};

impl Stream<'_> {
    /// The bytes of the text that hold this piece of a scalar's value, character for character.
    ///
    /// `None` where there are none, or more than one piece could be meant: behind escapes, folded
    /// over lines, in an alias.
    #[must_use]
    pub fn locate(&self, text: &str, node: NodeId, piece: Range<usize>) -> Option<Range<usize>> {
        let Data::Scalar { value, style } = &self.node(node).data else { return None };
        let span = self.node(node).span();
        let raw = text.get(span.clone())?;
        let found = match style {
            Style::Plain => as_it_is(raw, value, 0).map(|start| start + piece.start),
            Style::SingleQuoted | Style::DoubleQuoted => {
                as_it_is(raw.get(1..raw.len() - 1)?, value, 1).map(|start| start + piece.start)
            }
            Style::Block => in_block(raw, value, &piece),
        };
        let start = span.start + found.or_else(|| the_same_one(raw, value, &piece))?;
        Some(start..start + piece.len())
    }
}

fn as_it_is(raw: &str, value: &str, start: usize) -> Option<usize> {
    (raw == value).then_some(start)
}

/// In a literal block, a piece of one line stands behind the line's indentation. The block's bytes
/// begin with the content of its first line.
fn in_block(raw: &str, value: &str, piece: &Range<usize>) -> Option<usize> {
    let line_start = value[..piece.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = value[line_start..].find('\n').map_or(value.len(), |at| line_start + at);
    let line = value.get(line_start..line_end).filter(|_| piece.end <= line_end)?;
    let number = value[..line_start].matches('\n').count();
    let mut lines = raw.split_inclusive('\n');
    let before: usize = lines.by_ref().take(number).map(str::len).sum();
    let indentation = lines.next()?.trim_end_matches(['\n', '\r']).strip_suffix(line)?;
    let is_indentation = indentation.bytes().all(|b| b == b' ');
    is_indentation.then_some(before + indentation.len() + piece.start - line_start)
}

/// Elsewhere a piece is found by its text, when that stands as often in the source as in the value:
/// folding and escapes keep the order.
fn the_same_one(raw: &str, value: &str, piece: &Range<usize>) -> Option<usize> {
    let text = value.get(piece.clone()).filter(|text| !text.is_empty())?;
    let number = value.match_indices(text).position(|(at, _)| at == piece.start)?;
    let is_as_often = raw.matches(text).count() == value.matches(text).count();
    let (at, _) = raw.match_indices(text).nth(number).filter(|_| is_as_often)?;
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_found_as_it_is_written() {
        let found = [
            "k: a/b:v1",
            "k: 'a/b:v1'",
            "k: \"a/b:v1\"",
            "k: |\n  a/b:v1\n",
            "k: >-\r\n  a/b:v1\r\n",
            "k: |\n  x: 1\n    y: a/b:v1 # c\n  z: 1\n",
            "k: \"a/b\\\n  :v1\"",
            "k: \"\\x61/b:v1\"",
            "k: >\n  some\n  text :v1\n",
        ];
        for text in found {
            let piece = locate(text).map(|range| &text[range]);
            assert_eq!(piece, Some(":v1"), "{text:?}");
        }
        for text in ["k: \"a/b:\\x76\\x31\"", "k: \"a/b:\\\n  v1\"", "k: \"x\\x3av1 :v1\""] {
            assert_eq!(locate(text), None, "{text:?}");
        }
    }

    /// Locates the first `:v1` of the only value.
    fn locate(text: &str) -> Option<Range<usize>> {
        let stream = Stream::parse(text).unwrap();
        let node = stream.get(stream.documents()[0], "k").unwrap();
        let start = stream.text(node).unwrap().find(":v1").unwrap();
        stream.locate(text, node, start..start + 3)
    }
}

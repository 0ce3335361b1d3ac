//! Where pieces of a scalar's value stand in the text.

use std::ops::Range;

use super::stream::{Data, NodeId, Stream, Style};

/// A piece that does not stand in its scalar as it is, is searched for in scalars up to so many bytes.
const MAX_SEARCHED: usize = 64 << 10;

/// The way from a scalar's value to its bytes, made once for all of its pieces.
pub struct Locator<'s> {
    value: &'s str,
    raw: &'s str,
    /// The first byte of the scalar in the text, and its line, from 1.
    start: usize,
    line: usize,
    form: ScalarForm,
}

enum ScalarForm {
    /// The value stands so many bytes behind the first.
    AsItIs(usize),
    /// Of each line: where it begins in the value, and where its content does in the bytes.
    Lines(Vec<(usize, usize)>),
    /// Escapes or folding stand between.
    Other,
}

impl Stream<'_> {
    /// The way into a scalar; `None` for anything else.
    #[must_use]
    pub fn locator<'s>(&'s self, text: &'s str, node: NodeId) -> Option<Locator<'s>> {
        let at = self.node(node);
        let Data::Scalar { value, style } = &at.data else { return None };
        let span = at.span();
        let raw = text.get(span.clone())?;
        let form = match style {
            Style::Plain => as_it_is(raw, value, 0),
            Style::SingleQuoted | Style::DoubleQuoted => {
                as_it_is(raw.get(1..raw.len() - 1)?, value, 1)
            }
            Style::Block => lines(raw, value),
        };
        // The bytes and the line of a block are those of its first line's content.
        let form = form.unwrap_or(ScalarForm::Other);
        Some(Locator { value, raw, start: span.start, line: at.line(), form })
    }
}

impl Locator<'_> {
    /// The line of the first byte, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The bytes of the text that hold this piece of the value, character for character, and their
    /// line.
    ///
    /// `None` where there are none, or more than one piece could be meant: behind escapes, folded
    /// over lines.
    #[must_use]
    pub fn find(&self, piece: Range<usize>) -> Option<(Range<usize>, usize)> {
        let (start, line) = match &self.form {
            ScalarForm::AsItIs(offset) => (offset + piece.start, self.line),
            ScalarForm::Lines(lines) => {
                let number =
                    lines.partition_point(|(value, _)| *value <= piece.start).checked_sub(1)?;
                let (value, raw) = lines[number];
                // A piece over several lines has their margins in between.
                self.value.get(piece.clone()).filter(|text| !text.contains('\n'))?;
                (raw + piece.start - value, self.line + number)
            }
            ScalarForm::Other => {
                let start = the_same_one(self.raw, self.value, &piece)?;
                (start, self.line + self.raw[..start].matches('\n').count())
            }
        };
        let start = self.start + start;
        Some((start..start + piece.len(), line))
    }

    /// The piece of the value that some bytes of the text hold, where the way back is clear.
    #[must_use]
    pub fn piece(&self, bytes: &Range<usize>) -> Option<Range<usize>> {
        let within = bytes.start.checked_sub(self.start)?..bytes.end.checked_sub(self.start)?;
        let start = match &self.form {
            ScalarForm::AsItIs(offset) => within.start.checked_sub(*offset)?,
            ScalarForm::Lines(lines) => {
                let number =
                    lines.partition_point(|(_, raw)| *raw <= within.start).checked_sub(1)?;
                let (value, raw) = lines[number];
                value + within.start - raw
            }
            ScalarForm::Other => the_same_one(self.value, self.raw, &within)?,
        };
        let piece = start..start + within.len();
        let is_same =
            self.value.get(piece.clone()).is_some_and(|text| self.raw.get(within) == Some(text));
        is_same.then_some(piece)
    }
}

fn as_it_is(raw: &str, value: &str, offset: usize) -> Option<ScalarForm> {
    (raw == value).then_some(ScalarForm::AsItIs(offset))
}

/// In a literal block, each line stands behind its margin. The block's bytes begin with the content
/// of its first line.
fn lines(raw: &str, value: &str) -> Option<ScalarForm> {
    let mut lines = Vec::new();
    let (mut in_value, mut in_raw) = (0, 0);
    let mut raws = raw.split_inclusive('\n');
    for line in value.split_inclusive('\n') {
        let written = raws.next()?;
        let content = line.trim_end_matches('\n');
        let margin = written.trim_end_matches(['\n', '\r']).strip_suffix(content)?;
        if !margin.bytes().all(|b| b == b' ') {
            return None;
        }
        lines.push((in_value, in_raw + margin.len()));
        in_value += line.len();
        in_raw += written.len();
    }
    Some(ScalarForm::Lines(lines))
}

/// A piece is found by its text, when that stands as often in the one as in the other: folding and
/// escapes keep the order.
fn the_same_one(within: &str, of: &str, piece: &Range<usize>) -> Option<usize> {
    let text = of.get(piece.clone()).filter(|text| !text.is_empty())?;
    if of.len().max(within.len()) > MAX_SEARCHED {
        return None;
    }
    let number = of.match_indices(text).position(|(at, _)| at == piece.start)?;
    let is_as_often = within.matches(text).count() == of.matches(text).count();
    let (at, _) = within.match_indices(text).nth(number).filter(|_| is_as_often)?;
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_found_as_it_is_written() {
        let found = [
            ("k: a/b:v1", 1),
            ("k: 'a/b:v1'", 1),
            ("k: \"a/b:v1\"", 1),
            ("k: |\n  a/b:v1\n", 2),
            ("k: >-\r\n  a/b:v1\r\n", 2),
            ("k: |\n  x: 1\n    y: a/b:v1 # c\n  z: 1\n", 3),
            ("k: \"a/b\\\n  :v1\"", 2),
            ("k: \"\\x61/b:v1\"", 1),
            ("k: >\n  some\n  text :v1\n", 3),
            ("k: >\n  :v1\n  :v1\n", 2),
        ];
        for (text, line) in found {
            let piece = locate(text).map(|(range, line)| (&text[range], line));
            assert_eq!(piece, Some((":v1", line)), "{text:?}");
        }
        for text in ["k: \"a/b:\\x76\\x31\"", "k: \"a/b:\\\n  v1\"", "k: \"x\\x3av1 :v1\""] {
            assert_eq!(locate(text), None, "{text:?}");
        }
    }

    /// Locates the first `:v1` of the only value, there and back.
    fn locate(text: &str) -> Option<(Range<usize>, usize)> {
        let stream = Stream::parse(text).unwrap();
        let node = stream.get(stream.documents()[0], "k").unwrap();
        let start = stream.text(node).unwrap().find(":v1").unwrap();
        let locator = stream.locator(text, node).unwrap();
        let found = locator.find(start..start + 3);
        if let Some((bytes, _)) = &found {
            assert_eq!(locator.piece(bytes), Some(start..start + 3), "{text:?}");
        }
        found
    }
}

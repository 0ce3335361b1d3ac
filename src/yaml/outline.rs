//! What a stream is beside some of its scalars, in 32 bytes: so that a file can be compared with what
//! it was without keeping it.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::stream::{Data, Node, NodeId, Properties, Stream};

/// Equal for streams that differ in the text and quotes of the scalars that were left out, and in
/// nothing else but blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline([u8; 32]);

impl Stream<'_> {
    /// The outline without the text of some scalars. Their places, tags and anchors are in it.
    #[must_use]
    pub fn outline(&self, without: &BTreeSet<NodeId>) -> Outline {
        let mut bytes = Vec::with_capacity(self.nodes().len() * 16);
        let mut without = without.iter().peekable();
        for (id, node) in self.nodes() {
            let is_left_out = without.next_if_eq(&&id).is_some();
            write_node(node, is_left_out, &mut bytes);
        }
        number(self.documents().len(), &mut bytes);
        for (id, Properties { tag, anchor }) in self.properties() {
            number(*id, &mut bytes);
            number(*anchor, &mut bytes);
            text(tag.as_deref().unwrap_or_default(), &mut bytes);
        }
        for comment in self.comments() {
            number(comment.line(), &mut bytes);
            text(comment.text(), &mut bytes);
        }
        Outline(Sha256::digest(&bytes).into())
    }
}

/// Nodes come in the order of the text, and collections with their lengths, so that what is
/// written is one tree's alone.
fn write_node(node: &Node<'_>, is_left_out: bool, bytes: &mut Vec<u8>) {
    match &node.data {
        Data::Scalar { .. } if is_left_out => bytes.push(b'?'),
        Data::Scalar { value, style } => {
            bytes.extend([b'=', *style as u8]);
            text(value, bytes);
        }
        Data::Sequence(items) => {
            bytes.push(b'[');
            number(items.len(), bytes);
        }
        Data::Mapping(entries) => {
            bytes.push(b'{');
            number(entries.len(), bytes);
        }
        Data::Alias(target) => {
            bytes.push(b'*');
            number(target.map_or(0, |target| target + 1), bytes);
        }
    }
    number(node.line(), bytes);
}

fn text(text: &str, bytes: &mut Vec<u8>) {
    number(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

/// Seven bits a byte, as most numbers are small.
fn number(mut number: usize, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_left_out_may_differ() {
        let outline = |text: &str| {
            let stream = Stream::parse(text).unwrap();
            let a = stream.get(stream.documents()[0], "a").unwrap();
            stream.outline(&BTreeSet::from([a]))
        };
        let before = outline("a: v1 # c\nb: [x, 'y']\n");
        for same in ["a: v2 # c\nb: [x, 'y']\n", "a:   'v2'  # c\nb: [ x, 'y' ]"] {
            assert_eq!(outline(same), before, "{same}");
        }
        for other in [
            "a: v1 # d\nb: [x, 'y']\n",
            "a: v1 # c\nb: [x, y]\n",
            "a: v1 # c\nb: [x]\n",
            "a: v1 # c\nb: [x, 'z']\n",
            "a: v1 # c\nb: {x: 'y'}\n",
            "a: !!str v1 # c\nb: [x, 'y']\n",
            "a: &v v1 # c\nb: [x, 'y']\n",
            "a: v1 # c\n\nb: [x, 'y']\n",
            "a: v1 # c\nb: [x, 'y']\n---\n",
        ] {
            assert_ne!(outline(other), before, "{other}");
        }
    }
}

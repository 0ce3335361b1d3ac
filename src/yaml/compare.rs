//! The proof after an edit: nothing changed but the scalars that were meant to.

use super::stream::{Data, Node, NodeId, Stream};

/// The first place where two streams differ in a way that was not asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A node or comment appeared or vanished.
    #[error("the structure of the file would change")]
    Structure,
    /// A node that no edit names would change.
    #[error("line {line} would change as well")]
    Node {
        /// Its line in the text before, from 1.
        line: usize,
    },
    /// A comment would change.
    #[error("the comment on line {line} would change")]
    Comment {
        /// Its line in the text before, from 1.
        line: usize,
    },
}

/// Checks that `after` is `before` with exactly the given scalars holding the given values.
///
/// # Errors
/// The first difference that `changed` does not name. A changed scalar may change its style
/// (quotes around a value that would become a number) but not its tag or anchor.
pub fn same_but_for(
    before: &Stream,
    after: &Stream,
    changed: &dyn Fn(NodeId) -> Option<String>,
) -> Result<(), Mismatch> {
    let (old, new) = (before.nodes(), after.nodes());
    let comments = (before.comments(), after.comments());
    if old.len() != new.len()
        || before.documents() != after.documents()
        || comments.0.len() != comments.1.len()
        || before.properties().len() != after.properties().len()
    {
        return Err(Mismatch::Structure);
    }
    for ((id, old), (_, new)) in old.zip(new) {
        if !same_node(old, new, changed(id).as_deref()) {
            return Err(Mismatch::Node { line: old.line() });
        }
    }
    let mut properties = before.properties().iter().zip(after.properties());
    if let Some(((id, _), _)) = properties.find(|(old, new)| old != new) {
        return Err(Mismatch::Node { line: before.node(*id).line() });
    }
    match comments.0.iter().zip(comments.1).find(|(old, new)| !old.is_like(new)) {
        Some((old, _)) => Err(Mismatch::Comment { line: old.line }),
        None => Ok(()),
    }
}

fn same_node(old: &Node<'_>, new: &Node<'_>, expected: Option<&str>) -> bool {
    let data = match (&old.data, &new.data) {
        (
            Data::Scalar { value: old, style: old_style },
            Data::Scalar { value: new, style: new_style },
        ) => match expected {
            Some(expected) => &**new == expected,
            None => old == new && old_style == new_style,
        },
        (Data::Sequence(old), Data::Sequence(new)) => old == new,
        (Data::Mapping(old), Data::Mapping(new)) => old == new,
        (Data::Alias(old), Data::Alias(new)) => old == new,
        _ => false,
    };
    data && old.line() == new.line()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, value: Option<&str>) -> Result<(), Mismatch> {
        let (before, after) = (Stream::parse(before).unwrap(), Stream::parse(after).unwrap());
        same_but_for(&before, &after, &|id| {
            value.filter(|_| before.text(id) == Some("v1")).map(str::to_owned)
        })
    }

    #[test]
    fn only_the_named_scalar_may_differ() {
        assert_eq!(check("a: v1\nb: 2\n", "a: v2\nb: 2\n", Some("v2")), Ok(()));
        assert_eq!(check("a: v1\n", "a: \"v2\"\n", Some("v2")), Ok(()));
        let cases = [
            ("a: v1\n", "a: v3\n", Some("v2"), Mismatch::Node { line: 1 }),
            ("a: v1\nb: 2\n", "a: v2\nb: 3\n", Some("v2"), Mismatch::Node { line: 2 }),
            ("a: v1\nb: '2'\n", "a: v2\nb: 2\n", Some("v2"), Mismatch::Node { line: 2 }),
            ("a: v1 # x\n", "a: v2 # y\n", Some("v2"), Mismatch::Comment { line: 1 }),
            ("a: v1\n", "a: v2\nb: 1\n", Some("v2"), Mismatch::Structure),
            ("a: &x v1\n", "a: &y v2\n", None, Mismatch::Node { line: 1 }),
            ("a: v1\n", "a: !!str v2\n", Some("v2"), Mismatch::Structure),
            ("a: !x v1\n", "a: !y v2\n", Some("v2"), Mismatch::Node { line: 1 }),
            ("- v1\n- x\n", "- v2\n\n- x\n", Some("v2"), Mismatch::Node { line: 2 }),
        ];
        for (before, after, value, want) in cases {
            assert_eq!(check(before, after, value), Err(want), "{before:?} -> {after:?}");
        }
    }
}

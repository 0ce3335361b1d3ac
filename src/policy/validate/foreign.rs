//! Files of other programs where policies are looked for: Kyverno, Conftest and OPA have directories of this name as well.

use crate::diagnostic::{Code, Diagnostic, Place, nearest};
use crate::policy::PolicyFile;
use crate::yaml::{Data, NodeId, Stream};

/// Keys of a document of policies.
const KEYS: [&str; 2] = ["images", "environments"];

/// Keys by which a mapping is told from data of another program under the same key.
const OWN: [&str; 8] =
    ["image", "tags", "digest", "paths", "deliver", "promote", "hold", "policies"];

/// A document of another program: a list, or a mapping with other keys than ours, in which nothing is written as policies are.
pub(super) fn foreign(file: &PolicyFile, stream: &Stream, root: NodeId) -> Option<Diagnostic> {
    let entries = stream.entries(root);
    let is_list = matches!(stream.node(root).data, Data::Sequence(_));
    let is_ours = |(key, value): &(NodeId, NodeId)| {
        let key = stream.text(*key).unwrap_or_default();
        let is_near = KEYS.contains(&key) || nearest(key, KEYS).is_some();
        let mut inner = stream.entries(stream.target(*value)).iter();
        let is_policy = |value: NodeId| OWN.iter().any(|own| stream.get(value, own).is_some());
        is_near && inner.any(|(_, value)| is_policy(stream.target(*value)))
    };
    let is_other = |key: NodeId| stream.text(key).is_none_or(|key| !KEYS.contains(&key));
    let other = entries.iter().map(|(key, _)| *key).find(|key| is_other(*key));
    if !is_list && (other.is_none() || entries.iter().any(is_ours)) {
        return None;
    }
    let node = stream.node(root);
    let (line, column) = (node.line(), node.column());
    let place = Place { path: file.path.clone(), line, column, span: node.span() };
    let first = other.and_then(|key| stream.text(key)).unwrap_or_default().escape_debug();
    let what = if is_list { "a list".to_owned() } else { format!("a file with `{first}`") };
    let message = format!("{what} is no policy file, so this one is passed over");
    let help =
        "`policies` in tagalong.yaml says where policy files are: `policies: [tagalong/*.yaml]`";
    Some(Diagnostic::warning(Code::PolicyForeign, message).at(place).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wrote_as_policies_is_another_programs() {
        let cases = [
            ("images: {shop: {image: a/b, tags: {semver: minor}}}", false),
            ("images: {shop: a/b}", false),
            ("environments: {dev: {paths: [a]}}\nimages: {}", false),
            // Mistakes of ours are errors.
            ("imges: {shop: {image: a/b}}", false),
            ("images: {shop: {image: a/b}}\nextra: 1", false),
            ("images: {shop: {image: a/b}}\nenviroments: {}", false),
            // Values of a chart, data for a policy engine, a list.
            ("replicaCount: 3\nimage: {repository: a/b, tag: v1}", true),
            ("image: {web: {repository: a/b}}", true),
            ("images: [a/b]\nallowed: true", true),
            ("environments: {dev: [a], prod: [b]}\nrules: {}", true),
            ("- a", true),
        ];
        for (text, is_foreign) in cases {
            let file = PolicyFile::new("p.yaml", text);
            let stream = Stream::parse(text).unwrap();
            let root = stream.documents()[0];
            assert_eq!(foreign(&file, &stream, root).is_some(), is_foreign, "{text}");
        }
    }
}

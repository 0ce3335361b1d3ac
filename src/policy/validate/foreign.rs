//! Files of other programs where policies are looked for: Kyverno, Conftest and OPA have directories of this name as well.

use crate::diagnostic::{Code, Diagnostic, Place, nearest};
use crate::policy::PolicyFile;
use crate::yaml::{Data, NodeId, Stream};

/// Keys of a document of policies.
const KEYS: [&str; 2] = ["images", "environments"];

/// Keys that tell a policy or an environment, whatever the key above it is called: a misspelt file of ours that is passed over
/// would leave production without its soak.
const TELLING: [&str; 15] = [
    "tags",
    "minAge",
    "platforms",
    "verify",
    "paths",
    "deliver",
    "promoteFrom",
    "soak",
    "require",
    "holds",
    "freezes",
    "windows",
    "suspend",
    "skip",
    "lockstep",
];

/// A document of another program: a list, or a mapping with other keys than ours, in which nothing is written as policies are.
fn foreign_part(stream: &Stream, root: NodeId) -> Option<String> {
    if matches!(stream.node(root).data, Data::Sequence(_)) {
        return Some("a list".to_owned());
    }
    let entries = stream.entries(root);
    let key_of = |key: NodeId| stream.text(key).unwrap_or_default();
    let other = entries.iter().map(|(key, _)| key_of(*key)).find(|key| !KEYS.contains(key))?;
    let is_ours = |(key, value): &(NodeId, NodeId)| {
        let (key, value) = (key_of(*key), stream.target(*value));
        let is_near = KEYS.contains(&key) || nearest(key, KEYS).is_some();
        let is_environments = key == "environments";
        let is_policy = |inner: NodeId| {
            let has = |key: &str| stream.get(inner, key).is_some();
            let is_mapping = matches!(stream.node(inner).data, Data::Mapping(_));
            TELLING.iter().any(|key| has(key))
                || is_near && has("image")
                || is_environments && is_mapping
        };
        TELLING.contains(&key)
            || is_near && entries.len() == 1
            || stream.entries(value).iter().any(|(_, inner)| is_policy(stream.target(*inner)))
    };
    let shown = || format!("a file with `{}`", other.escape_debug());
    (!entries.iter().any(is_ours)).then(shown)
}

/// Says of a document of another program that it is passed over.
pub(super) fn foreign(file: &PolicyFile, stream: &Stream, root: NodeId) -> Option<Diagnostic> {
    let what = foreign_part(stream, root)?;
    let node = stream.node(root);
    let (line, column) = (node.line(), node.column());
    let place = Place { path: file.path.clone(), line, column, span: node.span() };
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
            (
                "environmets:\n  staging: {path: [a]}\n  production: {path: [b], promoteFrom: staging, soak: 24h}",
                false,
            ),
            ("version: 1\nenvironments: {staging: {branch: staging}}", false),
            ("clusters: {production: {paths: [a], promoteFrom: dev}}\nx: 1", false),
            ("environment: {dev: {path: [app]}}", false),
            ("holds: [{reason: x}]", false),
            // Values of a chart, data for a policy engine, a list.
            ("replicaCount: 3\nimage: {repository: a/b, tag: v1}", true),
            ("image: {web: {repository: a/b}}\nx: 1", true),
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

//! Every marker is a place, or is reported by its line, in whatever text it stands.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Setters, find, plain};
use crate::yaml::Stream;

/// Pieces of files with one marker each, `@` standing for it; `LEFT` where nobody can tell what is meant.
const PIECES: [&str; 30] = [
    "image: a/b:v1 @\n",
    "image: 'a/b:v1' @\n",
    "image: \"a/b:v1\" @\n",
    "image: \"a/b\\x3av1\" @\n",
    "image: &x a/b:v1 @\nother: *x\n",
    "one: &y v1\ntwo: *y @\n",
    "map: {image: a/b:v1, tag: v2} @\n",
    "list: [a/b:v1, v2] @\n",
    "list:\n- v1 @\n- v2\n",
    "list:\n@\n- v1\n",
    "@\nkey: v1\n",
    "key: @\n  inner: v1\n",
    "key: @\n",
    "key: > @\n  v1\n",
    "key: |\n  image: a/b:v1 @\n",
    "values.yaml: |\n  image: a/b:v1 @\n  x: 1\n",
    "values: |-\n  list:\n  - v1 @\n",
    "values: >\n  image: a/b:v1 @\n",
    "other: >\n  some text @\n",
    "script: |\n  if [ x ]; then # {\n    run a/b:v1 @\n  fi: {\n",
    "text: |\n  deep: |\n    image: a/b:v1 @\n",
    "quoted: 'image: a/b:v1 @'\n",
    "multi: \"a\n  b\" @\n",
    "null: ~ @\n",
    "template: ${X}/a/b:v1 @\n",
    "? complex @\n: v1\n",
    "- - v1 @\n",
    "tag: v1 @ # more\n",
    "a: v1 # not @\n",
    "image: a/b:v1 #@\n",
];

fn markers() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "# tagalong: shop",
        "# tagalong: shop:tag",
        "#tagalong: shop:digest",
        "# {\"$imagepolicy\": \"apps:shop\"}",
        "# {\"$imagepolicy\": \"apps:shop:tag\"}",
    ])
}

/// The lines that are places, and those that are reported.
fn accounted(text: &str) -> BTreeSet<usize> {
    let (claimed, idle) = match Stream::parse(text) {
        Ok(stream) => {
            let found = find("a.yaml", text, &stream, &[], Setters::default());
            (found.claimed, found.idle)
        }
        Err(_) => {
            let found = plain::find("a.tpl", text, &[]);
            (found.claimed, found.idle)
        }
    };
    let slots = claimed.iter().flat_map(|claimed| &claimed.slots).map(|slot| slot.line);
    // A marker above an item is for the line below it.
    slots.flat_map(|line| [line, line - 1]).chain(idle.iter().map(|idle| idle.line)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_marker_is_a_place_or_is_reported(
        pieces in prop::collection::vec((0..PIECES.len(), markers()), 1..6),
        ends in prop::sample::select(vec!["\n", "\r\n"]),
        broken in any::<bool>(),
    ) {
        let mut text = String::new();
        for (index, (piece, marker)) in pieces.iter().enumerate() {
            let separator = if index > 0 { "---\n" } else { "" };
            text += separator;
            text += &PIECES[*piece].replace('@', marker);
        }
        if broken {
            text += "---\n{{ template }}\nx: [\n";
        }
        let text = text.replace('\n', ends);
        let accounted = accounted(&text);
        for (number, line) in text.lines().enumerate() {
            let is_marked = line.contains("tagalong:") || line.contains("$imagepolicy");
            prop_assert!(!is_marked || accounted.contains(&(number + 1)), "line {}: {line}\n{text}", number + 1);
        }
    }
}

//! YAML inside text: Argo CD's `helm.values`, files in a `ConfigMap` (`values.yaml: |`), and patches
//! that stand in a kustomization.

use super::finder::Finder;
use super::marker::{is_in, lines_in};
use super::{
    Claimed, Found, Idle, Idleness, Inner, Obstacle, Obstructed, Scalar, Site, Slot, Spot,
};
use crate::yaml::{Data, Locator, NodeId, Stream, Style};

/// Keys whose text is YAML, beside names of files.
const KEYS: [&str; 4] = ["content", "patch", "values", "valuesContent"];

/// How such names end.
const EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".json"];

/// Ends of keys, in lower case, of text for people and of programs, whatever it looks like.
const NO_YAML: [&str; 20] = [
    ".md",
    ".sh",
    ".txt",
    "comment",
    "description",
    "doc",
    "docs",
    "documentation",
    "example",
    "examples",
    "help",
    "last-applied-configuration",
    "message",
    "note",
    "notes",
    "readme",
    "script",
    "summary",
    "text",
    "usage",
];

/// Looks at every text of a mapping that is YAML: because its key says so, a marker does, or it names an image in it. `find`
/// looks into it.
pub(super) fn visit(
    finder: &mut Finder<'_>,
    mapping: NodeId,
    find: impl Fn(&str, &Stream) -> Found,
) {
    for (key, node) in finder.stream.entries(mapping) {
        let name = finder.stream.text(*key).unwrap_or_default();
        let is_list = name == "patchesStrategicMerge";
        // Whoever marks a line of a text says that it is YAML.
        let is_marked =
            || finder.stream.text(*node).is_some_and(|text| lines_in(text).next().is_some());
        let is_text =
            KEYS.contains(&name) || EXTENSIONS.iter().any(|end| name.ends_with(end)) || is_marked();
        let is_other = || !is_text && may_be_yaml(finder, name, *node);
        if finder.is_ignored(*key) || !(is_list || is_text || is_other()) {
            continue;
        }
        let items = if is_list { finder.stream.items(*node) } else { std::slice::from_ref(node) };
        for item in items {
            text(finder, *item, is_list || is_text, &find);
        }
    }
}

/// True if a text under any other key may hold an image: it has the key of one, and lines or braces.
fn may_be_yaml(finder: &Finder<'_>, key: &str, node: NodeId) -> bool {
    let Some(text) = finder.stream.text(node) else { return false };
    let key = key.to_ascii_lowercase();
    let has_key = ["image", "Image", "repository"].iter().any(|word| text.contains(word));
    let is_built = text.contains('\n') || text.starts_with(['{', '[']);
    has_key && is_built && !NO_YAML.iter().any(|end| key.ends_with(end))
}

/// Looks into a scalar; one that is not said to be YAML is passed over where it is none.
fn text(
    finder: &mut Finder<'_>,
    node: NodeId,
    is_said: bool,
    find: &impl Fn(&str, &Stream) -> Found,
) {
    let Data::Scalar { value, style } = &finder.stream.node(node).data else { return };
    if *style == Style::Plain {
        return;
    }
    let Some(locator) = finder.stream.locator(finder.text, node) else { return };
    let inner = match Stream::parse(value) {
        Ok(inner) => inner,
        Err(_) if is_said => return finder.add_unreadable(node),
        Err(_) => return,
    };
    finder.looked_into(node);
    let found = find(value, &inner);
    for claimed in found.claimed {
        match outer_slots(&inner, &claimed.slots, node, &locator) {
            Some(slots) => {
                let line = slots.first().map_or(claimed.line, |slot| slot.line);
                // What is around it was looked at there; the mapping is none of this stream.
                let stays = claimed.stays.map(|line| locator.line() + line - 1);
                finder.add_claimed(Claimed { line, slots, stays, mapping: None, ..claimed });
            }
            None => {
                let line = locator.line() + claimed.line - 1;
                finder.found.idle.push(Idle { line, why: Idleness::Escaped });
            }
        }
    }
    for idle in found.idle {
        finder.found.idle.push(Idle { line: locator.line() + idle.line - 1, ..idle });
    }
    for site in found.sites {
        match outer_slots(&inner, &site.slots, node, &locator)
            .filter(|_| finder.editable(node).is_ok())
        {
            Some(slots) => {
                let line = slots.first().map_or(site.line, |slot| slot.line);
                finder.add(Site { line, slots, ..site }, node);
            }
            None => {
                let obstacle = finder.editable(node).err().unwrap_or(Obstacle::Escaped);
                finder.obstruct(site.repository, node, obstacle);
            }
        }
    }
    for obstructed in found.obstructed {
        let line = locator.line() + obstructed.spot.line - 1;
        // A line is enough: the columns of the text are not those of the file.
        let spot = Spot { line, column: 1, span: 0..0 };
        finder.obstruct_at(Obstructed { spot, ..obstructed });
    }
}

/// Reports markers in texts that are not looked into.
pub(super) fn unread_markers(finder: &mut Finder<'_>) {
    if !is_in(finder.text) {
        return;
    }
    let stream = finder.stream;
    for (id, node) in stream.nodes() {
        let Data::Scalar { value, style } = &node.data else { continue };
        if finder.is_looked_into(id) || !is_in(value) {
            continue;
        }
        for number in lines_in(value) {
            // Only in a block, lines are lines.
            let number = if *style == Style::Block { number } else { 0 };
            finder.found.idle.push(Idle { line: node.line() + number, why: Idleness::InText });
        }
    }
}

/// The same pieces, in the outer scalar; `None` where one does not stand there as it is.
fn outer_slots(
    inner: &Stream,
    slots: &[Slot],
    node: NodeId,
    locator: &Locator<'_>,
) -> Option<Vec<Slot>> {
    let slots = slots.iter().map(|slot| {
        let raw = inner.node(slot.node).span();
        let scalar = Scalar::of(inner, slot.node)?;
        let piece = slot.start..slot.start + slot.range.len();
        let outer = Slot::within(locator, slot.part, node, piece)?;
        let inner = Some(Inner { raw, scalar, range: slot.range.clone() });
        Some(Slot { inner, is_missing: slot.is_missing, ..outer })
    });
    slots.collect()
}

//! YAML inside text: Argo CD's `helm.values`, files in a `ConfigMap` (`values.yaml: |`), and patches
//! that stand in a kustomization.

use super::finder::Finder;
use super::marker::{is_in, lines_in};
use super::{
    Claimed, Found, Idle, Idleness, Inner, Obstacle, Obstructed, Scalar, Site, Slot, Spot,
};
use crate::yaml::{Data, Locator, NodeId, Stream, Style};

/// Keys whose text is YAML, beside names of files.
const KEYS: [&str; 2] = ["values", "patch"];

/// How such names end.
const EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".json"];

/// Looks at every block scalar of a mapping whose key says that it is YAML. `find` looks into it.
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
        if !(is_list || is_text) || finder.is_ignored(*key) {
            continue;
        }
        let items = if is_list { finder.stream.items(*node) } else { std::slice::from_ref(node) };
        for item in items {
            text(finder, *item, &find);
        }
    }
}

/// Looks into a block scalar.
fn text(finder: &mut Finder<'_>, node: NodeId, find: &impl Fn(&str, &Stream) -> Found) {
    let Data::Scalar { value, style: Style::Block } = &finder.stream.node(node).data else {
        return;
    };
    let Some(locator) = finder.stream.locator(finder.text, node) else { return };
    let Ok(inner) = Stream::parse(value) else { return finder.add_unreadable(node) };
    finder.looked_into(node);
    let found = find(value, &inner);
    for claimed in found.claimed {
        match outer_slots(&inner, &claimed.slots, (node, &locator)) {
            Some(slots) => {
                let line = slots.first().map_or(claimed.line, |slot| slot.line);
                // What is around it was looked at there; the mapping is none of this stream.
                let stays = claimed.stays.map(|line| locator.line() + line - 1);
                finder.add_claimed(Claimed { line, slots, stays, mapping: None, ..claimed });
            }
            None => {
                let line = locator.line() + claimed.line - 1;
                finder.add_idle(Idle { line, why: Idleness::Escaped });
            }
        }
    }
    for idle in found.idle {
        finder.add_idle(Idle { line: locator.line() + idle.line - 1, ..idle });
    }
    for site in found.sites {
        match outer_slots(&inner, &site.slots, (node, &locator))
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
            finder.add_idle(Idle { line: node.line() + number, why: Idleness::InText });
        }
    }
}

/// The same pieces, in the outer scalar; `None` where one does not stand there as it is.
fn outer_slots(
    inner: &Stream,
    slots: &[Slot],
    (node, locator): (NodeId, &Locator<'_>),
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

//! YAML inside text: Argo CD's `helm.values`, files in a `ConfigMap` (`values.yaml: |`), and patches
//! that stand in a kustomization.

use super::finder::Finder;
use super::{Found, Inner, Obstacle, Scalar, Site, Slot};
use crate::yaml::{Data, Locator, NodeId, Stream, Style};

/// Keys whose text is YAML, beside names of files.
const KEYS: [&str; 2] = ["values", "patch"];

/// Looks at every block scalar of a mapping whose key says that it is YAML. `find` looks into it.
pub(super) fn visit(
    finder: &mut Finder<'_>,
    mapping: NodeId,
    find: impl Fn(&str, &Stream) -> Found,
) {
    for (key, node) in finder.stream.entries(mapping) {
        let key = finder.stream.text(*key).unwrap_or_default();
        if key == "patchesStrategicMerge" {
            for item in finder.stream.items(*node) {
                text(finder, *item, &find);
            }
        } else if KEYS.contains(&key) || [".yaml", ".yml"].iter().any(|end| key.ends_with(end)) {
            text(finder, *node, &find);
        }
    }
}

/// Looks into a block scalar.
fn text(finder: &mut Finder<'_>, node: NodeId, find: &impl Fn(&str, &Stream) -> Found) {
    let Data::Scalar { value, style: Style::Block } = &finder.stream.node(node).data else {
        return;
    };
    // A template, or no YAML at all; what is in it is nobody's promise.
    let Ok(inner) = Stream::parse(value) else { return };
    let found = find(value, &inner);
    let Some(locator) = finder.stream.locator(finder.text, node) else { return };
    for site in found.sites {
        let repository = site.repository.clone();
        match outer_site(finder, &inner, site, (node, &locator)) {
            Ok(site) => finder.add(site),
            Err(obstacle) => finder.obstruct(repository, node, obstacle),
        }
    }
    for obstructed in found.obstructed {
        finder.obstruct(obstructed.repository, node, obstructed.obstacle);
    }
}

/// The same site, as pieces of the outer scalar.
fn outer_site(
    finder: &Finder<'_>,
    inner: &Stream,
    site: Site,
    (node, locator): (NodeId, &Locator<'_>),
) -> Result<Site, Obstacle> {
    finder.editable(node)?;
    let slots = site.slots.iter().map(|slot| {
        let raw = inner.node(slot.node).span();
        let scalar = Scalar::of(inner, slot.node).ok_or(Obstacle::NotATag)?;
        let piece = slot.start..slot.start + slot.range.len();
        let outer = Slot::within(locator, slot.part, node, piece).ok_or(Obstacle::Escaped)?;
        Ok(Slot { inner: Some(Inner { raw, scalar, range: slot.range.clone() }), ..outer })
    });
    let slots = slots.collect::<Result<Vec<_>, _>>()?;
    let line = slots.first().map_or(site.line, |slot| slot.line);
    Ok(Site { line, slots, ..site })
}

//! YAML inside text: Argo CD's `helm.values`, and files in a `ConfigMap` (`values.yaml: |`).

use std::ops::Range;

use super::finder::Finder;
use super::{Found, Inner, Site, Slot};
use crate::yaml::{Data, NodeId, Stream, Style};

/// Looks at every block scalar of a mapping whose key says that it is YAML. `find` looks into it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId, find: impl Fn(&Stream) -> Found) {
    let entries = finder.stream.entries(mapping).to_vec();
    for (key, node) in entries {
        let key = finder.stream.text(key).unwrap_or_default();
        let names_yaml = key == "values" || [".yaml", ".yml"].iter().any(|end| key.ends_with(end));
        let outer = finder.stream.node(node);
        let is_block = matches!(outer.data, Data::Scalar { style: Style::Block, .. });
        let line = outer.line;
        let Some(text) = finder.stream.text(node).filter(|_| names_yaml && is_block) else {
            continue;
        };
        // A template, or no YAML at all; what is in it is nobody's promise.
        let Ok(inner) = Stream::parse(text) else { continue };
        let found = find(&inner);
        for site in found.sites {
            let outer = outer_site(&inner, site, node, line);
            if let Some(site) = outer.filter(|_| finder.editable(node).is_ok()) {
                finder.add(site);
            }
        }
        for obstructed in found.obstructed {
            finder.obstruct(obstructed.repository, node, obstructed.obstacle);
        }
    }
}

/// The same site, as pieces of the outer scalar.
fn outer_site(inner: &Stream, site: Site, node: NodeId, line: usize) -> Option<Site> {
    let slots = site.slots.iter().map(|slot| {
        let scalar = inner.node(slot.node);
        let Data::Scalar { style, .. } = scalar.data else { return None };
        let value = inner.text(slot.node)?;
        let start = match style {
            Style::Plain => scalar.span.start,
            Style::SingleQuoted | Style::DoubleQuoted => scalar.span.start + 1,
            Style::Block => return None,
        };
        let raw: Range<usize> = scalar.span.clone();
        let is_as_written = match style {
            Style::Plain => raw.len() == value.len(),
            _ => raw.len() == value.len() + 2,
        };
        let range = start + slot.range.start..start + slot.range.end;
        let inner = Some(Inner { raw, is_plain: style == Style::Plain });
        is_as_written.then_some(Slot { part: slot.part, node, range, inner })
    });
    let slots = slots.collect::<Option<Vec<_>>>()?;
    Some(Site { line: line + site.line, slots, ..site })
}

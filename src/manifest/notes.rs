//! What people are told of places that are left alone.

use super::marker::{Idle, Idleness};
use super::{Obstacle, Obstructed};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::yaml::{NodeId, Stream};

/// An image that is named but cannot be changed.
pub(super) fn obstructed(path: &str, found: &Obstructed, name: &str) -> Diagnostic {
    let unsupported = |message: String| Diagnostic::warning(Code::SiteUnsupported, message);
    let diagnostic = match &found.obstacle {
        Obstacle::Untagged => {
            let message = format!("the image of `{name}` has no tag here; left alone");
            Diagnostic::info(Code::SiteUntagged, message)
                .help("write a tag, and it is kept up to date")
        }
        Obstacle::Aliased => {
            let message = format!("the tag of `{name}` is shared through a YAML alias; left alone");
            unsupported(message)
                .help("other places than this image use it; write the tag without an anchor")
        }
        Obstacle::Repeated => {
            unsupported(format!("the image of `{name}` is written with a key twice; left alone"))
                .help("keep one of them")
        }
        Obstacle::NotATag => unsupported(format!(
            "the image of `{name}` has something else than a tag here; left alone"
        )),
        Obstacle::Escaped => unsupported(format!(
            "the tag of `{name}` is written with escapes or over several lines; left alone"
        ))
        .help("write the image on one line, in plain or quoted form without escapes"),
        Obstacle::OtherDigest => unsupported(format!(
            "a digest beside the tag of `{name}` may be of its image, and would stay behind; left alone"
        ))
        .help(
            "give its key the name `digest`; if it is of something else, write `# tagalong: ignore` behind it",
        ),
        Obstacle::Elsewhere(said) => unsupported(format!(
            "the image here may be `{name}`'s, or one of another registry: {said}; left alone"
        ))
        .help(format!(
            "write the registry beside or before the name, or mark the tag: `# tagalong: {name}:tag`"
        )),
        Obstacle::TwoNames => unsupported(format!(
            "`repository` and another key name an image here, which may be `{name}`'s; left alone"
        ))
        .help(format!("mark the tag: `# tagalong: {name}:tag`")),
        Obstacle::Variable(variable) => unsupported(format!(
            "the image of `{name}` is decided by the variable {variable}; left alone"
        ))
        .help("change it where it is set, or reach it by a target of the policy"),
        Obstacle::Built => {
            let message = format!("the image of `{name}` is built here, and not pulled; left alone");
            Diagnostic::info(Code::SiteUnsupported, message)
        }
    };
    diagnostic.at(found.spot.clone().place(path))
}

/// A marker that does nothing.
pub(super) fn idle(path: &str, idle: Idle) -> Diagnostic {
    let message = match idle.why {
        Idleness::Alone => "this marker stands beside no value, so it does nothing",
        Idleness::Shadowed => "another marker is nearer to the value, so this one does nothing",
        Idleness::Mixed => "other text stands in this comment, so it is not read as a marker",
        Idleness::Escaped => {
            "this value is written with escapes or over several lines, so it cannot be changed"
        }
        Idleness::Unclear => {
            "the file is not YAML, and this line alone does not say what is to be changed"
        }
    };
    at_line(Code::MarkerIdle, message.to_owned(), path, idle.line)
}

/// A warning about a line.
pub(super) fn at_line(code: Code, message: String, path: &str, line: usize) -> Diagnostic {
    let place = Place { line, column: 1, ..Place::of_file(path) };
    Diagnostic::warning(code, message).at(place)
}

pub(super) fn place(path: &str, stream: &Stream, node: NodeId) -> Place {
    let node = stream.node(node);
    let (line, column) = (node.line(), node.column());
    Place { path: path.to_owned(), line, column, span: node.span() }
}

//! What people are told of places that are left alone.

use super::claim::Fault;
use super::marker::{Idle, Idleness};
use super::survey::OfOthers;
use super::{AppVersion, Claimed, Obstacle, Obstructed, Site};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::policy::Policy;
use crate::yaml::{NodeId, Stream, SyntaxError};

/// An image that is named but cannot be changed.
pub(super) fn obstructed(path: &str, found: &Obstructed, name: &str) -> Diagnostic {
    let unsupported = |message: String| Diagnostic::warning(Code::SiteUnsupported, message);
    let diagnostic = match &found.obstacle {
        Obstacle::Untagged => {
            let message = format!("the image of `{name}` has no tag here; left alone");
            Diagnostic::info(Code::SiteUntagged, message)
                .help("write a tag, and it is kept up to date; nothing, where a kustomization gives it one")
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
        Obstacle::AppVersion(version) => in_chart(version, name),
        Obstacle::InTwoKeys(said) => in_two_keys(said, name),
        Obstacle::LaidDigest(said) => laid_digest(said, name),
        Obstacle::LaidTag(said) => laid_tag(said, name),
        Obstacle::Elsewhere(said) => unsupported(format!(
            "the image here may be `{name}`'s, or one of another registry: {said}; left alone"
        ))
        .help(format!(
            "write the registry before the name, or mark the tag: `# tagalong: {name}:tag`"
        )),
        Obstacle::Unread(_) | Obstacle::NamedElsewhere => unread_elsewhere(&found.obstacle, name),
        Obstacle::Apart(said) => unsupported(format!(
            "a version of `{name}` stands under a key that is not read ({said}); left alone"
        ))
        .help(format!("mark it: `# tagalong: {name}:tag`; or `# tagalong: ignore`")),
        Obstacle::TwoNames => unsupported(format!(
            "`repository` and another key name an image here, which may be `{name}`'s; left alone"
        ))
        .help(format!("mark the tag: `# tagalong: {name}:tag`")),
        Obstacle::Variable(variable) => unsupported(format!(
            "the image of `{name}` is decided by the variable {variable}; left alone"
        ))
        .help("change it where it is set, or reach it by a target of the policy"),
        Obstacle::Built(at) => {
            let message = format!("the image of `{name}` is built {at}, and not pulled; left alone");
            Diagnostic::info(Code::SiteUnsupported, message)
        }
    };
    diagnostic.at(found.spot.clone().place(path))
}

/// A digest in another file.
fn laid_digest(said: &str, name: &str) -> Diagnostic {
    let message = format!(
        "the digest of `{name}` stands in another place, and would stay behind: {said}; left alone"
    );
    Diagnostic::warning(Code::SiteUnsupported, message).help(
        "write tag and digest beside each other; where the digest is of something else, write `# tagalong: ignore` behind the digest",
    )
}

/// A tag in another file, over a digest.
fn laid_tag(said: &str, name: &str) -> Diagnostic {
    let message = format!(
        "another tag of `{name}` is laid over the digest here, which would move beneath it: {said}; left alone"
    );
    Diagnostic::warning(Code::SiteUnsupported, message)
        .help("write the digest beside that tag as well, or neither")
}

/// A place of which another file would have to be read.
fn unread_elsewhere(obstacle: &Obstacle, name: &str) -> Diagnostic {
    let warning = |message: String| Diagnostic::warning(Code::SiteUnsupported, message);
    match obstacle {
        Obstacle::Unread(said) => warning(format!(
            "what else decides about the image of `{name}` is not known, as {said}; left alone"
        )),
        _ => warning(format!(
            "the name of `{name}` stands in another file than this tag; left alone"
        ))
        .help(format!("mark the tag: `# tagalong: {name}:tag`")),
    }
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
        Idleness::InText => {
            "this marker stands within a text that is not read as YAML, so it does nothing"
        }
        Idleness::Several => {
            "several values stand on this line, and the marker does not say which one is meant; give the value a line of its own"
        }
        Idleness::Unclear => {
            "the file is not YAML, and this line alone does not say what is to be changed"
        }
    };
    at_line(Code::MarkerIdle, message.to_owned(), path, idle.line)
}

/// A marker that names no policy.
pub(super) fn unknown(path: &str, claimed: &Claimed, whose: &str) -> Diagnostic {
    let name = claimed.policy.escape_debug();
    let message = format!("the marker names `{name}`, which is no policy {whose}");
    at_line(Code::MarkerUnknown, message, path, claimed.line)
}

/// An empty tag, for which the version of the chart's application stands.
fn in_chart(version: &AppVersion, name: &str) -> Diagnostic {
    let AppVersion { path, line, version } = version;
    let message = format!(
        "the tag of `{name}` is empty, and the chart's `appVersion` stands for it, {version} in {path}:{line}; left alone"
    );
    Diagnostic::info(Code::SiteUntagged, message).help(format!(
        "give the policy the target `{{files: {path}, path: appVersion, part: tag}}`, and it is kept up to date"
    ))
}

/// A tag whose other half is elsewhere.
fn in_two_keys(said: &str, name: &str) -> Diagnostic {
    let message = format!(
        "the tag of `{name}` goes on under another key ({said}), and nothing says whether the whole of it exists; left alone"
    );
    Diagnostic::warning(Code::SiteUnsupported, message).help(format!(
        "write all of it into one key; or mark it (`# tagalong: {name}:tag`), and match what has the other half in `tags`"
    ))
}

/// A place of which shape alone does not say whose it is.
pub(super) fn ambiguous<'n>(
    path: &str,
    site: &Site,
    names: impl Iterator<Item = &'n str>,
) -> Diagnostic {
    let names: Vec<&str> = names.collect();
    let message = format!(
        "{} is the image of `{}`, and nothing says whose place this is; left alone",
        site.repository,
        names.join("` and `")
    );
    let first = names.first().copied().unwrap_or_default();
    at_line(Code::SiteAmbiguous, message, path, site.line).help(format!(
        "mark it (`# tagalong: {first}`), or list one of the policies in `images` of the environment"
    ))
}

/// A marked place, or one of a target, that is left alone.
pub(super) fn fault(path: &str, line: usize, fault: &Fault, policy: &str) -> Diagnostic {
    let what = match fault {
        Fault::Untagged => {
            let message = format!("the image of `{policy}` has no tag here; left alone");
            return at_line(Code::SiteUntagged, message, path, line)
                .help("write a tag, and mark it; then it is kept up to date");
        }
        Fault::Not(why) => format!("this value is marked for `{policy}`, but {why}"),
        Fault::OtherImage(name) => {
            let name = name.escape_debug();
            format!("this value is marked for `{policy}`, but names another image, `{name}`")
        }
        Fault::DigestStays(digest) => format!(
            "the tag of `{policy}` is marked, and the digest of the same image in line {digest} is not"
        ),
        Fault::OnlyTag => {
            format!("an OCIRepository takes no digest behind the tag of `{policy}`")
        }
    };
    let help = match fault {
        Fault::DigestStays(_) => format!("write `# tagalong: {policy}:digest` behind it"),
        Fault::OnlyTag => format!(
            "write `digest: \"\"` beside the tag, with `# tagalong: {policy}:digest`, and `:tag` here"
        ),
        _ => format!(
            "`# tagalong: {policy}` marks a whole reference, `{policy}:tag` a tag alone, `{policy}:digest` a digest"
        ),
    };
    at_line(Code::MarkerUnsuited, format!("{what}; left alone"), path, line).help(help)
}

/// What is lost where Flux's marker replaces a value.
pub(super) fn loss(path: &str, line: usize, fault: &Fault, policy: &str) -> Option<Diagnostic> {
    let what = match fault {
        Fault::Not(why) => format!("{why}: what is there is replaced as a whole"),
        Fault::OtherImage(name) => {
            format!("it names another image, `{}`, which is replaced", name.escape_debug())
        }
        Fault::DigestStays(digest) => {
            format!("the digest of the same image in line {digest} stays as it is")
        }
        Fault::OnlyTag | Fault::Untagged => return None,
    };
    let message = format!("this value has Flux's marker for `{policy}`, but {what}");
    Some(at_line(Code::MarkerOverwrites, message, path, line))
}

/// A name that a marker has replaced.
pub(super) fn renamed(path: &str, line: usize, claimed: &Claimed, policy: &Policy) -> Diagnostic {
    let parts = [&claimed.registry, &claimed.name].into_iter().flatten();
    let written = parts.map(String::as_str).collect::<Vec<_>>().join("/");
    let message = format!(
        "the marker has the name `{}` replaced by that of `{}`, {}",
        written.escape_debug(),
        policy.name,
        policy.image
    );
    at_line(Code::MarkerOverwrites, message, path, line)
}

/// So many places are named by their lines.
const MAX_NAMED: usize = 10;

/// Places outside every environment.
pub(super) fn outside(policy: &str, places: &[Place]) -> Option<Diagnostic> {
    let first = places.first()?;
    let count = places.len();
    let word = if count == 1 { "place" } else { "places" };
    let message = format!(
        "{count} {word} with the image of `{policy}` outside every environment ({}); left alone",
        listed(places)
    );
    let problem = Diagnostic::warning(Code::SiteOutside, message).at(first.clone());
    Some(problem.help("add its directory to the `paths` of an environment"))
}

/// Lines that name an image of a policy where nothing claims it.
pub(super) fn unclaimed(path: &str, policy: &str, reference: &str, lines: &[usize]) -> Diagnostic {
    let more = lines.len().saturating_sub(MAX_NAMED);
    let named: Vec<String> = lines.iter().take(MAX_NAMED).map(usize::to_string).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    let more = if more > 0 { format!(" and {more} more lines") } else { String::new() };
    let message = format!(
        "`{reference}` is the image of `{policy}`, and stands in no known shape ({word} {}{more}); left alone",
        named.join(", ")
    );
    let first = lines.first().copied().unwrap_or_default();
    at_line(Code::SiteUnclaimed, message, path, first).help(format!(
        "write `# tagalong: {policy}` behind it, where it is the whole value; else name the file in the `targets` of \
         `{policy}`. `# tagalong: ignore` silences this"
    ))
}

/// Files that are not read, and name images of policies.
pub(super) fn unread(places: &[Place]) -> Option<Diagnostic> {
    let message = format!(
        "images of policies stand in files that are not read as YAML ({}); left alone",
        listed(places)
    );
    let problem = Diagnostic::warning(Code::SiteUnclaimed, message).at(places.first()?.clone());
    Some(problem.help(
        "mark the line of a value (`# tagalong: NAME`), or name the file in the `targets` of the policy",
    ))
}

/// Files that something else writes, and that name images of policies.
pub(super) fn of_others(all: &[OfOthers]) -> Option<Diagnostic> {
    let first = all.first()?;
    let named = all
        .iter()
        .take(MAX_NAMED)
        .map(|OfOthers { place, writer }| format!("{}:{}: {writer}", place.path, place.line));
    let more = all.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let message = format!(
        "files that something else writes name images of policies ({}{more}); left alone",
        named.collect::<Vec<_>>().join("; ")
    );
    let problem = Diagnostic::info(Code::FileOfOthers, message).at(first.place.clone());
    Some(problem.help(format!(
        "to have one changed nevertheless, mark its line, or write `exclude: ['!{}']` in the environment",
        first.place.path
    )))
}

/// Texts for people that name images of policies.
pub(super) fn prose(places: &[Place]) -> Option<Diagnostic> {
    let message =
        format!("comments and documents name images of policies ({}); left alone", listed(places));
    Some(Diagnostic::info(Code::SiteUnclaimed, message).at(places.first()?.clone()))
}

/// Templates without a word about an image.
pub(super) fn templates(places: &[Place]) -> Option<Diagnostic> {
    let message = format!(
        "files that are not YAML, and name no version of an image, are left alone ({})",
        listed(places)
    );
    Some(Diagnostic::info(Code::FileUnreadable, message).at(places.first()?.clone()))
}

/// Places by file and line, where there is one; the first of many.
fn listed(places: &[Place]) -> String {
    let name = |at: &Place| match at.line {
        0 => at.path.clone(),
        line => format!("{}:{line}", at.path),
    };
    let mut named: Vec<String> = places.iter().map(name).collect();
    named.dedup();
    let more = named.len().saturating_sub(MAX_NAMED);
    named.truncate(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// A file that is not YAML.
pub(super) fn unparsable(
    path: &str,
    text: &str,
    error: &SyntaxError,
    has_sites: bool,
) -> Diagnostic {
    let start = error.offset(text);
    let (line, column) = (error.line, error.column);
    let place = Place { path: path.to_owned(), line, column, span: start..start };
    if has_sites {
        let message =
            format!("this is not YAML: {error}; only marked lines and targets are changed");
        return Diagnostic::info(Code::FileUnreadable, message).at(place);
    }
    let message = format!("this is not YAML: {error}; left alone");
    Diagnostic::warning(Code::FileUnreadable, message)
        .at(place)
        .help("a marker beside a value (`# tagalong: NAME:tag`) has that line changed by itself")
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

//! References with variables in them, as Compose interpolates (<https://docs.docker.com/reference/compose-file/interpolation/>) and
//! Flux substitutes (<https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution>):
//! `name:${TAG:-1.2.3}`, `${REGISTRY:-ghcr.io}/acme/shop:1.2.3`, `${IMAGE:=name}:${TAG:=1.2.3}`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Lent;
use super::finder::{Finder, Written};
use super::{Named, Obstacle, Obstructed, Part, Spot};
use crate::diagnostic::Place;
use crate::image::{Digest, Reference, Repository, Tag};
use crate::yaml::NodeId;

/// What a variable without a default stands for while a text is read: no reference can contain it.
const UNKNOWN: char = '\0';

/// What sets variables: a file beside a Compose file (<https://docs.docker.com/compose/how-tos/environment-variables/>), or
/// a `Kustomization` of Flux's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Where each variable is set.
    places: BTreeMap<String, Place>,
    /// Where all others may be set as well.
    others: Option<Place>,
    /// Those that are set to nothing.
    empty: BTreeSet<String>,
}

/// What sets variables of one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setters<'a> {
    /// For Compose.
    pub beside: Option<&'a Variables>,
    /// For everything else.
    pub substituted: Option<&'a Variables>,
    /// Names of images for tags that have none beside them.
    pub lent: &'a [Lent],
}

impl Variables {
    /// Reads `NAME=value` lines.
    #[must_use]
    pub fn read(path: &str, text: &str) -> Self {
        let mut variables = Self::default();
        // Compose takes a mark of the byte order away.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let set = line.strip_prefix("export ").unwrap_or(line).split_once(['=', ':']);
            let Some((name, value)) = set.filter(|(name, _)| is_name(name.trim())) else {
                continue;
            };
            let (name, value) = (name.trim().to_owned(), value.trim());
            if matches!(value, "" | "''" | "\"\"") {
                variables.empty.insert(name.clone());
            } else {
                variables.empty.remove(&name);
            }
            let place = Place { line: index + 1, column: 1, ..Place::of_file(path) };
            variables.places.insert(name, place);
        }
        variables
    }

    /// What is set in these lines of a file; `others` is where every variable may be.
    #[must_use]
    pub fn set(path: &str, lines: BTreeMap<String, usize>, others: Option<Place>) -> Self {
        let place = |line| Place { line, column: 1, ..Place::of_file(path) };
        let places = lines.into_iter().map(|(name, line)| (name, place(line))).collect();
        Self { places, others, ..Self::default() }
    }

    /// The same, and what others set that this does not.
    #[must_use]
    pub fn over(mut self, under: Self) -> Self {
        for (name, place) in under.places {
            if self.places.contains_key(&name) {
                continue;
            }
            self.empty.extend(under.empty.get(&name).cloned());
            self.places.insert(name, place);
        }
        Self { others: self.others.or(under.others), ..self }
    }

    /// Where a variable is set, or may be: path and line.
    fn place(&self, name: &str) -> Option<String> {
        let place = self.places.get(name).or(self.others.as_ref())?;
        Some(format!("{}:{}", place.path, place.line))
    }

    /// True if a variable is set to nothing.
    fn is_empty(&self, name: &str) -> bool {
        self.empty.contains(name)
    }
}

/// A piece of a text.
enum TextPiece<'t> {
    Literal(&'t str),
    Variable {
        name: &'t str,
        default: Option<&'t str>,
        /// True if the default counts for one that is set to nothing as well: `:-`.
        fills: bool,
    },
}

/// A text with every default in the place of its variable.
struct Expanded<'t> {
    text: String,
    /// Pieces: their bytes in `text`, where they begin in the scalar, and the variable that they are the default of.
    pieces: Vec<(Range<usize>, usize, Option<&'t str>)>,
    /// The variables whose default counts when they are set to nothing.
    filled: Vec<&'t str>,
}

impl<'t> Expanded<'t> {
    /// Reads a text that has variables; `None` for any other, and for what is not understood.
    fn read(text: &'t str) -> Option<Self> {
        let mut expanded = Self { text: String::new(), pieces: Vec::new(), filled: Vec::new() };
        let mut rest = text;
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let (piece, behind) = piece(rest)?;
            let start = expanded.text.len();
            let (shown, offset, variable) = match piece {
                TextPiece::Literal(literal) => (literal, at, None),
                TextPiece::Variable { name, default: Some(default), fills } => {
                    expanded.filled.extend(fills.then_some(name));
                    (default, text.len() - behind.len() - 1 - default.len(), Some(name))
                }
                TextPiece::Variable { name, default: None, .. } => ("\0", at, Some(name)),
            };
            expanded.text.push_str(shown);
            expanded.pieces.push((start..expanded.text.len(), offset, variable));
            rest = behind;
        }
        expanded.pieces.iter().any(|(.., variable)| variable.is_some()).then_some(expanded)
    }

    /// The variables that some bytes are of.
    fn variables(&self, bytes: &Range<usize>) -> impl Iterator<Item = &'t str> {
        // An empty default is there as well.
        let touches = |piece: &Range<usize>| {
            piece.start < bytes.end && bytes.start < piece.end
                || piece.is_empty() && bytes.start <= piece.start && piece.start <= bytes.end
        };
        self.pieces.iter().filter(move |(piece, ..)| touches(piece)).filter_map(|(.., name)| *name)
    }

    /// The bytes of the scalar that are these; `None` where they are of several pieces.
    fn origin(&self, bytes: &Range<usize>) -> Option<Range<usize>> {
        let holds = |piece: &Range<usize>| piece.start <= bytes.start && bytes.end <= piece.end;
        let (piece, offset, _) = self.pieces.iter().find(|(piece, ..)| holds(piece))?;
        let start = offset + bytes.start - piece.start;
        Some(start..start + bytes.len())
    }
}

/// The first piece of a text, and what is behind it.
fn piece(text: &str) -> Option<(TextPiece<'_>, &str)> {
    let Some(rest) = text.strip_prefix('$') else {
        let end = text.find('$').unwrap_or(text.len());
        return Some((TextPiece::Literal(&text[..end]), &text[end..]));
    };
    let Some(braced) = rest.strip_prefix('{') else {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        return is_name(name)
            .then_some((TextPiece::Variable { name, default: None, fills: false }, behind));
    };
    // A variable within a default is nobody's habit.
    let (inner, behind) =
        braced.split_once('}').filter(|(inner, _)| !inner.contains(['$', '{']))?;
    let end = inner.find([':', '-', '=', '?', '+']).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    if !is_name(name) {
        return None;
    }
    let fills = operator.starts_with(':');
    let operator = operator.strip_prefix(':').unwrap_or(operator);
    let default = match operator.chars().next() {
        None | Some('?') => None,
        Some('-' | '=') => Some(&operator[1..]),
        Some(_) => return None,
    };
    Some((TextPiece::Variable { name, default, fills }, behind))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Looks at a reference with variables; `false` when it has none, or is not understood.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId, node: NodeId, text: &str) -> bool {
    let Some(expanded) = Expanded::read(text) else { return false };
    let all = &expanded.text;
    if all.chars().all(|c| c == UNKNOWN) {
        return true;
    }
    let in_path = all.rfind('/').map_or(0, |slash| slash + 1);
    let name_end = all[in_path..].find([':', '@']).map_or(all.len(), |at| in_path + at);
    let name = &all[..name_end];
    let suffix = name_end..all.len();
    let named = match Repository::parse(name) {
        Ok(repository) => Named::Is(repository),
        Err(_) => match name.rsplit_once(UNKNOWN).map(|(_, tail)| tail.trim_matches('/')) {
            Some(tail) if Repository::parse(tail).is_ok() => Named::Somewhere(tail.into()),
            _ => return false,
        },
    };
    // What stands before a name when the variable is set, nobody knows here.
    let hidden = expanded.pieces.iter().find(|(piece, _, variable)| {
        variable.is_some()
            && piece.is_empty()
            && piece.start <= name.rfind('/').map_or(0, |at| at + 1)
    });
    let named = match (named, hidden) {
        (Named::Is(_), Some(_)) => Named::Somewhere(name.into()),
        (named, _) => named,
    };
    let hidden = hidden.and_then(|(.., name)| *name);
    let obstacle = overruled(finder, &expanded, &(0..all.len()))
        .or_else(|| hidden.map(|name| Obstacle::Variable(variable(finder, name))));
    let obstacle = obstacle.or_else(|| {
        let name = all.contains(UNKNOWN).then(|| unknown(&expanded));
        name.flatten().map(|name| Obstacle::Variable(variable(finder, name)))
    });
    match (named, obstacle) {
        (Named::Is(repository), None) => {
            let written = written(finder, mapping, node, &expanded, suffix);
            finder.record(repository, node, written);
        }
        (named, obstacle) => {
            let spot = Spot::of(finder.stream, node);
            let obstacle = obstacle.unwrap_or(Obstacle::NotATag);
            finder.obstruct_at(Obstructed { named, spot, obstacle });
        }
    }
    true
}

/// Looks at a name without a tag of which a variable or a template is part; `None` when it has none, or is not understood.
pub(super) fn of_name(
    finder: &Finder<'_>,
    registry: Option<&str>,
    name: &str,
) -> Option<Result<Repository, (Named, Obstacle)>> {
    let registry = registry.map(|registry| format!("{}/", registry.trim_end_matches('/')));
    let text = registry.unwrap_or_default() + name;
    let is_name = |tail: &&str| Repository::parse(tail).is_ok();
    if let Some((front, tail)) = text.rsplit_once("}}").filter(|(front, _)| front.contains("{{")) {
        let tail = tail.strip_prefix('/').filter(is_name)?;
        let said = format!("the template `{}}}}}` decides it", front.trim_start());
        return Some(Err((Named::Somewhere(tail.into()), Obstacle::Elsewhere(said.into()))));
    }
    let expanded = Expanded::read(&text)?;
    let bytes = 0..expanded.text.len();
    if let Ok(repository) = Repository::parse(&expanded.text) {
        let obstacle = overruled(finder, &expanded, &bytes);
        return Some(
            obstacle.map_or(Ok(repository.clone()), |it| Err((Named::Is(repository), it))),
        );
    }
    let tail = expanded.text.rsplit(UNKNOWN).next()?.trim_start_matches('/');
    let decides = expanded.variables(&bytes).next()?;
    let obstacle = Obstacle::Variable(variable(finder, decides));
    is_name(&tail).then(|| Err((Named::Somewhere(tail.into()), obstacle)))
}

/// The pieces that hold tag and digest.
fn written(
    finder: &mut Finder<'_>,
    mapping: NodeId,
    node: NodeId,
    expanded: &Expanded<'_>,
    suffix: Range<usize>,
) -> Result<Written, super::Obstruction> {
    let reference = Reference::parse(&expanded.text).ok_or(Obstacle::NotATag)?;
    if suffix.is_empty() {
        return Ok(Written::default());
    }
    let mut written =
        Written { tag: reference.tag, digest: reference.digest, ..Written::default() };
    let tag = suffix.start + 1..suffix.end;
    if let Some(range) = expanded.origin(&suffix) {
        finder.slot(Part::Suffix, node, range, &mut written)?;
    } else if let Some(range) = expanded.origin(&tag).filter(|_| written.tag.is_some()) {
        finder.slot(Part::Tag, node, range, &mut written)?;
    } else {
        return Err(Obstacle::NotATag.into());
    }
    finder.digests(mapping, "", &mut written)?;
    Ok(written)
}

/// Where a file beside this one sets a variable, so that its default is not what counts.
fn overruled(
    finder: &Finder<'_>,
    expanded: &Expanded<'_>,
    bytes: &Range<usize>,
) -> Option<Obstacle> {
    let variables = finder.variables?;
    let is_default = |name: &str| variables.is_empty(name) && expanded.filled.contains(&name);
    let set = |name: &str| {
        let place = variables.place(name).filter(|_| !is_default(name))?;
        Some(format!("`{name}`, which {place} sets"))
    };
    expanded.variables(bytes).find_map(set).map(|set| Obstacle::Variable(set.into()))
}

/// The first variable without a default.
fn unknown<'t>(expanded: &Expanded<'t>) -> Option<&'t str> {
    let is_unknown = |piece: &Range<usize>| expanded.text[piece.clone()].contains(UNKNOWN);
    expanded.pieces.iter().find(|(piece, ..)| is_unknown(piece)).and_then(|(.., name)| *name)
}

/// A variable in words, with where it is set.
fn variable(finder: &Finder<'_>, name: &str) -> Box<str> {
    let place = finder.variables.and_then(|variables| variables.place(name));
    place
        .map_or_else(|| format!("`{name}`"), |place| format!("`{name}`, which {place} sets"))
        .into()
}

/// Tag and digest of a reference whose registry is a variable.
pub(super) struct Marked {
    pub(super) tag: Option<Tag>,
    pub(super) digest: Option<Digest>,
    /// The bytes of the text behind the name.
    pub(super) suffix: Range<usize>,
}

/// Reads `${REGISTRY}/acme/shop:1.2.3`, of which a marker says that it is of this repository.
pub(super) fn marked(text: &str, repository: &Repository) -> Option<Marked> {
    let (front, rest) = text.strip_prefix("${")?.split_once('}')?;
    let start = text.len() - rest.len();
    let name = rest.strip_prefix('/').filter(|_| is_name(front))?;
    let reference = Reference::parse(name).filter(|reference| reference.tag.is_some())?;
    let named = Named::Somewhere(name[..reference.suffix.start].into());
    let suffix = start + 1 + reference.suffix.start..text.len();
    let marked = Marked { tag: reference.tag, digest: reference.digest, suffix };
    named.may_be(repository).then_some(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_stand_for_their_variables() {
        let cases = [
            ("a:${T:-1}", Some("a:1")),
            ("${R:-ghcr.io}/a:${T-1}", Some("ghcr.io/a:1")),
            ("${X:=a}:${T=1}", Some("a:1")),
            ("${R}/a:$T", Some("\0/a:\0")),
            ("${T:?missing}", Some("\0")),
            ("a:1", None),
            ("a:${T:+1}", None),
            ("a:${A:-${B}}", None),
            ("a$$:1", None),
            ("${1}", None),
            ("${", None),
        ];
        for (text, want) in cases {
            assert_eq!(Expanded::read(text).map(|e| e.text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn variables_of_a_file_are_read_with_their_lines() {
        let text = "# c\nA=1\nexport B='x'\n  C = 2\n1D=3\nnothing\n";
        let read = Variables::read("app/.env", text);
        let lines: Vec<_> = read.places.iter().map(|(name, at)| (name.as_str(), at.line)).collect();
        assert_eq!(lines, [("A", 2), ("B", 3), ("C", 4)]);
        assert_eq!(read.place("B").as_deref(), Some("app/.env:3"));
        let both = read.over(Variables::read(".env", "B=2\nD=\n"));
        assert_eq!(both.place("B").as_deref(), Some("app/.env:3"));
        assert_eq!(both.place("D").as_deref(), Some(".env:2"));
        assert!(both.is_empty("D") && !both.is_empty("B"));
    }
}

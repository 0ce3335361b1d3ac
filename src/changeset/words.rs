//! Titles, commit messages and bodies.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::machine::Proposed;
use super::{ALL_ENVIRONMENTS, ChangeSet, Move};
use super::{links, template};
use crate::choose::Deployed;
use crate::policy::IMPLICIT_ENVIRONMENT;
use crate::text::{code_span, one_line};

/// The trailer by which a commit is recognised as ours and its content compared.
pub const CHANGE_TRAILER: &str = "Tagalong-Change";

/// What fits on one line of `git log`, and of a list of pull requests.
const MAX_TITLE: usize = 72;

/// GitHub's limit for a body is 65,536 characters.
pub(super) const MAX_BODY: usize = 60_000;

const MAX_COMMIT_ROWS: usize = 200;

/// What stands below everything that the change says.
pub(super) const FOOTER: &str = "\nThis branch is rewritten when something newer appears. A commit of yours on it \
    stops that; merging or closing is up to you.";

/// The title: what moves, to what, where.
#[must_use]
pub fn title(environment: &str, moves: &[Move]) -> String {
    let place = match environment {
        IMPLICIT_ENVIRONMENT | ALL_ENVIRONMENTS => String::new(),
        name => format!(" in {name}"),
    };
    let images: BTreeSet<&str> = moves.iter().map(|m| m.image.as_str()).collect();
    let images: Vec<&str> = images.into_iter().collect();
    let candidates = match (&images[..], moves) {
        ([image], [first, ..]) => {
            let digest = first.to.digest.as_ref().map_or("its tag", |digest| digest.short());
            let to = match &first.to.tag {
                Some(tag) if Some(tag) != first.from.tag.as_ref() => tag.to_string(),
                // People know the image by its tag, and the digest is what is new.
                Some(tag) if first.to.digest.is_some() => format!("{tag}@{digest}"),
                _ => digest.to_owned(),
            };
            let shorter =
                [format!("Update {image} to {digest}{place}"), format!("Update {image}{place}")];
            let shorter = shorter.into_iter().skip(usize::from(!to.ends_with(digest)));
            std::iter::once(format!("Update {image} to {to}{place}")).chain(shorter).collect()
        }
        ([one, two], _) => vec![format!("Update {one} and {two}{place}")],
        _ => Vec::new(),
    };
    let fallback =
        [format!("Update {}{place}", count(images.len(), "image")), "Update images".to_owned()];
    let mut fitting =
        candidates.into_iter().chain(fallback).filter(|title| title.len() <= MAX_TITLE);
    fitting.next().unwrap_or_default()
}

/// The commit message: what is `written` for it, or the title and a line for each move; and the
/// trailers.
#[must_use]
pub fn commit_message(set: &ChangeSet, moves: &[Move], written: Option<&str>) -> String {
    let mut message = match written {
        Some(written) => format!("{written}\n"),
        None => format!("{}\n\n", set.title),
    };
    let moves = if written.is_some() { &[] } else { moves };
    for row in moves.iter().take(MAX_COMMIT_ROWS) {
        let (from, to) = arrow(row);
        writeln!(message, "- {}: {from} -> {to}", row.image).ok();
    }
    if moves.len() > MAX_COMMIT_ROWS {
        writeln!(message, "- and {} more", moves.len() - MAX_COMMIT_ROWS).ok();
    }
    write!(
        message,
        "\nTagalong-Environment: {}\n{CHANGE_TRAILER}: {}\n",
        set.environment, set.change
    )
    .ok();
    message
}

/// The body: a table of what moves from where to where, why, or what a template makes of that; and a
/// block for machines.
pub(super) fn body(
    set: &ChangeSet,
    moves: &[Move],
    template: Option<&str>,
) -> (String, Option<String>) {
    let intro = match &*set.environment {
        IMPLICIT_ENVIRONMENT | ALL_ENVIRONMENTS => {
            "These images have newer tags that their policies choose.".to_owned()
        }
        name => format!("These images of `{name}` have newer tags that their policies choose."),
    };
    let machine = Proposed::new(set, moves).block();
    let footer = format!("{FOOTER}\n\n{machine}\n");
    let room = MAX_BODY - MAX_TITLE - footer.len();
    let usual = |room| format!("{intro}\n\n{}", table(moves, room));
    let Some(template) = template else { return (usual(room - intro.len()) + &footer, None) };
    let rows = table(moves, room / 2);
    match template::markdown(template, &set.environment, moves, &rows) {
        // The block is ours alone.
        Ok(text) if text.len() <= room && !text.contains("<!--") => (text + "\n" + &footer, None),
        Ok(text) if text.len() > room => {
            let why = format!("it gives more than {room} bytes");
            (usual(room - intro.len()) + &footer, Some(why))
        }
        Ok(_) => (usual(room - intro.len()) + &footer, Some("it holds an HTML comment".to_owned())),
        Err(why) => (usual(room - intro.len()) + &footer, Some(why)),
    }
}

/// The rows that fit.
fn table(moves: &[Move], room: usize) -> String {
    let mut table = "| image | from | to | where | why |\n|---|---|---|---|---|\n".to_owned();
    for (index, row) in moves.iter().enumerate() {
        let line = table_row(row);
        if table.len() + line.len() + MAX_TITLE > room {
            write!(table, "\n{} more images are in the commit.\n", moves.len() - index).ok();
            break;
        }
        table.push_str(&line);
    }
    table
}

fn table_row(row: &Move) -> String {
    let (from, to) = arrow(row);
    let places = row.sites.iter().take(3).map(|(path, line)| code_span(&format!("{path}:{line}")));
    let mut places = places.collect::<Vec<_>>().join("<br>");
    if row.sites.len() > 3 {
        write!(places, "<br>and {} more", row.sites.len() - 3).ok();
    }
    let repository = code_span(&row.repository.to_string());
    let page = row.to.tag.as_ref().and_then(|tag| links::page(&row.repository, tag));
    let to = page.map_or_else(|| code_span(&to), |page| format!("[{}]({page})", code_span(&to)));
    format!(
        "| {} ({repository}) | {} | {to} | {places} | {} |\n",
        code_span(&row.image),
        code_span(&from),
        code_span(&row.why)
    )
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// From and to in as many words as tell them apart.
pub(super) fn arrow(row: &Move) -> (String, String) {
    let describe = |deployed: &Deployed| {
        let tag = deployed.tag.as_ref().map(|tag| tag.as_str().to_owned());
        let digest = deployed.digest.as_ref().map(|digest| format!("@{}", digest.short()));
        one_line(&(tag.unwrap_or_default() + &digest.unwrap_or_default()))
    };
    (describe(&row.from), describe(&row.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Digest, Repository, Tag};

    fn a_move(image: &str, from: &str, to: &str) -> Move {
        let digest = || Digest::parse(&format!("sha256:{}", "c".repeat(64)));
        Move {
            environment: "prod".into(),
            image: image.into(),
            repository: Repository::parse("ghcr.io/acme/shop").unwrap(),
            from: Deployed { tag: Tag::parse(from), ..Deployed::default() },
            to: Deployed {
                tag: Tag::parse(to),
                digest: (from == to).then(digest).flatten(),
                ..Deployed::default()
            },
            why: format!("{to} is above {from}"),
            sites: vec![("a|`b`.yaml".into(), 3)],
        }
    }

    #[test]
    fn titles_say_what_moves_and_fit_a_line() {
        let cases = [
            (vec![a_move("shop", "v1", "v2")], "prod", "Update shop to v2 in prod"),
            (
                vec![a_move("shop", "v1", "v2"), a_move("shop", "v0", "v2")],
                "default",
                "Update shop to v2",
            ),
            (
                vec![a_move("shop", "v1", "v1")],
                "prod",
                "Update shop to v1@sha256:cccccccccccc in prod",
            ),
            (
                vec![a_move(
                    "a-service-with-a-name",
                    "v1-of-something-else",
                    "v1-of-something-else",
                )],
                "prod",
                "Update a-service-with-a-name to sha256:cccccccccccc in prod",
            ),
            (
                vec![a_move("shop", "1", "2"), a_move("web", "1", "2")],
                "prod",
                "Update shop and web in prod",
            ),
            (
                vec![a_move("a", "1", "2"), a_move("b", "1", "2"), a_move("c", "1", "2")],
                "p",
                "Update 3 images in p",
            ),
            (vec![a_move(&"x".repeat(63), "1", "2")], "prod", "Update 1 image in prod"),
        ];
        for (moves, environment, want) in cases {
            assert_eq!(title(environment, &moves), want);
        }
    }

    #[test]
    fn a_body_holds_every_row_or_says_how_many_are_missing() {
        let set = ChangeSet {
            environment: "prod".into(),
            title: "T".into(),
            change: "abc".into(),
            ..ChangeSet::default()
        };
        let small = body(&set, &[a_move("shop", "v1", "v2")], None).0;
        assert!(
            small.contains("| `shop` (`ghcr.io/acme/shop`) | `v1` | [`v2`](https://ghcr.io/acme/shop) | ``a\\|`b`.yaml:3`` |"),
            "{small}"
        );
        assert!(
            small.contains(
                r#"<!-- tagalong: {"version":1,"environment":"prod","change":"abc","moves":[{"image":"shop","from":"v1","to":"v2"}]} -->"#
            )
        );
        let many: Vec<_> = (0..2000).map(|n| a_move(&format!("i{n}"), "v1", "v2")).collect();
        let large = body(&set, &many, None).0;
        assert!(large.len() <= MAX_BODY && large.contains("more images are in the commit"));
        let message = commit_message(&set, &many, None);
        assert!(
            message.ends_with("Tagalong-Environment: prod\nTagalong-Change: abc\n"),
            "{message}"
        );
        assert!(message.contains("- and 1800 more\n"));
    }
}

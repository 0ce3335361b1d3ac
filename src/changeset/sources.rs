//! What changed between two images, as far as they and the forge of their source say: a comparison of
//! the revisions, and the notes of the releases between them. It stands in a section of the body that
//! is written when the change is, and carried along as long as the change stays the same: what others
//! write later is no reason to write a pull request anew.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::ChangeSet;
use crate::forge_kind::ForgeKind;
use crate::image::{Origin, Shape, Source, Tag};
use crate::text::{code_span, harmless};

const OPENING: &str = "<!-- tagalong-sources -->\n";
const CLOSING: &str = "<!-- /tagalong-sources -->\n";

/// The section is no longer than this, in bytes.
const MAX_SECTION: usize = 24_000;

/// One release's notes are no longer than this, in characters.
const MAX_NOTE: usize = 2_000;

/// The notes of the newest releases are shown.
const MAX_NOTES: usize = 10;

/// A revision is shown as short as git shows it.
const SHORT: usize = 7;

/// What is known of one image that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The policy's name.
    pub image: String,
    /// Where what is deployed comes from.
    pub from: Origin,
    /// Where what is proposed comes from.
    pub to: Origin,
    /// The releases between them, the newest first.
    pub notes: Vec<Note>,
    /// Where it was before it came here, for a promotion.
    pub earned: Vec<Earned>,
}

/// That an environment held what is promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earned {
    /// The environment.
    pub environment: String,
    /// The page of its repository.
    pub page: String,
    /// Since when, and by which commit; unknown where the history does not tell.
    pub since: Option<(Timestamp, String)>,
    /// What it held between what is deployed and what is proposed, the newest first.
    pub between: Vec<String>,
}

/// What a release says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its tag.
    pub tag: String,
    /// What its author wrote.
    pub text: String,
}

/// The server of the pull requests, which people know.
#[derive(Clone, Debug)]
pub struct SourceServer {
    /// Its address.
    pub url: String,
    /// Its product.
    pub kind: ForgeKind,
}

/// The pages of a server that shows source code.
struct SourcePages {
    repository: String,
    compare: String,
    release: String,
}

impl SourcePages {
    /// Those of servers that everybody knows, and of the one that is worked on. Anywhere else an image's label could lead
    /// people.
    fn of(source: &Source, server: &SourceServer) -> Option<Self> {
        let Source { host, path } = source;
        let url = server.url.trim_end_matches('/');
        let here = url.split_once("://").map_or(url, |(_, rest)| rest);
        let https = format!("https://{host}");
        let (base, kind) = if host == here {
            (url, server.kind)
        } else {
            (https.as_str(), ForgeKind::of_public_host(host)?)
        };
        if !kind.has_subgroups() && source.owner_and_name().is_none() {
            return None;
        }
        let repository = format!("{base}/{path}");
        let between = kind.page_prefix();
        let release = format!("{repository}{}", kind.release_prefix());
        Some(Self { compare: format!("{repository}{between}/compare/"), release, repository })
    }
}

/// The section of a body. It is there also when nothing is known, so that nobody asks again. What does not
/// fit is left out as a whole.
#[must_use]
pub fn section(sources: &[Sources], server: &SourceServer) -> String {
    let promoted = sources
        .iter()
        .flat_map(|one| one.earned.iter().map(move |earned| earned_row(&one.image, earned)));
    let rows = sources.iter().filter_map(|one| row(one, server));
    let tables = [
        ("| image | held by | since | after |\n|---|---|---|---|\n", promoted.collect::<Vec<_>>()),
        ("| image | source |\n|---|---|\n", rows.collect()),
    ];
    let mut text = OPENING.to_owned();
    for (head, rows) in tables.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        write!(text, "\n{head}").ok();
        for row in rows {
            if text.len() + row.len() < MAX_SECTION {
                text.push_str(&row);
            }
        }
    }
    let mut told: Vec<&Source> = Vec::new();
    for one in sources {
        let Some(source) = one.to.source.as_ref().filter(|source| !told.contains(source)) else {
            continue;
        };
        told.push(source);
        let notes = notes(one, source, server);
        if text.len() + notes.len() < MAX_SECTION {
            text.push_str(&notes);
        }
    }
    let gap = if text.len() == OPENING.len() { "" } else { "\n" };
    format!("{text}{gap}{CLOSING}")
}

/// Where an image comes from, in one row.
fn row(sources: &Sources, server: &SourceServer) -> Option<String> {
    let to = sources.to.source.as_ref()?;
    let name = code_span(&format!("{}/{}", to.host, to.path));
    let revisions = (sources.from.revision.as_ref(), sources.to.revision.as_ref());
    let is_same = sources.from.source.as_ref() == Some(to);
    let shown = match (SourcePages::of(to, server), revisions) {
        (None, _) => name,
        (Some(pages), (Some(from), Some(new))) if is_same && from != new => {
            let link = format!("{}{from}...{new}", pages.compare);
            format!("[`{}…{}`]({link}) of {name}", short(from), short(new))
        }
        (Some(pages), _) => format!("[{name}]({})", pages.repository),
    };
    Some(format!("| {} | {shown} |\n", code_span(&sources.image)))
}

/// Where a promoted image was before.
fn earned_row(image: &str, earned: &Earned) -> String {
    let since = earned.since.as_ref().map(|(at, commit)| {
        let page = format!("{}/commit/{commit}", earned.page);
        // GitLab's pages of a repository are behind a dash.
        let checks = if earned.page.ends_with("/-") { "pipelines" } else { "checks" };
        format!("{at} by [`{}`]({page}) ([checks]({page}/{checks}))", short(commit))
    });
    let between: Vec<String> =
        earned.between.iter().take(MAX_NOTES).map(|version| code_span(version)).collect();
    let (image, name) = (code_span(image), code_span(&earned.environment));
    format!("| {image} | {name} | {} | {} |\n", since.unwrap_or_default(), between.join(", "))
}

fn short(revision: &str) -> &str {
    revision.get(..SHORT).unwrap_or(revision)
}

/// The notes of the releases of one source, folded.
fn notes(sources: &Sources, source: &Source, server: &SourceServer) -> String {
    if sources.notes.is_empty() {
        return String::new();
    }
    let pages = SourcePages::of(source, server);
    let mut text = format!("\n<details><summary>Release notes of {}</summary>\n\n", source.path);
    for note in sources.notes.iter().take(MAX_NOTES) {
        let name = code_span(&note.tag);
        let page = pages.as_ref().map(|pages| &pages.release);
        match page.filter(|_| Tag::parse(&note.tag).is_some()) {
            Some(page) => writeln!(text, "[{name}]({page}{})\n", note.tag).ok(),
            None => writeln!(text, "{name}\n").ok(),
        };
        text.push_str(&fenced(&note.text));
    }
    text + "</details>\n"
}

/// Text of strangers in a block that they cannot leave: no links, no mentions, no pictures, no HTML.
fn fenced(text: &str) -> String {
    let lines = text.replace("\r\n", "\n");
    let lines = lines.trim_matches('\n').lines().map(harmless).collect::<Vec<_>>().join("\n");
    let mut shown: String = lines.chars().take(MAX_NOTE).collect();
    if shown.len() < lines.len() {
        shown.push_str("\n…");
    }
    // Our own marks are found by what they look like.
    let shown = shown.replace("<!--", "<! --");
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{shown}\n{fence}\n\n")
}

/// The section that stands in a body.
#[must_use]
pub fn section_of(body: &str) -> String {
    let body = body.replace("\r\n", "\n");
    let inner = body.split_once(OPENING).and_then(|(_, rest)| rest.split_once(CLOSING));
    inner.map_or_else(String::new, |(inner, _)| format!("{OPENING}{inner}{CLOSING}"))
}

impl ChangeSet {
    /// The same with a section in its body, or with its marks alone where there is no room for it; without one
    /// where there is none.
    #[must_use]
    pub fn with_section(&self, section: &str) -> Self {
        let mut set = self.clone();
        if section.is_empty() {
            return set;
        }
        let is_fit = set.body.len() + section.len() < super::words::MAX_BODY;
        // The marks alone always fit, so that nobody asks again for what there is no room for.
        let section = if is_fit { section.to_owned() } else { format!("{OPENING}{CLOSING}") };
        if let Some(at) = set.body.rfind(super::words::FOOTER) {
            set.body.insert_str(at, &format!("\n{section}"));
        }
        set
    }
}

/// The notes of releases that are above one tag and not above another, the newest first; those of the
/// other alone where tags are no versions. Releases that are named for other parts of a repository are
/// passed over.
#[must_use]
pub fn between(from: Option<&Tag>, to: &Tag, name: &str, all: &[Note]) -> Vec<Note> {
    let version = |tag: &str| {
        let (part, rest) = tag.rsplit_once('/').unwrap_or(("", tag));
        let shape = Shape::parse(rest).filter(|shape| shape.precision > 1)?;
        let prefix = shape.prefix.trim_end_matches(['v', '-', '_']).trim_start_matches("release");
        let of = |word: &str| word.is_empty() || word == name;
        (of(part) && of(prefix)).then_some(shape.version)
    };
    let (low, high) = (from.and_then(|from| version(from.as_str())), version(to.as_str()));
    let is_it =
        |note: &&Note| note.tag.trim_start_matches('v') == to.as_str().trim_start_matches('v');
    let (Some(low), Some(high)) = (low, high) else {
        return all.iter().filter(is_it).take(1).cloned().collect();
    };
    let within = all.iter().filter_map(|note| {
        let found = version(&note.tag)?;
        let is_stable = found.pre.is_empty() || !high.pre.is_empty();
        (low < found && found <= high && is_stable).then_some((found, note))
    });
    let mut within: Vec<_> = within.collect();
    within.sort_by(|(a, _), (b, _)| b.cmp(a));
    within.dedup_by(|(a, _), (b, _)| a == b);
    within.into_iter().map(|(_, note)| note.clone()).take(MAX_NOTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> SourceServer {
        SourceServer { url: url.to_owned(), kind: ForgeKind::GitHub }
    }

    const GITHUB: &str = "https://github.com/";
    const HERE: &str = "https://github.com/acme/fleet";

    fn origin(source: &str, revision: &str) -> Origin {
        let text = |key: &str| if key.ends_with("source") { source } else { revision };
        Origin::read(|key| Some(text(key)).filter(|text| !text.is_empty()))
    }

    fn sources(from: Origin, to: Origin) -> Sources {
        Sources { image: "shop".into(), from, to, notes: Vec::new(), earned: Vec::new() }
    }

    #[test]
    fn revisions_are_compared_where_everybody_knows_the_server() {
        let (old, new) = ("0123456789abcdef", "fedcba9876543210");
        let of = |source: &str| sources(origin(source, old), origin(source, new));
        let shop = "https://github.com/acme/shop";
        let cases = [
            (
                of(shop),
                "[`0123456…fedcba9`](https://github.com/acme/shop/compare/0123456789abcdef...fedcba9876543210) of `github.com/acme/shop`",
            ),
            (
                of("https://gitlab.com/a/b/c"),
                "[`0123456…fedcba9`](https://gitlab.com/a/b/c/-/compare/0123456789abcdef...fedcba9876543210) of `gitlab.com/a/b/c`",
            ),
            (
                sources(origin("", ""), origin(shop, new)),
                "[`github.com/acme/shop`](https://github.com/acme/shop)",
            ),
            (
                sources(origin(shop, new), origin(shop, new)),
                "[`github.com/acme/shop`](https://github.com/acme/shop)",
            ),
            // Somebody else's repository has nothing to compare with ours.
            (
                sources(origin("https://github.com/evil/shop", old), origin(shop, new)),
                "[`github.com/acme/shop`](https://github.com/acme/shop)",
            ),
            (of("https://evil.example/acme/shop"), "`evil.example/acme/shop`"),
        ];
        for (sources, want) in cases {
            let text = section(&[sources], &server(GITHUB));
            assert!(text.contains(&format!("| `shop` | {want} |\n")), "{text}");
        }
        let enterprise = section(
            &[of("http://ghe.example:8080/acme/shop")],
            &server("http://ghe.example:8080/"),
        );
        assert!(enterprise.contains("(http://ghe.example:8080/acme/shop/compare/"), "{enterprise}");
        let nothing = section(&[sources(Origin::default(), Origin::default())], &server(GITHUB));
        assert_eq!(nothing, format!("{OPENING}{CLOSING}"));
    }

    #[test]
    fn what_is_promoted_says_where_it_was() {
        let mut one = sources(Origin::default(), Origin::default());
        let since = Some((Timestamp::UNIX_EPOCH, "0123456789abcdef".to_owned()));
        let between = vec!["v1.2".to_owned(), "v1.1".to_owned()];
        one.earned =
            vec![Earned { environment: "staging".into(), page: HERE.into(), since, between }];
        let text = section(&[one], &server(GITHUB));
        let page = "https://github.com/acme/fleet/commit/0123456789abcdef";
        let want = format!(
            "| `shop` | `staging` | 1970-01-01T00:00:00Z by [`0123456`]({page}) ([checks]({page}/checks)) | `v1.2`, `v1.1` |\n"
        );
        assert!(text.contains(&want), "{text}");
        assert!(!text.contains("| source |"), "{text}");
    }

    #[test]
    fn releases_between_two_tags_are_found() {
        let note = |tag: &str| Note { tag: tag.into(), text: String::new() };
        let all = [
            "v1.3.0",
            "v1.2.0",
            "v1.2.0-rc.1",
            "v1.1.0",
            "v1.0.0",
            "shop-1.1.5",
            "shop/v1.1.7",
            "web-1.1.6",
            "helm/1.1.8",
            "nightly",
            "release-1.1.9",
        ];
        let all: Vec<Note> = all.into_iter().map(note).collect();
        let cases = [
            ("v1.0.0", "v1.2.0", "v1.2.0 release-1.1.9 shop/v1.1.7 shop-1.1.5 v1.1.0"),
            ("1.0.0-alpine", "1.1.0-alpine", "v1.1.0"),
            ("1.1.9", "1.2.0-rc.1", "v1.2.0-rc.1"),
            ("1.2.0", "1.2.0", ""),
            ("nightly", "v1.3.0", "v1.3.0"),
            ("x", "nightly", "nightly"),
            ("x", "other", ""),
        ];
        for (from, to, want) in cases {
            let (from, to) = (Tag::parse(from), Tag::parse(to).unwrap());
            let found = between(from.as_ref(), &to, "shop", &all);
            let tags: Vec<&str> = found.iter().map(|note| note.tag.as_str()).collect();
            assert_eq!(tags.join(" "), want, "{from:?} {to}");
        }
    }

    #[test]
    fn a_section_is_found_again_as_it_was_written() {
        let shop = "https://github.com/acme/shop";
        let mut one = sources(origin(shop, "0123456"), origin(shop, "89abcde"));
        let text = "Fixed.\r\n<!-- /tagalong-sources -->\n````\nmore".to_owned();
        one.notes = vec![
            Note { tag: "v1".into(), text },
            Note { tag: "v0".into(), text: "x".repeat(9_000) },
        ];
        let section = section(&[one.clone(), one], &server(GITHUB));
        let body = format!(
            "| table |\r\n{}\nfooter <!-- tagalong: {{}} -->",
            section.replace('\n', "\r\n")
        );
        assert_eq!(section_of(&body), section);
        assert_eq!(section.matches("<details>").count(), 1, "one source is told of once");
        assert!(
            section.contains("`````text\nFixed.\n<! -- /tagalong-sources -->\n````\nmore\n`````\n"),
            "{section}"
        );
        assert!(section.len() < 3_000, "{}", section.len());
        assert_eq!(section_of("no section"), "");
    }
}

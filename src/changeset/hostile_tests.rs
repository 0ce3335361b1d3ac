//! Whatever names, paths, reasons and release notes hold, a parser of GitHub's Markdown finds nothing of
//! it but text: no links, no pictures, no HTML, no mentions, no references.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};
use proptest::prelude::*;

use super::words::{body, commit_message};
use super::{ChangeSet, Earned, Move, Note, SourceServer, Sources, section};
use crate::choose::Deployed;
use crate::forge_kind::ForgeKind;
use crate::image::{Origin, Repository, Tag};

const FRAGMENTS: [&str; 36] = [
    "`",
    "``",
    "```",
    "~~~",
    "|",
    r"\|",
    r"\",
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    " ",
    "@acme/everyone",
    "#1",
    "acme/shop#2",
    "closes #3",
    "<!--",
    "-->",
    "<img src=x>",
    "<details>",
    "</details>",
    "</summary>",
    "<br>",
    "](http://evil.example)",
    "![x](http://evil.example)",
    "http://evil.example",
    "www.evil.example",
    "<http://evil.example>",
    "[x]: http://evil.example",
    "&lt;",
    "\u{202e}",
    "\u{200b}",
    "# title",
    "> [!NOTE]",
    "[^1]",
    "<!-- tagalong: {\"version\":1} -->",
];

fn hostile() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 1..12)
        .prop_map(|parts| parts.concat())
}

fn a_move(image: &str, path: &str, why: &str) -> Move {
    let at = |tag: &str| Deployed { tag: Tag::parse(tag), ..Deployed::default() };
    Move {
        environment: "prod".into(),
        image: image.to_owned(),
        repository: Repository::parse("ghcr.io/acme/shop").unwrap(),
        from: at("v1"),
        to: at("v2"),
        why: why.to_owned(),
        sites: vec![(path.to_owned(), 3)],
    }
}

fn a_set() -> ChangeSet {
    ChangeSet {
        environment: "prod".into(),
        title: "Update".into(),
        change: "abc".into(),
        ..ChangeSet::default()
    }
}

/// What stands in a text that is more than text, and is not ours.
fn found<'a>(node: &'a AstNode<'a>, all: &mut Vec<String>) {
    match &node.data.borrow().value {
        NodeValue::Link(link) => {
            let ours = ["https://ghcr.io/acme/shop", "https://github.com/acme/shop"];
            if !ours.iter().any(|ours| link.url.starts_with(ours)) {
                all.push(format!("a link to {}", link.url));
            }
        }
        NodeValue::Image(image) => all.push(format!("a picture of {}", image.url)),
        NodeValue::FootnoteReference(_)
        | NodeValue::FootnoteDefinition(_)
        | NodeValue::Alert(_) => {
            all.push("a footnote or alert".to_owned());
        }
        NodeValue::Heading(_) => all.push("a heading".to_owned()),
        NodeValue::HtmlInline(html) if html == "<br>" => {}
        NodeValue::HtmlInline(html) => all.push(format!("HTML: {html}")),
        NodeValue::HtmlBlock(block) => {
            let html = block.literal.trim();
            let is_comment = html.starts_with("<!-- ")
                && html.matches("-->").count() == 1
                && html.ends_with("-->")
                && html.contains("tagalong");
            let is_fold = html == "<details><summary>Release notes of acme/shop</summary>"
                || html == "</details>";
            if !is_comment && !is_fold {
                all.push(format!("HTML: {html}"));
            }
        }
        NodeValue::Text(text) if text.contains(['@', '#', '<', '!']) || text.contains("evil") => {
            all.push(format!("text that is read: {text}"));
        }
        _ => {}
    }
    node.children().for_each(|child| found(child, all));
}

fn judge(markdown: &str) -> Vec<String> {
    let mut options = Options::default();
    let extension = &mut options.extension;
    (extension.table, extension.autolink, extension.footnotes) = (true, true, true);
    (extension.strikethrough, extension.tasklist, extension.alerts) = (true, true, true);
    let arena = Arena::new();
    let mut all = Vec::new();
    found(parse_document(&arena, markdown, &options), &mut all);
    all
}

#[test]
fn the_judge_sees_what_is_not_text() {
    for text in [
        "http://evil.example",
        "@acme",
        "![x](y)",
        "a <img src=x>",
        "# x",
        "[^1]\n\n[^1]: x",
        "<b>\n",
    ] {
        assert_ne!(judge(text), Vec::<String>::new(), "{text}");
    }
}

/// What there is no room for is not asked for again.
#[test]
fn a_full_body_has_the_marks_of_a_section() {
    let many: Vec<Move> = (0..2000).map(|n| a_move(&format!("i{n}"), "a.yaml", "newer")).collect();
    let (full, _) = body(&a_set(), &many, None);
    let set = ChangeSet { body: full.clone(), ..a_set() };
    let long = super::section_of(&format!(
        "<!-- tagalong-sources -->\n{}<!-- /tagalong-sources -->\n",
        "x".repeat(20_000)
    ));
    let marked = set.with_section(&long).body;
    assert!(!super::section_of(&marked).is_empty() && marked.len() < full.len() + 100);
    assert_eq!(set.with_section("").body, full);
}

proptest! {
    #[test]
    fn strangers_texts_stay_text(image in hostile(), path in hostile(), why in hostile(), note in hostile(), tag in hostile()) {
        let set = a_set();
        let moves = [a_move(&image, &path, &why), a_move("shop", "a.yaml", "newer")];
        let said = |revision: &'static str| Origin::read(move |key| {
            Some(if key.ends_with("source") { "https://github.com/acme/shop" } else { revision })
        });
        let notes = vec![
            Note { tag: tag.clone(), text: note.clone() },
            Note { tag: "v1".into(), text: why.clone() },
        ];
        let earned = vec![Earned { environment: path.clone(), page: String::new(), since: None, between: vec![why.clone()] }];
        let sources = Sources { image: image.clone(), from: said("0123456"), to: said("89abcde"), notes, earned };
        let section = section(
            &[sources],
            &SourceServer { url: "https://github.com/".to_owned(), kind: ForgeKind::GitHub },
        );
        let template = "Rolled out for {{ environment }}: {{ images[0].why }}\n\n{{ table }}";
        for template in [None, Some(template)] {
            let (text, _unused) = body(&set, &moves, template);
            let whole = ChangeSet { body: text, ..set.clone() }.with_section(&section).body;
            prop_assert!(whole.contains("Release notes of"), "{}", whole);
            prop_assert_eq!(judge(&whole), Vec::<String>::new(), "{}", whole);
            prop_assert_eq!(super::section_of(&whole), section.clone());
            let read = super::Proposed::read(&whole).unwrap();
            prop_assert_eq!(&read.change, "abc");
        }
        // The last paragraph of a commit message, which is all that git reads as trailers, is ours.
        let message = commit_message(&set, &moves, None);
        let last = message.trim_end().rsplit("\n\n").next().unwrap();
        prop_assert!(last.lines().all(|line| line.starts_with("Tagalong-")), "{}", message);
    }
}

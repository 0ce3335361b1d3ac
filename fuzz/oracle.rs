//! What must hold for every text: found, decided and written, a change is exactly what was meant.
//!
//! Fuzz targets and a test on stable Rust call [`rewrite`]. A panic is a finding.

use std::ops::Range;
use std::sync::LazyLock;

use granit_parser::{Event, Parser};
use tagalong::changeset::{Decided, Draft, Plan, assemble, uses};
use tagalong::choose::{Decision, Outcome, Reason, ReasonCode};
use tagalong::edit::Edit;
use tagalong::image::{Digest, Tag};
use tagalong::manifest::{Survey, Surveyed, is_candidate};
use tagalong::policy::{PolicyFile, PolicySet, read};

/// Whose images are looked for, in the fuzzer's own words and in those of the golden files.
const POLICIES: &str = r"
images:
  shop:
    image: ghcr.io/acme/shop
    tags: {semver: '*'}
    targets:
      - {files: '**', match: 'VERSION *[?:]?= *(?<tag>[^\s#]+)'}
      - {files: 'Makefile', match: '(?<image>r\.io/[^\s]+)'}
      - {files: '**/*.yaml', path: '$..version', part: tag}
  web: {image: ghcr.io/acme/web, tags: {semver: '*'}, digest: pin}
  c: {image: a/b, tags: {numerical: asc}, digest: drop}
";

static SET: LazyLock<PolicySet> = LazyLock::new(|| {
    let (set, problems) = read(&[PolicyFile::new("policies/p.yaml", POLICIES)]);
    assert_eq!(problems, []);
    set
});

/// Rewrites a text as the file `path`, to a tag that has a type of its own or none, and checks all
/// that has to hold. Whether something was written.
pub fn rewrite(path: &str, bytes: &[u8]) -> bool {
    let tags = ["v9.9.9", "1.10", "0x1", "on", "12"];
    let tag = tags[bytes.len() % tags.len()];
    let survey = Survey::new(&SET);
    let files = survey.finish(vec![survey.look(path, bytes)]).files;
    let Some(file) = files.first() else { return false };
    let text = std::str::from_utf8(bytes).expect("only text has sites");
    let Some((plan, after)) = write(&survey, file, text, tag) else { return false };
    let edits: Vec<&Edit> = plan.edits.iter().map(|planned| &planned.edit).collect();
    only_the_spans_differ(text, &after, &edits);
    if is_candidate(path) {
        only_the_scalars_differ(text, &after, &edits);
    }
    nothing_is_left_to_do(&survey, path, &after, tag);
    true
}

/// Plans `tag` for every site; the plan and the new text, where there is one.
fn write(survey: &Survey<'_>, file: &Surveyed, text: &str, tag: &str) -> Option<(Plan, String)> {
    let decision = Decision {
        outcome: Outcome::Update,
        to: Tag::parse(tag),
        to_digest: Digest::parse(&format!("sha256:{}", "0".repeat(64))),
        reason: Reason::new(ReasonCode::Newer, String::new()),
        passed_over: Vec::new(),
        alike: None,
    };
    let uses = uses(std::slice::from_ref(file)).into_iter();
    let decided = uses.map(|at| Decided { at, decision: decision.clone() }).collect();
    let draft = Draft::new(&SET, survey, std::slice::from_ref(file), decided);
    // One environment, whose changes go together.
    let (bundle, edits) = draft.edits(file).into_iter().next()?;
    let rewritten = draft.rewrite(file, &edits, Ok(text.as_bytes()));
    let plan = assemble(draft, vec![(file, bundle, rewritten)]);
    let change = plan.change_sets.first()?.files.get(&file.path)?;
    let (before, after) = plan.texts(change, text.to_owned()).expect("the text is the same");
    let back = plan.texts(change, after.clone()).expect("the way back is known");
    assert_eq!((before.as_str(), back.0.as_str()), (text, text));
    Some((plan, after))
}

/// Byte for byte, everything between the spans is what it was.
fn only_the_spans_differ(before: &str, after: &str, edits: &[&Edit]) {
    let (mut old, mut new) = (0, 0);
    for edit in edits {
        let gap = &before[old..edit.span.start];
        assert_eq!(&after[new..new + gap.len()], gap);
        new += gap.len();
        assert_eq!(&before[edit.span.clone()], edit.old);
        assert_eq!(&after[new..new + edit.new.len()], edit.new);
        (old, new) = (edit.span.end, new + edit.new.len());
    }
    assert_eq!(after[new..], before[old..]);
}

/// By the parser's own events, every node but the scalars with a span is what it was.
fn only_the_scalars_differ(before: &str, after: &str, edits: &[&Edit]) {
    let (Some(before), Some(after)) = (events(before), events(after)) else {
        return;
    };
    assert_eq!(before.len(), after.len());
    let is_edited = |span: &Range<usize>| {
        edits.iter().any(|edit| span.start <= edit.span.start && edit.span.end <= span.end)
    };
    for ((old, span), (new, _)) in before.iter().zip(&after) {
        match (old, new) {
            (Event::Scalar(_, _, anchor, tag), Event::Scalar(_, _, other, theirs))
                if is_edited(span) =>
            {
                assert_eq!((anchor, tag), (other, theirs));
            }
            (Event::Comment(text, _), Event::Comment(other, _)) => assert_eq!(text, other),
            _ => assert_eq!(old, new),
        }
    }
}

/// The events of a text that is YAML, with the bytes of each.
fn events(text: &str) -> Option<Vec<(Event<'_>, Range<usize>)>> {
    let events = Parser::new_from_str(text).map(|event| {
        let (event, span) = event.ok()?;
        Some((event, span.byte_range().unwrap_or_default()))
    });
    events.collect()
}

/// A second run finds the same places, and they hold what was written.
fn nothing_is_left_to_do(survey: &Survey<'_>, path: &str, after: &str, tag: &str) {
    let files = survey.finish(vec![survey.look(path, after.as_bytes())]).files;
    for file in &files {
        assert!(write(survey, file, after, tag).is_none(), "a second run changes more: {after:?}");
    }
}

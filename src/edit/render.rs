//! What to write into the slots of a site, in the way that the site is written.

use super::Edit;
use crate::image::{Digest, Tag, split_registry};
use crate::manifest::{Part, Scalar, Scalars, Site, Slot};
use crate::policy::DigestMode;
use crate::yaml::{Resolved, Style, resolve};

/// What a site is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The image's name as the policy writes it, for markers that ask for it.
    pub name: &'a str,
    /// The tag.
    pub tag: &'a Tag,
    /// The digest behind it, where one is wanted.
    pub digest: Option<&'a Digest>,
    /// What happens to digests.
    pub mode: DigestMode,
}

/// The edits that make a site hold its target; none for slots that hold it already.
#[must_use]
pub fn edits(scalars: &Scalars, site: &Site, target: Target<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for slot in &site.slots {
        let Some(scalar) = scalars.get(&slot.node) else { continue };
        let old = &scalar.value[slot.range.clone()];
        let new = slot_text(slot, old, site, target);
        if new != old {
            edits.push(write(scalar, slot, old, &new));
        }
    }
    edits
}

/// The new content of a slot.
fn slot_text(slot: &Slot, old: &str, site: &Site, target: Target<'_>) -> String {
    let separate = site.slots.iter().any(|slot| matches!(slot.part, Part::Digest | Part::Hash));
    let wanted = match target.mode {
        DigestMode::Pin => !separate || old.contains('@'),
        DigestMode::Keep => old.contains('@'),
        DigestMode::Drop => old.contains('@') && site.tag.is_none(),
    };
    // A marker says which part a scalar holds; nothing is added to it.
    let wanted = match (site.claimed.is_some(), slot.part) {
        (true, Part::Whole) => {
            target.mode == DigestMode::Pin || target.mode == DigestMode::Keep && old.contains('@')
        }
        (true, Part::Tag) => wanted && old.contains('@'),
        _ => wanted,
    };
    let wanted = wanted || slot.part == Part::TagAndDigest;
    let digest = target.digest.filter(|_| wanted).map(|digest| format!("@{digest}"));
    let digest = digest.unwrap_or_default();
    match slot.part {
        Part::Suffix if site.tag.is_some() || target.mode == DigestMode::Pin => {
            format!(":{}{digest}", target.tag)
        }
        Part::Suffix => digest,
        Part::Tag | Part::TagAndDigest => format!("{}{digest}", target.tag),
        Part::Whole => format!("{}:{}{digest}", target.name, target.tag),
        Part::Name if site.slots.iter().any(|slot| slot.part == Part::Registry) => {
            split_registry(target.name).1.to_owned()
        }
        Part::Name => target.name.to_owned(),
        Part::Registry => split_registry(target.name).0.to_owned(),
        Part::Digest => {
            digest_alone(old, Digest::parse(old).as_ref(), site, target, Digest::as_str)
        }
        Part::Hash => digest_alone(old, Digest::from_hex(old).as_ref(), site, target, Digest::hex),
    }
}

/// A digest with a key of its own, which is written as it was.
fn digest_alone(
    old: &str,
    held: Option<&Digest>,
    site: &Site,
    target: Target<'_>,
    written: impl Fn(&Digest) -> &str,
) -> String {
    match target.mode {
        DigestMode::Drop if held.is_some() && site.tag.is_some() && site.claimed.is_none() => {
            String::new()
        }
        DigestMode::Drop => old.to_owned(),
        // It is written behind the tag already, and a template would put both there.
        DigestMode::Pin if held.is_none() && site.digest.is_some() && site.claimed.is_none() => {
            old.to_owned()
        }
        DigestMode::Keep if held.is_none() && site.claimed.is_none() => old.to_owned(),
        _ => target.digest.map_or_else(|| old.to_owned(), |digest| written(digest).to_owned()),
    }
}

/// Replaces a slot, quoting the scalar where the plain text would get another type.
fn write(scalar: &Scalar, slot: &Slot, old: &str, new: &str) -> Edit {
    let edit = |start: usize, old: &str, new: &str| Edit {
        line: slot.line,
        span: start..start + old.len(),
        old: old.to_owned(),
        new: new.to_owned(),
        node: slot.node,
        within: slot.range.clone(),
        text: new.to_owned(),
        inner: None,
    };
    // Where the text is YAML itself, its scalar is the one that has a type.
    let (own, piece) = match &slot.inner {
        Some(inner) => (&inner.scalar, &inner.range),
        None => (scalar, &slot.range),
    };
    let whole = [&own.value[..piece.start], new, &own.value[piece.end..]].concat();
    let quoted = if own.style == Some(Style::Plain) {
        plain_or_quoted(&own.value, &whole)
    } else {
        whole.clone()
    };
    let mut edit = if slot.is_missing {
        Edit { text: whole.clone(), ..edit(slot.start, "", &format!(" {quoted}")) }
    } else if quoted == whole {
        // The colon of `:tag` stays where it is on both sides of most changes.
        let same = usize::from(old.starts_with(':') && new.starts_with(':'));
        Edit { text: new.to_owned(), ..edit(slot.start + same, &old[same..], &new[same..]) }
    } else {
        Edit { text: new.to_owned(), ..edit(slot.start - piece.start, &own.value, &quoted) }
    };
    if let Some(inner) = &slot.inner {
        if slot.is_missing {
            edit.text.clone_from(&edit.new);
        } else if quoted != whole {
            (edit.within, edit.text) = (inner.raw.clone(), quoted);
        }
        edit.inner = Some((inner.raw.clone(), whole));
    }
    edit
}

/// Helm reads numbers as floating-point ones, and Go prints those from here on with an exponent: `1e+06`
/// (<https://pkg.go.dev/strconv#FormatFloat>, format `g`).
const EXPONENT: u64 = 1_000_000;

/// The one rule for plain scalars: text stays text, and a number stays plain only when it is of the
/// type it replaces and a program that reads it as a number prints the same characters again.
///
/// `11.8` → `11.9` stays plain; `0.4` → `0.10` is quoted, because a float would print `0.1`, and so is
/// `1.2.3` → `1.3`, which was text and would become a float, and `999999` → `1000000`, which Helm prints as `1e+06`.
pub(super) fn plain_or_quoted(old: &str, new: &str) -> String {
    let (before, after) = (resolve(old), resolve(new));
    let is_short =
        |text: &str| text.parse::<u64>().is_ok_and(|n| n < EXPONENT && n.to_string() == text);
    let prints_alike = match after {
        Resolved::Int => is_short(new),
        // A fraction of four digits is never printed with an exponent.
        Resolved::Float => new.split_once('.').is_some_and(|(whole, fraction)| {
            let is_digits = fraction.bytes().all(|b| b.is_ascii_digit());
            let is_kept = (1..=4).contains(&fraction.len()) && !fraction.ends_with('0');
            is_short(whole) && is_digits && is_kept
        }),
        Resolved::Text | Resolved::Timestamp => true,
        Resolved::Null | Resolved::Bool => false,
    };
    if after == Resolved::Text || (before == after && prints_alike) {
        new.to_owned()
    } else {
        format!("\"{new}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::apply;
    use crate::manifest::{Basis, Setters, find};
    use crate::yaml::Stream;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    const HEX: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn rewritten(text: &str, tag: &str, mode: DigestMode) -> String {
        let stream = Stream::parse(text).unwrap();
        let found = find("kustomization.yaml", text, &stream, &[], Setters::default());
        let basis = Basis::new(&stream, found.sites.iter().flat_map(|site| &site.slots));
        let (tag, digest) = (Tag::parse(tag).unwrap(), Digest::parse(B).unwrap());
        let target = Target { name: "a/b", tag: &tag, digest: Some(&digest), mode };
        let edits: Vec<_> =
            found.sites.iter().flat_map(|site| edits(&basis.scalars, site, target)).collect();
        apply(text, &basis, &edits, |_| Scalars::new()).unwrap().text
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_shape_is_written_as_it_was() {
        use DigestMode::{Drop, Keep, Pin};
        let cases = [
            ("image: a/b:v1 # c\n", Keep, "image: a/b:v2 # c\n".to_owned()),
            ("image: 'a/b:v1'", Keep, "image: 'a/b:v2'".into()),
            ("{image: \"a/b:v1\"}\r\n", Keep, "{image: \"a/b:v2\"}\r\n".into()),
            ("image: >-\n  a/b:v1\n", Keep, "image: >-\n  a/b:v2\n".into()),
            ("image: a/b:v1\n", Pin, format!("image: a/b:v2@{B}\n")),
            (&format!("image: a/b:v1@{A}\n"), Keep, format!("image: a/b:v2@{B}\n")),
            (&format!("image: a/b:v1@{A}\n"), Drop, "image: a/b:v2\n".into()),
            (&format!("image: a/b@{A}\n"), Keep, format!("image: a/b@{B}\n")),
            (&format!("image: a/b@{A}\n"), Pin, format!("image: a/b:v2@{B}\n")),
            ("repository: a/b\ntag: v1\n", Keep, "repository: a/b\ntag: v2\n".into()),
            ("repository: a/b\ntag: v1\n", Pin, format!("repository: a/b\ntag: v2@{B}\n")),
            (
                &format!("{{repository: a/b, tag: v1@{A}}}"),
                Keep,
                format!("{{repository: a/b, tag: v2@{B}}}"),
            ),
            (
                "repository: a/b\ntag: v1\ndigest: ''\n",
                Keep,
                "repository: a/b\ntag: v2\ndigest: ''\n".into(),
            ),
            (
                "repository: a/b\ntag: v1\ndigest: ''\n",
                Pin,
                format!("repository: a/b\ntag: v2\ndigest: '{B}'\n"),
            ),
            (
                "repository: a/b\ntag: v1\ndigest: # c\n",
                Pin,
                format!("repository: a/b\ntag: v2\ndigest: {B} # c\n"),
            ),
            (
                "{repository: a/b, tag: v1, sha: }",
                Pin,
                format!("{{repository: a/b, tag: v2, sha: {HEX} }}"),
            ),
            (
                "{repository: a/b, tag: v1, digest: null}",
                Pin,
                format!("{{repository: a/b, tag: v2, digest: {B}}}"),
            ),
            (
                "{repository: a/b, tag: v1, digest: ~}",
                Keep,
                "{repository: a/b, tag: v2, digest: ~}".into(),
            ),
            ("image: a/b:v1\ndigest: ''\n", Pin, format!("image: a/b:v2\ndigest: '{B}'\n")),
            (
                "x: {values.yaml: 1}\nvalues: |\n  repository: a/b\n  tag: v1\n  digest:\n",
                Pin,
                format!(
                    "x: {{values.yaml: 1}}\nvalues: |\n  repository: a/b\n  tag: v2\n  digest: {B}\n"
                ),
            ),
            (
                &format!("repository: a/b\ntag: v1\nsha: {}\n", "1".repeat(64)),
                Keep,
                format!("repository: a/b\ntag: v2\nsha: {HEX}\n"),
            ),
            (
                &format!(
                    "fooImage: a/b\nfooTag: v1\nfooImageDigest: {A}\nbarTag: v1\nbarDigest: {A}\n"
                ),
                Keep,
                format!(
                    "fooImage: a/b\nfooTag: v2\nfooImageDigest: {B}\nbarTag: v1\nbarDigest: {A}\n"
                ),
            ),
            (
                &format!("image: a/b:v1\nimageDigest: {A}\n"),
                Drop,
                "image: a/b:v2\nimageDigest: \"\"\n".into(),
            ),
            (
                &format!("repository: a/b\ntag: v1\ndigest: {A}\n"),
                Keep,
                format!("repository: a/b\ntag: v2\ndigest: {B}\n"),
            ),
            (
                &format!("images: [{{name: a/b, digest: {A}}}]"),
                Keep,
                format!("images: [{{name: a/b, digest: {B}}}]"),
            ),
            (
                "images:\n- name: a/b\n  newTag: v1",
                Keep,
                "images:\n- name: a/b\n  newTag: v2".into(),
            ),
        ];
        for (before, mode, after) in cases {
            assert_eq!(rewritten(before, "v2", mode), after, "{before:?} {mode:?}");
        }
    }

    #[test]
    fn digits_alone_are_no_number_either() {
        let before = format!("{{repository: a/b, tag: v1, sha: {}}}", "a".repeat(64));
        let stream = Stream::parse(&before).unwrap();
        let found = find("a.yaml", &before, &stream, &[], Setters::default());
        let basis = Basis::new(&stream, found.sites.iter().flat_map(|site| &site.slots));
        let digest =
            Digest::parse(&format!("sha256:{}e{}", "1".repeat(31), "2".repeat(32))).unwrap();
        let tag = Tag::parse("v1").unwrap();
        let target =
            Target { name: "a/b", tag: &tag, digest: Some(&digest), mode: DigestMode::Keep };
        let edits = edits(&basis.scalars, &found.sites[0], target);
        assert_eq!(edits[0].new, format!("\"{}\"", digest.hex()));
    }

    #[test]
    fn a_plain_tag_keeps_its_type_or_is_quoted() {
        let cases = [
            ("11.8", "11.9", "11.9"),
            ("0.4", "0.10", "\"0.10\""),
            ("0.4", "0.4.1", "0.4.1"),
            ("1.2.3", "1.3", "\"1.3\""),
            ("1.2.3", "1.2.4", "1.2.4"),
            ("11", "12", "12"),
            ("11", "11.5", "\"11.5\""),
            ("v1", "1e5", "\"1e5\""),
            ("v1", "on", "\"on\""),
            ("v1", "0x1", "\"0x1\""),
            ("v1", "1_0", "\"1_0\""),
            ("7", "08", "\"08\""),
            ("999998", "999999", "999999"),
            ("999999", "1000000", "\"1000000\""),
            ("20240923", "20241001", "\"20241001\""),
            ("9007199254740992", "9007199254740993", "\"9007199254740993\""),
            ("1.5", "1.00001", "\"1.00001\""),
            ("0.5", "0.0001", "0.0001"),
            ("abc1234_16", "72225e2_17", "\"72225e2_17\""),
            ("v1", "1e5_", "\"1e5_\""),
            ("v1", "6_.02e_23", "\"6_.02e_23\""),
            ("v1", "72225f2_17", "72225f2_17"),
            ("2024-11-01", "2024-11-02", "2024-11-02"),
            ("latest", "2024-11-02", "\"2024-11-02\""),
            ("1.5", "1.25", "1.25"),
            ("'1.2'", "1.10", "'1.10'"),
            ("\"1.2\"", "1.10", "\"1.10\""),
        ];
        for (old, new, want) in cases {
            let before = format!("image: {{repository: a/b, tag: {old}}}\n");
            let after = format!("image: {{repository: a/b, tag: {want}}}\n");
            assert_eq!(rewritten(&before, new, DigestMode::Keep), after, "{old} -> {new}");
        }
    }
}

//! Texts for GitLab, which obeys lines that begin with a slash: `/merge` in a description merges
//! (<https://docs.gitlab.com/user/project/quick_actions/>). Whoever writes a template, a reason or a release must not command
//! the bot.

use std::borrow::Cow;

use crate::secret::redacted;

/// A text in which no line is a command. GitLab shows it as it was, but for a backslash in blocks of code.
pub(super) fn inert(text: &str) -> String {
    // GitLab takes returns out before it looks at a line, wherever they are.
    let text = redacted(text).replace('\r', "");
    lines(&text, |line, start| {
        let (space, rest) = line.split_at(start);
        let is_changed = is_command(rest);
        if is_changed { Cow::Owned(format!("{space}\\{rest}")) } else { Cow::Borrowed(line) }
    })
}

/// The text that [`inert`] was made of.
pub(super) fn as_written(text: &str) -> String {
    lines(text, |line, start| match line[start..].strip_prefix('\\') {
        Some(rest) if is_command(rest) => Cow::Owned(format!("{}{rest}", &line[..start])),
        _ => Cow::Borrowed(line),
    })
}

/// True if a line is a slash and a word, behind any number of backslashes.
fn is_command(line: &str) -> bool {
    let rest = line.trim_start_matches('\\').strip_prefix('/');
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Changes each line by its text and where that begins.
fn lines(text: &str, change: impl Fn(&str, usize) -> Cow<'_, str>) -> String {
    let changed = text.split('\n').map(|line| {
        let start = line.len() - line.trim_start().len();
        change(line, start).into_owned()
    });
    changed.collect::<Vec<_>>().join("\n")
}

/// The beginning of a draft's title, as this program writes it.
pub(super) const DRAFT: &str = "Draft: ";

/// A title without what makes it one of a draft
/// (<https://docs.gitlab.com/user/project/merge_requests/drafts/>).
pub(super) fn without_draft(title: &str) -> &str {
    let marks = ["draft:", "[draft]", "(draft)"];
    let is_marked = |mark: &&&str| {
        title.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
    };
    marks.iter().find(is_marked).map_or(title, |mark| title[mark.len()..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command_and_all_come_back() {
        let cases = [
            ("/merge", "\\/merge"),
            ("a\n  /label ~x\nb", "a\n  \\/label ~x\nb"),
            ("\\/merge", "\\\\/merge"),
            ("a /merge", "a /merge"),
            ("// comment", "// comment"),
            ("/", "/"),
            ("\t/close\r\n", "\t\\/close\n"),
            ("/\rmerge\r\n\r/close", "\\/merge\n\\/close"),
        ];
        for (text, want) in cases {
            assert_eq!(inert(text), want, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_again(text in "([ \\\\/a\n\r\u{a0}]{0,4}[a/ ]{0,3}){0,6}") {
            let sent = inert(&text);
            proptest::prop_assert_eq!(as_written(&sent), text.replace('\r', ""));
            proptest::prop_assert!(!sent.split('\n').any(|line| line.trim_start().starts_with("/a")), "{}", sent);
        }
    }

    #[test]
    fn a_title_is_known_without_its_draft() {
        for (title, want) in [
            ("Draft: Update shop", "Update shop"),
            ("[DRAFT] Update shop", "Update shop"),
            ("(draft)Update shop", "Update shop"),
            ("Update draft: x", "Update draft: x"),
            ("Dräft: x", "Dräft: x"),
        ] {
            assert_eq!(without_draft(title), want);
        }
    }
}

//! Titles of drafts: what begins so is one
//! (<https://forgejo.org/docs/latest/user/pull-requests-and-git-flow/>).

/// The beginning of a draft's title, as this program writes it.
pub(super) const DRAFT: &str = "WIP: ";

/// A title without what makes it one of a draft. Operators can set other words; then the server says whether it is one.
pub(super) fn without_draft(title: &str) -> &str {
    let marks = ["wip:", "[wip]", "draft:", "[draft]"];
    let is_marked = |mark: &&&str| {
        title.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
    };
    marks.iter().find(is_marked).map_or(title, |mark| title[mark.len()..].trim_start())
}

pub(super) fn titled(title: &str, is_draft: bool) -> String {
    if is_draft { format!("{DRAFT}{title}") } else { title.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_known_without_its_draft() {
        for (title, want) in [
            ("WIP: Update shop", "Update shop"),
            ("[wip]Update shop", "Update shop"),
            ("Draft: Update shop", "Update shop"),
            ("Update wip: x", "Update wip: x"),
            ("Wïp: x", "Wïp: x"),
        ] {
            assert_eq!(without_draft(title), want);
        }
    }
}

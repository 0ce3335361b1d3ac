//! What happened to a pull request, in its order (`GET /repos/{owner}/{repo}/issues/{index}/timeline`): who set labels, and
//! whether it is merged once its checks pass, which the pull request itself does not say.

use serde::Deserialize;

use super::{Account, Forgejo};
use crate::forge::ForgeFault;
use crate::policy::{APPROVE, HOLD, REBASE};
use crate::pull_request::Labeller;

/// Empty parts in a row after which a list is over where people's word depends on it.
const MANY_GAPS: usize = 10;

/// Something that happened.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    id: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Whoever did it; nobody for what the server did by itself.
    user: Option<Account>,
    /// With the present name, also where the label had another one then.
    label: Option<EventLabel>,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EventLabel {
    name: String,
}

impl Event {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// True if it set a label; what took one off has no text.
    fn sets(&self) -> bool {
        self.body.as_deref() == Some("1")
    }
}

/// The login of whoever has the server merge it; empty where that is not said.
pub(super) fn auto_merge_by(events: &[Event]) -> Option<String> {
    let mut by = None;
    for event in events {
        match event.kind.as_deref() {
            Some("pull_scheduled_merge") => {
                by = Some(event.user.as_ref().map(|user| user.login.clone()).unwrap_or_default());
            }
            // Closing does not take it back.
            Some("pull_cancel_scheduled_merge" | "merge_pull") => by = None,
            _ => {}
        }
    }
    by
}

/// The account that set a label last, where it is there now. One that approves what is on the branch, or throws it away, has
/// to be younger than that.
fn labelled<'e>(events: &'e [Event], label: &str) -> Option<&'e Account> {
    let is_it = |event: &&Event| {
        let named = event.label.as_ref();
        event.is("label") && named.is_some_and(|named| named.name.eq_ignore_ascii_case(label))
    };
    let last = events.iter().rfind(is_it).filter(|event| event.sets())?;
    let pushed = events.iter().rfind(|event| event.is("pull_push"));
    let is_old = pushed.is_some_and(|push| push.id > last.id);
    if is_old && (label == APPROVE || label == REBASE) {
        return None;
    }
    last.user.as_ref()
}

impl Forgejo {
    /// Reads what happened, from the first to the last, to so many empty parts: what the token may not see, such as mentions in
    /// private repositories, is left out of the parts of the list.
    pub(super) async fn timeline(
        &self,
        number: u64,
        gaps: usize,
    ) -> Result<Vec<Event>, ForgeFault> {
        let mut events: Vec<Event> =
            self.list_with_gaps(&self.route(&format!("issues/{number}/timeline")), gaps).await?;
        events.sort_by_key(|event| event.id);
        Ok(events)
    }

    /// Reads who set a label that is there; `None` when nobody can say, or the rights of whoever it was are not told.
    pub(super) async fn labelled(
        &self,
        number: u64,
        label: &str,
    ) -> Result<Option<Labeller>, ForgeFault> {
        let events = self.timeline(number, MANY_GAPS).await?;
        let Some(by) = labelled(&events, label) else { return Ok(None) };
        match self.labeller(by).await {
            // A hold by nobody knows whom counts, and nothing else does.
            Err(ForgeFault::Forbidden(said)) => {
                tracing::warn!(
                    label,
                    said,
                    "only administrators of a repository are told who may write"
                );
                Ok(None)
            }
            labeller => labeller.map(Some),
        }
    }

    /// True if a hold counts, by whomever it is.
    pub(super) async fn is_held(&self, number: u64) -> Result<bool, ForgeFault> {
        let by = self.labelled(number, HOLD).await?;
        Ok(by.is_none_or(|by| by.may_write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(all: &[(&str, &str, &str)]) -> Vec<Event> {
        let rows = all.iter().enumerate().map(|(id, (kind, by, text))| Event {
            id: id as u64,
            kind: Some((*kind).to_owned()),
            user: Some(Account { id: 1, login: (*by).to_owned() }),
            label: (*kind == "label")
                .then(|| EventLabel { name: text.trim_start_matches('-').to_owned() }),
            body: Some(if text.starts_with('-') { "" } else { "1" }.to_owned()),
        });
        rows.collect()
    }

    #[test]
    fn the_last_word_on_a_merge_counts() {
        let (armed, off) = (("pull_scheduled_merge", "ada", ""), "pull_cancel_scheduled_merge");
        let cases = [
            (vec![], None),
            (vec![armed], Some("ada")),
            (vec![armed, (off, "bot", "")], None),
            (vec![armed, (off, "bot", ""), ("pull_scheduled_merge", "bot", "")], Some("bot")),
            (vec![armed, ("close", "ada", ""), ("reopen", "ada", "")], Some("ada")),
            (vec![armed, ("merge_pull", "ada", "")], None),
            (vec![armed, ("comment", "ada", "")], Some("ada")),
        ];
        for (all, want) in cases {
            assert_eq!(auto_merge_by(&events(&all)).as_deref(), want, "{all:?}");
        }
    }

    #[test]
    fn a_label_is_of_whoever_set_it_last() {
        let push = ("pull_push", "bot", "");
        let cases = [
            (vec![("label", "ada", HOLD)], HOLD, Some("ada")),
            (vec![("label", "ada", HOLD), ("label", "eve", "-tagalong:hold")], HOLD, None),
            (vec![("label", "ada", HOLD), push], HOLD, Some("ada")),
            (vec![("label", "ada", APPROVE), push], APPROVE, None),
            (vec![push, ("label", "ada", "Tagalong:Approve")], APPROVE, Some("ada")),
            (vec![("label", "ada", REBASE), push], REBASE, None),
            (vec![("label", "ada", "bump")], HOLD, None),
        ];
        for (all, label, want) in cases {
            let events = events(&all);
            let by = labelled(&events, label).map(|by| by.login.as_str());
            assert_eq!(by, want, "{all:?}");
        }
    }
}

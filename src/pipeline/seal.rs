//! Seal of a ledger, and diagnostics for an unproven one.

use super::Tree;
use crate::diagnostic::{Code, Diagnostic};
use crate::ledger::{Ledger, SealKeys, SealVerdict};
use crate::policy::{AutoMerge, Environment, PolicySet, Via};
use crate::settings::DecideSettings;

/// Keys and repository name that seal a ledger.
pub(super) struct Seal {
    keys: Option<SealKeys>,
    /// The repository, as far as it has a name.
    repository: String,
}

impl Seal {
    pub(super) fn of(tree: &Tree, set: &PolicySet, settings: &DecideSettings) -> Self {
        // A path is no name, and an address has several spellings.
        let address = || Some(set.origin.as_str()).filter(|origin| origin.contains("://"));
        let address =
            || address().map(|origin| origin.trim_end_matches('/').trim_end_matches(".git"));
        let name = tree.whole_name().or_else(|| tree.name());
        let repository = name.or_else(|| address().map(str::to_owned)).unwrap_or_default();
        Self { keys: settings.ledger_keys.clone(), repository }
    }

    /// The text to keep.
    pub(super) fn text(&self, ledger: &Ledger) -> String {
        match &self.keys {
            Some(keys) => ledger.sealed(keys, &self.repository),
            None => ledger.to_json(),
        }
    }

    /// Judges the text of a ledger; `None` without a key.
    pub(super) fn judge(&self, text: &[u8]) -> Option<SealVerdict> {
        self.keys.as_ref().map(|keys| keys.judge(text, &self.repository))
    }

    /// A note that nothing proves the ledger, where an age alone lets something change.
    pub(super) fn unguarded(&self, set: &PolicySet) -> Option<Diagnostic> {
        let mut here = set.environments.iter().filter(|e| e.home == set.here);
        let environment = here.find(|environment| is_aged(set, environment))?;
        let message = format!(
            "`{}` gets what an age allows without a person, and nothing proves the ledger that ages are counted from: whoever may \
             push can rewrite it",
            environment.name
        );
        let help = "set TAGALONG_LEDGER_KEY (`openssl rand -hex 32`), the same for all that run on this repository";
        let note = Diagnostic::info(Code::LedgerUnproven, message).help(help);
        self.keys.is_none().then_some(note)
    }
}

/// Diagnostic for a ledger without our seal, or for none.
pub(super) fn unproven(is_there: bool) -> Diagnostic {
    let message = if is_there {
        "the ledger is not sealed by TAGALONG_LEDGER_KEY, so none of its times is believed: ages begin now"
    } else {
        "there is no ledger that TAGALONG_LEDGER_KEY seals: ages begin now, and history alone makes nothing old"
    };
    let help = "expected once, when the key is new; else somebody, or a run without the key, wrote it: \
                `git log FETCH_HEAD` after `git fetch origin refs/tagalong/ledger`";
    Diagnostic::warning(Code::LedgerUnproven, message).help(help)
}

/// Diagnostic for a sealed ledger and a run without a key. The run keeps the ledger nevertheless: whoever wrote a seal into it could else
/// make every run forget.
pub(super) fn unchecked() -> Diagnostic {
    let message = "the ledger is sealed, and this run has no key to prove it with; what this run keeps is not believed by those that have it";
    let help = "set TAGALONG_LEDGER_KEY as for the other runs on this repository; where none has it, somebody else wrote the seal";
    Diagnostic::warning(Code::LedgerUnproven, message).help(help)
}

/// True if an environment gets what an age allows, and no person is asked.
fn is_aged(set: &PolicySet, environment: &Environment) -> bool {
    let deliver = &environment.deliver;
    let is_alone =
        deliver.via == Via::Push || deliver.merge.by != AutoMerge::Off && !deliver.merge.approval;
    let has_soak = environment.stage.promotion.as_ref().is_some_and(|p| !p.soak.is_zero());
    let mut policies = environment.policies.iter().map(|policy| &set.policies[*policy]);
    is_alone && (has_soak || policies.any(|policy| policy.checks.min_age.is_some()))
}

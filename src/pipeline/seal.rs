//! Whether a ledger is one of ours, and what is said where nothing proves it.

use crate::diagnostic::{Code, Diagnostic};
use crate::ledger::{Ledger, SealKeys};
use crate::policy::{AutoMerge, Environment, PolicySet, Via};
use crate::settings::DecideSettings;

/// What the ledger of a repository is sealed with.
pub(super) struct Seal {
    keys: Option<SealKeys>,
    /// The repository, as far as it has a name.
    repository: String,
}

impl Seal {
    pub(super) fn of(set: &PolicySet, settings: &DecideSettings) -> Self {
        Self { keys: settings.ledger_keys.clone(), repository: set.origin.clone() }
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The text to keep.
    pub(super) fn text(&self, ledger: &Ledger) -> String {
        match &self.keys {
            Some(keys) => ledger.sealed(keys, &self.repository),
            None => ledger.to_json(),
        }
    }

    /// What speaks against a ledger: that nobody proves it where it has to be proven, or that it is sealed, and we have no key.
    pub(super) fn doubt(&self, ledger: &Ledger) -> Option<Diagnostic> {
        let is_ours =
            |keys| *ledger == Ledger::default() || ledger.is_proven(keys, &self.repository);
        match &self.keys {
            Some(keys) if !is_ours(keys) => {
                let message = "the ledger is not sealed by TAGALONG_LEDGER_KEY, so none of its times is believed: ages begin now";
                let help = "expected once, when the key is new; else somebody, or a run without the key, wrote it: \
                            `git log FETCH_HEAD` after `git fetch origin refs/tagalong/ledger`";
                Some(Diagnostic::warning(Code::LedgerUnproven, message).help(help))
            }
            None if ledger.is_sealed() => {
                let message =
                    "the ledger is sealed, and this run has no key: what it sees is not kept";
                let help = "set TAGALONG_LEDGER_KEY as for the other runs on this repository";
                Some(Diagnostic::info(Code::LedgerUnproven, message).help(help))
            }
            _ => None,
        }
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

/// True if an environment gets what an age allows, and no person is asked.
fn is_aged(set: &PolicySet, environment: &Environment) -> bool {
    let deliver = &environment.deliver;
    let is_alone =
        deliver.via == Via::Push || deliver.merge.by != AutoMerge::Off && !deliver.merge.approval;
    let has_soak = environment.stage.promotion.as_ref().is_some_and(|p| !p.soak.is_zero());
    let mut policies = environment.policies.iter().map(|policy| &set.policies[*policy]);
    is_alone && (has_soak || policies.any(|policy| policy.checks.min_age.is_some()))
}

//! Names that markers have for policies: in one environment, each is of one policy.

use super::{ById, Environment, Policy, PolicyId};
use crate::diagnostic::{Code, Diagnostic};

/// Policies of one environment for which a marker would be alike.
pub(super) fn shared(
    environments: &[Environment],
    policies: &ById<PolicyId, Policy>,
) -> Vec<Diagnostic> {
    let mut problems: Vec<Diagnostic> = Vec::new();
    for environment in environments {
        let all = || environment.policies.iter().map(|index| &policies[*index]);
        for policy in all() {
            let Some(marker) = policy.marker.as_deref() else { continue };
            let is_of_another = |other: &&Policy| {
                // Flux's own resource of that name is what the policy stands for.
                !other.is_of_flux() && other.name != policy.name && other.is_called(marker)
            };
            let Some(other) = all().find(is_of_another) else { continue };
            let message = format!(
                "the marker `{marker}` would be for `{}` and for `{}` in environment `{}`",
                policy.name, other.name, environment.name
            );
            let problem = Diagnostic::error(Code::PolicyDuplicateName, message);
            problems.push(
                problem
                    .at(policy.place.clone())
                    .help("give each an environment of its own, with `images`, or take `marker` out of one".to_owned()),
            );
        }
    }
    problems
}

//! The environments that Flux's automations come to.

use std::collections::BTreeSet;

use globset::{GlobSet, GlobSetBuilder};

use super::super::paths::{self, Paths};
use super::super::{ById, Home, PolicyId, Stage, Via};
use super::{Automation, Chosen, Deliver, Environment, Flux, ObjectName, Policy, marker_name};

impl Flux {
    /// An environment for each automation; automations whose paths overlap become one, which opens
    /// pull requests when one of them would.
    pub(in crate::policy) fn environments(
        &self,
        policies: &ById<PolicyId, Policy>,
    ) -> Vec<Environment> {
        let mut merged: Vec<Environment> = Vec::new();
        for (key, automation) in &self.automations {
            let mut new = Environment {
                path_places: Vec::new(),
                name: format!("{}-{}", key.0, key.1),
                paths: Paths::of(vec![automation.path.clone()]),
                policies: self.selected(key, automation, policies),
                deliver: Deliver::via(automation.via),
                holds: Vec::new(),
                home: Home::default(),
                stage: Stage::default(),
                message: automation.message.clone(),
                place: automation.place.clone(),
            };
            let meets = |environment: &Environment| {
                let mut written = environment.paths.written.iter();
                written.any(|path| new.paths.written.iter().any(|other| paths::meet(path, other)))
            };
            let (meeting, apart): (Vec<_>, Vec<_>) =
                merged.into_iter().partition(|environment| meets(environment));
            for other in meeting.into_iter().rev() {
                new = united(other, new);
            }
            merged = apart;
            merged.push(new);
        }
        for environment in &mut merged {
            let mut builder = GlobSetBuilder::new();
            for path in &environment.paths.written {
                let _checked = paths::add(&mut builder, path);
            }
            environment.paths.globs = builder.build().unwrap_or_else(|_| GlobSet::empty());
        }
        merged.sort_by(|a, b| a.name.cmp(&b.name));
        merged
    }

    fn selected(
        &self,
        key: &ObjectName,
        automation: &Automation,
        policies: &ById<PolicyId, Policy>,
    ) -> Vec<PolicyId> {
        let wanted = |(namespace, name): &ObjectName, chosen: &Chosen| {
            let labelled = automation.selector.matches(&chosen.spec.labels);
            (*namespace == key.0 && labelled)
                .then(|| marker_name(&(namespace.clone(), name.clone())))
        };
        let names: BTreeSet<String> =
            self.policies.iter().filter_map(|(k, chosen)| wanted(k, chosen)).collect();
        let chosen = policies
            .with_ids()
            .filter(|(_, policy)| policy.is_of_flux() && names.contains(&policy.name));
        chosen.map(|(id, _)| id).collect()
    }
}

/// Two environments as one.
fn united(first: Environment, second: Environment) -> Environment {
    let policies: BTreeSet<PolicyId> = first.policies.into_iter().chain(second.policies).collect();
    let mut written = first.paths.written;
    written.extend(second.paths.written);
    let is_by_pull_request = second.deliver.via == Via::PullRequest;
    let deliver = if is_by_pull_request { second.deliver } else { first.deliver };
    Environment {
        policies: policies.into_iter().collect(),
        paths: Paths::of(written),
        deliver,
        ..first
    }
}

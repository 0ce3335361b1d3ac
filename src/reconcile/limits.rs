//! Limits on open pull requests, and people who hold one.

use std::collections::BTreeMap;

use super::{BranchStep, Input, Stop, Withheld};
use crate::changeset::ChangeSet;
use crate::policy::Via;

/// The numbers of open and of new pull requests, by environment.
pub(super) struct OpenCounts<'a> {
    open: BTreeMap<&'a str, u32>,
    new: BTreeMap<&'a str, u32>,
}

impl<'a> OpenCounts<'a> {
    /// Counts the open ones.
    pub(super) fn of(input: &Input<'a>) -> Self {
        let mut open: BTreeMap<&str, u32> = BTreeMap::new();
        let sets = input.plan.change_sets.iter();
        for set in sets.filter(|set| input.snapshot.open(&set.branch).is_some()) {
            *open.entry(&set.environment).or_default() += 1;
        }
        Self { open, new: BTreeMap::new() }
    }

    /// The step, unless people hold the pull request, or it would be one too many.
    pub(super) fn check(
        &mut self,
        input: &Input<'_>,
        set: &'a ChangeSet,
        step: BranchStep,
    ) -> BranchStep {
        if set.via != Via::PullRequest || matches!(step, BranchStep::Stop(_)) {
            return step;
        }
        let waits = |why: String| BranchStep::Stop(Stop::new(Withheld::Waiting, why));
        if let Some(open) = input.snapshot.open(&set.branch) {
            let why = format!("#{} has the label `tagalong:hold`", open.number);
            return if open.is_held() { waits(why) } else { step };
        }
        let open = self.open.entry(&set.environment).or_default();
        let new = self.new.entry(&set.environment).or_default();
        let limits = [("maxOpen", set.limits.open, *open), ("maxNew", set.limits.new, *new)];
        let full = limits.into_iter().find(|(_, limit, count)| limit.is_some_and(|l| *count >= l));
        if let Some((key, _, count)) = full {
            return waits(format!("`{key}`: there are {count}, and this one waits for its turn"));
        }
        (*open, *new) = (*open + 1, *new + 1);
        step
    }
}

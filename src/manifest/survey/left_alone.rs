//! Reports of places that cannot be changed, and of texts that cannot be read.

use super::super::{Named, Obstacle, Obstructed, notes};
use super::Survey;
use super::seen::{Seen, Untagged};
use crate::diagnostic::Code;
use crate::image::Repository;
use crate::policy::{EnvironmentId, PolicyId};
use crate::yaml::{NodeId, Stream};

impl Survey<'_> {
    /// Reports the places of policies that cannot be changed.
    pub(super) fn all_obstructed(
        &self,
        path: &str,
        environment: EnvironmentId,
        obstructed: &[Obstructed],
        seen: &mut Seen,
    ) {
        for one in obstructed {
            if let Some(policy) = self.meant(environment, &one.named) {
                self.obstructed(path, environment, policy, one, seen);
            }
        }
    }

    /// Reports a place that cannot be changed.
    pub(super) fn obstructed(
        &self,
        path: &str,
        environment: EnvironmentId,
        policy: PolicyId,
        left: &Obstructed,
        seen: &mut Seen,
    ) {
        let reached = &self.set.policies[policy];
        if matches!(&left.obstacle, Obstacle::AppVersion(version) if version.is_reached_by(reached))
        {
            return;
        }
        let note = notes::obstructed(path, left, &reached.name);
        match (&left.obstacle, &left.named) {
            (Obstacle::Untagged, Named::Is(repository)) => {
                let (repository, path) = (repository.clone(), path.to_owned());
                seen.untagged.push(Untagged { repository, path, note });
            }
            _ => seen.problems.push(note),
        }
        // What names no tag, or is built here, is no place that could move.
        let is_bare = matches!(left.obstacle, Obstacle::Untagged | Obstacle::AppVersion(_));
        let is_guess = matches!(left.obstacle, Obstacle::Built(_) | Obstacle::Apart(_));
        if !is_bare && !is_guess {
            seen.left(environment, policy, path, left.spot.line);
        }
    }

    /// Reports texts that should be YAML, and may name an image.
    pub(super) fn unreadable(
        &self,
        path: &str,
        stream: &Stream,
        environment: EnvironmentId,
        texts: &[NodeId],
        seen: &mut Seen,
    ) {
        for node in texts.iter().copied() {
            let names = |repository: &&Repository| {
                stream.text(node).is_some_and(|text| text.contains(repository.base_name()))
            };
            if self.lookup[environment].keys().any(names) {
                let message = "the text here is not YAML, and may name an image; left alone";
                seen.problem(
                    Code::FileUnreadable,
                    message.to_owned(),
                    notes::place(path, stream, node),
                );
            }
        }
    }
}

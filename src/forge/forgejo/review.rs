//! Reviews (`GET /repos/{owner}/{repo}/pulls/{index}/reviews`), and the rights of people.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Account, Forgejo};
use crate::forge::ForgeFault;
use crate::forge::rest::encoded;
use crate::pull_request::{Labeller, PullRequest};

#[derive(Deserialize)]
pub(super) struct Review {
    id: u64,
    user: Option<Account>,
    state: String,
    /// The commit that it is of.
    #[serde(default)]
    commit_id: String,
    /// True if whoever gave it counts for the protection of the base, or may write where there is none.
    #[serde(default)]
    official: bool,
    #[serde(default)]
    dismissed: bool,
}

/// The right of an account, in words that grow.
#[derive(Deserialize)]
struct Permission {
    permission: String,
}

/// Counts reviews for a pull request, and notes why approvals do not.
pub(super) fn count(reviews: Vec<Review>, viewer: &str, pull: &mut PullRequest) {
    // A review that was asked for is one without a verdict, and the verdict takes its place; a team's has no account.
    pull.wants_review = reviews.iter().any(|review| review.state == "REQUEST_REVIEW");
    let mut last: BTreeMap<String, Review> = BTreeMap::new();
    for review in reviews {
        let is_verdict = matches!(review.state.as_str(), "APPROVED" | "REQUEST_CHANGES");
        let Some(by) = review.user.as_ref().filter(|_| is_verdict && !review.dismissed) else {
            continue;
        };
        let by = by.login.clone();
        if last.get(&by).is_none_or(|known| known.id < review.id) {
            last.insert(by, review);
        }
    }
    for (by, review) in last {
        if review.state == "REQUEST_CHANGES" {
            pull.changes_requested |= review.official;
            continue;
        }
        let is_bot = review.user.as_ref().is_some_and(Account::is_bot) || by == viewer;
        let why = match () {
            () if is_bot => "no program approves what a program proposes",
            () if !review.official => "whoever gave it may not write",
            () if review.commit_id != pull.head => "it is of an earlier commit",
            () => {
                pull.is_approved = true;
                continue;
            }
        };
        pull.ignored_labels.push(format!("the approval of `{by}` does not count: {why}"));
    }
}

impl Forgejo {
    /// Reads the reviews of a pull request; where they cannot be read, somebody may want changes, and nobody approved.
    pub(super) async fn read_reviews(&self, viewer: &str, pull: &mut PullRequest) {
        let route = self.route(&format!("pulls/{}/reviews", pull.number));
        match self.reviews(&route, &pull.head).await {
            Ok(reviews) => count(reviews, viewer, pull),
            Err(fault) => {
                tracing::warn!(pull.number, ?fault, "reviews of a pull request cannot be read");
                pull.changes_requested = true;
                pull.ignored_labels.push("its reviews cannot be read, so none counts".to_owned());
            }
        }
    }

    /// Reads reviews. Some versions call none official where the base is not protected; then the right to write counts, where
    /// the token may know it.
    async fn reviews(&self, route: &str, head: &str) -> Result<Vec<Review>, ForgeFault> {
        let mut reviews: Vec<Review> = self.list(route).await?;
        for review in &mut reviews {
            let is_verdict = review.state == "REQUEST_CHANGES"
                || review.state == "APPROVED" && review.commit_id == head;
            let by = review.user.as_ref().filter(|_| is_verdict && !review.official);
            let Some(by) = by.filter(|by| !by.is_bot() && !review.dismissed) else { continue };
            review.official = match self.labeller(by).await {
                Err(ForgeFault::Forbidden(_)) => false,
                by => by?.may_write,
            };
        }
        Ok(reviews)
    }

    /// The rights of somebody in the repository, asked for once in a run.
    pub(super) async fn labeller(&self, by: &Account) -> Result<Labeller, ForgeFault> {
        if let Some(known) = self.observed().people.get(&by.login) {
            return Ok(known.clone());
        }
        let route = self.route(&format!("collaborators/{}/permission", encoded(&by.login)));
        let may_write = match self.get::<Permission>(&route).await {
            Ok(right) => matches!(right.permission.as_str(), "write" | "admin" | "owner"),
            Err(ForgeFault::NotFound(_)) => false,
            Err(fault) => return Err(fault),
        };
        let found = Labeller { login: by.login.clone(), may_write, is_bot: by.is_bot() };
        self.learn(|seen| drop(seen.people.insert(by.login.clone(), found.clone())));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reviews as `(by, state, commit, official, dismissed)`.
    fn counted(all: &[(&str, &str, &str, bool, bool)]) -> PullRequest {
        let reviews = all.iter().enumerate();
        let reviews = reviews.map(|(id, (by, state, commit, official, dismissed))| Review {
            id: id as u64,
            user: Some(Account { id: 7, login: (*by).to_owned() }),
            state: (*state).to_owned(),
            commit_id: (*commit).to_owned(),
            official: *official,
            dismissed: *dismissed,
        });
        let mut pull = PullRequest { head: "c2".to_owned(), ..PullRequest::default() };
        count(reviews.collect(), "bot", &mut pull);
        pull
    }

    #[test]
    fn an_approval_counts_for_its_commit_alone() {
        let cases = [
            (("ada", "APPROVED", "c2", true, false), true),
            (("ada", "APPROVED", "c1", true, false), false),
            (("ada", "APPROVED", "c2", false, false), false),
            (("ada", "APPROVED", "c2", true, true), false),
            (("bot", "APPROVED", "c2", true, false), false),
            (("ada", "COMMENT", "c2", true, false), false),
        ];
        for (review, want) in cases {
            assert_eq!(counted(&[review]).is_approved, want, "{review:?}");
        }
    }

    #[test]
    fn the_last_verdict_of_each_counts() {
        let (yes, no) = ("APPROVED", "REQUEST_CHANGES");
        let pull = counted(&[("ada", no, "c1", true, false), ("ada", yes, "c2", true, false)]);
        assert!(pull.is_approved && !pull.changes_requested);
        let pull = counted(&[("ada", yes, "c2", true, false), ("ada", no, "c2", true, false)]);
        assert!(!pull.is_approved && pull.changes_requested);
        let pull = counted(&[("eve", no, "c2", false, false)]);
        assert!(!pull.changes_requested);
        assert!(counted(&[("ada", "REQUEST_REVIEW", "", true, false)]).wants_review);
    }
}

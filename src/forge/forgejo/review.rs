//! Reviews (`GET /repos/{owner}/{repo}/pulls/{index}/reviews`), and the rights of people.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

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

/// A team of the organisation, with its rights to parts of repositories.
#[derive(Deserialize)]
struct Team {
    id: u64,
    #[serde(default)]
    permission: String,
    #[serde(default)]
    units_map: Option<BTreeMap<String, String>>,
}

impl Team {
    /// True if it may write something, and not the code.
    fn is_mixed(&self) -> bool {
        let units = self.units_map.iter().flatten();
        let writes = |right: &str| matches!(right, "write" | "admin" | "owner");
        let code = self.units_map.as_ref().and_then(|units| units.get("repo.code"));
        !matches!(&*self.permission, "admin" | "owner")
            && code.is_none_or(|right| !writes(right))
            && units.into_iter().any(|(_, right)| writes(right))
    }
}

/// The newest verdict of each account, also one that was dismissed: it took the place of those before it.
fn verdicts(reviews: Vec<Review>) -> BTreeMap<String, Review> {
    let mut last: BTreeMap<String, Review> = BTreeMap::new();
    for review in reviews {
        let is_verdict = matches!(review.state.as_str(), "APPROVED" | "REQUEST_CHANGES");
        let Some(by) = review.user.as_ref().filter(|_| is_verdict) else { continue };
        let by = by.login.clone();
        if last.get(&by).is_none_or(|known| known.id < review.id) {
            last.insert(by, review);
        }
    }
    last.retain(|_, review| !review.dismissed);
    last
}

/// Counts verdicts for a pull request, and notes why approvals do not.
fn count(verdicts: BTreeMap<String, Review>, viewer: &str, pull: &mut PullRequest) {
    for (by, review) in verdicts {
        if review.state == "REQUEST_CHANGES" {
            pull.changes_requested |= review.official;
            continue;
        }
        let is_bot = review.user.as_ref().is_some_and(Account::is_bot) || by == viewer;
        let why = match () {
            () if is_bot => "no program approves what a program proposes",
            () if !review.official => {
                "it is not one that the protection of the base counts, or whoever gave it may not write"
            }
            () if review.commit_id != pull.head => "it is of an earlier commit",
            () => {
                pull.is_approved = true;
                continue;
            }
        };
        pull.ignored_labels.push(format!("the approval of `{by}` does not count: {why}"));
    }
}

/// Reads reviews, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn fuzz(reviews: Vec<Review>) {
    count(verdicts(reviews), "bot", &mut PullRequest::default());
}

impl Forgejo {
    /// Reads the reviews of a pull request; where they cannot be read, somebody may want changes, and nobody approved.
    pub(super) async fn read_reviews(&self, viewer: &str, pull: &mut PullRequest) {
        let route = self.route(&format!("pulls/{}/reviews", pull.number));
        match self.reviews(&route).await {
            Ok((verdicts, wants_review)) => {
                pull.wants_review = wants_review;
                count(verdicts, viewer, pull);
            }
            Err(fault) => {
                tracing::warn!(pull.number, ?fault, "reviews of a pull request cannot be read");
                pull.changes_requested = true;
                pull.ignored_labels.push("its reviews cannot be read, so none counts".to_owned());
            }
        }
    }

    /// Reads the verdicts, and whether a review was asked for that nobody has given: it stands there without a verdict, a
    /// team's without an account. Some versions call none official where the base is not protected; then the right to write
    /// counts, where the token may know it.
    async fn reviews(&self, route: &str) -> Result<(BTreeMap<String, Review>, bool), ForgeFault> {
        let reviews: Vec<Review> = self.list(route).await?;
        let wants_review = reviews.iter().any(|review| review.state == "REQUEST_REVIEW");
        let mut verdicts = verdicts(reviews);
        let unofficial: Vec<&mut Review> =
            verdicts.values_mut().filter(|it| !it.official).collect();
        if !unofficial.is_empty() && !self.is_base_protected().await? {
            for review in unofficial {
                let by = review.user.as_ref().filter(|by| !by.is_bot());
                let Some(by) = by else { continue };
                review.official = match self.labeller(by).await {
                    Err(ForgeFault::Forbidden(_)) => false,
                    by => by?.may_write,
                };
            }
        }
        Ok((verdicts, wants_review))
    }

    /// The number of approvals that the protection of the base counts.
    pub(super) async fn official_approvals(&self, number: u64) -> Result<u64, ForgeFault> {
        let reviews = self.list(&self.route(&format!("pulls/{number}/reviews"))).await?;
        let all = verdicts(reviews).into_values();
        Ok(all.map(|it| u64::from(it.official && it.state == "APPROVED")).sum())
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
        if may_write && self.is_in_mixed_team(by).await? {
            let why = format!("a team of {} may write something, and not the code", by.login);
            return Err(ForgeFault::Forbidden(why));
        }
        let found = Labeller { login: by.login.clone(), may_write, is_bot: by.is_bot() };
        self.learn(|seen| drop(seen.people.insert(by.login.clone(), found.clone())));
        Ok(found)
    }

    /// True if somebody is in a team that may write issues or pull requests, and not the code: the right that is told of
    /// whoever is in one is the least of those that the team has at all.
    async fn is_in_mixed_team(&self, by: &Account) -> Result<bool, ForgeFault> {
        for team in self.mixed_teams().await? {
            match self.get::<Value>(&format!("teams/{team}/members/{}", encoded(&by.login))).await {
                Ok(_) => return Ok(true),
                Err(ForgeFault::NotFound(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(false)
    }

    /// The teams of whose members the right to the code is not told, asked for once in a run.
    async fn mixed_teams(&self) -> Result<Vec<u64>, ForgeFault> {
        if let Some(known) = self.observed().mixed_teams {
            return Ok(known);
        }
        let teams: Vec<Team> = match self.get(&self.route("teams")).await {
            // Only organisations have teams.
            Err(ForgeFault::NotMergeable(_)) => Vec::new(),
            teams => teams?,
        };
        let mixed: Vec<u64> =
            teams.into_iter().filter(Team::is_mixed).map(|team| team.id).collect();
        self.learn(|seen| seen.mixed_teams = Some(mixed.clone()));
        Ok(mixed)
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
        count(verdicts(reviews.collect()), "bot", &mut pull);
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
        // What was dismissed does not bring back what it took the place of.
        let pull = counted(&[("ada", yes, "c2", true, false), ("ada", no, "c2", true, true)]);
        assert!(!pull.is_approved && !pull.changes_requested);
    }

    #[test]
    fn a_team_that_writes_anything_but_the_code_is_told_apart() {
        let cases = [
            (
                r#"{"id":1,"permission":"write","units_map":{"repo.code":"write","repo.pulls":"write"}}"#,
                false,
            ),
            (
                r#"{"id":1,"permission":"write","units_map":{"repo.code":"read","repo.pulls":"write"}}"#,
                true,
            ),
            (r#"{"id":1,"permission":"write","units_map":{"repo.pulls":"write"}}"#, true),
            (r#"{"id":1,"permission":"read","units_map":{"repo.code":"read"}}"#, false),
            (r#"{"id":1,"permission":"owner","units_map":null}"#, false),
        ];
        for (text, want) in cases {
            assert_eq!(serde_json::from_str::<Team>(text).unwrap().is_mixed(), want, "{text}");
        }
    }
}

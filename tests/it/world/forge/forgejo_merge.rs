//! What the interface of Forgejo and Gitea does about merges, and what it says of reviews, statuses and events.

use serde_json::{Value, json};

use super::forgejo::{Answer, account};
use super::{Held, Pull};

impl Held {
    pub(super) fn merge_pull(&mut self, pull: &Pull, body: &Value) -> Answer {
        let refused = |message: &str| Err((405, message.to_owned()));
        if pull.merged {
            return refused("");
        }
        if pull.state != "open" {
            return Err((404, "Not Found".to_owned()));
        }
        if pull.draft {
            return refused("Work in progress PRs cannot be merged");
        }
        if self.looks > 0 {
            self.looks -= 1;
            return refused("Please try again later");
        }
        let status = self.status(pull);
        if matches!(status, "DIRTY" | "UNKNOWN") {
            return refused("Please try again later");
        }
        let is_scheduled = body["merge_when_checks_succeed"] == json!(true);
        if is_scheduled && pull.armed {
            return Err((409, "pull request is already scheduled to auto merge".to_owned()));
        }
        if is_scheduled && (!self.has_passed(pull) || status == "BLOCKED") {
            self.pulls.iter_mut().find(|it| it.number == pull.number).unwrap().armed = true;
            return Ok((200, Value::Null));
        }
        match status {
            "BEHIND" => return refused("The head branch is behind the base branch"),
            "BLOCKED" => return refused("Does not have enough approvals"),
            _ => {}
        }
        if !is_scheduled && body["head_commit_id"].as_str() != Some(&self.repo.head(&pull.head)) {
            return Err((409, "head out of date".to_owned()));
        }
        if self.merge(pull.number) { Ok((200, Value::Null)) } else { Err((409, String::new())) }
    }

    /// True if what the base wants of checks is there.
    fn has_passed(&self, pull: &Pull) -> bool {
        let is_passed =
            |check: &Value| check["conclusion"] == "SUCCESS" || check["state"] == "SUCCESS";
        self.settings["protected"] == json!(false)
            || !pull.checks.is_empty() && pull.checks.iter().all(is_passed)
    }

    pub(super) fn unschedule(&mut self, pull: &Pull) -> Answer {
        if !pull.armed {
            return Err((404, "Not Found".to_owned()));
        }
        if pull.armed_by != "bot" && self.settings["admin"] == json!(false) {
            let why = "user has no permission to cancel the scheduled auto merge";
            return Err((403, why.to_owned()));
        }
        self.pulls.iter_mut().find(|it| it.number == pull.number).unwrap().armed = false;
        Ok((204, Value::Null))
    }

    pub(super) fn reviews(&self, pull: &Pull) -> Value {
        let commit = if pull.is_approved_early { "0".repeat(40) } else { self.head_of(pull) };
        let verdicts = pull.reviews.iter().map(|state| {
            let state = if *state == "CHANGES_REQUESTED" { "REQUEST_CHANGES" } else { state };
            let is_official = !matches!(pull.reviewer, "eve" | "mallory")
                && self.settings["oldVersion"] != json!(true);
            json!({
                "id": 20, "user": account(pull.reviewer), "state": state, "commit_id": commit, "official": is_official,
                "dismissed": false, "stale": pull.is_approved_early,
            })
        });
        let asked = pull.reviewers.iter().filter(|name| !name.contains('/')).map(|name| {
            json!({"id": 10, "user": account(name), "state": "REQUEST_REVIEW", "commit_id": "", "official": true})
        });
        asked.chain(verdicts).collect()
    }

    /// Labels of `ada`, then other things, a push, then labels; and at last what became of a merge.
    pub(super) fn timeline(pull: &Pull) -> Value {
        let by = |name: &str| match pull.held_by {
            Some(by) if name == "tagalong:hold" => by,
            _ => pull.labelled_by,
        };
        let set = |name: &str, by: &str, is_set: bool| {
            let text = if is_set { "1" } else { "" };
            json!({"type": "label", "user": account(by), "label": {"id": 1, "name": name}, "body": text})
        };
        let push = json!({"type": "pull_push", "user": account("bot"), "body": "{\"is_force_push\":true}"});
        let mut all: Vec<Value> = pull.earlier.iter().map(|name| set(name, "ada", true)).collect();
        all.extend(pull.taken_off.iter().map(|name| set(name, "ada", false)));
        // What the token may not see.
        all.extend(std::iter::repeat_n(Value::Null, pull.noise));
        let labels = pull.labels.iter().map(|name| set(name, by(name), true));
        if pull.is_approved_early {
            all.extend(labels);
            all.push(push);
        } else {
            all.push(push);
            all.extend(labels);
        }
        if pull.armed {
            all.push(json!({"type": "pull_scheduled_merge", "user": account(pull.armed_by)}));
        }
        for (id, event) in all.iter_mut().enumerate().filter(|(_, event)| !event.is_null()) {
            event["id"] = json!(id + 1);
        }
        Value::Array(all)
    }

    /// Statuses of a commit: those of its pull request, and those that were reported.
    pub(super) fn forgejo_statuses(&self, commit: &str) -> Value {
        let of_pulls = self.pulls.iter().filter(|pull| self.head_of(pull) == commit);
        let mut all: Vec<Value> = of_pulls.flat_map(|pull| pull.checks.clone()).collect();
        all.extend(
            self.statuses.get(commit).and_then(Value::as_array).into_iter().flatten().cloned(),
        );
        let row = |(id, check): (usize, &Value)| {
            let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            let status = match (text("conclusion") + &text("state")).as_str() {
                "SUCCESS" | "NEUTRAL" => "success",
                "SKIPPED" => "skipped",
                "" | "PENDING" => "pending",
                _ => "failure",
            };
            let mut row = json!({
                "id": id + 1, "context": text("context") + &text("name"), "status": status,
            });
            // Some versions do not say that a status is of a job.
            if let Some(by) = check["by"].as_str() {
                row["creator"] = account(by);
            }
            row
        };
        all.iter().enumerate().map(row).collect()
    }
}

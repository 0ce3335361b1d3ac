//! One question for the open pull requests of many branches, over GitHub's
//! [GraphQL API](https://docs.github.com/en/graphql/reference/objects#pullrequest).
//!
//! REST answers for one branch at a time, or with every open pull request of the repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{PullRequest, Pulls};

/// More branches than this are asked for in several questions, which keeps each far below
/// GitHub's limit on nodes.
pub(super) const BRANCHES: usize = 20;

/// A branch has one open pull request to a base; forks can have branches of the same name, which
/// are told apart by a field.
const PULLS: usize = 50;
const LABELS: usize = 20;

/// What was merged earlier than this is not compared with what is deployed.
const MERGED: usize = 5;

/// Those of each state are asked for apart, so that none crowds the others out.
const STATES: [(&str, &str, usize); 3] =
    [("o", "OPEN", PULLS), ("c", "CLOSED", PULLS), ("m", "MERGED", MERGED)];

#[derive(Deserialize)]
pub(super) struct Answer {
    repository: Option<BTreeMap<String, Nodes<Found>>>,
}

#[derive(Deserialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    number: u64,
    url: String,
    state: State,
    title: String,
    body: String,
    is_cross_repository: bool,
    labels: Option<Nodes<Label>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    Open,
    Closed,
    Merged,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

/// The question: names travel as variables, never as text of the query.
pub(super) fn question(owner: &str, name: &str, base: &str, branches: &[&str]) -> Value {
    let mut parameters = "$owner: String!, $name: String!, $base: String!".to_owned();
    let mut fields = String::new();
    let mut variables = Map::new();
    for (key, value) in [("owner", owner), ("name", name), ("base", base)] {
        variables.insert(key.to_owned(), json!(value));
    }
    for (index, branch) in branches.iter().enumerate() {
        write!(parameters, ", $b{index}: String!").ok();
        for (alias, state, first) in STATES {
            write!(
                fields,
                "{alias}{index}: pullRequests(states: {state}, headRefName: $b{index}, baseRefName: $base, \
                 first: {first}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{ nodes {{ number url state title \
                 body isCrossRepository labels(first: {LABELS}) {{ nodes {{ name }} }} }} }} "
            )
            .ok();
        }
        variables.insert(format!("b{index}"), json!(branch));
    }
    let query =
        format!("query({parameters}) {{ repository(owner: $owner, name: $name) {{ {fields}}} }}");
    json!({"query": query, "variables": variables})
}

/// The pull requests by branch: the open one, the last one that was closed without a merge, and
/// the last that were merged.
/// `None` when GitHub does not know the repository.
pub(super) fn read(answer: Answer, branches: &[&str]) -> Option<BTreeMap<String, Pulls>> {
    let mut found = BTreeMap::new();
    for (alias, pulls) in answer.repository? {
        let index: Option<usize> = alias.get(1..).and_then(|index| index.parse().ok());
        let Some(branch) = index.and_then(|index| branches.get(index)) else { continue };
        let slot: &mut Pulls = found.entry((*branch).to_owned()).or_default();
        // A fork can have a branch of the same name. The newest comes first.
        for pull in pulls.nodes.into_iter().filter(|pull| !pull.is_cross_repository) {
            let state = pull.state;
            match state {
                State::Open => drop(slot.open.get_or_insert_with(|| pull.into())),
                State::Closed => drop(slot.closed.get_or_insert_with(|| pull.into())),
                State::Merged => slot.merged.push(pull.into()),
            }
        }
    }
    Some(found)
}

impl From<Found> for PullRequest {
    fn from(pull: Found) -> Self {
        let labels = pull.labels.into_iter().flat_map(|labels| labels.nodes);
        Self {
            number: pull.number,
            url: pull.url,
            title: pull.title,
            body: pull.body,
            labels: labels.map(|label| label.name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_variables_and_forks_are_passed_over() {
        let branches = ["tagalong/a", "tagalong/b"];
        let question = question("acme", "fleet", "main", &branches);
        assert_eq!(question["variables"]["b1"], "tagalong/b");
        assert!(!question["query"].as_str().unwrap().contains("tagalong"));
        let pull = |number, state, fork| {
            json!({"number": number, "url": "u", "state": state, "title": "t", "body": "b", "isCrossRepository": fork,
                   "labels": {"nodes": [{"name": "l"}]}})
        };
        let answer = json!({"repository": {
            "o0": {"nodes": [pull(1, "OPEN", true), pull(2, "OPEN", false)]},
            "c0": {"nodes": [pull(9, "CLOSED", false), pull(3, "CLOSED", false)]},
            "o1": {"nodes": [pull(4, "OPEN", true)]},
            "c1": {"nodes": []},
        }});
        let found = read(serde_json::from_value(answer).unwrap(), &branches).unwrap();
        let numbers = |pulls: &Pulls| {
            [&pulls.open, &pulls.closed].map(|pull| pull.as_ref().map(|pull| pull.number))
        };
        assert_eq!(numbers(&found["tagalong/a"]), [Some(2), Some(9)]);
        assert_eq!(numbers(&found["tagalong/b"]), [None, None]);
        assert_eq!(found["tagalong/a"].open.as_ref().unwrap().labels, ["l"]);
        let unknown = serde_json::from_value(json!({"repository": null})).unwrap();
        assert_eq!(read(unknown, &branches), None);
    }
}

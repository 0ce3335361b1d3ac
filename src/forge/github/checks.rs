//! What checked commits: statuses and check runs, of many commits in one question
//! ([GraphQL](https://docs.github.com/en/graphql/reference/objects#statuscheckrollup)).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::GitHub;
use super::pulls::{CONTEXTS, Rollup};
use crate::forge::ForgeFault;
use crate::pull_request::Check;
use crate::repo_id::RepoId;

/// More commits than this are asked about in several questions.
const COMMITS: usize = 25;

#[derive(Deserialize)]
struct ChecksAnswer {
    repository: Option<BTreeMap<String, Option<CheckedCommit>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckedCommit {
    status_check_rollup: Option<Rollup>,
}

impl GitHub {
    /// The statuses and check runs of commits; commits that GitHub does not know have none.
    ///
    /// # Errors
    /// GitHub refuses, cannot be reached, or has more of them than are read.
    pub async fn checks(
        &self,
        commits: &[&str],
    ) -> Result<BTreeMap<String, Vec<Check>>, ForgeFault> {
        let mut all = BTreeMap::new();
        for commits in commits.chunks(COMMITS) {
            let answer: ChecksAnswer = self.ask(&question(&self.repository, commits)).await?;
            let unknown = || ForgeFault::NotFound(self.repository.to_string());
            let repository = answer.repository.ok_or_else(unknown)?;
            for (alias, found) in repository {
                let index = alias.get(1..).and_then(|index| index.parse::<usize>().ok());
                let Some(commit) = index.and_then(|index| commits.get(index)) else { continue };
                let Some(rollup) = found.and_then(|found| found.status_check_rollup) else {
                    continue;
                };
                let (checks, is_whole) = rollup.read();
                if !is_whole {
                    let why = format!("commit {commit} has more checks than can be read");
                    return Err(ForgeFault::Unavailable(why));
                }
                all.insert((*commit).to_owned(), checks);
            }
        }
        Ok(all)
    }
}

fn question(of: &RepoId, commits: &[&str]) -> Value {
    let mut parameters = "$owner: String!, $name: String!".to_owned();
    let mut fields = String::new();
    let mut variables = Map::new();
    variables.insert("owner".to_owned(), json!(of.owner()));
    variables.insert("name".to_owned(), json!(of.name()));
    for (index, commit) in commits.iter().enumerate() {
        write!(parameters, ", $c{index}: GitObjectID!").ok();
        write!(fields, "c{index}: object(oid: $c{index}) {{ ... on Commit {{ {CONTEXTS} }} }} ")
            .ok();
        variables.insert(format!("c{index}"), json!(commit));
    }
    let query =
        format!("query({parameters}) {{ repository(owner: $owner, name: $name) {{ {fields}}} }}");
    json!({"query": query, "variables": variables})
}

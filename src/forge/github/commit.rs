//! Commits that GitHub makes and signs
//! ([GraphQL](https://docs.github.com/en/graphql/reference/mutations#createcommitonbranch)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use crate::forge::{ForgeFault, MadeCommit, NewCommit};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitAnswer {
    create_commit_on_branch: Option<CreatedPayload>,
}

#[derive(Deserialize)]
struct CreatedPayload {
    commit: Option<CreatedCommit>,
}

#[derive(Deserialize)]
struct CreatedCommit {
    oid: String,
    tree: CreatedTree,
    signature: Option<Signature>,
}

#[derive(Deserialize)]
struct CreatedTree {
    oid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    is_valid: bool,
}

impl GitHub {
    /// Has GitHub commit on a branch, as whoever the token belongs to.
    ///
    /// # Errors
    /// When the branch is elsewhere, GitHub refuses, or cannot be reached. It may be done all the same.
    pub async fn commit(&self, new: &NewCommit<'_>) -> Result<MadeCommit, ForgeFault> {
        let query = "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { \
            commit { oid tree { oid } signature { isValid } } } }";
        let (headline, body) = new.message.split_once('\n').unwrap_or((new.message, ""));
        let files = new.files.iter();
        let additions: Vec<Value> = files
            .map(|(path, text)| json!({"path": path, "contents": STANDARD.encode(text)}))
            .collect();
        let input = json!({
            "branch": {"repositoryNameWithOwner": self.repository.path(), "branchName": new.branch},
            "expectedHeadOid": new.parent,
            "message": {"headline": headline, "body": body.trim()},
            "fileChanges": {"additions": additions},
        });
        let mutation = json!({"query": query, "variables": {"input": input}});
        let answer: CommitAnswer = self.mutate(&mutation).await?;
        let made = answer.create_commit_on_branch.and_then(|payload| payload.commit);
        let made = made.ok_or_else(|| ForgeFault::Unavailable("it made no commit".to_owned()))?;
        Ok(MadeCommit {
            oid: made.oid,
            tree: made.tree.oid,
            is_signed: made.signature.is_some_and(|signature| signature.is_valid),
        })
    }
}

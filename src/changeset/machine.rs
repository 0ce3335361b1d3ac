//! The block of a pull request's body that is for us: what it proposes, in JSON within a comment.

use serde::{Deserialize, Serialize};

use super::{ALL_ENVIRONMENTS, ChangeSet, Move};

/// What stands around the block.
const OPENING: &str = "<!-- tagalong: ";
const CLOSING: &str = " -->";

/// The version of the block.
const VERSION: u32 = 1;

/// More bytes than this are not spent on the list of moves.
const MAX_MOVES: usize = 16_000;

/// What a pull request of ours proposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    version: u32,
    /// The environment.
    pub environment: String,
    /// What identifies the change.
    pub change: String,
    /// What moves; empty when that is too much for a body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<ProposedMove>,
    /// Why we took it back ourselves; nobody said no to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// The commit that an approval by label is of: the label was off when the page said what this commit does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvable: Option<String>,
}

/// One image that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedMove {
    /// The environment, where the change is of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The policy's name.
    pub image: String,
    /// What was deployed, as `tag`, `@digest` or `tag@digest`.
    pub from: String,
    /// What is proposed.
    pub to: String,
}

impl Proposed {
    /// What a change set proposes.
    pub(super) fn new(set: &ChangeSet, moves: &[Move]) -> Self {
        let is_of_all = set.environment == ALL_ENVIRONMENTS;
        let proposed = moves.iter().map(|row| ProposedMove {
            environment: is_of_all.then(|| row.environment.clone()),
            image: row.image.clone(),
            from: row.from.to_string(),
            to: row.to.to_string(),
        });
        let mut moves: Vec<ProposedMove> = proposed.collect();
        moves.dedup();
        if moves.iter().map(|m| m.image.len() + m.from.len() + m.to.len() + 32).sum::<usize>()
            > MAX_MOVES
        {
            moves.clear();
        }
        let (environment, change) = (set.environment.clone(), set.change.clone());
        Self { version: VERSION, environment, change, moves, withdrawn: None, approvable: None }
    }

    /// The block as it stands in a body. Nothing in it can end it, whatever names hold.
    pub(super) fn block(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{OPENING}{}{CLOSING}", json.replace('<', r"\u003c").replace('>', r"\u003e"))
    }

    /// Reads the block of a body; `None` when there is none that this program understands.
    #[must_use]
    pub fn read(body: &str) -> Option<Self> {
        let (_, rest) = body.rsplit_once(OPENING)?;
        let (json, _) = rest.split_once(CLOSING)?;
        let proposed: Self = serde_json::from_str(json).ok()?;
        (proposed.version == VERSION).then_some(proposed)
    }

    /// The block of a body as it stands there, with all that follows.
    pub(super) fn block_of(body: &str) -> &str {
        body.rfind(OPENING).map_or("", |at| &body[at..])
    }

    /// A body whose block says that we took the change back, and why.
    #[must_use]
    pub fn withdraw(body: &str, why: &str) -> String {
        let withdrawn = Some(why.to_owned());
        Self::with(body, |proposed| Self { withdrawn, ..proposed })
    }

    /// A body whose block says that an approval by label is of this commit from now on.
    #[must_use]
    pub fn approvable(body: &str, commit: &str) -> String {
        let approvable = Some(commit.to_owned());
        Self::with(body, |proposed| Self { approvable, ..proposed })
    }

    /// A body with another block.
    fn with(body: &str, change: impl FnOnce(Self) -> Self) -> String {
        let Some(proposed) = Self::read(body) else { return body.to_owned() };
        let block = change(proposed).block();
        let (before, _) = body.rsplit_once(OPENING).unwrap_or((body, ""));
        format!("{before}{block}\n")
    }

    /// The environment of one of its moves.
    #[must_use]
    pub fn environment_of<'a>(&'a self, moved: &'a ProposedMove) -> &'a str {
        moved.environment.as_ref().unwrap_or(&self.environment)
    }
}

impl ProposedMove {
    /// What a refusal of this move is about: the tag, or the digest when the tag stays.
    #[must_use]
    pub fn refused(&self) -> &str {
        let tag = self.to.split('@').next().unwrap_or_default();
        if self.keeps_tag() { &self.to } else { tag }
    }

    /// Whether the digest alone moves.
    #[must_use]
    pub fn keeps_tag(&self) -> bool {
        self.from.split('@').next() == self.to.split('@').next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_survives_the_body() {
        let moved = |from: &str, to: &str| ProposedMove {
            environment: None,
            image: "shop".into(),
            from: from.into(),
            to: to.into(),
        };
        let proposed = Proposed {
            version: 1,
            environment: "prod".into(),
            change: "abc".into(),
            moves: vec![moved("v1", "v2@sha256:0")],
            withdrawn: None,
            approvable: None,
        };
        let body = format!("words <!-- tagalong: nonsense -->\r\n{}\r\n", proposed.block());
        assert_eq!(Proposed::read(&body), Some(proposed.clone()));
        let withdrawn = Proposed::withdraw(&body, "done");
        assert!(withdrawn.starts_with("words "));
        let why = Some("done".to_owned());
        assert_eq!(Proposed::read(&withdrawn), Some(Proposed { withdrawn: why, ..proposed }));
        assert_eq!(Proposed::read("<!-- tagalong: {\"version\":2} -->"), None);
        assert_eq!(Proposed::read("no block"), None);
        let old = r#"<!-- tagalong: {"version":1,"environment":"p","change":"c"} -->"#;
        assert_eq!(Proposed::read(old).unwrap().moves, []);
    }

    #[test]
    fn a_refusal_is_of_the_tag_unless_only_the_digest_moves() {
        let refused = |from: &str, to: &str| {
            ProposedMove {
                environment: None,
                image: String::new(),
                from: from.into(),
                to: to.into(),
            }
            .refused()
            .to_owned()
        };
        assert_eq!(refused("v1", "v2"), "v2");
        assert_eq!(refused("v1@sha256:a", "v2@sha256:b"), "v2");
        assert_eq!(refused("v1@sha256:a", "v1@sha256:b"), "v1@sha256:b");
        assert_eq!(refused("v1", "v1@sha256:b"), "v1@sha256:b");
    }
}

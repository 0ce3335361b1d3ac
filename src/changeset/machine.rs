//! The block of a pull request's body that is for us: what it proposes, in JSON within a comment.

use serde::{Deserialize, Serialize};

use super::{ChangeSet, Move};

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
}

/// One image that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedMove {
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
        let proposed = moves.iter().map(|row| ProposedMove {
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
        Self { version: VERSION, environment, change, moves }
    }

    /// The block as it stands in a body. Tags, digests and names hold nothing that could end it.
    pub(super) fn block(&self) -> String {
        format!("{OPENING}{}{CLOSING}", serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads the block of a body; `None` when there is none that this program understands.
    #[must_use]
    pub fn read(body: &str) -> Option<Self> {
        let (_, rest) = body.rsplit_once(OPENING)?;
        let (json, _) = rest.split_once(CLOSING)?;
        let proposed: Self = serde_json::from_str(json).ok()?;
        (proposed.version == VERSION).then_some(proposed)
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
            image: "shop".into(),
            from: from.into(),
            to: to.into(),
        };
        let proposed = Proposed {
            version: 1,
            environment: "prod".into(),
            change: "abc".into(),
            moves: vec![moved("v1", "v2@sha256:0")],
        };
        let body = format!("words <!-- tagalong: nonsense -->\r\n{}\r\n", proposed.block());
        assert_eq!(Proposed::read(&body), Some(proposed));
        assert_eq!(Proposed::read("<!-- tagalong: {\"version\":2} -->"), None);
        assert_eq!(Proposed::read("no block"), None);
        let old = r#"<!-- tagalong: {"version":1,"environment":"p","change":"c"} -->"#;
        assert_eq!(Proposed::read(old).unwrap().moves, []);
    }

    #[test]
    fn a_refusal_is_of_the_tag_unless_only_the_digest_moves() {
        let refused = |from: &str, to: &str| {
            ProposedMove { image: String::new(), from: from.into(), to: to.into() }
                .refused()
                .to_owned()
        };
        assert_eq!(refused("v1", "v2"), "v2");
        assert_eq!(refused("v1@sha256:a", "v2@sha256:b"), "v2");
        assert_eq!(refused("v1@sha256:a", "v1@sha256:b"), "v1@sha256:b");
        assert_eq!(refused("v1", "v1@sha256:b"), "v1@sha256:b");
    }
}

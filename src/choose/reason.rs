//! Why a decision is what it is.

use schemars::JsonSchema;
use serde::Serialize;

/// A stable code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reason {
    /// The stable name.
    pub code: ReasonCode,
    /// One sentence for a person.
    pub message: String,
}

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The kinds of reason. Codes are stable; messages are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// Update: the policy's order puts the chosen tag above the deployed one.
    Newer,
    /// Update: the policy may go back, and the chosen tag is below the deployed one.
    Older,
    /// Update: the policy names the chosen tag, or may go back, and nothing says which is newer.
    Replaced,
    /// Update: not decided in this run; the open branch proposes it, and goes on doing so.
    Carried,
    /// Update: the tag stays, its digest moved.
    DigestMoved,
    /// Update: the tag stays, a digest is added or removed as the policy says.
    DigestMode,
    /// Update: the environments that it comes from have held it for long enough, and its gates are open.
    Promoted,
    /// Update: a person takes the environment back to it.
    RolledBack,
    /// Keep: the deployed tag is the one that the policy chooses.
    UpToDate,
    /// Keep: the digest moved, and the image of each platform in use is the same.
    SamePlatforms,
    /// Hold: the environment holds the image for a time.
    Held,
    /// Hold: an open pull request rolls the environment back.
    RollbackOpen,
    /// Hold: people said no to the chosen tag, by closing its pull request or reverting it.
    Refused,
    /// Hold: the environment's `skip` names the chosen tag.
    Skipped,
    /// Hold: what moves together with it cannot move now.
    Lockstep,
    /// Hold: its source has not held it for long enough.
    Soaking,
    /// Hold: a status or check run that must have passed has not.
    Gate,
    /// Hold: the same, for longer than is usual.
    GateOverdue,
    /// Hold: its source holds nothing of it, several versions, or another one.
    NotInSource,
    /// Hold: more versions would be passed over in one step than may be.
    TooFar,
    /// Hold: the source's history is of a time to come.
    ClockSkew,
    /// Hold: the chosen tag is not known for long enough.
    TooYoung,
    /// Hold: the chosen tag is not for every platform that it must be for.
    MissingPlatform,
    /// Hold: the chosen tag is not signed as the policy asks.
    Unverified,
    /// Hold: a full version has another digest than before.
    TagMoved,
    /// Hold: the chosen tag is below the deployed one.
    Downgrade,
    /// Hold: the deployed tag has no place in the policy's order, so nothing says which is newer.
    Unordered,
    /// Hold: the deployed tag is no longer listed.
    Vanished,
    /// Hold: only a digest is deployed, which has no place in an order.
    DigestOnly,
    /// Hold: the policy pins, and there is no place for a digest.
    NoPlace,
    /// Undecided: no listed tag passes the policy.
    NoCandidate,
    /// Undecided: the registry lists no tag at all.
    EmptyListing,
    /// Undecided: the listing has less than half of the tags of an earlier run.
    ShrunkenListing,
    /// Undecided: whether the chosen tag is signed could not be learnt.
    NoVerdict,
    /// Undecided: the listing broke off or contradicts itself.
    IncompleteListing,
    /// Undecided: the catalog that was given does not hold the repository.
    NotInCatalog,
    /// Undecided: the registry does not know the repository.
    NotFound,
    /// Undecided: the registry wants credentials, or other ones.
    Unauthorized,
    /// Undecided: the credentials do not reach this repository.
    Denied,
    /// Undecided: the registry asked to wait for longer than a run waits.
    RateLimited,
    /// Undecided: the registry cannot be reached, or fails.
    Unavailable,
    /// Undecided: what the registry answered is not what the protocol says.
    MalformedAnswer,
    /// Undecided: the history of the source could not be read.
    NoHistory,
    /// Undecided: what checked the source's commits could not be learnt.
    NoChecks,
    /// Undecided: the digest behind the chosen tag could not be learnt.
    NoDigest,
}

//! One environment, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{RawCheck, RawDeliver};

/// One environment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawEnvironment {
    /// The repository that its files are in: OWNER/NAME on the same server, or HOST/OWNER/NAME on another forge; the one of
    /// the policies without this. The operator has to allow it (`--other-repository`).
    #[schemars(example = &"acme/fleet-production")]
    pub repository: Option<String>,
    /// The branch that its files are on; without this that of the policies, or the default branch of
    /// `repository`.
    #[schemars(example = &"production")]
    pub branch: Option<String>,
    /// Directories, files or globs, from the root of the repository.
    #[schemars(example = ["clusters/staging"])]
    pub paths: Vec<String>,
    /// Directories, files or globs within `paths` that are left out. What begins with `!` is kept in, also where
    /// something else writes it.
    #[serde(default)]
    #[schemars(example = ["**/tests"])]
    pub exclude: Vec<String>,
    /// Names or globs of the policies that apply here.
    #[serde(default = "every_image")]
    #[schemars(example = ["*"])]
    pub images: Vec<String>,
    /// How changes are delivered.
    #[serde(default)]
    #[schemars(example = json!({"via": "pull-request", "autoMerge": "forge"}))]
    pub deliver: RawDeliver,
    /// What is not to be changed here for a time.
    #[serde(default)]
    #[schemars(example = json!([{"images": ["shop"], "until": "2027-01-04", "reason": "peak season"}]))]
    pub holds: Vec<RawHold>,
    /// The environments whose versions come here, instead of what registries list: one; several, each of
    /// which has to hold a version; or `any` of several.
    #[schemars(example = &"staging", example = ["eu-canary", "us-canary"])]
    pub promote_from: Option<RawSources>,
    /// How long a source must have held a version before it comes here, by the history of the branch.
    #[schemars(example = "24h")]
    pub soak: Option<String>,
    /// Names or globs of commit statuses and check runs that must have passed on a commit at which the source
    /// held the version. None at all is not a pass.
    #[serde(default)]
    #[schemars(example = ["kustomization/apps*"])]
    pub require: Vec<RawCheck>,
    /// How long something may wait for `require` before it is worth a warning; a day without this.
    #[schemars(example = "2d")]
    pub nag_after: Option<String>,
    /// How many versions that the source held may be passed over in one step.
    #[schemars(example = 3)]
    pub max_steps: Option<u32>,
    /// When changes are taken; at any time without this.
    #[serde(default)]
    #[schemars(example = json!([{"cron": "0 9 * * 1-4", "duration": "6h", "timezone": "Europe/London"}]))]
    pub windows: Vec<RawWindow>,
    /// When no changes are taken.
    #[serde(default)]
    #[schemars(example = json!([{"from": "2026-12-24T18:00:00+01:00", "until": "2027-01-04T06:00:00Z"}]))]
    pub freezes: Vec<RawWindow>,
    /// Whether nothing is taken until this is taken away; or why.
    #[schemars(example = &"an incident")]
    pub suspend: Option<RawSuspend>,
    /// Policies that move together or not at all.
    #[serde(default, deserialize_with = "one_or_several")]
    #[schemars(with = "RawSets", example = [["shop", "shop-worker"]])]
    pub lockstep: Vec<RawLockstep>,
    /// Versions that never come here.
    #[serde(default)]
    #[schemars(example = json!([{"images": ["shop"], "tags": ["v2.3.1"], "reason": "loses orders"}]))]
    pub skip: Vec<RawSkip>,
}

/// One set of policies that move together with a rule of its own, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum RawSets {
    /// One.
    One {
        /// Their names.
        images: Vec<String>,
        /// What is the same of all of them.
        same: RawSame,
    },
    /// Several.
    Several(Vec<RawLockstep>),
}

fn one_or_several<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<RawLockstep>, D::Error> {
    Ok(match RawSets::deserialize(deserializer)? {
        RawSets::One { images, same } => vec![RawLockstep::Same { images, same }],
        RawSets::Several(sets) => sets,
    })
}

/// Policies that move together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawLockstep {
    /// Their names.
    Images(Vec<String>),
    /// The same, and what has to be the same of them.
    Same {
        /// Their names.
        images: Vec<String>,
        /// What is the same of all of them.
        same: RawSame,
    },
}

/// What is the same of policies that move together.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawSame {
    /// The tag: one that each of them lists.
    Tag,
}

impl RawLockstep {
    /// The names.
    #[must_use]
    pub fn images(&self) -> &[String] {
        match self {
            Self::Images(images) | Self::Same { images, .. } => images,
        }
    }
}

/// Where an environment's versions come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawSources {
    /// One environment.
    One(String),
    /// Several, each of which has to hold a version.
    All(Vec<String>),
    /// Several, one of which is enough.
    Any {
        /// Their names.
        #[schemars(example = ["eu-canary", "us-canary"])]
        any: Vec<String>,
    },
}

/// Whether nothing is taken; or why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawSuspend {
    /// Whether.
    Flag(bool),
    /// Why.
    Reason(String),
}

impl RawSuspend {
    /// Why nothing is taken; `None` when something is.
    pub(in crate::policy) fn reason(&self) -> Option<String> {
        match self {
            Self::Flag(false) => None,
            Self::Flag(true) => Some("`suspend` is set".to_owned()),
            Self::Reason(reason) => Some(reason.clone()),
        }
    }

    /// A word that is meant for `false`: YAML 1.2 reads `no` and `off` as texts.
    pub(in crate::policy) fn denial(&self) -> Option<&str> {
        let Self::Reason(reason) = self else { return None };
        let words = ["no", "off", "false", "n", "none", "never", "disabled", "0"];
        words.iter().any(|word| reason.trim().eq_ignore_ascii_case(word)).then_some(reason)
    }
}

/// Versions that never come to an environment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawSkip {
    /// Names or globs of policies; all without this.
    #[serde(default = "every_image")]
    #[schemars(example = ["shop"])]
    pub images: Vec<String>,
    /// Tags, or globs of them.
    #[schemars(example = ["v2.3.1", "v2.4.*"])]
    pub tags: Vec<String>,
    /// Why, for whoever meets it.
    #[schemars(example = "loses orders", length(min = 1, max = 200))]
    pub reason: String,
}

/// Images that are not to be changed for a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawHold {
    /// Names or globs of policies; all without this.
    #[serde(default = "every_image")]
    #[schemars(example = ["shop"])]
    pub images: Vec<String>,
    /// When the hold ends: a day, at its beginning in UTC, or a time.
    #[schemars(example = "2027-01-04", example = "2027-01-04T09:00:00Z")]
    pub until: String,
    /// Why, for whoever meets it.
    #[schemars(example = "peak season", length(min = 1, max = 200))]
    pub reason: String,
}

/// A stretch of time: one that comes again (`cron`, `duration`), or a single one (`from`, `until`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RawWindow {
    /// When it begins: minute, hour, day of the month, month, day of the week.
    #[schemars(example = &"0 9 * * 1-4")]
    pub cron: Option<String>,
    /// How long it lasts from then.
    #[schemars(example = &"6h")]
    pub duration: Option<String>,
    /// Where the clock hangs that `cron` is read by; UTC without this.
    #[schemars(example = &"Europe/London")]
    pub timezone: Option<String>,
    /// When a single one begins; it has always begun without this.
    #[schemars(example = &"2026-12-24T18:00:00+01:00")]
    pub from: Option<String>,
    /// When a single one ends; never without this.
    #[schemars(example = &"2027-01-04T06:00:00Z")]
    pub until: Option<String>,
}

fn every_image() -> Vec<String> {
    vec!["*".to_owned()]
}

//! The stable codes.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// What kind of problem a diagnostic is. Codes are stable; messages are not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// Every code with its meaning, in the order of the documentation.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, concat!($($doc),*)),)*];

            /// The code as it is written in JSON and in messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// A policy or settings file is not YAML.
    PolicySyntax = "policy.syntax",
    /// A file where policies are looked for is another program's, and is passed over.
    PolicyForeign = "policy.foreign-file",
    /// A key that the schema does not have.
    PolicyUnknownKey = "policy.unknown-key",
    /// A value of another type than the schema asks for.
    PolicyWrongType = "policy.wrong-type",
    /// A value that the schema does not allow.
    PolicyInvalidValue = "policy.invalid-value",
    /// A key that must be there is not.
    PolicyMissingKey = "policy.missing-key",
    /// One mapping holds the same key twice.
    PolicyDuplicateKey = "policy.duplicate-key",
    /// Two files declare a policy or an environment of one name.
    PolicyDuplicateName = "policy.duplicate-name",
    /// The name of a policy or environment cannot stand in branches and titles.
    PolicyInvalidName = "policy.invalid-name",
    /// `image` is not the name of an image repository.
    PolicyInvalidImage = "policy.invalid-image",
    /// A regular expression does not compile, or is too large.
    PolicyInvalidRegex = "policy.invalid-regex",
    /// `extract` names a group that `match` does not have.
    PolicyUnknownGroup = "policy.unknown-group",
    /// A version range does not parse.
    PolicyInvalidRange = "policy.invalid-range",
    /// No version can be in a range.
    PolicyUnmatchable = "policy.unmatchable-range",
    /// A policy can choose nothing but what is deployed.
    PolicyNeverMoves = "policy.never-moves",
    /// A hold has ended, and can be deleted.
    PolicyHoldEnded = "policy.hold-ended",
    /// What a policy asks for makes less sense than it seems to.
    PolicyContradiction = "policy.contradiction",
    /// The file of a public key that a policy names cannot be used.
    PolicyKey = "policy.key",
    /// A target cannot be read, or reaches nothing.
    PolicyTarget = "policy.target",
    /// `fixed` is not a tag.
    PolicyInvalidTag = "policy.invalid-tag",
    /// Not exactly one order (`semver`, `numerical`, …) is given.
    PolicyOrder = "policy.order",
    /// An environment has no paths, or one that cannot be a path of the repository.
    PolicyPaths = "policy.paths",
    /// Two environments cover one path.
    PolicyOverlap = "policy.overlap",
    /// An environment names a policy that does not exist.
    PolicyUnknownImage = "policy.unknown-image",
    /// An environment is promoted from one that does not exist.
    PolicyUnknownStage = "policy.unknown-stage",
    /// The repository declares no policy.
    PolicyNone = "policy.none",
    /// A checkout has other policies than the branch of its origin, which are those that a run uses.
    PolicyNotPushed = "policy.not-pushed",
    /// Images are deployed that no policy is for.
    PolicyUncovered = "policy.uncovered",
    /// No place in the repository names a policy's image.
    PolicyUnused = "policy.unused",
    /// Nothing in the repository is beneath a path of an environment.
    PolicyUnusedPath = "policy.unused-path",
    /// Nothing in an environment names an image of its policies.
    PolicyIdleEnvironment = "policy.unused-environment",
    /// An argument names something that does not exist.
    ArgumentUnknown = "argument.unknown",
    /// An argument has a value that cannot be used.
    ArgumentInvalid = "argument.invalid",
    /// A directory does not lead to the repository that it was cloned from.
    RepositoryOrigin = "repository.origin",
    /// There is no earlier version to roll back to.
    RollbackNothing = "rollback.nothing",
    /// The command could not do its work.
    Failed = "run.failed",
    /// A file that is not a regular one, a symbolic link or submodule, or whose name is not UTF-8, is left alone.
    FileSkipped = "file.skipped",
    /// A file that names an image of a policy is not YAML that can be edited.
    FileUnreadable = "file.unreadable",
    /// A file is encrypted with SOPS, which signs what is in clear text as well.
    FileEncrypted = "file.encrypted",
    /// Something else writes a file, so that it is left out unless `exclude` keeps it.
    FileOfOthers = "file.of-others",
    /// A file is larger than the limit.
    FileTooLarge = "file.too-large",
    /// The files of a commit have more bytes together than are read.
    FilesTooMany = "files.too-many",
    /// An image of a policy is written in a form that cannot be changed.
    SiteUnsupported = "site.unsupported",
    /// An image of a policy is written without a tag and without a digest.
    SiteUntagged = "site.untagged",
    /// An image of a policy stands where no shape, marker or target claims it.
    SiteUnclaimed = "site.unclaimed",
    /// Several policies of the environment are for the image, and no marker says which one.
    SiteAmbiguous = "site.ambiguous",
    /// An image of a policy stands outside every environment.
    SiteOutside = "site.outside-environments",
    /// A marker names a policy that does not exist, or not in its environment.
    MarkerUnknown = "marker.unknown-policy",
    /// A marker does nothing: it is beside no value, another one is nearer, or text is around it.
    MarkerIdle = "marker.idle",
    /// A marked value is not what its marker says, or names another image.
    MarkerUnsuited = "marker.unsuited",
    /// A marker has text replaced that is no tag of the image, or a digest stay behind.
    MarkerOverwrites = "marker.overwrites",
    /// One of Flux's resources is not complete, so that it is left out.
    FluxIncomplete = "flux.incomplete",
    /// One of Flux's resources cannot be used as it is.
    FluxInvalid = "flux.invalid",
    /// One of Flux's resources is patched on its way into the cluster, so that it is left out.
    FluxPatched = "flux.patched",
    /// The template of a commit message cannot be rendered; the usual message is written.
    FluxTemplate = "flux.template",
    /// An environment is on a branch or in a repository that cannot be read or written.
    EnvironmentUnreachable = "environment.unreachable",
    /// Changes of an environment wait: it is suspended, frozen, or outside its windows.
    EnvironmentWaits = "environment.waits",
    /// The forge did not say which pull requests there are.
    ForgeUnavailable = "forge.unavailable",
    /// The forge was not asked which pull requests there are.
    ForgeNotAsked = "forge.not-asked",
    /// The forge of a repository cannot do what a file asks for.
    ForgeUnsupported = "forge.unsupported",
    /// The issue that shows everything could not be brought up to date.
    DashboardNotKept = "dashboard.not-kept",
    /// A promotion waits for a gate for longer than `nagAfter`.
    PromotionOverdue = "promotion.overdue",
    /// A template of a title, body or message cannot be used; the usual text is written.
    DeliverTemplate = "deliver.template",
    /// A field of Flux's resources means nothing outside a cluster.
    FluxIgnored = "flux.ignored",
    /// After the change the file would differ in more than was asked for; it was left alone.
    EditRefused = "edit.refused",
    /// The registry listed texts that are not tags; they were dropped.
    TagsDropped = "tags.dropped",
    /// A full version has another digest than it had, which is an alarm.
    TagMoved = "tags.moved",
    /// A decision changes the prefix, the number of parts or the suffix of a tag.
    TagVariant = "tags.variant-changed",
    /// The ledger of earlier runs cannot be read, and is not used.
    LedgerUnreadable = "ledger.unreadable",
    /// The ledger of the repository was not read, as this is a work tree that has not fetched it.
    LedgerNotRead = "ledger.not-read",
    /// Nothing proves that the ledger is ours, or this run has no key to prove it with.
    LedgerUnproven = "ledger.unproven",
    /// The ledger could not be kept for the next run.
    LedgerNotKept = "ledger.not-kept",
    /// The clocks here and at a registry are far apart, so that no age is counted.
    ClockSkew = "clock.skew",
}

impl Code {
    /// Whether it is about a file that names images, and not about one that declares something.
    #[must_use]
    pub fn is_of_files(self) -> bool {
        let text = self.as_str();
        ["file.", "site.", "marker.", "edit.", "tags."].iter().any(|kind| text.starts_with(kind))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|(code, _)| code.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}

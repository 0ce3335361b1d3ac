//! Policy and settings files as they are written: one type per mapping, one field per key.
//!
//! The doc comments here are the descriptions that editors show, through the JSON Schema.

mod deliver;
mod environment;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

pub use deliver::{
    AutoMerge, Commits, MergeMethod, Notes, RawCheck, RawCheckBy, RawDeliver, RawGroup,
    RawGrouping, RawVia, Via,
};
pub use environment::{
    RawEnvironment, RawHold, RawLockstep, RawSame, RawSkip, RawSources, RawSuspend, RawWindow,
};
pub use service::{HookKind, RawServed, RawServedEnvironment, RawService, RawWebhook};

/// Policies and environments of a tagalong config repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(title = "tagalong policies")]
pub struct RawPolicies {
    /// Policies by name: which tags of an image repository are candidates, and their order.
    #[schemars(example = json!({"shop": {"image": "ghcr.io/acme/shop", "tags": {"semver": "minor"}}}))]
    pub images: BTreeMap<String, RawImage>,
    /// Environments by name: the paths that a cluster or stage syncs. Without any, one
    /// environment named `default` covers the whole repository.
    #[schemars(example = json!({"production": {"paths": ["clusters/production"]}}))]
    pub environments: BTreeMap<String, RawEnvironment>,
}

/// One policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "one for each key of the file")]
pub struct RawImage {
    /// The image repository, without tag or digest.
    #[schemars(example = "ghcr.io/acme/shop")]
    pub image: String,
    /// Names of the same image at other registries, which hold copies of its tags. Places that name one keep it, and
    /// what is written there has to be there.
    #[serde(default)]
    #[schemars(example = ["prod.example.com/acme/shop"])]
    pub mirrors: Vec<String>,
    /// Which places it changes: all that name the image, or those with a marker.
    #[serde(default)]
    pub places: RawPlaces,
    /// The name that markers of Flux (`NAMESPACE:NAME`) or Fleet have for this policy, beside its own name.
    #[schemars(example = "flux-system:shop", length(min = 1))]
    pub marker: Option<String>,
    /// How a tag is chosen.
    #[schemars(example = json!({"semver": "minor"}))]
    pub tags: RawTags,
    /// What happens to digests: `keep` without this, and `pin` where `verify` is asked for.
    pub digest: Option<DigestMode>,
    /// How long a tag and its digest must have been known before they are proposed: since the later
    /// of the registry's time and our own first sight.
    #[schemars(example = "3d")]
    pub min_age: Option<String>,
    /// What an image must run on, every one of them; otherwise the next candidate is tried.
    #[serde(default)]
    #[schemars(example = ["linux/amd64", "linux/arm64"])]
    pub platforms: Vec<String>,
    /// Who must have signed an image.
    #[schemars(example = json!({"cosign": {"key": "keys/shop.pub"}}))]
    pub verify: Option<RawVerify>,
    /// Whether a lower tag than the deployed one may be chosen. Off, a registry that loses tags,
    /// or a narrower range, never takes a deployment backwards.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// Whether a tag may be chosen though the deployed one is no longer listed. Off, a registry
    /// that answers with half its tags changes nothing.
    #[serde(default)]
    pub allow_vanished: bool,
    /// Whether a listing with less than half of the tags of an earlier run is believed.
    #[serde(default)]
    pub allow_shrunken: bool,
    /// Places that nothing else reaches.
    #[serde(default)]
    #[schemars(example = json!([{"files": ["charts/*/Chart.yaml"], "path": "appVersion", "part": "tag"}]))]
    pub targets: Vec<RawTarget>,
    /// Whether a full version whose digest is another than before is followed. Off, that is an
    /// alarm: versions do not move unless somebody moves them.
    #[serde(default)]
    pub allow_moved: bool,
}

/// Which places a policy changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawPlaces {
    /// Each that names its image, and marked ones.
    #[default]
    All,
    /// Marked ones, and those that `targets` name.
    Marked,
}

/// Places that hold the image, or parts of it: by a path, or by a regular expression.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawTarget {
    /// Directories, files or globs, from the root of the repository.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "TextOrTexts", example = &["charts/*/Chart.yaml"])]
    pub files: Vec<String>,
    /// A path through YAML or JSON: `image.tag`, `containers[0].image`, or any of RFC 9535
    /// (`$.images[?@.name == 'shop'].tag`).
    #[schemars(example = &"appVersion", length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// A regular expression over the text of a file, line by line for `^` and `$`, with groups
    /// that are named `image`, `registry`, `repository`, `tag` or `digest`.
    #[schemars(example = r"^SHOP_VERSION=(?<tag>\S+)$")]
    pub r#match: Option<String>,
    /// What the path leads to.
    pub part: Option<PartName>,
}

/// How commits are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = deliver::also_github)]
pub enum Sign {
    /// The forge makes and signs them, as whoever the token belongs to; no key is needed.
    #[serde(alias = "github")]
    Forge,
    /// With the OpenSSH private key in `TAGALONG_SIGNING_KEY`, or in the file of `TAGALONG_SIGNING_KEY_FILE`.
    Ssh,
    /// By the machine's `gpg`, with the key that `TAGALONG_SIGNING_KEY` names.
    Gpg,
}

/// One text, or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum TextOrTexts {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match TextOrTexts::deserialize(deserializer)? {
        TextOrTexts::One(one) => vec![one],
        TextOrTexts::Many(many) => many,
    })
}

/// A part of an image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartName {
    /// All of it: `ghcr.io/acme/shop:v1`.
    Image,
    /// The registry's host.
    Registry,
    /// The name, without the registry where that is named as well.
    Repository,
    /// The tag.
    Tag,
    /// The tag with the digest behind it.
    #[serde(rename = "tag@digest")]
    TagAndDigest,
    /// The digest.
    Digest,
}

/// Who must have signed an image.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawVerify {
    /// By a signature of cosign.
    pub cosign: RawCosign,
}

/// Whose signature of cosign counts: a key's, or a keyless one's by identity and issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawCosign {
    /// The file of a public key, from the root of the config repository.
    #[schemars(example = "keys/shop.pub", length(min = 1))]
    pub key: Option<String>,
    /// The subject of the certificate: a workflow's URL, or an address.
    #[schemars(
        example = "https://github.com/acme/shop/.github/workflows/release.yaml@refs/heads/main",
        length(min = 1)
    )]
    pub identity: Option<String>,
    /// A regular expression that must match the whole subject.
    #[schemars(example = "https://github\\.com/acme/shop/\\.github/workflows/.+")]
    pub identity_match: Option<String>,
    /// The identity provider.
    #[schemars(example = "https://token.actions.githubusercontent.com", length(min = 1))]
    pub issuer: Option<String>,
}

/// How a tag is chosen: filters, and exactly one order.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RawTags {
    /// Only tags in which this regular expression is found take part. It is not anchored.
    #[schemars(example = r"^v(?<version>.+)$")]
    pub r#match: Option<String>,
    /// What is ordered, made of the groups of `match`: `$name`, `${name}`, `$1`. The tag itself is
    /// what is written.
    #[schemars(example = "$version")]
    pub extract: Option<String>,
    /// Tags in which one of these is found do not take part. Signatures, attestations and SBOMs
    /// never do.
    #[schemars(example = ["-debug$"])]
    pub exclude: Vec<String>,
    /// The highest version in this range, by the rules of Masterminds/semver; or how far it may
    /// move from the deployed one: `patch`, `minor` or `major`.
    #[schemars(example = ">=2.0 <3", example = &"minor")]
    pub semver: Option<String>,
    /// The latest calendar version of this format, in the words of `CalVer`: `YYYY`, `YY`, `0Y`, `MM`,
    /// `0M`, `WW`, `0W`, `DD`, `0D`, `MAJOR`, `MINOR`, `MICRO`, `MODIFIER`.
    #[schemars(example = "YYYY.0M.DD.MICRO")]
    pub calver: Option<String>,
    /// The highest (`asc`) or lowest (`desc`) number.
    pub numerical: Option<Direction>,
    /// The last (`asc`) or first (`desc`) by bytes.
    pub alphabetical: Option<Direction>,
    /// Exactly this tag. Where a digest is written, it follows the tag.
    #[schemars(example = "1.27-alpine")]
    pub fixed: Option<String>,
    /// The latest by time.
    pub newest: Option<Newest>,
    /// Whether prereleases take part that the range does not name.
    pub prereleases: bool,
    /// What may differ from the deployed tag beside the version: `any` without this for ranges,
    /// `keep` for `patch`, `minor` and `major`.
    pub variant: Option<Variant>,
}

/// Whose time says what is newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Newest {
    /// The registry's; where it says none, our own first sight.
    Pushed,
    /// What the image's builder wrote into it, which anybody can set.
    Created,
}

/// What may differ from the deployed tag beside the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Anything: a suffix is a prerelease to SemVer, and `v1.2.3` follows `1.2.2`.
    Any,
    /// Nothing: prefix, number of parts and suffix (`-alpine`) stay.
    Keep,
}

/// Which end of an order is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The highest.
    Asc,
    /// The lowest.
    Desc,
}

/// What happens to the digest behind a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DigestMode {
    /// A digest that is written moves with the tag; none is added.
    #[default]
    Keep,
    /// `tag@digest` is written.
    Pin,
    /// A digest that is written behind a tag is removed.
    Drop,
}

/// Settings of a tagalong config repository (`tagalong.yaml`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(title = "tagalong settings")]
pub struct RawSettings {
    /// Globs of the policy files; `policies/**/*.yaml` and `.yml` without this.
    #[schemars(example = ["policies/**/*.yaml"])]
    pub policies: Option<Vec<String>>,
    /// Directories, files or globs that are left out of every environment. What begins with `!` is kept in, also where
    /// something else writes it.
    #[schemars(example = ["archive", "**/testdata"])]
    pub exclude: Vec<String>,
    /// What is special about registries.
    pub registries: Vec<RawRegistry>,
    /// The author of commits.
    pub author: Option<RawAuthor>,
    /// How commits are signed; not without this. Keys come from the environment of a run, never from here.
    pub sign: Option<Sign>,
    /// The title of an issue that shows every image, what was decided, and what waits for whom. It has the
    /// label `tagalong`, and is kept up to date by runs of everything.
    #[schemars(example = &"Images", length(min = 1, max = 200))]
    pub dashboard: Option<String>,
}

/// The operator's file about registries (`--registries`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(title = "tagalong registries")]
pub struct RawRegistries {
    /// What is special about registries.
    pub registries: Vec<RawRegistry>,
}

/// What is special about one registry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawRegistry {
    /// The registry's host as references name it, with its port if it has one; or a part of it, as a
    /// prefix of repositories.
    #[schemars(
        example = "registry.internal:5000",
        regex(pattern = r"^[A-Za-z0-9.\[\]:-]+(/.+)?$")
    )]
    pub host: String,
    /// What is asked instead: another registry, perhaps with a prefix, or a directory with OCI image
    /// layouts (`oci:DIRECTORY`, in the operator's file).
    #[schemars(example = "mirror.internal/docker-hub")]
    pub mirror: Option<String>,
    /// The product, where the host's name does not say it.
    pub kind: Option<RegistryKind>,
    /// Ask without credentials, whatever is known.
    #[serde(default)]
    pub anonymous: bool,
    /// Ask over plain HTTP; without credentials, unless the operator's file says it. Loopback
    /// addresses need no mention.
    #[serde(default)]
    pub plain_http: bool,
    /// The most requests at once; 8 without this.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: Option<u32>,
    /// The most requests in a second.
    #[schemars(range(min = 1, max = 10_000))]
    pub requests_per_second: Option<u32>,
    /// Operator's file: the address to connect to, instead of what the host's name resolves to.
    #[schemars(example = "10.0.0.5:443")]
    pub address: Option<String>,
    /// Operator's file: certificate authorities to trust as well, in PEM.
    pub ca: Option<PathBuf>,
    /// Operator's file: the certificate to show to the registry, in PEM.
    pub client_certificate: Option<PathBuf>,
    /// Operator's file: the key of that certificate, in PEM.
    pub client_key: Option<PathBuf>,
    /// Operator's file: the proxy to go through, or `none`.
    #[schemars(example = "http://proxy.internal:3128")]
    pub proxy: Option<ProxyAddress>,
    /// Operator's file: hosts of token servers that the registry's credentials may go to.
    #[serde(default)]
    pub token_hosts: Vec<String>,
}

/// The address of a proxy. It can hold a password, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ProxyAddress(pub String);

impl std::fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyAddress")
    }
}

/// A product that answers as a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryKind {
    /// Docker Hub.
    DockerHub,
    /// Google's Artifact Registry.
    Google,
    /// Azure Container Registry.
    Azure,
    /// Quay.
    Quay,
    /// Harbor.
    Harbor,
    /// Any other.
    Other,
}

/// A commit's author.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawAuthor {
    /// The name.
    #[schemars(example = "image bot", length(min = 1))]
    pub name: String,
    /// The address.
    #[schemars(example = "tagalong@example.com", length(min = 1))]
    pub email: String,
    /// Whether commits say `Signed-off-by`, which is the author's word on the licence.
    #[serde(default)]
    pub sign_off: bool,
    /// Who else made the commits, as `Name <address>`.
    #[serde(default)]
    #[schemars(example = ["Ada <ada@example.com>"])]
    pub co_authors: Vec<String>,
}

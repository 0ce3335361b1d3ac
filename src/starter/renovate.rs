//! What Renovate was told about images (<https://docs.renovatebot.com/configuration-options/>): its rules are applied to the
//! images that are deployed, and what comes of them is written as a policy for each. Rules that select by something that is not
//! known here are named, not guessed.

mod rules;
mod select;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::guess::Rule;
use super::{DeployedImage, Starter, StarterPolicy};
use crate::image::{Shape, Tag};
use crate::policy::Range;
use rules::{ConfigurationHome, RenovateRules, is_lossy, restricts, unsaid};
use select::{Image, Meant, Patterns, texts};

/// Where its configuration is looked for; the first that there is counts.
pub const FILES: [&str; 12] = [
    "renovate.json",
    "renovate.jsonc",
    "renovate.json5",
    ".github/renovate.json",
    ".github/renovate.jsonc",
    ".github/renovate.json5",
    ".gitlab/renovate.json",
    ".gitlab/renovate.jsonc",
    ".gitlab/renovate.json5",
    ".renovaterc",
    ".renovaterc.json",
    ".renovaterc.json5",
];

/// Ways of reading versions that are no narrower than ours.
const PLAIN: [&str; 6] = ["docker", "helm", "loose", "semver", "semver-coerced", "semver-partial"];

/// What is nested deeper is no configuration of anybody.
const DEPTH: usize = 64;

/// What holds for one image.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each key")]
struct Settings {
    is_disabled: bool,
    is_pinned: bool,
    off: Kinds,
    /// What somebody has to approve there: it does not come by itself here.
    asked: Kinds,
    allowed: Option<String>,
    min_age: Option<String>,
    prereleases: bool,
    versioning: Option<String>,
    /// True if something that was told of it is not carried over.
    is_lossy: bool,
    /// What is said of it in the policy.
    comments: Vec<String>,
}

/// Kinds of updates.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each kind")]
struct Kinds {
    major: bool,
    minor: bool,
    patch: bool,
    /// Another digest behind the same tag, and a first one.
    digest: bool,
}

impl Kinds {
    fn set(&mut self, kinds: &[&str], value: bool) {
        self.major = if kinds.contains(&"major") { value } else { self.major };
        self.minor = if kinds.contains(&"minor") { value } else { self.minor };
        self.patch = if kinds.contains(&"patch") { value } else { self.patch };
        let is_of_digests = ["digest", "pin", "pinDigest"].iter().any(|kind| kinds.contains(kind));
        self.digest = if is_of_digests { value } else { self.digest };
    }

    const fn or(self, other: Self) -> Self {
        Self {
            major: self.major || other.major,
            minor: self.minor || other.minor,
            patch: self.patch || other.patch,
            digest: self.digest || other.digest,
        }
    }
}

/// The places of an image.
#[derive(Default)]
struct ImagePlaces<'a> {
    files: Vec<&'a str>,
    tags: Vec<&'a Tag>,
    has_digest: bool,
}

/// What Renovate was told, and where.
pub struct RenovateConfig<'a> {
    /// The file.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The repository as `owner/name`; empty where that is not known.
    pub repository: &'a str,
    /// Reads another file of the repository.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

/// Applies a configuration to what a starter has for the images that are deployed.
///
/// # Errors
/// When it cannot be read: what it forbids is not known then.
pub(super) fn apply(
    starter: &mut Starter,
    told: &RenovateConfig<'_>,
    deployed: &[DeployedImage],
) -> Result<(), String> {
    let path = told.path;
    let config = read(told.text).map_err(|why| format!("{path} cannot be read: {why}"))?;
    let mut rules = RenovateRules::of(
        &config,
        path,
        &ConfigurationHome { name: told.repository, read: told.read },
    );
    starter.notes.append(&mut rules.notes);
    let ignored: BTreeSet<&str> = texts(&config["ignoreDeps"]).into_iter().collect();
    let mut places: BTreeMap<String, ImagePlaces<'_>> = BTreeMap::new();
    for one in deployed {
        let places = places.entry(one.repository.to_string()).or_default();
        places.files.push(&one.path);
        places.tags.extend(&one.tag);
        places.has_digest |= one.has_digest;
    }
    let patterns = Patterns::default();
    let mut kept = Vec::new();
    for mut policy in std::mem::take(&mut starter.policies) {
        let places = places.remove(&policy.image).unwrap_or_default();
        let image = Image::new(&policy.image, &places.files, &patterns, &rules);
        let ends = if image.names.iter().any(|name| ignored.contains(name.as_str())) {
            Some("Renovate leaves it alone (`ignoreDeps`)".to_owned())
        } else {
            let away = Patterns::kept_away(&image);
            away.or_else(|| {
                judge(&rules, &patterns, &image, &places, &mut policy, &mut starter.notes)
            })
        };
        match ends {
            Some(why) => {
                let image = &policy.image;
                starter.notes.push(format!("{image}: {why}, and no policy is written for it"));
            }
            None => kept.push(policy),
        }
    }
    starter.policies = kept;
    let names: BTreeSet<&str> =
        starter.policies.iter().map(|policy| policy.image.as_str()).collect();
    let files = deployed.iter().filter(|one| names.contains(&*one.repository.to_string()));
    let files = files.map(|one| one.path.as_str()).collect();
    starter.notes.extend(patterns.assumed(&rules, &files));
    Ok(())
}

/// The configuration; the parser that reads it goes down by calling itself.
fn read(text: &str) -> Result<Value, String> {
    let (mut depth, mut most) = (0_usize, 0);
    for c in text.bytes() {
        match c {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = depth.max(most);
    }
    if most > DEPTH {
        return Err(format!("it is nested deeper than {DEPTH}"));
    }
    json5::from_str(text).map_err(|error| error.to_string())
}

/// Applies the rules to a policy; why there is none.
fn judge(
    rules: &RenovateRules,
    patterns: &Patterns,
    image: &Image<'_>,
    places: &ImagePlaces<'_>,
    policy: &mut StarterPolicy,
    notes: &mut Vec<String>,
) -> Option<String> {
    let mut settings = Settings::default();
    // What a preset keeps away that cannot be read would come.
    let mut unknown = rules.lost.first().map(|preset| format!("`{preset}`"));
    for rule in &rules.all {
        match patterns.meant(rule, image) {
            Meant::Yes => {
                if let Some(key) = unsaid(rule) {
                    unknown = Some(format!("`{key}`"));
                }
                settings.is_lossy |= is_lossy(rule);
                settings.take(rule);
            }
            Meant::No => {}
            Meant::Perhaps(why) if restricts(rule) => unknown = Some(why),
            Meant::Perhaps(why) => {
                settings.is_lossy = true;
                notes.push(format!("{}: a rule is not carried over: {why}", policy.image));
            }
        }
    }
    // A later rule that holds for certain may have said the same.
    let kept = settings.kept();
    if settings.is_disabled || kept.patch && kept.minor && kept.major {
        return Some("Renovate leaves it alone".to_owned());
    }
    // What would be looser than what it was told is not written.
    if let Some(why) = unknown {
        return Some(format!("a rule that keeps versions away is not carried over ({why})"));
    }
    settings.say(policy, places).err()
}

impl Settings {
    /// Kinds of updates that do not come by themselves.
    const fn kept(&self) -> Kinds {
        self.off.or(self.asked)
    }

    /// Takes what a rule says; a later one counts more.
    fn take(&mut self, rule: &Value) {
        let kinds = texts(&rule["matchUpdateTypes"]);
        if !kinds.is_empty() {
            return self.take_of(rule, &kinds);
        }
        // What is null is as if nothing had said anything.
        let text = |key: &str, before: &mut Option<String>| match rule.get(key) {
            None => {}
            Some(value) => *before = value.as_str().map(str::to_owned),
        };
        text("allowedVersions", &mut self.allowed);
        text("minimumReleaseAge", &mut self.min_age);
        text("versioning", &mut self.versioning);
        if let Some(days) = rule["stabilityDays"].as_u64() {
            self.min_age = Some(format!("{days} days")).filter(|_| days > 0);
        }
        let flag = |key: &str, before: bool| rule[key].as_bool().unwrap_or(before);
        self.is_disabled = !flag("enabled", !self.is_disabled);
        // Rules are applied again after the settings of each kind of update.
        if rule["enabled"] == true {
            self.off = Kinds::default();
        }
        self.is_pinned = flag("pinDigests", self.is_pinned);
        self.prereleases = !flag("ignoreUnstable", !self.prereleases);
        if rule["dependencyDashboardApproval"] == true {
            self.comments.push("somebody had to approve each of its updates there".to_owned());
        }
    }

    /// What is said of some kinds of updates.
    fn take_of(&mut self, rule: &Value, kinds: &[&str]) {
        if let Some(enabled) = rule["enabled"].as_bool() {
            self.off.set(kinds, !enabled);
        }
        let is_of_versions = kinds.iter().any(|kind| ["major", "minor", "patch"].contains(kind));
        if rule["dependencyDashboardApproval"] == true {
            self.asked.set(kinds, true);
            self.comments.push(format!("somebody had to approve {} there", kinds.join(", ")));
        }
        // An age of some is one of all: never sooner than it was told.
        if let Some(age) = rule["minimumReleaseAge"].as_str().filter(|_| is_of_versions) {
            self.min_age = Some(age.to_owned());
            self.comments.push(format!("its age was asked for of {} alone", kinds.join(", ")));
        }
        if let Some(allowed) = rule["allowedVersions"].as_str().filter(|_| is_of_versions) {
            self.allowed = Some(allowed.to_owned());
            self.comments.push(format!("its range was that of {} alone", kinds.join(", ")));
        }
    }

    /// Writes it into a policy; why that cannot be.
    fn say(mut self, policy: &mut StarterPolicy, places: &ImagePlaces<'_>) -> Result<(), String> {
        let kept = self.kept();
        let tags = &places.tags[..];
        if kept.digest && places.has_digest {
            return Err(
                "updates of digests are switched off there, which cannot be said here".to_owned()
            );
        }
        self.is_pinned &= !kept.digest;
        if kept.patch {
            return Err("patches are switched off there, which cannot be said here".to_owned());
        }
        self.can_be_read(tags)?;
        // A tag of one number is a version to Renovate.
        let is_one =
            |tag: &&Tag| Shape::parse(tag.as_str()).is_some_and(|shape| shape.precision == 1);
        if policy.rule.order == "fixed" && tags.iter().all(is_one) {
            policy.rule = Rule::by("semver", "major");
            policy.also.clear();
        }
        if policy.rule.order == "semver" {
            policy.comments.clear();
            policy.comments.push(self.origin().to_owned());
            let level = match (kept.major, kept.minor) {
                (false, false) => "major",
                (true, false) => "minor",
                // The next major version without the next minor one cannot be said.
                (_, true) => "patch",
            };
            level.clone_into(&mut policy.rule.by);
            if let Some(allowed) = &self.allowed {
                Self::allow(policy, allowed)?;
                // A range takes the place of the level, so what the level keeps away is put into it.
                if Range::parse(&policy.rule.by).is_ok() && level != "major" {
                    policy.rule.by = within(&policy.rule.by, level, tags)?;
                }
            }
            match (self.prereleases, Range::parse(&policy.rule.by).is_ok()) {
                (true, true) => policy.rule.also.push(("prereleases", "true".to_owned())),
                (true, false) => policy
                    .comments
                    .push("unstable versions came there; here they need a range".to_owned()),
                (false, _) => {}
            }
        } else if self.allowed.is_some() {
            return Err("its `allowedVersions` is for versions, which its tags are not".to_owned());
        }
        if self.is_pinned {
            policy.also.push(("digest", "pin".to_owned()));
        }
        match self.min_age.as_deref().map(|text| (text, age(text))) {
            Some((_, Some(age))) => policy.also.push(("minAge", age)),
            Some((text, None)) => return Err(format!("`minimumReleaseAge: {text}` is not known")),
            None => {}
        }
        policy.comments.extend(self.comments);
        Ok(())
    }

    /// The reason that its versioning does not read tags as we do, if one is known.
    fn can_be_read(&self, tags: &[&Tag]) -> Result<(), String> {
        let Some(versioning) = self.versioning.as_deref() else { return Ok(()) };
        // Its `semver` reads three numbers alone, and takes a suffix for an unstable version.
        let is_plain = |tag: &&Tag| {
            Shape::parse(tag.as_str()).is_some_and(|shape| {
                shape.precision == 3 && shape.variant.is_empty() && matches!(shape.prefix, "" | "v")
            })
        };
        if versioning == "semver" && !tags.iter().all(is_plain) {
            return Err("its `versioning: semver` takes tags of three numbers alone".to_owned());
        }
        if PLAIN.contains(&versioning) {
            return Ok(());
        }
        Err(format!("its `versioning: {versioning}` cannot be said here"))
    }

    /// Where the rule is from, and whether it is all that was told.
    fn origin(&self) -> &'static str {
        let is_whole = !self.is_lossy
            && self.comments.is_empty()
            && self.versioning.is_none()
            && !self.prereleases;
        if is_whole {
            "as Renovate was told"
        } else {
            "from Renovate; not all that it was told is here"
        }
    }

    fn allow(policy: &mut StarterPolicy, allowed: &str) -> Result<(), String> {
        let negative = allowed.strip_prefix("!/");
        let pattern = negative.or(allowed.strip_prefix('/')).and_then(|rest| rest.rsplit_once('/'));
        match (negative, pattern) {
            (_, Some((pattern, _))) if regex::Regex::new(pattern).is_err() => {
                return Err(format!("`allowedVersions: {allowed}` cannot be read"));
            }
            (Some(_), Some((pattern, _))) => policy.rule.exclude.push(pattern.to_owned()),
            (None, Some((pattern, _))) => policy.rule.pattern = Some(pattern.to_owned()),
            _ if Range::parse(allowed).is_ok() => {
                allowed.clone_into(&mut policy.rule.by);
                policy.rule.also.push(("variant", "keep".to_owned()));
            }
            _ => return Err(format!("`allowedVersions: {allowed}` cannot be read")),
        }
        Ok(())
    }
}

/// A range with the versions alone that a level reaches from what is deployed.
fn within(range: &str, level: &str, tags: &[&Tag]) -> Result<String, String> {
    let reached: BTreeSet<String> = tags
        .iter()
        .filter_map(|tag| Shape::parse(tag.as_str()))
        .map(|shape| match (level, shape.version.major, shape.version.minor) {
            ("minor", major, _) => format!(">={major}.0.0 <{}.0.0", major + 1),
            (_, major, minor) => format!(">={major}.{minor}.0 <{major}.{}.0", minor + 1),
        })
        .collect();
    let mut reached = reached.into_iter();
    let (Some(bounds), None) = (reached.next(), reached.next()) else {
        return Err(format!(
            "its `allowedVersions` go with `{level}` updates alone, and versions of several are deployed"
        ));
    };
    let alternatives =
        range.split("||").map(|alternative| format!("{} {bounds}", alternative.trim()));
    Ok(alternatives.collect::<Vec<_>>().join(" || "))
}

/// `3 days` as `3d`.
fn age(text: &str) -> Option<String> {
    let (number, unit) = text.split_once(' ')?;
    let number: u32 = number.parse().ok()?;
    let short = match unit.trim_end_matches('s') {
        "minute" => "m",
        "hour" => "h",
        "day" => "d",
        "week" => return Some(format!("{}d", number.checked_mul(7)?)),
        _ => return None,
    };
    (number > 0).then(|| format!("{number}{short}"))
}

#[cfg(test)]
mod tests;

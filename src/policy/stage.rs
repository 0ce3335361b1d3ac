//! Where an environment stands among others: what comes to it from where, when, and what moves together.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use jiff::{SignedDuration, Timestamp};

use super::checks::duration;
use super::deliver::Required;
use super::raw::{RawEnvironment, RawLockstep, RawSame, RawSkip, RawSources, RawSuspend};
use super::{ById, Environment, EnvironmentId, Id as _, Windows};
use crate::diagnostic::{Code, Diagnostic, Place, nearest};

/// A gate that has not opened for so long after everything else was there is worth a word.
const NAG_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What comes from other environments, and when it has earned it.
#[derive(Clone, Debug)]
pub struct Promotion {
    /// The environments that it comes from.
    pub sources: Vec<EnvironmentId>,
    /// Whether one of them is enough.
    pub any: bool,
    /// How long a source must have held a version.
    pub soak: SignedDuration,
    /// Statuses and check runs that must have passed on a commit at which the source held it.
    pub require: Vec<Gate>,
    /// When to say that a gate has not opened yet.
    pub nag_after: SignedDuration,
    /// How many versions of a source may be passed over in one step.
    pub max_steps: Option<usize>,
    /// The sources as they are written.
    names: Vec<(String, Place)>,
}

/// Statuses and check runs, by their names.
#[derive(Clone, Debug)]
pub struct Gate {
    /// As it is written, and who has to report it.
    pub required: Required,
    names: GlobMatcher,
}

/// Versions that never come to an environment.
#[derive(Clone, Debug)]
pub struct Skip {
    images: GlobSet,
    tags: GlobSet,
    /// Why, for whoever meets it.
    pub reason: String,
}

/// When changes reach an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// When pull requests are worked on; at any time where there are none.
    pub schedule: Windows,
    /// When changes are taken; at any time where there are none.
    pub windows: Windows,
    /// When none are taken.
    pub freezes: Windows,
    /// Why nothing is taken until somebody says otherwise.
    pub suspended: Option<String>,
}

impl Gate {
    /// Whether a status or check run of this name, by this app or account, is meant.
    #[must_use]
    pub fn is_match(&self, name: &str, reporter: Option<&str>) -> bool {
        self.names.is_match(name) && self.required.is_by(reporter)
    }
}

impl Skip {
    /// Whether a version of an image is meant.
    #[must_use]
    pub fn is_match(&self, policy: &str, tag: &str) -> bool {
        self.images.is_match(policy) && self.tags.is_match(tag)
    }
}

impl Timing {
    /// What changes wait for; `None` when they need not wait.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> Option<String> {
        if let Some(reason) = &self.suspended {
            return Some(format!("suspended: {reason}"));
        }
        if self.freezes.is_open(now) {
            let until = self.freezes.closes(now).map(|at| format!(" until {at}"));
            return Some(format!("frozen{}", until.unwrap_or_default()));
        }
        let closed = |name: &str, windows: &Windows| {
            if windows.is_empty() || windows.is_open(now) {
                return None;
            }
            Some(match windows.opens(now) {
                Some(next) => format!("`{name}`: it waits until {next}"),
                None => format!("`{name}`: no window opens any more"),
            })
        };
        closed("windows", &self.windows).or_else(|| closed("schedule", &self.schedule))
    }
}

/// What an environment says beside its images and its delivery.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// What comes from other environments; from registries where there is nothing.
    pub promotion: Option<Promotion>,
    /// Policies that move together.
    pub lockstep: Vec<Lockstep>,
    /// Versions that never come here.
    pub skips: Vec<Skip>,
}

/// Policies that move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockstep {
    /// Their names.
    pub images: BTreeSet<String>,
    /// True if all of them are to have one tag.
    pub is_same_tag: bool,
}

impl Lockstep {
    fn read(raw: &RawLockstep) -> Self {
        let is_same_tag = matches!(raw, RawLockstep::Same { same: RawSame::Tag, .. });
        Self { images: raw.images().iter().cloned().collect(), is_same_tag }
    }
}

/// A problem, and the keys below the environment that lead to it.
pub(super) type Problem = (Vec<String>, String);

/// Reads what an environment says; `place` finds keys below it.
pub(super) fn read(
    raw: &RawEnvironment,
    place: impl Fn(&[&str]) -> Place,
) -> (Stage, Timing, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut windows = |key: &str, raw: &[super::raw::RawWindow]| {
        Windows::read(raw).unwrap_or_else(|faults| {
            let told = faults.into_iter().map(|fault| {
                (std::iter::once(key.to_owned()).chain(fault.keys()).collect(), fault.why)
            });
            problems.extend(told);
            Windows::default()
        })
    };
    let timing = Timing {
        windows: windows("windows", &raw.windows),
        freezes: windows("freezes", &raw.freezes),
        suspended: raw.suspend.as_ref().and_then(RawSuspend::reason),
        schedule: Windows::default(),
    };
    if let Some(text) = raw.suspend.as_ref().and_then(RawSuspend::denial) {
        let why = format!("`{text}` is a text here, and would suspend; write `false`, or a reason");
        problems.push((vec!["suspend".to_owned()], why));
    }
    let promotion = promotion(raw, &place, &mut problems);
    let mut skips = Vec::new();
    for (index, raw) in raw.skip.iter().enumerate() {
        match skip(raw) {
            Ok(skip) => skips.push(skip),
            Err(why) => problems.push((vec!["skip".to_owned(), index.to_string()], why)),
        }
    }
    let lockstep: Vec<Lockstep> = raw.lockstep.iter().map(Lockstep::read).collect();
    let mut seen = BTreeSet::new();
    for (index, name) in lockstep
        .iter()
        .enumerate()
        .flat_map(|(i, set)| set.images.iter().map(move |name| (i, name)))
    {
        if !seen.insert(name) {
            let why = format!("`{name}` is in two sets of `lockstep`; make them one");
            problems.push((vec!["lockstep".to_owned(), index.to_string()], why));
        }
    }
    (Stage { promotion, lockstep, skips }, timing, problems)
}

fn promotion(
    raw: &RawEnvironment,
    place: &impl Fn(&[&str]) -> Place,
    problems: &mut Vec<Problem>,
) -> Option<Promotion> {
    let mut wrong = |key: &str, why: String| problems.push((vec![key.to_owned()], why));
    let Some(sources) = &raw.promote_from else {
        let keys = [
            ("soak", raw.soak.is_some()),
            ("require", !raw.require.is_empty()),
            ("nagAfter", raw.nag_after.is_some()),
            ("maxSteps", raw.max_steps.is_some()),
        ];
        for (key, _) in keys.into_iter().filter(|(_, is_there)| *is_there) {
            wrong(
                key,
                format!(
                    "`{key}` is about what comes from other environments; name them in `promoteFrom`"
                ),
            );
        }
        return None;
    };
    let mut time = |key: &str, text: &Option<String>, default: SignedDuration| match text {
        None => default,
        Some(text) => duration(text).unwrap_or_else(|why| {
            wrong(key, why);
            default
        }),
    };
    let soak = time("soak", &raw.soak, SignedDuration::ZERO);
    let nag_after = time("nagAfter", &raw.nag_after, NAG_AFTER);
    let mut require = Vec::new();
    for required in raw.require.iter().cloned().map(Required::from) {
        match GlobBuilder::new(&required.name).literal_separator(false).build() {
            Ok(glob) => require.push(Gate { required, names: glob.compile_matcher() }),
            Err(_) => wrong("require", format!("`{}` is neither a name nor a glob", required.name)),
        }
    }
    let (names, any) = match sources {
        RawSources::One(name) => (vec![name.clone()], false),
        RawSources::All(names) => (names.clone(), false),
        RawSources::Any { any } => (any.clone(), true),
    };
    if names.is_empty() {
        wrong("promoteFrom", "it names no environment".to_owned());
    }
    let names = names.into_iter().map(|name| (name, place(&["promoteFrom"]))).collect();
    let max_steps = raw.max_steps.map(|steps| steps as usize);
    Some(Promotion { sources: Vec::new(), any, soak, require, nag_after, max_steps, names })
}

fn skip(raw: &RawSkip) -> Result<Skip, String> {
    let globs = |patterns: &[String]| {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(false).build();
            builder
                .add(glob.map_err(|_error| format!("`{pattern}` is neither a name nor a glob"))?);
        }
        builder.build().map_err(|error| error.to_string())
    };
    if raw.tags.is_empty() {
        return Err("it names no tag".to_owned());
    }
    Ok(Skip { images: globs(&raw.images)?, tags: globs(&raw.tags)?, reason: raw.reason.clone() })
}

/// Looks up the environments that others come from.
pub(super) fn link(environments: &mut ById<EnvironmentId, Environment>) -> Vec<Diagnostic> {
    let names: Vec<String> = environments.iter().map(|e| e.name.clone()).collect();
    let mut problems = Vec::new();
    for environment in environments.iter_mut() {
        let Some(promotion) = &mut environment.stage.promotion else { continue };
        for (name, place) in &promotion.names {
            match names.iter().position(|known| known == name) {
                Some(index) => promotion.sources.push(EnvironmentId::at(index)),
                None => {
                    let message = format!("no environment is named `{name}`");
                    let problem = Diagnostic::error(Code::PolicyUnknownStage, message);
                    let near = nearest(name, names.iter().map(String::as_str));
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    problems.push(Diagnostic { help, ..problem.at(place.clone()) });
                }
            }
        }
    }
    problems.extend(cycle(environments));
    problems
}

/// A way that leads from an environment back to it.
fn cycle(environments: &ById<EnvironmentId, Environment>) -> Option<Diagnostic> {
    let sources = |index: EnvironmentId| {
        environments[index].stage.promotion.iter().flat_map(|promotion| promotion.sources.clone())
    };
    for start in environments.ids() {
        let mut ways: Vec<Vec<EnvironmentId>> = vec![vec![start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            for next in sources(way[way.len() - 1]) {
                if next == start {
                    let names = way.iter().chain([&start]).map(|index| &*environments[*index].name);
                    let way = names.collect::<Vec<_>>().join(" from ");
                    let message = format!("`promoteFrom` leads in a circle: {way}");
                    let problem = Diagnostic::error(Code::PolicyContradiction, message);
                    return Some(problem.at(environments[start].place.clone()));
                }
                if seen.insert(next) {
                    ways.push([&way[..], &[next]].concat());
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::raw::RawWindow;

    fn windows(all: &[(&str, &str, &str)]) -> Windows {
        let raw: Vec<RawWindow> = all
            .iter()
            .map(|(cron, duration, zone)| RawWindow {
                cron: Some((*cron).to_owned()),
                duration: Some((*duration).to_owned()),
                timezone: Some((*zone).to_owned()),
                ..RawWindow::default()
            })
            .collect();
        Windows::read(&raw).unwrap()
    }

    type Rows = &'static [(&'static str, &'static str, &'static str)];
    const OFFICE: (&str, &str, &str) = ("0 9 * * 1-5", "8h", "UTC");
    const EARLY: (&str, &str, &str) = ("0 6 * * 1-5", "2h", "UTC");
    const ALWAYS: (&str, &str, &str) = ("* * * * *", "24h", "UTC");
    const DAILY: (&str, &str, &str) = ("0 0 * * *", "24h", "UTC");
    const CHRISTMAS: (&str, &str, &str) = ("0 0 25 12 *", "48h", "UTC");
    const SUNDAYS: (&str, &str, &str) = ("0 0 * * 0", "24h", "UTC");
    /// The cases of gitops-promoter's `ScheduledCommitStatus`
    /// (<https://github.com/argoproj-labs/gitops-promoter/blob/09afba437f3f57482156be27aa8e830ddf66cdd9/internal/controller/scheduledcommitstatus_controller_test.go>,
    /// Apache-2.0): when, what is allowed, what is excluded, whether it is open, and when that changes.
    const CASES: [(&str, Rows, Rows, bool, &str); 20] = [
        ("2026-07-06T10:00:00Z", &[OFFICE], &[], true, "2026-07-06T17:00:00Z"),
        ("2026-07-06T06:00:00Z", &[OFFICE], &[], false, "2026-07-06T09:00:00Z"),
        ("2026-07-06T10:00:00Z", &[], &[CHRISTMAS], true, ""),
        ("2026-12-25T12:00:00Z", &[], &[CHRISTMAS], false, "2026-12-27T00:00:00Z"),
        ("2026-07-06T10:00:00Z", &[OFFICE], &[ALWAYS], false, ""),
        (
            "2026-07-11T11:00:00Z",
            &[OFFICE, ("0 10 * * 6", "4h", "UTC")],
            &[],
            true,
            "2026-07-11T14:00:00Z",
        ),
        ("2026-07-06T10:00:00Z", &[("0 9 * * 1", "1h", "UTC")], &[], false, "2026-07-13T09:00:00Z"),
        ("2026-07-06T09:00:00Z", &[("0 9 * * 1", "1h", "UTC")], &[], true, "2026-07-06T10:00:00Z"),
        ("2026-07-06T07:00:00Z", &[EARLY, OFFICE], &[], true, "2026-07-06T08:00:00Z"),
        ("2026-07-06T10:00:00Z", &[OFFICE], &[], true, "2026-07-06T17:00:00Z"),
        ("2026-12-25T10:00:00Z", &[OFFICE], &[CHRISTMAS], false, "2026-12-27T00:00:00Z"),
        ("2026-07-05T12:00:00Z", &[DAILY], &[SUNDAYS], false, "2026-07-06T00:00:00Z"),
        (
            "2026-07-06T14:00:00Z",
            &[("0 9 * * 1-5", "8h", "America/New_York")],
            &[],
            true,
            "2026-07-06T21:00:00Z",
        ),
        (
            "2026-07-06T10:00:00Z",
            &[("0 11 * * 1-5", "6h", "Europe/Paris")],
            &[],
            true,
            "2026-07-06T15:00:00Z",
        ),
        ("2026-07-06T10:30:00Z", &[ALWAYS], &[], true, ""),
        ("2026-07-06T10:30:00Z", &[ALWAYS], &[ALWAYS], false, ""),
        ("2026-07-06T10:30:00Z", &[], &[("0 0 29 2 *", "1h", "UTC")], true, ""),
        ("2026-07-06T16:59:59Z", &[OFFICE], &[], true, "2026-07-06T17:00:00Z"),
        ("2026-12-26T23:59:59Z", &[], &[CHRISTMAS], false, "2026-12-27T00:00:00Z"),
        ("2026-12-27T00:00:00Z", &[], &[CHRISTMAS], true, ""),
    ];

    #[test]
    fn windows_and_freezes_are_those_of_gitops_promoter() {
        for (now, allow, exclude, is_open, change) in CASES {
            let at: Timestamp = now.parse().unwrap();
            let (allow, exclude) = (windows(allow), windows(exclude));
            let timing =
                Timing { windows: allow.clone(), freezes: exclude.clone(), ..Timing::default() };
            assert_eq!(timing.waits(at).is_none(), is_open, "{now}");
            let next = match is_open {
                true => allow.closes(at),
                false if exclude.is_open(at) => exclude.closes(at),
                false => allow.opens(at),
            };
            assert_eq!(next.map(|at| at.to_string()).unwrap_or_default(), change, "{now}");
        }
    }
}

//! The version of the application in a chart, which its templates take for an empty tag
//! (`.Values.image.tag | default .Chart.AppVersion`, as `helm create` writes it).

use super::{Found, Obstacle};
use crate::policy::{Policy, directory};
use crate::yaml::Stream;

/// `appVersion` of a `Chart.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppVersion {
    /// The path of the file.
    pub path: String,
    /// Its line, from 1.
    pub line: usize,
    /// The version as it is written.
    pub version: String,
}

impl AppVersion {
    /// The chart that a file of values may be of.
    #[must_use]
    pub fn chart_of(path: &str) -> Option<String> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_values = name.starts_with("values") && name.contains('.');
        let directory = directory(path);
        let joint = if directory.is_empty() { "" } else { "/" };
        is_values.then(|| format!("{directory}{joint}Chart.yaml"))
    }

    /// Reads a chart.
    #[must_use]
    pub fn read(path: &str, text: &str) -> Option<Self> {
        let stream = Stream::parse(text).ok()?;
        let node = stream.get(*stream.documents().first()?, "appVersion")?;
        let version = stream.text(node).filter(|version| !version.is_empty())?.to_owned();
        Some(Self { path: path.to_owned(), line: stream.node(node).line(), version })
    }

    /// True if a policy reaches it.
    pub(super) fn is_reached_by(&self, policy: &Policy) -> bool {
        policy.targets.iter().any(|target| target.files.is_match(&self.path))
    }

    /// Tells what empty tags of the chart's values stand for.
    pub(super) fn explain(&self, found: &mut Found) {
        let empty = found.obstructed.iter_mut().filter(|one| one.obstacle == Obstacle::Untagged);
        empty.for_each(|one| one.obstacle = Obstacle::AppVersion(self.clone()));
    }
}

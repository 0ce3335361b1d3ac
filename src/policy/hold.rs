//! Images that are not to be changed for a time.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Hold;
use super::raw::{RawEnvironment, RawHold, RawLockstep};
use crate::diagnostic::{Code, Diagnostic, Place};

/// Bytes of a day that is written as `2027-01-04`.
const DAY: usize = 10;

/// Policies that holds and sets of `lockstep` name, with where; `below` finds keys below the environment.
pub(super) fn references(
    raw: &RawEnvironment,
    below: impl Fn(&[&str]) -> Place,
) -> Vec<(String, Place)> {
    let mut all = Vec::new();
    let mut add = |keys: &[&str], images: &[String]| {
        for (at, image) in images.iter().enumerate() {
            all.push((image.clone(), below(&[keys, &[&at.to_string()]].concat())));
        }
    };
    for (index, hold) in raw.holds.iter().enumerate() {
        add(&["holds", &index.to_string(), "images"], &hold.images);
    }
    for (index, set) in raw.lockstep.iter().enumerate() {
        let index = index.to_string();
        match set {
            RawLockstep::Images(images) => add(&["lockstep", &index], images),
            RawLockstep::Same { images, .. } => add(&["lockstep", &index, "images"], images),
        }
    }
    all
}

/// Reads a hold.
pub(super) fn read(raw: &RawHold, place: Place) -> Result<Hold, Diagnostic> {
    let mut images = GlobSetBuilder::new();
    for pattern in &raw.images {
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        images.add(glob.map_err(|_error| {
            let message = format!("`{pattern}` is neither a policy's name nor a glob");
            Diagnostic::error(Code::PolicyUnknownImage, message)
        })?);
    }
    // A time without a zone must not be read as its day.
    let day = || {
        let day = raw.until.parse::<Date>().ok().filter(|_| raw.until.len() == DAY)?;
        // The last day has no instant after it.
        Some(day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |day| day.timestamp()))
    };
    let until = raw.until.parse::<Timestamp>().ok().or_else(day).ok_or_else(|| {
        let message = format!("`{}` is neither a day nor a time", raw.until.escape_debug());
        Diagnostic::error(Code::PolicyInvalidValue, message)
            .help("as in `2027-01-04`, or `2027-01-04T09:00:00Z`")
    })?;
    let images = images.build().unwrap_or_else(|_| GlobSet::empty());
    Ok(Hold { images, until, reason: raw.reason.clone(), place })
}

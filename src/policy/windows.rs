//! When something may happen: windows that open again and again, and single stretches of time.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::checks::duration;
use super::raw::RawWindow;

/// A window that is open longer than this is written as a single stretch.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Stretches of time; no time at all when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(Vec<Window>);

/// One stretch of time, or one that comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Window {
    /// From each time that a cron expression names, for this long.
    Recurring { cron: Box<Cron>, duration: SignedDuration, zone: TimeZone },
    /// From one moment (included) to another; either can be left open.
    Once { from: Option<Timestamp>, until: Option<Timestamp> },
}

impl Windows {
    /// Reads what is written.
    ///
    /// # Errors
    /// The index of the first that cannot be used, and why.
    pub(super) fn read(raw: &[RawWindow]) -> Result<Self, (usize, String)> {
        let windows = raw
            .iter()
            .enumerate()
            .map(|(index, raw)| Window::read(raw).map_err(|why| (index, why)));
        windows.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is open.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.0.iter().any(|window| window.is_open(now))
    }

    /// When the next one opens; `None` when none ever does again.
    #[must_use]
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|window| window.opens(now)).min()
    }

    /// When the last of those that are open now closes, as far as anybody can tell: windows that follow
    /// each other without a gap count as one.
    #[must_use]
    pub fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        let mut at = now;
        // Windows that overlap for ever never close.
        for _ in 0..MAX_CHAINED {
            match self.0.iter().filter_map(|window| window.closes(at)).max() {
                Some(later) if later > at => at = later,
                _ => return (at > now).then_some(at),
            }
        }
        None
    }
}

/// So many windows without a gap between them have no end that anybody waits for.
const MAX_CHAINED: usize = 1_000;

impl Window {
    fn read(raw: &RawWindow) -> Result<Self, String> {
        match raw {
            RawWindow { cron: Some(cron), duration: length, timezone, from: None, until: None } => {
                let length = length.as_deref().ok_or("`cron` needs a `duration`, as in `6h`")?;
                let duration = duration(length)?;
                if duration.is_zero() || duration > LONGEST {
                    return Err(format!("`{length}` is out of reason"));
                }
                let zone = timezone.as_deref().map_or(Ok(TimeZone::UTC), zone)?;
                Ok(Self::Recurring { cron: Box::new(self::cron(cron)?), duration, zone })
            }
            RawWindow { cron: None, duration: None, timezone: None, from, until }
                if from.is_some() || until.is_some() =>
            {
                let (from, until) = (from.as_deref(), until.as_deref());
                let from = from.map(moment).transpose()?;
                let until = until.map(moment).transpose()?;
                if from.zip(until).is_some_and(|(from, until)| from >= until) {
                    return Err("it ends before it begins".to_owned());
                }
                Ok(Self::Once { from, until })
            }
            _ => Err("write `cron` and `duration`, or `from` and `until`".to_owned()),
        }
    }

    fn is_open(&self, now: Timestamp) -> bool {
        match self {
            Self::Recurring { .. } => self.closes(now).is_some(),
            Self::Once { from, until } => {
                from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
            }
        }
    }

    /// The next time that it begins.
    fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Recurring { cron, zone, .. } => {
                let next = cron.find_next_occurrence(&now.to_zoned(zone.clone()), false);
                next.ok().map(|next| next.timestamp())
            }
            Self::Once { from, .. } => from.filter(|from| *from > now),
        }
    }

    /// When it ends, where it is open and has an end.
    fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            // The latest beginning that is not in the future counts.
            Self::Recurring { cron, duration, zone } => {
                let last = cron.find_previous_occurrence(&now.to_zoned(zone.clone()), true);
                let end = last.ok()?.timestamp().checked_add(*duration).ok()?;
                (end > now).then_some(end)
            }
            Self::Once { until, .. } => until.filter(|_| self.is_open(now)),
        }
    }
}

/// Five fields, as crontab(5) has them: neither seconds nor years.
fn cron(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let wrong = |why: String| format!("`{}` is not a cron expression: {why}", text.escape_debug());
    let cron = parser.parse(text).map_err(|error| wrong(error.to_string()))?;
    // The 30th of February never comes.
    let next = cron.find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), true);
    next.map_err(|_error| wrong("it never comes".to_owned())).map(|_next| cron)
}

/// A time zone of the database in the program, so that every machine has the same.
fn zone(name: &str) -> Result<TimeZone, String> {
    let known = TimeZoneDatabase::bundled().get(name);
    known.map_err(|_error| {
        format!("`{}` is not a time zone, as in `Europe/London`", name.escape_debug())
    })
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let help = "as in `2026-12-24T18:00:00Z` or `2026-12-24T18:00:00+01:00`";
    text.parse()
        .map_err(|_error| format!("`{}` is not a time of RFC 3339, {help}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recurring(cron: &str, duration: &str, timezone: &str) -> RawWindow {
        RawWindow {
            cron: Some(cron.into()),
            duration: Some(duration.into()),
            timezone: Some(timezone.into()),
            ..RawWindow::default()
        }
    }

    fn once(from: &str, until: &str) -> RawWindow {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        RawWindow { from: text(from), until: text(until), ..RawWindow::default() }
    }

    #[test]
    fn windows_open_by_the_clock_on_the_wall() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let london = recurring("0 9 * * 1-4", "6h", "Europe/London");
        let night = recurring("30 1 * * *", "1h", "Europe/London");
        let hourly = recurring("30 * * * *", "10m", "Europe/London");
        let late = recurring("0 22 * * 5", "62h", "UTC");
        let freeze = once("2026-12-24T00:00:00Z", "2027-01-04T00:00:00+01:00");
        let cases = [
            // 9 o'clock in London is 9 UTC in winter and 8 in summer.
            (&london, "2026-11-23T08:59:59Z", false, "2026-11-23T09:00:00Z"),
            (&london, "2026-11-23T09:00:00Z", true, "2026-11-24T09:00:00Z"),
            (&london, "2026-11-23T14:59:59Z", true, "2026-11-24T09:00:00Z"),
            (&london, "2026-11-23T15:00:00Z", false, "2026-11-24T09:00:00Z"),
            (&london, "2026-07-06T08:00:00Z", true, "2026-07-07T08:00:00Z"),
            // Thursday is followed by Monday.
            (&london, "2026-11-26T16:00:00Z", false, "2026-11-30T09:00:00Z"),
            // 1:30 does not exist on the day the clocks go forward: the window opens when the gap ends.
            (&night, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"),
            (&night, "2026-03-29T01:30:00Z", true, "2026-03-30T00:30:00Z"),
            // It comes twice on the day they go back, and counts once.
            (&night, "2026-10-25T00:45:00Z", true, "2026-10-26T01:30:00Z"),
            (&night, "2026-10-25T01:45:00Z", false, "2026-10-26T01:30:00Z"),
            // What is hourly comes in both of these hours.
            (&hourly, "2026-10-25T00:35:00Z", true, "2026-10-25T01:30:00Z"),
            (&hourly, "2026-10-25T01:35:00Z", true, "2026-10-25T02:30:00Z"),
            // Over midnights.
            (&late, "2026-11-23T11:59:59Z", true, "2026-11-27T22:00:00Z"),
            (&late, "2026-11-23T12:00:00Z", false, "2026-11-27T22:00:00Z"),
            (&freeze, "2026-12-23T23:59:59Z", false, "2026-12-24T00:00:00Z"),
            (&freeze, "2027-01-03T22:59:59Z", true, ""),
            (&freeze, "2027-01-03T23:00:00Z", false, ""),
        ];
        for (raw, now, is_open, opens) in cases {
            let windows = Windows::read(std::slice::from_ref(raw)).unwrap();
            assert_eq!(windows.is_open(at(now)), is_open, "{raw:?} {now}");
            let next = windows.opens(at(now)).map(|at| at.to_string()).unwrap_or_default();
            assert_eq!(next, opens, "{raw:?} {now}");
        }
    }

    #[test]
    fn windows_end_where_nothing_follows_them() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let days = [recurring("0 0 * * 1", "24h", "UTC"), recurring("0 0 * * 2", "12h", "UTC")];
        let closes = |raw: &[RawWindow], now: &str| {
            let closes = Windows::read(raw).unwrap().closes(at(now));
            closes.map(|at| at.to_string()).unwrap_or_default()
        };
        assert_eq!(closes(&days, "2026-11-23T10:00:00Z"), "2026-11-24T12:00:00Z");
        assert_eq!(closes(&days, "2026-11-25T10:00:00Z"), "");
        // Always open.
        assert_eq!(closes(&[recurring("0 * * * *", "2h", "UTC")], "2026-11-25T10:00:00Z"), "");
        assert_eq!(closes(&[once("2026-01-01T00:00:00Z", "")], "2026-11-25T10:00:00Z"), "");
    }

    #[test]
    fn what_is_no_window_says_why() {
        let cases = [
            (recurring("0 9 * *", "6h", "UTC"), "not a cron expression"),
            (recurring("0 0 9 * * 1", "6h", "UTC"), "not a cron expression"),
            (recurring("0 9 30 2 *", "6h", "UTC"), "it never comes"),
            (recurring("0 9 * * *", "0h", "UTC"), "`0h` is out of reason"),
            (recurring("0 9 * * *", "soon", "UTC"), "`soon` is not a duration"),
            (recurring("0 9 * * *", "6h", "Mars/Olympus"), "`Mars/Olympus` is not a time zone"),
            (
                RawWindow { duration: None, ..recurring("0 9 * * *", "", "UTC") },
                "needs a `duration`",
            ),
            (RawWindow { until: Some("x".into()), ..recurring("0 9 * * *", "1h", "UTC") }, "write"),
            (RawWindow::default(), "write `cron` and `duration`, or `from` and `until`"),
            (once("2026-12-24", ""), "not a time of RFC 3339"),
            (once("2026-12-24T00:00:00Z", "2026-12-23T00:00:00Z"), "it ends before it begins"),
        ];
        for (raw, want) in cases {
            let why = Windows::read(std::slice::from_ref(&raw)).unwrap_err().1;
            assert!(why.contains(want), "{raw:?}: {why}");
        }
    }
}

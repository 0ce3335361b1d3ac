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

/// A mistake in a window.
#[derive(Debug)]
pub(super) struct WindowFault {
    /// The position of the window in the list.
    pub(super) index: usize,
    /// The key; none, where it is the window as a whole.
    pub(super) key: Option<&'static str>,
    pub(super) why: String,
}

impl WindowFault {
    fn at(key: &'static str) -> impl Fn(String) -> Self {
        move |why| Self { index: 0, key: Some(key), why }
    }

    fn whole(why: &str) -> Vec<Self> {
        vec![Self { index: 0, key: None, why: why.to_owned() }]
    }

    fn of(self, index: usize) -> Self {
        Self { index, ..self }
    }

    /// The keys that lead to it, below the list.
    pub(super) fn keys(&self) -> Vec<String> {
        std::iter::once(self.index.to_string()).chain(self.key.map(str::to_owned)).collect()
    }
}

impl Windows {
    /// Reads what is written.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(raw: &[RawWindow]) -> Result<Self, Vec<WindowFault>> {
        let (mut windows, mut faults) = (Vec::new(), Vec::new());
        for (index, raw) in raw.iter().enumerate() {
            match Window::read(raw) {
                Ok(window) => windows.push(window),
                Err(all) => faults.extend(all.into_iter().map(|fault| fault.of(index))),
            }
        }
        if faults.is_empty() { Ok(Self(windows)) } else { Err(faults) }
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
    fn read(raw: &RawWindow) -> Result<Self, Vec<WindowFault>> {
        match raw {
            RawWindow { cron: Some(cron), duration, timezone, from: None, until: None } => {
                recurring(cron, duration.as_deref(), timezone.as_deref())
            }
            RawWindow { cron: None, duration: None, timezone: None, from, until }
                if from.is_some() || until.is_some() =>
            {
                once(from.as_deref(), until.as_deref())
            }
            _ => Err(WindowFault::whole("write `cron` and `duration`, or `from` and `until`")),
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

/// One that comes again, or everything that is wrong with it.
fn recurring(
    cron: &str,
    length: Option<&str>,
    timezone: Option<&str>,
) -> Result<Window, Vec<WindowFault>> {
    let Some(length) = length else {
        return Err(WindowFault::whole("`cron` needs a `duration`, as in `6h`"));
    };
    let lasting = duration(length).and_then(|duration| {
        let is_usual = !duration.is_zero() && duration <= LONGEST;
        if is_usual { Ok(duration) } else { Err(format!("`{length}` is out of reason")) }
    });
    let lasting = lasting.map_err(WindowFault::at("duration"));
    let zone = timezone.map_or(Ok(TimeZone::UTC), zone).map_err(WindowFault::at("timezone"));
    match (self::cron(cron).map_err(WindowFault::at("cron")), lasting, zone) {
        (Ok(cron), Ok(duration), Ok(zone)) => {
            Ok(Window::Recurring { cron: Box::new(cron), duration, zone })
        }
        (cron, lasting, zone) => {
            Err([cron.err(), lasting.err(), zone.err()].into_iter().flatten().collect())
        }
    }
}

/// A single stretch of time, or everything that is wrong with it.
fn once(from: Option<&str>, until: Option<&str>) -> Result<Window, Vec<WindowFault>> {
    let from = from.map(moment).transpose().map_err(WindowFault::at("from"));
    let until = until.map(moment).transpose().map_err(WindowFault::at("until"));
    match (from, until) {
        (Ok(from), Ok(until)) if from.zip(until).is_some_and(|(from, until)| from >= until) => {
            Err(WindowFault::whole("it ends before it begins"))
        }
        (Ok(from), Ok(until)) => Ok(Window::Once { from, until }),
        (from, until) => Err([from.err(), until.err()].into_iter().flatten().collect()),
    }
}

/// The fields of a cron expression, and what they take.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "0-7 or SUN-SAT"),
];

/// Five fields, as crontab(5) has them: neither seconds nor years.
fn cron(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let wrong = |why: String| format!("`{}` is not a cron expression: {why}", text.escape_debug());
    let cron = parser.parse(text).map_err(|error| {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let names = FIELDS.map(|(name, _)| name).join(", ");
            let count = fields.len();
            return wrong(format!("it has {count} fields, and five are meant: {names}"));
        }
        let is_odd = |at: &usize| {
            let mut alone = ["*"; FIELDS.len()];
            alone[*at] = fields[*at];
            parser.parse(&alone.join(" ")).is_err()
        };
        wrong((0..FIELDS.len()).find(is_odd).map_or_else(
            || error.to_string(),
            |at| {
                format!(
                    "its {} cannot be `{}`; it takes {}",
                    FIELDS[at].0, fields[at], FIELDS[at].1
                )
            },
        ))
    })?;
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
            (recurring("0 9 * *", "6h", "UTC"), "it has 4 fields, and five are meant"),
            (recurring("0 25 * * 1-5", "6h", "UTC"), "its hour cannot be `25`; it takes 0-23"),
            (recurring("0 9 * * 1-x", "6h", "UTC"), "its day of the week cannot be `1-x`"),
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
            let why = &Windows::read(std::slice::from_ref(&raw)).unwrap_err()[0].why;
            assert!(why.contains(want), "{raw:?}: {why}");
        }
        // All of it at once, and where.
        let faults = Windows::read(&[RawWindow::default(), recurring("x", "y", "z")]).unwrap_err();
        let keys: Vec<String> = faults.iter().map(|fault| fault.keys().join(".")).collect();
        assert_eq!(keys, ["0", "1.cron", "1.duration", "1.timezone"]);
    }
}

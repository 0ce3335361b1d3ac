//! How many requests a registry still allows, by the headers of its answers: Docker Hub's
//! (`ratelimit-remaining: 76;w=21600`,
//! <https://docs.docker.com/docker-hub/usage/pulls/>), those of GitHub and others
//! (`x-ratelimit-remaining`), and the
//! [draft standard](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;

/// So many requests are left to others who share the limit, or a tenth of a small limit.
const RESERVE: u64 = 10;

/// What a limit lasts when the registry does not say it.
const WINDOW: Duration = Duration::from_mins(1);

/// Larger numbers are a time, not a span, in seconds.
const LONGEST_SPAN: u64 = 10_000_000;

/// What a registry said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    /// Requests that it allows.
    pub(super) remaining: Option<u64>,
    /// Out of how many.
    pub(super) limit: Option<u64>,
    /// When it allows all of them again.
    until: Option<Instant>,
}

impl Budget {
    /// Reads an answer's headers; `None` when they say nothing.
    pub(super) fn read(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Self> {
        let named = |name: &str| {
            ["", "x-"].iter().find_map(|prefix| headers.get(format!("{prefix}{name}")))
        };
        let text = |name: &str| named(name).and_then(|value| value.to_str().ok());
        let combined = text("ratelimit").unwrap_or_default();
        let remaining = text("ratelimit-remaining")
            .and_then(number)
            .or_else(|| parameter(combined, "remaining"))
            .or_else(|| parameter(combined, "r"))?;
        let limit = text("ratelimit-limit")
            .and_then(number)
            .or_else(|| parameter(combined, "limit"))
            .or_else(|| text("ratelimit-policy").and_then(|policy| parameter(policy, "q")));
        let told = text("ratelimit-reset")
            .and_then(number)
            .or_else(|| parameter(combined, "reset"))
            .or_else(|| parameter(combined, "t"))
            .or_else(|| text("ratelimit-remaining").and_then(|text| parameter(text, "w")));
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        let span =
            told.map(|told| if told > LONGEST_SPAN { told.saturating_sub(now) } else { told });
        let span = span.map_or(WINDOW, |span| Duration::from_secs(span.min(LONGEST_SPAN)));
        Some(Self { remaining: Some(remaining), limit, until: Some(Instant::now() + span) })
    }

    /// How long to leave the registry in peace: what is left is for others.
    pub(super) fn pause(&self) -> Option<Duration> {
        let reserve = self.limit.map_or(RESERVE, |limit| RESERVE.min(limit.div_ceil(10)));
        let is_low = self.remaining.is_some_and(|remaining| remaining < reserve);
        let left = self.until?.saturating_duration_since(Instant::now());
        (is_low && !left.is_zero()).then_some(left)
    }
}

/// The number at the start: `76;w=21600`.
fn number(text: &str) -> Option<u64> {
    let digits = text.trim_start().find(|c: char| !c.is_ascii_digit());
    let text = text.trim_start();
    text[..digits.unwrap_or(text.len())].parse().ok()
}

/// The value of `name=`: `"default";r=50;t=30`, `limit=100, remaining=50, reset=30`.
fn parameter(text: &str, name: &str) -> Option<u64> {
    let mut parts = text.split([';', ',']).filter_map(|part| part.trim().split_once('='));
    parts.find(|(key, _)| *key == name).and_then(|(_, value)| number(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn limits_of_all_spellings_are_read() {
        let now: jiff::Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let epoch = (now.as_second() + 40).to_string();
        let cases: [(&[(&'static str, &str)], _); 8] = [
            (
                &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")],
                Some((76, Some(100), 21_600)),
            ),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &epoch)], Some((0, None, 40))),
            (&[("ratelimit-remaining", "5"), ("ratelimit-reset", "30")], Some((5, None, 30))),
            (&[("ratelimit", "limit=100, remaining=50, reset=30")], Some((50, Some(100), 30))),
            (
                &[
                    ("ratelimit", "\"default\";r=50;t=30"),
                    ("ratelimit-policy", "\"default\";q=100;w=60"),
                ],
                Some((50, Some(100), 30)),
            ),
            (&[("ratelimit-remaining", "9")], Some((9, None, 60))),
            (&[("ratelimit-remaining", "many")], None),
            (&[], None),
        ];
        for (pairs, want) in cases {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
                })
                .collect();
            let got = Budget::read(&headers, now).map(|budget| {
                let left = budget.until.unwrap().saturating_duration_since(Instant::now());
                // A moment has passed since.
                (
                    budget.remaining.unwrap(),
                    budget.limit,
                    (left + Duration::from_millis(900)).as_secs(),
                )
            });
            assert_eq!(got, want, "{pairs:?}");
        }
    }

    #[test]
    fn the_last_ten_are_for_others() {
        let budget = |remaining| Budget {
            remaining: Some(remaining),
            limit: None,
            until: Some(Instant::now() + WINDOW),
        };
        assert!(budget(9).pause().is_some());
        assert!(budget(10).pause().is_none());
        assert!(Budget { until: Some(Instant::now()), ..budget(0) }.pause().is_none());
        assert!(Budget::default().pause().is_none());
        let small = |remaining| Budget { limit: Some(20), ..budget(remaining) };
        assert!(small(1).pause().is_some() && small(2).pause().is_none());
    }
}

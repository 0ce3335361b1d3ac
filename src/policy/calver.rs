//! Calendar versions by a format such as `YYYY.0M.DD.MICRO`, in the words of
//! [CalVer](https://calver.org/#scheme).

use std::fmt::{self, Write as _};

use regex::Regex;

/// A format: which numbers of a tag are parts of a date, and which count releases.
#[derive(Clone, Debug)]
pub struct Calver {
    text: String,
    pattern: Regex,
    parts: Vec<CalverPart>,
    /// Positions in `parts`, the most significant first.
    significance: Vec<usize>,
}

/// Why a text is not a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCalver {
    /// A letter that is no word of the scheme.
    #[error("`{0}` is not a part of a calendar version")]
    Word(String),
    /// Nothing says the year.
    #[error("a calendar version needs a year: `YYYY`, `YY` or `0Y`")]
    NoYear,
    /// One part stands twice.
    #[error("`{0}` stands twice")]
    Twice(&'static str),
    /// Where one number ends and the next begins cannot be told.
    #[error("`{0}` has no fixed width, so a separator must follow it")]
    Adjacent(&'static str),
}

/// What a calendar version is ordered by: its numbers, then its modifier.
pub type Calendar = (Vec<u64>, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CalverUnit {
    Year,
    Month,
    Week,
    Day,
    /// Any other number, by its position.
    Count,
    Modifier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CalverPart {
    word: &'static str,
    unit: CalverUnit,
    /// What it looks like.
    pattern: &'static str,
    fixed: bool,
}

const fn part(
    word: &'static str,
    unit: CalverUnit,
    pattern: &'static str,
    fixed: bool,
) -> CalverPart {
    CalverPart { word, unit, pattern, fixed }
}

/// Longest word first, so that `YYYY` is not read as `YY` twice.
const PARTS: [CalverPart; 13] = [
    part("MODIFIER", CalverUnit::Modifier, "[0-9A-Za-z][0-9A-Za-z.]*", false),
    part("MAJOR", CalverUnit::Count, "[0-9]+", false),
    part("MINOR", CalverUnit::Count, "[0-9]+", false),
    part("MICRO", CalverUnit::Count, "[0-9]+", false),
    part("PATCH", CalverUnit::Count, "[0-9]+", false),
    part("YYYY", CalverUnit::Year, "[0-9]{4}", true),
    part("YY", CalverUnit::Year, "0|[1-9][0-9]{0,2}", false),
    part("0Y", CalverUnit::Year, "[0-9]{2}|[1-9][0-9]{2}", false),
    part("MM", CalverUnit::Month, "[1-9]|1[0-2]", false),
    part("0M", CalverUnit::Month, "0[1-9]|1[0-2]", true),
    part("WW", CalverUnit::Week, "[1-9]|[1-4][0-9]|5[0-3]", false),
    part("0W", CalverUnit::Week, "0[1-9]|[1-4][0-9]|5[0-3]", true),
    part("DD", CalverUnit::Day, "[1-9]|[12][0-9]|3[01]", false),
];
const PADDED_DAY: CalverPart = part("0D", CalverUnit::Day, "0[1-9]|[12][0-9]|3[01]", true);

impl Calver {
    /// Reads a format: `CalVer`'s words, and separators or small letters that stand for themselves.
    ///
    /// # Errors
    /// When a word is unknown or twice there, no year is named, or numbers run into each other.
    pub fn parse(text: &str) -> Result<Self, InvalidCalver> {
        let mut pattern = "^".to_owned();
        let mut parts: Vec<CalverPart> = Vec::new();
        let mut rest = text;
        let mut open: Option<CalverPart> = None;
        while let Some(first) = rest.chars().next() {
            let known = PARTS.iter().chain([&PADDED_DAY]).find(|part| rest.starts_with(part.word));
            let Some(part) = known.copied() else {
                if first.is_ascii_uppercase() || first.is_ascii_digit() || !first.is_ascii() {
                    return Err(InvalidCalver::Word(word(rest)));
                }
                pattern.push_str(&regex::escape(&first.to_string()));
                rest = &rest[first.len_utf8()..];
                open = None;
                continue;
            };
            if let Some(open) = open.filter(|open| !open.fixed) {
                return Err(InvalidCalver::Adjacent(open.word));
            }
            if parts.iter().any(|known| known.word == part.word) {
                return Err(InvalidCalver::Twice(part.word));
            }
            write!(pattern, "({})", part.pattern).ok();
            parts.push(part);
            open = Some(part);
            rest = &rest[part.word.len()..];
        }
        if !parts.iter().any(|part| part.unit == CalverUnit::Year) {
            return Err(InvalidCalver::NoYear);
        }
        pattern.push('$');
        let pattern =
            Regex::new(&pattern).map_err(|_error| InvalidCalver::Word(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), pattern, significance: significance(&parts), parts })
    }

    /// Reads a tag; `None` when it does not have the format or names no day of the calendar.
    #[must_use]
    pub fn read(&self, tag: &str) -> Option<Calendar> {
        let found = self.pattern.captures(tag)?;
        let mut modifier = String::new();
        let mut numbers = vec![0; self.parts.len()];
        for (index, part) in self.parts.iter().enumerate() {
            let text = found.get(index + 1)?.as_str();
            match part.unit {
                CalverUnit::Modifier => text.clone_into(&mut modifier),
                // The short year counts from 2000.
                CalverUnit::Year if part.word != "YYYY" => {
                    numbers[index] = 2000 + text.parse::<u64>().ok()?;
                }
                _ => numbers[index] = text.parse().ok()?,
            }
        }
        let is_day = self.is_day(&numbers);
        is_day.then(|| (self.significance.iter().map(|index| numbers[*index]).collect(), modifier))
    }

    /// Whether year, month and day, where all are written, are one of the calendar's.
    fn is_day(&self, numbers: &[u64]) -> bool {
        let of = |unit| {
            let index = self.parts.iter().position(|part| part.unit == unit)?;
            i16::try_from(numbers[index]).ok()
        };
        let (Some(year), Some(month), Some(day)) =
            (of(CalverUnit::Year), of(CalverUnit::Month), of(CalverUnit::Day))
        else {
            return true;
        };
        let small = |number: i16| i8::try_from(number).unwrap_or(0);
        jiff::civil::Date::new(year, small(month), small(day)).is_ok()
    }
}

/// What is written first counts most, but for the parts of the date, of which the larger does.
fn significance(parts: &[CalverPart]) -> Vec<usize> {
    let is_date = |index: &usize| parts[*index].unit < CalverUnit::Count;
    let mut dates: Vec<usize> = (0..parts.len()).filter(is_date).collect();
    dates.sort_by_key(|index| parts[*index].unit);
    let mut dates = dates.into_iter();
    let order = (0..parts.len()).filter(|index| parts[*index].unit != CalverUnit::Modifier);
    order.map(|index| if is_date(&index) { dates.next().unwrap_or(index) } else { index }).collect()
}

/// The letters and digits at the start of a text, for a message.
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).take(20).collect()
}

impl fmt::Display for Calver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Calver {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Calver {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_by_their_format() {
        type Read = Option<(&'static [u64], &'static str)>;
        let cases: [(&str, &str, Read); 14] = [
            ("YYYY.0M.DD.MICRO", "2026.07.3.12", Some((&[2026, 7, 3, 12], ""))),
            ("YYYY.0M.DD.MICRO", "2026.7.3.12", None),
            ("YYYY.MM", "2026.7", Some((&[2026, 7], ""))),
            ("YYYY.MM", "2026.07", None),
            ("YYYY0M0D", "20260703", Some((&[2026, 7, 3], ""))),
            ("YYYY0M0D", "20260231", None),
            ("YYYY0M0D", "20269999", None),
            ("YYYY0M0D", "99991231", Some((&[9999, 12, 31], ""))),
            ("YY.0M", "26.10", Some((&[2026, 10], ""))),
            ("0Y.0W", "06.53", Some((&[2006, 53], ""))),
            ("vYYYY.MINOR-MODIFIER", "v2026.4-rc1", Some((&[2026, 4], "rc1"))),
            ("0D-0M-YYYY", "31-12-2026", Some((&[2026, 12, 31], ""))),
            ("MAJOR.YYYY.0M", "3.2026.01", Some((&[3, 2026, 1], ""))),
            ("YYYY.MICRO", "2026.18446744073709551616", None),
        ];
        for (format, tag, want) in cases {
            let got = Calver::parse(format).unwrap().read(tag);
            let want = want.map(|(numbers, modifier)| (numbers.to_vec(), modifier.to_owned()));
            assert_eq!(got, want, "{format} {tag}");
        }
    }

    #[test]
    fn formats_that_mean_nothing_are_refused() {
        let cases = [
            ("", InvalidCalver::NoYear),
            ("MAJOR.MINOR", InvalidCalver::NoYear),
            ("YYYY.MOTNH", InvalidCalver::Word("MOTNH".into())),
            ("YYYY.M", InvalidCalver::Word("M".into())),
            ("YYYY.YYYY", InvalidCalver::Twice("YYYY")),
            ("YYYYMMDD", InvalidCalver::Adjacent("MM")),
        ];
        for (format, want) in cases {
            assert_eq!(Calver::parse(format), Err(want), "{format}");
        }
    }
}

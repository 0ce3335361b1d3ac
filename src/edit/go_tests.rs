//! The rule for plain scalars, held against how Go's programs read and print them.

use proptest::prelude::*;

use super::render::plain_or_quoted;

/// A plain scalar as go-yaml reads it into an interface
/// (<https://github.com/yaml/go-yaml/blob/v2.4.0/resolve.go>; version 3 adds `0o`).
#[derive(Debug, PartialEq)]
enum Read {
    Text,
    Other,
    Number(f64),
}

fn read(plain: &str) -> Read {
    const WORDS: [&str; 26] = [
        "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off",
        "OFF", "true", "True", "TRUE", "false", "False", "FALSE", "~", "null", "Null", "NULL",
    ];
    if plain.is_empty() || WORDS.contains(&plain) {
        return Read::Other;
    }
    let first = plain.as_bytes()[0];
    if !first.is_ascii_digit() && !b"+-.".contains(&first) {
        return Read::Text;
    }
    let joined = plain.replace('_', "");
    integer(&joined).or_else(|| float(&joined)).map_or(Read::Text, Read::Number)
}

/// `strconv.ParseInt` with base 0, after underscores are taken out.
#[expect(clippy::cast_precision_loss, reason = "as JSON does")]
fn integer(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0b") => (&lower[2..], 2),
        Some("0o") => (&lower[2..], 8),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    u64::from_str_radix(digits, radix).ok().map(|number| number as f64)
}

/// What matches `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn float(text: &str) -> Option<f64> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    text.parse().ok().filter(|_| is_number)
}

/// `fmt.Sprint` of a float64: format `g` with the fewest digits.
fn print(number: f64) -> String {
    let exponent = format!("{number:e}");
    let (mantissa, power) = exponent.split_once('e').unwrap();
    let power: i32 = power.parse().unwrap();
    if (-4..6).contains(&power) || number == 0.0 {
        return number.to_string();
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

#[test]
fn the_oracle_prints_as_go_does() {
    let cases = [
        (1.1, "1.1"),
        (999_999.0, "999999"),
        (1_000_000.0, "1e+06"),
        (1_234_567.5, "1.2345675e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (9_007_199_254_740_993.0, "9.007199254740992e+15"),
    ];
    for (number, want) in cases {
        assert_eq!(print(number), want);
    }
    assert_eq!(read("72225e2_17"), Read::Number(7.2225e221));
    assert_eq!(read("72225f2_17"), Read::Text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_stays_plain_is_the_same_text_to_go(
        tag in "[0-9]{1,3}[._][0-9]{0,6}|[0-9]{1,18}|[0-9]{1,7}[eExXobB_.][0-9_eEa-f]{0,9}|[0-9_.eE-]{1,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,4}",
        old in "v1|7|11|0.4|1.5|999999|20240101|2024-01-01|1e3|0x1f",
    ) {
        let written = plain_or_quoted(&old, &tag);
        if written == tag {
            let same = match read(&tag) {
                Read::Text => true,
                Read::Other => false,
                Read::Number(number) => print(number) == tag,
            };
            prop_assert!(same, "{old} -> {tag}");
        } else {
            prop_assert_eq!(written, format!("\"{tag}\""));
        }
    }
}

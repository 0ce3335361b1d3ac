//! What type a plain scalar has.

use std::sync::LazyLock;

use regex::RegexSet;

/// The type that a plain scalar resolves to under YAML 1.1 or the YAML 1.2 core schema.
///
/// Both are asked because both are in use on one repository: Go tools (Helm, kustomize, kubectl)
/// read mostly 1.1, others 1.2. What either takes for a number is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// A string in both.
    Text,
    /// `~`, `null` or nothing.
    Null,
    /// `true`, and in 1.1 also `yes`, `on`, `y` and their opposites.
    Bool,
    /// Decimal, octal, hexadecimal, binary or base-60.
    Int,
    /// A decimal or base-60 fraction, with or without exponent, infinity, not-a-number.
    Float,
    /// A date, with or without a time of day.
    Timestamp,
}

/// In the order of `KINDS`. Sources: <https://yaml.org/type/> for 1.1 and
/// <https://yaml.org/spec/1.2.2/#103-core-schema> for 1.2.
const PATTERNS: [&str; 8] = [
    r"^(~|null|Null|NULL|)$",
    r"^(y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
    r"^[-+]?(0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)$",
    r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+$",
    r"^[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$",
    r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*$",
    r"^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
    r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?$",
];
const KINDS: [Resolved; 8] = [
    Resolved::Null,
    Resolved::Bool,
    Resolved::Int,
    Resolved::Int,
    Resolved::Float,
    Resolved::Float,
    Resolved::Float,
    Resolved::Timestamp,
];

#[expect(clippy::expect_used, reason = "constant patterns, compiled by a test")]
static TYPES: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(PATTERNS).expect("constant patterns compile"));

/// The type of a plain scalar with this text.
///
/// [go-yaml](https://github.com/yaml/go-yaml/blob/v2.4.0/resolve.go), which Kubernetes' own library is made from, takes
/// every `_` out of what begins like a number before it looks at it: `72225e2_17` is 7.2225e+221 to it.
#[must_use]
pub fn resolve(plain: &str) -> Resolved {
    let kind = |text: &str| TYPES.matches(text).iter().next().map(|first| KINDS[first]);
    let is_like_number = plain.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let joined = || (is_like_number && plain.contains('_')).then(|| plain.replace('_', ""));
    kind(plain).or_else(|| kind(&joined()?)).unwrap_or(Resolved::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_as_yaml_1_1_or_1_2_would() {
        let cases = [
            (
                Resolved::Text,
                "1.2.3 v1 1.2.x latest 1-alpine 0b2x 2024-11 _1 e5 0x 1e 72225f2_17 _1e5",
            ),
            (Resolved::Null, "~ null NULL"),
            (Resolved::Bool, "true False on OFF y N yes"),
            (Resolved::Int, "1 011 0x1F 0X1f 0B1 0O7 0o17 1_000 1:30 20240101 09"),
            (
                Resolved::Float,
                "1.2 0.10 1e5 1.5E-3 .5 1. 1_0.5 .inf .NaN 72225e2_17 1e5_ 6_.02e_23",
            ),
            (Resolved::Timestamp, "2024-11-01 2024-1-1 2001-12-14T21:59:43Z"),
        ];
        for (want, texts) in cases {
            for text in texts.split(' ') {
                assert_eq!(resolve(text), want, "{text}");
            }
        }
        assert_eq!(resolve(""), Resolved::Null);
    }
}

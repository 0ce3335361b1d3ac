//! What stands behind a version: words that make a flavour, and numbers that count builds and bases.
//!
//! `-debian-12-r9` is of the same flavour as `-debian-12-r10`, and `-alpine3.19` as `-alpine3.20`, so numbers are masked when
//! variants are compared. A version of a language (`-jdk17`, `-python3.12`) is part of the flavour: nobody means to change it with the
//! image. Hashes of commits have no order and are masked whole.

/// Languages and platforms whose version is chosen, by the word before it.
const RUNTIMES: [&str; 16] = [
    "cuda", "dotnet", "go", "golang", "java", "jdk", "jre", "net", "node", "nodejs", "openjdk",
    "perl", "php", "py", "python", "ruby",
];

/// Distributions, whose later versions follow the earlier ones.
const BASES: [&str; 18] = [
    "al",
    "alma",
    "almalinux",
    "alpine",
    "amazonlinux",
    "centos",
    "debian",
    "el",
    "fedora",
    "ltsc",
    "ol",
    "oraclelinux",
    "photon",
    "rhel",
    "rocky",
    "rockylinux",
    "ubi",
    "ubuntu",
];

/// Lengths of hashes of commits, in digits.
const HASH: std::ops::RangeInclusive<usize> = 7..=40;

/// A piece of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Part of the flavour, separators among it.
    Word(&'a str),
    /// A count, and whether it is that of a distribution.
    Number(u64, bool),
    /// A commit.
    Hash,
}

/// The pieces of a variant.
struct Pieces<'a> {
    rest: &'a str,
    /// Whether a word begins here.
    is_start: bool,
    /// The last word of letters.
    word: &'a str,
}

fn pieces(variant: &str) -> Pieces<'_> {
    Pieces { rest: variant, is_start: true, word: "" }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let first = self.rest.chars().next()?;
        if self.is_start
            && let Some(length) = hash(self.rest)
        {
            self.take(length);
            self.is_start = false;
            return Some(Piece::Hash);
        }
        if first.is_ascii_digit() {
            let digits = self.run(|c| c.is_ascii_digit());
            self.is_start = false;
            let is_one_of =
                |words: &[&str]| words.iter().any(|w| self.word.eq_ignore_ascii_case(w));
            return Some(if is_one_of(&RUNTIMES) {
                Piece::Word(digits)
            } else {
                Piece::Number(digits.parse().unwrap_or(u64::MAX), is_one_of(&BASES))
            });
        }
        if first.is_ascii_alphabetic() {
            self.word = self.run(|c| c.is_ascii_alphabetic());
            self.is_start = false;
            return Some(Piece::Word(self.word));
        }
        self.is_start = true;
        Some(Piece::Word(self.take(first.len_utf8())))
    }
}

impl<'a> Pieces<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn run(&mut self, is_in: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !is_in(c)).unwrap_or(self.rest.len()))
    }
}

/// The length of a commit at the front of a text, by itself or as `git describe` writes it. Digits alone are a number, and
/// letters alone a word.
fn hash(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (word, bare) = (&text[..end], text[..end].strip_prefix('g').unwrap_or(&text[..end]));
    let is_hex = bare.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let has = |is: fn(&u8) -> bool| bare.as_bytes().iter().any(is);
    let is_mixed =
        has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) || bare.len() < word.len();
    (is_hex && is_mixed && HASH.contains(&bare.len())).then_some(end)
}

/// True if two variants differ in counts and commits alone.
pub(super) fn is_like(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let mask = |piece| match piece {
        Piece::Number(..) => Piece::Number(0, false),
        piece => piece,
    };
    pieces(one).map(mask).eq(pieces(other).map(mask))
}

/// The counts of a variant, from left to right.
pub(super) fn counters(variant: &str) -> impl Iterator<Item = u64> + '_ {
    pieces(variant).filter_map(|piece| match piece {
        Piece::Number(count, _) => Some(count),
        _ => None,
    })
}

/// The versions of distributions in a variant.
pub(super) fn bases(variant: &str) -> impl Iterator<Item = u64> + '_ {
    pieces(variant).filter_map(|piece| match piece {
        Piece::Number(count, true) => Some(count),
        _ => None,
    })
}

//! What stands behind a version: words that make a flavour, and numbers that count builds and bases.
//!
//! `-debian-12-r9` is of the same flavour as `-debian-12-r10`, and `-alpine3.19` as `-alpine3.20`, so numbers that count are
//! masked when variants are compared: those in front of every word, those behind a word for builds, and versions of distributions.
//! Every other number is part of the flavour: nobody means to change the architecture, a language or a database with the image
//! (`-arm32v7`, `-jdk17`, `-pg15`). Hashes of commits have no order and are masked whole.

/// Words for builds and packagings, whose number counts where it is written onto them: linuxserver.io's `ls`, Debian's and
/// Bitnami's `r`, Microsoft's `CU` and `KB`, Amazon's `eksbuild`, and the like.
const COUNTERS: [&str; 21] = [
    "b", "bld", "build", "cu", "ed", "eksbuild", "k3s", "kb", "ls", "n", "p", "patch", "post", "r",
    "rel", "rev", "rke2r", "sp", "u", "update", "x",
];

/// Words of builds, whose number counts where it stands behind a separator: branches, and releases of Debian and Ubuntu.
const BUILDS: [&str; 23] = [
    "bionic", "bookworm", "bullseye", "buster", "ci", "develop", "edge", "focal", "hotfix",
    "jammy", "jenkins", "main", "master", "nightly", "noble", "release", "slim", "snapshot",
    "stable", "stretch", "trixie", "trunk", "wheezy",
];

/// Words of builds where the number is written behind a dot.
const DOTTED: [&str; 3] = ["ce", "ee", "experimental"];

/// Distributions, whose later versions follow the earlier ones.
const BASES: [&str; 17] = [
    "al",
    "alma",
    "almalinux",
    "alpine",
    "amazonlinux",
    "centos",
    "debian",
    "el",
    "fedora",
    "ol",
    "oraclelinux",
    "photon",
    "rhel",
    "rocky",
    "rockylinux",
    "ubi",
    "ubuntu",
];

/// Words with a digit in them.
const WITH_DIGITS: [&str; 3] = ["k3s", "rke2r", "k8s"];

/// Lengths of hashes of commits, in digits.
pub(super) const HASH: std::ops::RangeInclusive<usize> = 7..=40;

/// A piece of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VariantPiece<'a> {
    /// Part of the flavour, separators among it.
    Word(&'a str),
    /// A count, and whether it is that of a distribution.
    Number(u64, bool),
    /// A commit.
    Hash,
}

/// A word whose first numbers are part of the flavour, and whose later ones count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// It is another word.
    None,
    /// A `v` in front of all words: what is packed as well, whose first number is a line that people choose.
    Version,
    /// The same behind that number.
    Packed,
    /// `eks`, behind which the version of Kubernetes has so many numbers left.
    Eks(u8),
}

/// The pieces of a variant.
struct Pieces<'a> {
    rest: &'a str,
    /// The separator behind which a word begins here; blank at the very start.
    start: Option<char>,
    /// The last word of letters.
    word: &'a str,
    /// True if a number here is written onto it.
    is_onto: bool,
    packing: Packing,
    /// True if a word of letters stands before: what a `v` behind it is of, nobody can tell (`-arm-v7`).
    has_word: bool,
    /// True if what may be a commit is taken for one.
    is_lenient: bool,
}

fn pieces(variant: &str) -> Pieces<'_> {
    Pieces {
        rest: variant,
        start: Some(' '),
        word: "",
        is_onto: false,
        packing: Packing::None,
        has_word: false,
        is_lenient: false,
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = VariantPiece<'a>;

    fn next(&mut self) -> Option<VariantPiece<'a>> {
        let first = self.rest.chars().next()?;
        let hash = hash(self.rest, self.is_lenient).filter(|_| self.start.is_some());
        if let Some(length) = hash {
            self.take(length);
            self.start = None;
            return Some(VariantPiece::Hash);
        }
        if first.is_ascii_digit() {
            return Some(self.number());
        }
        if first.is_ascii_alphabetic() {
            let odd = WITH_DIGITS.iter().find(|word| self.rest.starts_with(**word));
            self.word = match odd.filter(|_| self.start.is_some()) {
                Some(word) => self.take(word.len()),
                None => self.run(|c| c.is_ascii_alphabetic()),
            };
            let is_apart = self.start.is_some_and(|c| "-_".contains(c));
            self.packing = match self.word {
                "v" if is_apart && !self.has_word => Packing::Version,
                "eks" if is_apart => Packing::Eks(2),
                _ => Packing::None,
            };
            self.has_word = true;
            self.start = None;
            self.is_onto = true;
            return Some(VariantPiece::Word(self.word));
        }
        self.start = Some(first);
        self.is_onto &= first == '.';
        Some(VariantPiece::Word(self.take(first.len_utf8())))
    }
}

impl<'a> Pieces<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// A number, and what it is by the word before it.
    fn number(&mut self) -> VariantPiece<'a> {
        let digits = self.run(|c| c.is_ascii_digit());
        let joint = self.start.take();
        let is_dashed = joint == Some('-');
        let is_one_of = |words: &[&str]| words.iter().any(|w| self.word.eq_ignore_ascii_case(w));
        let behind = self.rest.strip_prefix('.');
        let has_more = behind.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        match self.packing {
            Packing::Version if self.is_onto && has_more => {
                self.packing = Packing::Packed;
                return VariantPiece::Word(digits);
            }
            Packing::Eks(left @ 1..) => {
                self.packing = Packing::Eks(left - 1);
                return VariantPiece::Word(digits);
            }
            _ => {}
        }
        let is_packed = self.packing == Packing::Packed && self.is_onto;
        // What is packed as well never goes down either.
        let is_base = is_one_of(&BASES) || is_packed;
        // `-21-jdk` is a Java, `_12-jre` a build of one.
        let is_java = is_dashed && ["-jdk", "-jre"].iter().any(|java| self.rest.starts_with(java));
        // A time of building is one behind whatever word.
        let is_time = digits.len() >= 8 && digits.starts_with("20");
        let is_eks = self.packing == Packing::Eks(0);
        let is_build = is_one_of(&BUILDS);
        // GitVersion and semantic-release write `develop.3`.
        let is_apart = !self.is_onto && (self.word.is_empty() || is_time || is_eks || is_build)
            || joint == Some('.') && (is_build || is_one_of(&DOTTED));
        let counts = (is_base || is_one_of(&COUNTERS) || is_apart) && !is_java;
        if counts {
            VariantPiece::Number(digits.parse().unwrap_or(u64::MAX), is_base)
        } else {
            VariantPiece::Word(digits)
        }
    }

    fn run(&mut self, is_in: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !is_in(c)).unwrap_or(self.rest.len()))
    }
}

/// The length of a commit at the front of a text, by itself or as `git describe` writes it. Digits alone are a number, and
/// letters alone a word.
fn hash(text: &str, is_lenient: bool) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (word, bare) = (&text[..end], text[..end].strip_prefix('g').unwrap_or(&text[..end]));
    let is_hex = bare.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let has = |is: fn(&u8) -> bool| bare.as_bytes().iter().any(is);
    let is_mixed =
        has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) || bare.len() < word.len();
    (is_hex && (is_mixed || is_lenient) && HASH.contains(&bare.len())).then_some(end)
}

/// True if two variants differ in counts and commits alone.
pub(super) fn is_like(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let mask = |piece| match piece {
        VariantPiece::Number(..) => VariantPiece::Number(0, false),
        piece => piece,
    };
    if pieces(one).map(mask).eq(pieces(other).map(mask)) {
        return true;
    }
    // Beside a commit, digits or letters alone are one as well.
    let lenient = |variant| Pieces { is_lenient: true, ..pieces(variant) }.map(mask);
    let has_hash = |variant| pieces(variant).any(|piece| piece == VariantPiece::Hash);
    (has_hash(one) || has_hash(other)) && lenient(one).eq(lenient(other))
}

/// The counts of a variant, from left to right.
pub(super) fn counters(variant: &str) -> impl Iterator<Item = u64> + '_ {
    counters_beside(variant, 0)
}

/// The same where numbers of some lengths, as bits, are commits whose letters are missing by chance.
pub(super) fn counters_beside(variant: &str, hashes: u64) -> impl Iterator<Item = u64> + '_ {
    measured(variant).filter_map(move |(piece, length)| match piece {
        VariantPiece::Number(count, is_base) if is_base || hashes & bit(length) == 0 => Some(count),
        _ => None,
    })
}

/// The lengths of the commits in a variant, as bits.
pub(super) fn hashes(variant: &str) -> u64 {
    let hashes = measured(variant).filter(|(piece, _)| matches!(piece, VariantPiece::Hash));
    hashes.fold(0, |bits, (_, length)| bits | bit(length))
}

/// The pieces of a variant, each with its length in bytes.
fn measured(variant: &str) -> impl Iterator<Item = (VariantPiece<'_>, usize)> + '_ {
    let mut all = pieces(variant);
    std::iter::from_fn(move || {
        let before = all.rest.len();
        let piece = all.next()?;
        Some((piece, before - all.rest.len()))
    })
}

/// The bit of a length of a commit; those of other lengths have none.
fn bit(length: usize) -> u64 {
    if HASH.contains(&length) { 1 << length } else { 0 }
}

/// The versions of distributions in a variant.
pub(super) fn bases(variant: &str) -> impl Iterator<Item = u64> + '_ {
    pieces(variant).filter_map(|piece| match piece {
        VariantPiece::Number(count, true) => Some(count),
        _ => None,
    })
}

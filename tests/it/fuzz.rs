//! A short run of the fuzz targets on stable Rust: their oracle, on the golden files with pieces
//! cut out, doubled, exchanged and put in.

use std::path::Path;

#[path = "../../fuzz/oracle.rs"]
mod oracle;

/// What changes the meaning of what stands around it.
const PIECES: [&str; 24] = [
    "\n",
    "\r",
    "\t",
    " ",
    "  ",
    "\"",
    "'",
    "#",
    " # tagalong: shop\n",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    ">-\n  ",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\\",
    "image: ghcr.io/acme/shop:v1.0.0\n",
];

#[test]
fn whatever_is_changed_is_exactly_what_was_meant() {
    let seeds = seeds();
    let mut random = Random(1);
    let mut written = 0;
    for _ in 0..20_000 {
        let mut text = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(4) {
            mutate(&mut text, &seeds, &mut random);
        }
        for path in ["apps/a.yaml", "apps/kustomization.yaml", "Makefile"] {
            written += usize::from(oracle::rewrite(path, &text));
        }
    }
    assert!(written > 10_000, "{written}");
}

fn mutate(text: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(text.len() + 1);
    let end = (at + random.below(40)).min(text.len());
    match random.below(4) {
        0 => drop(text.drain(at..end)),
        1 => {
            let piece = text[at..end].to_vec();
            text.splice(at..at, piece);
        }
        2 => {
            let other = &seeds[random.below(seeds.len())];
            let start = random.below(other.len());
            let piece = other[start..(start + random.below(200)).min(other.len())].to_vec();
            text.splice(at..end, piece);
        }
        _ => {
            let piece = PIECES[random.below(PIECES.len())].bytes();
            text.splice(at..at, piece);
        }
    }
}

/// The files of the golden directories, which are the fuzzer's seeds as well.
fn seeds() -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = walkdir::WalkDir::new(golden).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|entry| {
        entry.file_type().is_file() && entry.path().iter().any(|part| part == "before")
    });
    let seeds: Vec<_> = files.map(|entry| std::fs::read(entry.path()).unwrap()).collect();
    assert!(seeds.len() > 50);
    seeds
}

/// Steps of `SplitMix64`: the same cases in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % (end.max(1) as u64)).unwrap()
    }
}

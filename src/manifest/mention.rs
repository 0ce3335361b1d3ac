//! References that stand anywhere in a text, whatever language it is.

use crate::image::{Reference, Tag};

/// A bare name with a number from here on is a host with a port, as `redis:6379`.
const FIRST_PORT: u32 = 80;

/// What may be a reference in a text, with where it begins.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let runs = text.split(|c: char| !is_part(c)).filter(|run| run.contains([':', '@']));
    runs.filter_map(move |run| {
        // `docker://`, `oci://`.
        let word = run.rsplit_once("://").map_or(run, |(_, word)| word);
        // The default of a variable.
        let word = word.rsplit_once(":-").map_or(word, |(_, word)| word);
        let word = word.trim_end_matches(['.', ':', '-', '/', '@']);
        let word = word.trim_start_matches(['-', ':', '.', '/', '@']);
        let front = word.split_once(':').filter(|(front, _)| TRANSPORTS.contains(front));
        let word = front.map_or(word, |(_, rest)| rest);
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        word.contains([':', '@']).then_some((start, word))
    })
}

/// What stands before a reference with a colon (<https://github.com/containers/image/blob/main/docs/containers-transports.5.md>).
const TRANSPORTS: [&str; 5] = ["docker", "docker-daemon", "image", "oci", "containers-storage"];

pub(super) fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-/:@".contains(c)
}

/// A reference with a digest, or with a tag that has a digit.
pub(super) fn versioned(word: &str) -> Option<Reference> {
    let reference = Reference::parse(word)?;
    let has_digit = |tag: &Tag| tag.as_str().bytes().any(|b| b.is_ascii_digit());
    let is_port = |tag: &Tag| tag.as_str().parse().is_ok_and(|port: u32| port >= FIRST_PORT);
    let is_host = !word.contains('/') && reference.tag.as_ref().is_some_and(is_port);
    let is_version = reference.digest.is_some() || reference.tag.as_ref().is_some_and(has_digit);
    (is_version && !is_host).then_some(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let digest = format!("r.io/a/b@sha256:{}", "a".repeat(64));
        let cases = [
            ("--sidecar-image=r.io/a/b:1.2.3", vec!["r.io/a/b:1.2.3"]),
            ("uses: docker://r.io/a/b:v1", vec!["r.io/a/b:v1"]),
            ("{\"image\": \"a/b:1\", 'x': 'c/d:2'}", vec!["a/b:1", "c/d:2"]),
            ("FROM --platform=x a/b:1 AS c", vec!["a/b:1"]),
            ("We ran a/b:1.2.3. Then", vec!["a/b:1.2.3"]),
            (&digest, vec![digest.as_str()]),
            ("url: redis:6379", vec![]),
            (
                "oci:r.io/a/b:1 ${A:-${B:-r.io/a/b:2}} localhost:5000/a/b:3 @a/b:4",
                vec!["r.io/a/b:1", "r.io/a/b:2", "localhost:5000/a/b:3", "a/b:4"],
            ),
            ("image: redis:7", vec!["redis:7"]),
            ("a/b:latest, key: value", vec![]),
        ];
        for (text, want) in cases {
            let known = |word: &&str| versioned(word).is_some();
            let got: Vec<&str> = words(text).map(|(_, word)| word).filter(known).collect();
            assert_eq!(got, want, "{text}");
        }
    }
}

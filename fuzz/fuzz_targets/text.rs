//! Finds and changes images in files that are not YAML: marked lines, and what targets match.

#![no_main]

#[path = "../oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oracle::rewrite("Makefile", bytes);
    // A line that is no YAML makes a template of anything.
    oracle::rewrite("templates/a.yaml", &[b"{{- if .x }}\n", bytes].concat());
});

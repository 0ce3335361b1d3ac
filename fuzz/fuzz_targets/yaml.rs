//! Finds and changes images in files that are YAML, most of the time.

#![no_main]

#[path = "../oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oracle::rewrite("apps/a.yaml", bytes);
    oracle::rewrite("apps/kustomization.yaml", bytes);
});

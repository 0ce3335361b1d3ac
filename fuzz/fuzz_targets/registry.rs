//! Reads a first line as a header and the rest as a body of a registry.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (header, body) = bytes.split_at(end);
    tagalong::registry::fuzz::answer(header, body);
});

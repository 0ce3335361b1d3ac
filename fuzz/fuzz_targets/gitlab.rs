//! GitLab's answers, whatever they are.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagalong::forge::gitlab::fuzz::answer(bytes));

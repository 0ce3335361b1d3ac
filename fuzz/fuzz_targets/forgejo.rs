//! Forgejo's answers, whatever they are.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagalong::forge::forgejo::fuzz::answer(bytes));

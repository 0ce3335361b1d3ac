//! Reads bytes as what GitHub says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagalong::forge::github::fuzz::answer(bytes));

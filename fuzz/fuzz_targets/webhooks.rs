//! Reads bytes as webhooks of every sender.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagalong::serve::fuzz::webhook(bytes));

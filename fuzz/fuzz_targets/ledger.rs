//! Reads bytes as a ledger and as a catalog: what is written again is the same.

#![no_main]

use tagalong::choose::Catalog;
use tagalong::ledger::Ledger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(ledger) = Ledger::parse(bytes) {
        let text = ledger.to_json();
        let again = Ledger::parse(text.as_bytes()).expect("what we wrote");
        assert_eq!(again.to_json(), text);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(Catalog::parse(text));
    }
});

//! Reads bytes as what a git server says: answers, and packs with a sum that is right.

#![no_main]

use sha1::{Digest as _, Sha1};
use tagalong::git::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::answer(bytes);
    if bytes.starts_with(b"PACK") {
        let mut pack = bytes.to_vec();
        let sum: [u8; 20] = Sha1::digest(&pack).into();
        pack.extend(sum);
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        fuzz::pack(&pack, directory.path());
    }
});

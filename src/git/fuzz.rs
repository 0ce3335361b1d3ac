//! Answers of git servers, for the fuzzer: packet lines, lists of references, reports and packs.

use std::io::Write as _;

use git2::{ObjectType, Odb, Repository};

use super::{pkt, smart, tree};

/// Reads bytes as each answer of a server.
pub fn answer(bytes: &[u8]) {
    if let Ok(frames) = pkt::frames(bytes) {
        // What was taken off is there, and no more.
        assert!(frames.len() <= bytes.len() / 4 + 1);
    }
    let said = smart::advertisement(bytes).err().into_iter().chain(smart::report(bytes).err());
    for message in said {
        assert!(!message.contains(['\n', '\r', '\u{1b}']), "{message:?}");
    }
}

/// Reads bytes as a pack with its checksum, and lists what its commits hold.
///
/// # Panics
/// libgit2 cannot make a repository.
pub fn pack(bytes: &[u8], directory: &std::path::Path) {
    let repository = Repository::init_bare(directory).expect("a directory");
    let odb = repository.odb().expect("its objects");
    if store(&odb, bytes).is_err() {
        return;
    }
    let repository = Repository::open_bare(directory).expect("the same");
    let odb = repository.odb().expect("its objects");
    let mut all = Vec::new();
    let every = odb.foreach(|id| {
        all.push(*id);
        all.len() < 100
    });
    drop(every);
    for id in all {
        if odb.read_header(id).is_ok_and(|(_, kind)| kind == ObjectType::Commit) {
            drop(tree::list(&repository, id));
        }
        drop(tree::blob(&repository, id, "x", tree::MAX_BLOB));
    }
}

fn store(odb: &Odb<'_>, bytes: &[u8]) -> Result<(), git2::Error> {
    let mut writer = odb.packwriter()?;
    writer.write_all(bytes).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    writer.commit().map(drop)
}

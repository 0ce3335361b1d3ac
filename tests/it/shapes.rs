//! Golden directories: what is before and after, byte for byte, and what must not change.
//!
//! `tests/golden/NAME/` holds `policies.yaml`, `catalog.yaml`, `before/` and `after/`. Files that are
//! in both and equal are the ones to leave.

use std::collections::BTreeMap;
use std::path::Path;

use crate::world::{World, arg};

#[test]
fn files_change_in_exactly_the_expected_bytes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases = 0;
    for entry in std::fs::read_dir(golden).unwrap() {
        let case = entry.unwrap().path();
        let world = World::new();
        let repo = world.dir("repo");
        for (path, bytes) in tree(&case.join("before")) {
            let full = repo.join(&path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, bytes).unwrap();
        }
        let args = ["run", "--repo", arg(&repo), "--deliver", "worktree", "--policies"];
        let (policies, catalog) = (case.join("policies.yaml"), case.join("catalog.yaml"));
        let out = world
            .bot(args.into_iter().chain([arg(&policies), "--catalog", arg(&catalog)]))
            .run()
            .exits(0);
        let (got, want) = (tree(&repo), tree(&case.join("after")));
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
        for (path, bytes) in &want {
            let (got, want) = (String::from_utf8_lossy(&got[path]), String::from_utf8_lossy(bytes));
            assert_eq!(got, want, "{} {path}\n{}", case.display(), out.stderr);
        }
        cases += 1;
    }
    assert!(cases >= 3, "{cases}");
}

fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        (path, std::fs::read(entry.path()).unwrap())
    };
    files.map(read).collect()
}

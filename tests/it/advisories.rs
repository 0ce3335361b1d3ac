//! Our lock files beside `RustSec`'s advisories, of which those about our packages are in `tests/advisories`.

use std::path::Path;

use rustsec::advisory::Advisory;
use rustsec::{Database, Lockfile};

/// Advisories that do not apply, with the reason.
const NOT_OURS: [(&str, &str); 1] = [(
    "RUSTSEC-2023-0071",
    "`rsa` stands in the lock file behind features that are off, and is not built",
)];

fn database() -> Database {
    Database::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/advisories")).unwrap()
}

/// What is known of the packages of a lock file: advisory, package and version.
fn known(database: &Database, lock: &Lockfile) -> Vec<String> {
    let about = |advisory: &Advisory| {
        let packages = lock.packages.iter();
        let meant = packages.filter(|package| package.name == advisory.metadata.package);
        let hit = meant.filter(|package| advisory.versions.is_vulnerable(&package.version));
        let id = advisory.id();
        hit.map(|package| format!("{id} {} {}", package.name, package.version)).collect::<Vec<_>>()
    };
    let of_crates = database.iter().filter(|advisory| advisory.metadata.withdrawn.is_none());
    let all = of_crates.flat_map(about);
    all.filter(|hit| !NOT_OURS.iter().any(|(id, _)| hit.starts_with(id))).collect()
}

#[test]
fn no_advisory_is_about_what_is_locked() {
    let database = database();
    assert!(database.iter().count() > 50, "run scripts/advisories");
    for path in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock = Lockfile::load(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        assert_eq!(known(&database, &lock), Vec::<String>::new(), "{path}");
    }
}

/// An old package is found, so that an empty answer says something.
#[test]
fn an_old_package_has_advisories() {
    let lock: Lockfile =
        "version = 4\n\n[[package]]\nname = \"git2\"\nversion = \"0.15.0\"\n".parse().unwrap();
    let found = known(&database(), &lock);
    assert!(found.iter().any(|hit| hit == "RUSTSEC-2026-0183 git2 0.15.0"), "{found:?}");
}

//! The core stays pure, and imports point one way.

use std::path::{Path, PathBuf};

/// The pure rooms, each with the ones it may know.
const CORE: [(&str, &[&str]); 17] = [
    ("text.rs", &[]),
    ("forge_kind.rs", &[]),
    ("image", &[]),
    ("yaml", &[]),
    ("diagnostic", &[]),
    ("policy", &["image", "yaml", "diagnostic"]),
    ("manifest", &["image", "yaml", "diagnostic", "policy"]),
    ("ledger.rs", &["image"]),
    ("choose", &["image", "diagnostic", "policy", "ledger"]),
    ("signature", &["image", "policy", "choose"]),
    ("edit", &["image", "yaml", "policy", "manifest"]),
    (
        "changeset",
        &["image", "yaml", "diagnostic", "policy", "manifest", "choose", "edit", "forge_kind"],
    ),
    ("starter", &["image", "yaml", "diagnostic", "policy", "manifest", "forge_kind"]),
    ("promote", &["image", "policy", "ledger", "choose", "changeset"]),
    ("repo_id.rs", &[]),
    ("pull_request.rs", &["policy", "changeset"]),
    ("reconcile", &["image", "policy", "choose", "changeset", "edit", "pull_request"]),
];

/// The edges, each with the rooms beside the core that it may know. The last ones know everything that is above them.
const EDGES: [(&str, &[&str]); 18] = [
    ("worktree.rs", &[]),
    ("worktree", &[]),
    ("secret.rs", &[]),
    ("store.rs", &[]),
    ("http.rs", &["secret"]),
    ("registry", &["http", "secret", "store"]),
    ("git", &["http", "secret"]),
    ("forge", &["http", "secret", "settings", "store"]),
    ("report", &["registry"]),
    ("cli.rs", &["settings"]),
    ("cli", &["settings"]),
    ("settings.rs", &["cli", "git", "http", "registry", "secret", "traces"]),
    ("traces.rs", &["http", "secret", "settings"]),
    ("pipeline", &PIPELINE),
    ("demo", &["pipeline", "report", "settings", "registry", "git", "http", "secret", "cli"]),
    ("serve", &["pipeline", "report", "settings", "secret", "http", "cli", "traces"]),
    ("command.rs", &["pipeline", "report", "settings", "secret", "cli", "serve", "demo", "traces"]),
    ("command", &["pipeline", "report", "settings", "secret", "cli", "serve", "demo", "traces"]),
];

/// Rooms that the stages put together.
const PIPELINE: [&str; 9] =
    ["worktree", "secret", "store", "registry", "git", "forge", "report", "settings", "http"];

/// What reaches outside: async, clock, environment, files, network, processes, terminals.
const IMPURE: [&str; 19] = [
    "async fn",
    ".await",
    "tokio",
    "futures::",
    "reqwest",
    "octocrab",
    "git2",
    "axum",
    "std::fs",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "rayon",
    "std::time",
    "std::net::Tcp",
    "Timestamp::now",
    "File::",
    "println!",
];

/// Libraries that one room alone names.
const ONE_ROOM: [(&str, &[&str]); 15] = [
    ("granit_parser", &["yaml/"]),
    ("octocrab", &["forge/github/"]),
    ("croner", &["policy/windows.rs"]),
    ("ssh_key", &["git/sign.rs"]),
    ("git2", &["git/", "demo/"]),
    ("use reqsign", &["registry/credentials/"]),
    ("governor", &["registry/"]),
    ("jsonwebtoken", &["registry/credentials/", "forge/github/app.rs", "serve/google.rs"]),
    ("secrecy", &["secret.rs"]),
    ("indicatif", &["report/"]),
    ("serde_json_path", &["policy/targets.rs"]),
    ("cap_std", &["worktree.rs"]),
    ("rayon", &["pipeline/sweep.rs", "worktree/walk.rs"]),
    ("sigstore_verify", &["signature/"]),
    ("std::fs::write", &["worktree.rs", "pipeline/tags.rs", "git/local.rs"]),
];

#[test]
fn the_core_reaches_nothing_outside() {
    for (room, _) in CORE {
        for (path, line, text) in code(room) {
            let found = IMPURE.iter().find(|word| text.contains(**word));
            assert!(
                found.is_none(),
                "{path}:{line}: the core is pure, but this names {found:?}: {text}"
            );
        }
    }
}

#[test]
fn imports_point_one_way() {
    let core: Vec<&str> = CORE.iter().map(|(room, _)| room_name(room)).collect();
    for (room, known) in CORE.into_iter().chain(EDGES) {
        let is_edge = EDGES.iter().any(|(edge, _)| *edge == room);
        for (path, line, text) in code(room) {
            for other in imports(&text) {
                let own = room_name(room) == other;
                let allowed = own
                    || other == "text"
                    || known.contains(&other.as_str())
                    || is_edge && core.contains(&other.as_str());
                assert!(allowed, "{path}:{line}: `{room}` may not know `{other}`: {text}");
            }
        }
    }
}

#[test]
fn each_library_stays_in_its_room() {
    for (library, rooms) in ONE_ROOM {
        for (path, line, text) in code("") {
            let inside = rooms.iter().any(|room| path.starts_with(room));
            assert!(
                inside || !text.contains(library),
                "{path}:{line}: {library} belongs to {rooms:?}: {text}"
            );
        }
    }
}

/// A second forge must not have to look for the first one.
#[test]
fn a_forge_is_named_in_its_room_alone() {
    const ROOMS: [&str; 8] = [
        "forge/",
        "forge_kind",
        "settings",
        "policy/",
        "serve/",
        "report/",
        "cli/",
        "starter/ci.rs",
    ];
    for (path, line, text) in code("") {
        let inside = ROOMS.iter().any(|room| path.starts_with(room));
        assert!(inside || !text.contains("GitHub"), "{path}:{line}: a forge by its name: {text}");
    }
}

#[test]
fn files_stay_readable() {
    for file in files(&source()) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 500, "{}: {lines} lines are more than 500", file.display());
    }
}

/// The rooms that a line imports from.
fn imports(text: &str) -> Vec<String> {
    let rest = text.split("crate::").skip(1);
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    rest.map(name).collect()
}

/// Lines of code of a room: no comments, no items for tests alone.
fn code(room: &str) -> Vec<(String, usize, String)> {
    let mut lines = Vec::new();
    for file in files(&source().join(room)) {
        let path = file.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for (index, line) in without_tests(&text) {
            if !line.trim_start().starts_with("//") {
                lines.push((path.clone(), index + 1, line.to_owned()));
            }
        }
    }
    assert!(!lines.is_empty(), "{room} is empty");
    lines
}

/// The lines of a file without the items behind `#[cfg(test)]`, and no others: code below them counts.
fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push((index, line));
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let mut item = lines.by_ref().map(|(_, line)| line);
        let first = item.find(|line| !line.trim_start().starts_with("#["));
        // rustfmt puts the end of an item on its only line, or below its beginning.
        if first.is_some_and(|first| !first.ends_with(';') && !first.ends_with("{}")) {
            item.find(|line| line.trim_end_matches(';') == end);
        }
    }
    kept
}

#[test]
fn only_the_item_for_tests_is_passed_over() {
    let text = "a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod more {\n    use c;\n}\nd\n";
    let kept: Vec<&str> = without_tests(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(kept, ["a", "b", "d"]);
}

#[test]
fn every_room_is_listed() {
    let listed: Vec<&str> =
        CORE.into_iter().chain(EDGES).map(|(room, _)| room_name(room)).collect();
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let rooms = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in rooms {
        assert!(listed.contains(&room), "{room} is in no list of this test");
    }
}

fn room_name(room: &str) -> &str {
    room.trim_end_matches(".rs")
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(at: &Path) -> Vec<PathBuf> {
    if at.is_file() {
        return vec![at.to_owned()];
    }
    let entries = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = entries.flat_map(|path| files(&path)).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    all.sort();
    all
}

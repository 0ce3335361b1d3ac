//! What a release does to a repository. `gh` is a stand-in that keeps what it was asked: it publishes nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Bot, Output, Repo, World, arg};

/// A repository as a release finds it.
struct Release<'a> {
    world: &'a World,
    repo: Repo,
    version: String,
}

impl<'a> Release<'a> {
    fn new(world: &'a World) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cargo = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let files = [("Cargo.toml", &*cargo), ("action/checksums.txt", "# none yet\n")];
        let repo = Repo::create(&world.dir("git"), "tagalong/tagalong", &files);
        let gh = world.file(
            "bin/gh",
            "#!/bin/sh\necho \"$@\" >>\"$HOME/gh\"\n[ \"$1 $2\" != 'release view' ]\n",
        );
        assert!(Command::new("chmod").args(["+x", arg(&gh)]).status().unwrap().success());
        let version = format!("v{}", env!("CARGO_PKG_VERSION"));
        Self { world, repo, version }
    }

    /// A new checkout, with the scripts of this one.
    fn checkout(&self, name: &str) -> PathBuf {
        let tree = self.world.dir(name);
        let bare = self.repo.bare.to_str().unwrap();
        self.repo.git(&["clone", "-q", bare, arg(&tree)]);
        for script in ["version", "publish"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
            self.world.file(&format!("{name}/scripts/{script}"), "");
            std::fs::copy(from, tree.join("scripts").join(script)).unwrap();
        }
        tree
    }

    fn script(&self, tree: &Path, words: &[&str]) -> Output {
        let path = format!("{}:{}", arg(&self.world.dir("bin")), std::env::var("PATH").unwrap());
        let mut command = Command::new(tree.join("scripts").join(words[0]));
        command.args(&words[1..]);
        let bot = Bot::from(command, &self.world.dir("home")).env("PATH", &path).directory(tree);
        bot.run()
    }

    fn publish(&self, name: &str, version: &str) {
        let tree = self.checkout(name);
        let sums = format!("# version {version}\n0123  tagalong-x86_64-linux\n");
        self.world.file(&format!("{name}/dist/checksums.txt"), &sums);
        let dist = tree.join("dist");
        self.script(&tree, &["publish", version, arg(&dist)]).exits(0);
    }

    fn commit_of(&self, tag: &str) -> String {
        self.repo.git(&["rev-parse", &format!("refs/tags/{tag}")]).trim().to_owned()
    }
}

#[test]
fn a_release_is_a_tag_that_names_its_own_binaries() {
    let world = World::new();
    let release = Release::new(&world);
    let version = &*release.version;
    let tree = release.checkout("before");
    release.script(&tree, &["version"]).exits(0).says(&[&format!("version={version}\n")]);
    let built = release.repo.head("main");
    release.publish("first", version);
    let commit = release.commit_of(version);
    let sums = release.repo.show(&commit, "action/checksums.txt");
    assert!(sums.contains(&format!("# version {version}")), "{sums}");
    assert_eq!(release.repo.git(&["rev-parse", &format!("{commit}^")]).trim(), built.trim());
    // Nobody's branch moves, and the major tag comes last.
    assert_eq!(release.repo.head("main"), built);
    let major = version.split('.').next().unwrap();
    assert_eq!(release.commit_of(major), commit);
    let asked = std::fs::read_to_string(world.dir("home").join("gh")).unwrap();
    let asked: Vec<String> =
        asked.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    let want =
        ["auth setup-git", "release view", "release create", "release upload", "release edit"];
    assert_eq!(asked, want);
    // What stopped on its way goes on: it is the same commit.
    release.publish("again", version);
    assert_eq!(release.commit_of(version), commit);
    release.script(&tree, &["version"]).exits(1).says(&["is released"]);
    // A later release of an older line leaves the major tag where it is.
    release.publish("newer", &format!("{major}.200.0"));
    let newer = release.commit_of(major);
    release.publish("older", &format!("{major}.199.1"));
    assert_eq!(release.commit_of(major), newer);
    assert_ne!(release.commit_of(&format!("{major}.199.1")), newer);
}

//! Who signs commits: an SSH key, `gpg`, or GitHub. Signatures are checked by git, with the tools it uses.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lifecycle::Fleet;
use crate::world::arg;

const BRANCH: &str = "tagalong/staging";

fn fleet(sign: &str, deliver: &str) -> Fleet {
    let fleet = Fleet::new(deliver);
    fleet.forge.repo.commit("main", "Settings", &[("tagalong.yaml", sign)]);
    fleet
}

fn tool(name: &str, args: &[&str], env: &[(&str, &Path)]) -> String {
    let mut command = Command::new(name);
    command.args(args).envs(env.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name} {args:?}: {said}");
    said + &String::from_utf8_lossy(&output.stdout)
}

fn ssh_key(fleet: &Fleet, kind: &str, passphrase: &str) -> PathBuf {
    let key = fleet.world.dir("keys").join(format!("{kind}{passphrase}"));
    tool("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-f", arg(&key)], &[]);
    key
}

#[test]
fn an_ssh_key_signs() {
    for kind in ["ed25519", "ecdsa"] {
        let fleet = fleet("sign: ssh\n", "group: environment");
        let key = ssh_key(&fleet, kind, "");
        // As it is, and as a variable of a CI system that lost the last line's end.
        let text = std::fs::read_to_string(&key).unwrap();
        let bot = fleet.bot().env("TAGALONG_SIGNING_KEY", text.trim_end());
        assert_eq!(bot.run().exits(0).deliveries(), ["prod created", "staging created"]);
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let signers = format!("tagalong@tagalong.invalid {public}");
        let signers = fleet.world.file("signers", &signers);
        let allowed = format!("gpg.ssh.allowedSignersFile={}", arg(&signers));
        for branch in [BRANCH, "tagalong/prod"] {
            fleet.forge.repo.git(&["-c", &allowed, "verify-commit", branch]);
        }
        fleet.forge.seen();
        let again = fleet.bot().env("TAGALONG_SIGNING_KEY_FILE", arg(&key)).run().exits(0);
        assert_eq!(again.deliveries(), ["prod unchanged", "staging unchanged"]);
        assert_eq!(fleet.forge.writes(), Vec::<String>::new());
    }
}

#[test]
fn without_a_key_that_signs_nothing_is_pushed() {
    let fleet = fleet("sign: ssh\n", "group: environment");
    let locked = std::fs::read_to_string(ssh_key(&fleet, "ed25519", "secret")).unwrap();
    let rsa = std::fs::read_to_string(ssh_key(&fleet, "rsa", "")).unwrap();
    for (key, why) in [
        ("", "`sign` in tagalong.yaml needs TAGALONG_SIGNING_KEY"),
        ("ssh-ed25519 AAAA", "not a private key in OpenSSH's form"),
        (&*locked, "locked by a passphrase"),
        (&*rsa, "use ed25519 or ecdsa"),
    ] {
        let bot = fleet.bot().env("TAGALONG_SIGNING_KEY", key);
        let output = bot.run().exits(2).says(&[why]);
        let secret = key.lines().nth(1).unwrap_or("-----");
        assert!(!output.stderr.contains(secret), "{}", output.stderr);
    }
    let bot = fleet.bot().env("TAGALONG_SIGNING_KEY_FILE", "/nowhere/key");
    bot.run().exits(2).says(&["TAGALONG_SIGNING_KEY_FILE cannot be read"]);
    assert_eq!(fleet.forge.repo.git(&["branch", "--list", "tagalong/*"]), "");
    // A plan needs none.
    fleet.world.bot(["plan", "--repo", arg(&fleet.forge.repo.bare)]).run().exits(0);
}

#[test]
fn gnupg_signs() {
    let fleet = fleet(
        "sign: gpg\nauthor: {name: image bot, email: images@example.com, signOff: true}\n",
        "commits: image",
    );
    // Its sockets need a short path.
    let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
    let env = [("GNUPGHOME", home.path())];
    let name = "image bot <images@example.com>";
    let generate =
        ["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", "0"];
    tool("gpg", &generate, &env);
    // The next one is started by the run.
    tool("gpgconf", &["--kill", "all"], &env);
    let bot =
        |key: &str| fleet.bot().env("GNUPGHOME", arg(home.path())).env("TAGALONG_SIGNING_KEY", key);
    bot("nobody@example.com").run().exits(1).says(&["not signed", "`gpg` does not sign"]);
    assert_eq!(fleet.forge.repo.git(&["branch", "--list", "tagalong/*"]), "");
    assert_eq!(
        bot("images@example.com").run().exits(0).deliveries(),
        ["prod created", "staging created"]
    );
    let bare = arg(&fleet.forge.repo.bare).to_owned();
    // Each of the three commits.
    for commit in [BRANCH, "tagalong/staging~1", "tagalong/staging~2"] {
        let said = tool("git", &["-C", &bare, "verify-commit", commit], &env);
        assert!(said.contains("Good signature from \"image bot <images@example.com>\""), "{said}");
    }
    let message = fleet.forge.repo.git(&["log", "-1", "--format=%B", BRANCH]);
    assert!(message.contains("Signed-off-by: image bot <images@example.com>"), "{message}");
    // The agent that gpg started stays, and has no token to keep.
    let agents = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let command = std::fs::read_to_string(path.join("cmdline")).ok()?;
        let environ = std::fs::read(path.join("environ")).ok()?;
        let is_ours = command.contains("gpg-agent") && command.contains(arg(home.path()));
        is_ours.then(|| String::from_utf8_lossy(&environ).into_owned())
    });
    let agents: Vec<String> = agents.collect();
    assert!(agents.iter().all(|environ| !environ.contains(crate::world::TOKEN)), "{agents:?}");
    tool("gpgconf", &["--kill", "all"], &env);
}

#[test]
fn github_makes_what_it_signs() {
    let fleet = fleet("sign: forge\n", "commits: image, autoMerge: bot, checks: [ci]");
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod created", "staging created"]);
    let show = |format: &str| {
        let format = format!("--format={format}");
        fleet.forge.repo.git(&["log", "-1", &format, BRANCH]).trim().to_owned()
    };
    assert_eq!(show("%ce"), "noreply@github.com");
    assert!(show("%B").contains("Tagalong-Change: "), "{}", show("%B"));
    assert_eq!(
        fleet.forge.repo.git(&["rev-list", "--count", "main..tagalong/staging"]).trim(),
        "3"
    );
    assert_eq!(fleet.deployed(BRANCH, "staging/web.yaml"), "v1.1.0");
    let transient = || fleet.forge.repo.git(&["branch", "--list", "tagalong-signing/*"]);
    assert_eq!(transient(), "");
    fleet.forge.seen();
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod unchanged", "staging unchanged"]);
    assert_eq!(fleet.forge.writes(), Vec::<String>::new());
    // What it made is ours: written anew for something newer, and merged as it was verified.
    fleet.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod updated", "staging updated"]);
    assert_eq!(fleet.deployed(BRANCH, "staging/shop.yaml"), "v1.2.0");
    for number in [1, 2] {
        fleet.checks(number, &[("ci", Some("SUCCESS"))]);
    }
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod merged", "staging merged"]);
    assert_eq!(fleet.deployed("main", "staging/shop.yaml"), "v1.2.0");
    // What a person amends looks the same to the eye, also where an editor commits as GitHub.
    fleet.registry.push("acme/shop", &["v1.2.9"]);
    fleet.whole().exits(0);
    let message = show("%B");
    let mine = [("staging/shop.yaml".to_owned(), "bWluZQo=".to_owned())].into_iter();
    fleet.forge.repo.git(&["update-ref", "refs/heads/tagalong/staging", "tagalong/staging~1"]);
    fleet.forge.repo.commit_by_github(BRANCH, &message, mine);
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod unchanged", "staging frozen"]);
    fleet.forge.edit(4, |pull| pull.labels.push("tagalong:rebase".to_owned()));
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod unchanged", "staging updated"]);
    // What was made by GitHub stays ours when we make the next ones.
    fleet.forge.repo.commit("main", "Settings", &[("tagalong.yaml", "{}\n")]);
    fleet.whole().exits(0);
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod unchanged", "staging unchanged"]);
    fleet.forge.repo.commit("main", "Settings", &[("tagalong.yaml", "sign: github\n")]);
    // What a person commits on the page has the same committer, and freezes it all the same.
    fleet.registry.push("acme/shop", &["v1.3.0"]);
    fleet.whole().exits(0);
    let mine = [("staging/shop.yaml".to_owned(), "bWluZQo=".to_owned())].into_iter();
    fleet.forge.repo.commit_by_github(BRANCH, "Update shop.yaml", mine);
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod unchanged", "staging frozen"]);
}

#[test]
fn what_github_does_not_sign_is_not_pushed() {
    let fleet = fleet("sign: github\n", "group: environment");
    let head = || fleet.forge.repo.head(BRANCH);
    fleet.forge.signs(false);
    fleet.whole().exits(1).says(&["the forge did not sign the commit"]);
    assert_eq!(head(), "");
    let left = || fleet.forge.repo.git(&["branch", "--list", "tagalong-signing/*"]);
    assert_eq!(left(), "");
    fleet.forge.signs(true);
    // What a killed run left behind goes away after a day, and not before.
    let main = fleet.forge.repo.head("main");
    let now = jiff::Timestamp::now().as_second();
    let (old, new) = (now - 90_000, now - 80_000);
    for began in [old, new] {
        let branch = format!("refs/heads/tagalong-signing/{began}-0-0");
        fleet.forge.repo.git(&["update-ref", &branch, &main]);
    }
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod created", "staging created"]);
    let left = left();
    assert!(left.contains(&new.to_string()) && !left.contains(&old.to_string()), "{left}");
    // Straight to the branch, one after the other.
    let fleet = self::fleet("sign: github\n", "via: push");
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod pushed", "staging pushed"]);
    let by = fleet.forge.repo.git(&["log", "-3", "--format=%ce", "main"]);
    assert_eq!(by, "noreply@github.com\nnoreply@github.com\nada@example.com\n");
    assert_eq!(fleet.deployed("main", "prod/web.yaml"), "v1.1.0");
    // Elsewhere, GitHub can do nothing.
    let bare = arg(&fleet.forge.repo.bare).to_owned();
    fleet.registry.push("acme/web", &["v1.2.0"]);
    let args = ["run", "--repo", &bare, "--deliver", "push"];
    fleet.world.bot(args).run().exits(1).says(&["needs a repository on a forge"]);
}

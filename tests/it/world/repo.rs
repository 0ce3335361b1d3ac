//! A bare repository, and people who work on it with git.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

#[derive(Clone)]
pub struct Repo {
    pub bare: PathBuf,
    /// What people's and GitHub's clocks say, in seconds; the real time without it.
    clock: Arc<Mutex<Option<i64>>>,
}

impl Repo {
    /// A bare repository that is there.
    pub fn at(bare: PathBuf) -> Self {
        Self { bare, clock: Arc::default() }
    }

    /// From now on, commits are of this time.
    pub fn it_is(&self, now: jiff::Timestamp) {
        *self.clock.lock().unwrap() = Some(now.as_second());
    }

    /// A bare repository with one commit on `main`.
    pub fn create(root: &Path, name: &str, files: &[(&str, &str)]) -> Self {
        let bare = root.join(format!("{name}.git"));
        std::fs::create_dir_all(&bare).unwrap();
        let repo = Self::at(bare);
        repo.git(&["init", "-q", "--bare", "-b", "main", "."]);
        repo.git(&["config", "http.receivepack", "true"]);
        repo.commit("main", "Start", files);
        repo
    }

    /// The commits of all branches, by reference.
    pub fn heads(&self) -> serde_json::Value {
        let all = self.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/"]);
        all.lines().filter_map(|line| line.split_once(' ')).collect()
    }

    /// Writes a blob; its name.
    pub fn hash_object(&self, text: &str) -> String {
        self.piped(&["hash-object", "-w", "--stdin"], text.as_bytes())
    }

    /// Writes a tree of lines as `git ls-tree` shows them; its name.
    pub fn make_tree(&self, lines: &str) -> String {
        self.piped(&["mktree"], lines.as_bytes())
    }

    /// Writes a tree of lines as `git ls-tree -r` shows them, with its subtrees; its name.
    pub fn tree_of(&self, lines: &str) -> String {
        let mut own = Vec::new();
        let mut beneath: std::collections::BTreeMap<&str, Vec<String>> =
            std::collections::BTreeMap::new();
        for line in lines.lines() {
            let (entry, path) = line.split_once('\t').unwrap();
            match path.split_once('/') {
                None => own.push(line.to_owned()),
                Some((directory, rest)) => {
                    beneath.entry(directory).or_default().push(format!("{entry}\t{rest}"));
                }
            }
        }
        for (directory, lines) in beneath {
            own.push(format!("040000 tree {}\t{directory}", self.tree_of(&lines.join("\n"))));
        }
        self.make_tree(&own.join("\n"))
    }

    /// A commit of a tree in the place of a branch's last one, by somebody who says that it was the bot.
    pub fn commit_tree_as_bot(&self, branch: &str, message: &str, tree: &str) {
        let parent = self.git(&["rev-parse", &format!("{branch}~1")]);
        let bot = ["-c", "user.name=tagalong", "-c", "user.email=tagalong@tagalong.invalid"];
        let args = ["commit-tree", tree, "-p", parent.trim(), "-m", message];
        let commit = self.git(&[&bot[..], &args[..]].concat());
        self.git(&["update-ref", &format!("refs/heads/{branch}"), commit.trim()]);
    }

    /// Writes a tree of modes, names and objects, whatever they are; its name.
    pub fn raw_tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, oid) in entries {
            bytes.extend([mode.as_bytes(), b" ", name, b"\0"].concat());
            let digit = |at: usize| u8::from_str_radix(&oid[at..at + 2], 16).unwrap();
            bytes.extend((0..oid.len()).step_by(2).map(digit));
        }
        self.piped(&["hash-object", "-t", "tree", "--literally", "-w", "--stdin"], &bytes)
    }

    /// Puts a commit of these bytes on a branch.
    pub fn commit_raw(&self, branch: &str, bytes: &[u8]) {
        let commit = self.piped(&["hash-object", "-t", "commit", "-w", "--stdin"], bytes);
        self.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
    }

    /// Commits a tree on a branch.
    pub fn commit_tree(&self, branch: &str, tree: &str) {
        let parent = self.git(&["rev-parse", branch]);
        let commit = self.git(&["commit-tree", tree, "-p", parent.trim(), "-m", "A tree"]);
        self.git(&["update-ref", &format!("refs/heads/{branch}"), commit.trim()]);
    }

    fn piped(&self, args: &[&str], input: &[u8]) -> String {
        use std::io::Write as _;
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.bare).args(args);
        git.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = git.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Somebody commits files on a branch, on top of what is there.
    pub fn commit(&self, branch: &str, message: &str, files: &[(&str, &str)]) {
        self.commit_by(&[], branch, message, files);
    }

    /// The same by somebody who says that it was the bot.
    pub fn commit_as_bot(&self, branch: &str, message: &str, files: &[(&str, &str)]) {
        let bot = ["-c", "user.name=tagalong", "-c", "user.email=tagalong@tagalong.invalid"];
        self.commit_by(&bot, branch, message, files);
    }

    fn commit_by(&self, who: &[&str], branch: &str, message: &str, files: &[(&str, &str)]) {
        let work = tempfile::tempdir().unwrap();
        let at = |args: &[&str]| self.git_in(work.path(), args);
        at(&["init", "-q", "-b", "work", "."]);
        let exists = !self.git(&["for-each-ref", &format!("refs/heads/{branch}")]).is_empty();
        if exists {
            at(&["fetch", "-q", self.bare.to_str().unwrap(), &format!("refs/heads/{branch}")]);
            at(&["reset", "-q", "--hard", "FETCH_HEAD"]);
        }
        for (path, text) in files {
            let full = work.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        }
        at(&["add", "-A"]);
        at(&[who, &["commit", "-q", "--allow-empty", "-m", message]].concat());
        at(&["push", "-q", self.bare.to_str().unwrap(), &format!("HEAD:refs/heads/{branch}")]);
    }

    /// GitHub commits files on a branch in somebody's name; their contents are in base64.
    pub fn commit_by_github(
        &self,
        branch: &str,
        message: &str,
        files: impl Iterator<Item = (String, String)>,
    ) -> String {
        let work = tempfile::tempdir().unwrap();
        let index = work.path().join("index");
        let parent = self.head(branch);
        let at = |args: &[&str]| {
            let mut command = Command::new("git");
            command.args(args).current_dir(&self.bare).env("GIT_INDEX_FILE", &index);
            command
                .env("GIT_AUTHOR_NAME", "bot")
                .env("GIT_AUTHOR_EMAIL", "1+bot@users.noreply.github.com");
            command
                .env("GIT_COMMITTER_NAME", "GitHub")
                .env("GIT_COMMITTER_EMAIL", "noreply@github.com");
            let output = command.output().unwrap();
            assert!(
                output.status.success(),
                "git {args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        at(&["read-tree", &parent]);
        for (path, contents) in files {
            let file = work.path().join("content");
            std::fs::write(&file, BASE64.decode(contents).unwrap()).unwrap();
            let blob = at(&["hash-object", "-w", "--no-filters", file.to_str().unwrap()]);
            let mode = at(&["ls-files", "--format=%(objectmode)", "--", &path]);
            let mode = if mode.is_empty() { "100644".to_owned() } else { mode };
            at(&["update-index", "--add", "--cacheinfo", &format!("{mode},{blob},{path}")]);
        }
        let tree = at(&["write-tree"]);
        let commit = at(&["commit-tree", &tree, "-p", &parent, "-m", message]);
        at(&["update-ref", &format!("refs/heads/{branch}"), &commit, &parent]);
        commit
    }

    /// The content of a file on a branch.
    pub fn show(&self, branch: &str, path: &str) -> String {
        self.git(&["show", &format!("{branch}:{path}")])
    }

    /// The commit of a branch; empty when there is none.
    pub fn head(&self, branch: &str) -> String {
        self.git(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")])
            .trim()
            .to_owned()
    }

    pub fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.bare, args)
    }

    fn git_in(&self, at: &Path, args: &[&str]) -> String {
        let (ok, output) = self.run(at, args);
        assert!(ok, "git {args:?}: {output}");
        output
    }

    /// Runs git; whether it succeeded, and its output.
    pub fn try_git(&self, args: &[&str]) -> (bool, String) {
        self.run(&self.bare, args)
    }

    /// A hook of the server.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.bare.join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, at: &Path, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(["-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"])
            .args(args)
            .current_dir(at)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        if let Some(now) = *self.clock.lock().unwrap() {
            let date = format!("{now} +0000");
            command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        }
        let output = command.output().unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

//! Signatures of commits: by an SSH key in this process, by `gpg`, or by GitHub.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::secret::{Secret, Variables};

/// Git signs in this namespace
/// (<https://github.com/git/git/blob/master/Documentation/config/gpg.adoc>).
const NAMESPACE: &str = "git";

/// How long `gpg` may take. It asks nobody, but a card can be slow.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How commits are signed.
#[derive(Clone, Default)]
pub enum Signing {
    /// They are not.
    #[default]
    Off,
    /// GitHub makes and signs them, as whoever the token belongs to.
    Forge,
    /// With an SSH key.
    Ssh(Arc<PrivateKey>),
    /// By `gpg`, with the key of this name, in an environment of these variables.
    Gpg(String, Variables),
}

impl Signing {
    /// Signs with an OpenSSH private key.
    ///
    /// # Errors
    /// When it is none, of a kind that signs nothing here, or locked by a passphrase.
    pub fn ssh(key: &Secret) -> Result<Self, String> {
        // Variables of CI systems often lose the last line's end.
        let text = format!("{}\n", key.expose().trim().replace("\r\n", "\n"));
        let key = PrivateKey::from_openssh(text)
            .map_err(|_error| "it is not a private key in OpenSSH's form".to_owned())?;
        if key.is_encrypted() {
            return Err("it is locked by a passphrase; use a key without one".to_owned());
        }
        let signed = key.sign(NAMESPACE, HashAlg::Sha512, b"");
        let kind = key.algorithm();
        signed.map_err(|_error| {
            format!("keys of the kind {kind} do not sign; use ed25519 or ecdsa")
        })?;
        Ok(Self::Ssh(Arc::new(key)))
    }

    /// Signs by `gpg`, with a key that it has. Of the variables it gets what it needs to find keys and a card.
    ///
    /// # Errors
    /// When the name would be read as an option.
    pub fn gpg(key: &str, variables: &Variables) -> Result<Self, String> {
        let key = key.trim();
        if key.is_empty() || key.starts_with('-') || key.contains(char::is_control) {
            return Err(
                "it is not the name of a key: an id, a fingerprint or an address".to_owned()
            );
        }
        let passed = variables.iter().filter(|(name, _)| PASSED.contains(name));
        let passed = passed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self::Gpg(key.to_owned(), passed.collect()))
    }

    /// Whether GitHub makes the commits.
    #[must_use]
    pub fn is_by_forge(&self) -> bool {
        matches!(self, Self::Forge)
    }

    /// The signature of a commit's text; `None` where it gets none here.
    ///
    /// # Errors
    /// When the key signs nothing.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<Option<String>, String> {
        match self {
            Self::Off | Self::Forge => Ok(None),
            Self::Ssh(key) => {
                let signed = key.sign(NAMESPACE, HashAlg::Sha512, commit);
                let text = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
                text.map(Some).map_err(|error| format!("the SSH key does not sign: {error}"))
            }
            Self::Gpg(key, variables) => gpg(key, variables, commit).map(Some),
        }
    }
}

/// The variables that `gpg` and its agent get.
const PASSED: [&str; 9] = [
    "DISPLAY",
    "GNUPGHOME",
    "GPG_TTY",
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "TERM",
    "XDG_RUNTIME_DIR",
];

/// Has `gpg` sign, as git has it do.
fn gpg(key: &str, variables: &Variables, commit: &[u8]) -> Result<String, String> {
    let args = ["--batch", "--no-tty", "--pinentry-mode=error", "--armor", "--detach-sign"];
    let child = Command::new("gpg")
        .args(args)
        .args(["--local-user", key])
        // The agent that it may start keeps what it is given, long after this run.
        .env_clear()
        .envs(variables.iter())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("`gpg` cannot be started: {error}"))?;
    let pid = child.id();
    let mut stdin = child.stdin.take();
    let commit = commit.to_vec();
    let (done, answer) = mpsc::channel();
    // It reads everything before it writes, and a thread that nobody waits for ends with it.
    std::thread::spawn(move || {
        // One that ends before it has read everything says why itself.
        let written = stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&commit));
        let output = child.wait_with_output();
        let is_signed = output.as_ref().is_ok_and(|output| output.status.success());
        done.send(if is_signed { written.and(output) } else { output }).ok();
    });
    let Ok(output) = answer.recv_timeout(TIMEOUT) else {
        end(pid);
        return Err(format!("`gpg` took longer than {} seconds", TIMEOUT.as_secs()));
    };
    let output = output.map_err(|error| format!("`gpg` failed: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        return Err(format!("`gpg` does not sign: {}", crate::text::one_line(said.trim())));
    }
    String::from_utf8(output.stdout).map_err(|_error| "`gpg` gave no text".to_owned())
}

/// Ends a process that takes too long.
fn end(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_nothing_says_why() {
        let why =
            |text: &str| Signing::ssh(&Secret::from(text.to_owned())).err().unwrap_or_default();
        assert!(why("ssh-ed25519 AAAA").contains("not a private key"));
        assert!(why("").contains("not a private key"));
        for name in ["", "-k", "--output=/etc/passwd", "a\nb"] {
            assert!(Signing::gpg(name, &Variables::default()).is_err(), "{name}");
        }
    }
}

//! Programs that hand out logins
//! (<https://github.com/docker/docker-credential-helpers#development>).

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{Credential, FoundCredential};
use crate::secret::{Secret, Variables};

/// A helper that asks a cloud takes a second or two; one that asks a person never answers.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An answer is one line of JSON, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// What helpers print when they know nothing of a registry.
const UNKNOWN: &str = "credentials not found";

/// The user that means: this is a token for the token server.
const TOKEN_USER: &str = "<token>";

/// Variables that a helper gets: where its own files and its cloud's identity are. Everything else,
/// such as the token for GitHub, is none of its business; which cloud it asks is not known.
const PASSED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "DOCKER_CONFIG",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
const PASSED_PREFIXES: [&str; 7] =
    ["AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_", "GCE_", "IDENTITY_", "DOCKER_CREDENTIAL_"];
const PASSED_PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Asks a helper for the login at a registry; `None` when it knows of none.
///
/// # Errors
/// When it cannot be run, fails, or does not answer in time; never with what it printed, which can
/// hold the secret.
pub(super) async fn get(
    name: &str,
    server: &str,
    variables: &Variables,
) -> Result<Option<FoundCredential>, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err("the name of the credential helper is no program's".to_owned());
    }
    let program = format!("docker-credential-{name}");
    let asked = within(TIMEOUT, &program, server, variables).await;
    let asked = asked.map_err(|why| format!("the credential helper {program} {why}"))?;
    Ok(asked.map(|credential| FoundCredential { credential, origin: program }))
}

async fn within(
    limit: Duration,
    program: &str,
    server: &str,
    variables: &Variables,
) -> Result<Option<Credential>, String> {
    let process = start(program, variables)?;
    let group = process.id();
    let asked = tokio::time::timeout(limit, ask(process, server)).await;
    if asked.is_err() {
        end(group);
    }
    asked.unwrap_or_else(|_elapsed| {
        Err(format!("did not answer within {} seconds", limit.as_secs()))
    })
}

fn start(program: &str, variables: &Variables) -> Result<Child, String> {
    Command::new(program)
        .arg("get")
        .env_clear()
        .envs(variables.iter().filter(|(name, _)| is_passed(name)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // One that is waited for no longer does not stay behind, nor what it started.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))
}

/// Ends a helper with all that it started.
fn end(group: Option<u32>) {
    let group = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        rustix::process::kill_process_group(group, Signal::KILL).ok();
    }
}

async fn ask(mut process: Child, server: &str) -> Result<Option<Credential>, String> {
    if let Some(mut input) = process.stdin.take() {
        // One that does not read its input may still answer.
        input.write_all(server.as_bytes()).await.ok();
    }
    let mut output = Vec::new();
    if let Some(stdout) = process.stdout.take() {
        let read = stdout.take(MAX_ANSWER).read_to_end(&mut output).await;
        read.map_err(|error| format!("cannot be read: {error}"))?;
    }
    let status = process.wait().await.map_err(|error| format!("was lost: {error}"))?;
    if !status.success() {
        let is_unknown = String::from_utf8_lossy(&output).contains(UNKNOWN);
        return if is_unknown { Ok(None) } else { Err(format!("failed ({status})")) };
    }
    let answer: HelperAnswer = serde_json::from_slice(&output)
        .map_err(|_error| "gave an answer that cannot be read".to_owned())?;
    let secret = Secret::from(answer.secret);
    let credential = match answer.username.as_str() {
        TOKEN_USER => Credential::Identity(secret),
        _ => Credential::Password(answer.username, secret),
    };
    Ok(Some(credential))
}

fn is_passed(name: &str) -> bool {
    PASSED.contains(&name)
        || PASSED_PROXIES.contains(&name)
        || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that waits for a person is ended, and its end is waited for.
    #[test]
    fn a_helper_that_does_not_answer_is_ended() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker-credential-slow");
        let pid = directory.path().join("pid");
        let script = format!("#!/bin/sh\nsleep 600 &\necho $! > {}\nwait\n", pid.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = path.to_str().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limit = Duration::from_millis(300);
        let variables = Variables::from_iter([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let answer = runtime.block_on(within(limit, program, "r.io", &variables));
        assert!(answer.is_err_and(|why| why.starts_with("did not answer")));
        let pid = std::fs::read_to_string(pid).unwrap();
        let status = format!("/proc/{}/stat", pid.trim());
        // A signal takes a moment; then it is gone, or a zombie that the runtime did not reap yet.
        let is_alive = || std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z"));
        assert!((0..100_000).any(|_| !is_alive()));
    }
}

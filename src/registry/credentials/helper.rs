//! Programs that hand out logins
//! (<https://github.com/docker/docker-credential-helpers#development>).

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Credential, Found};
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
/// such as the token for GitHub, is none of its business.
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
struct Answer {
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
) -> Result<Option<Found>, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err("the name of the credential helper is no program's".to_owned());
    }
    let program = format!("docker-credential-{name}");
    match tokio::time::timeout(TIMEOUT, ask(&program, server, variables)).await {
        Ok(answer) => answer.map_err(|why| format!("the credential helper {program} {why}")),
        Err(_elapsed) => Err(format!(
            "the credential helper {program} did not answer within {} seconds",
            TIMEOUT.as_secs()
        )),
    }
}

async fn ask(program: &str, server: &str, variables: &Variables) -> Result<Option<Found>, String> {
    let mut process = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(variables.iter().filter(|(name, _)| is_passed(name)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // One that is waited for no longer does not stay behind.
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
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
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_error| "gave an answer that cannot be read".to_owned())?;
    let secret = Secret::from(answer.secret);
    let credential = match answer.username.as_str() {
        TOKEN_USER => Credential::Identity(secret),
        _ => Credential::Password(answer.username, secret),
    };
    Ok(Some(Found { credential, origin: program.to_owned() }))
}

fn is_passed(name: &str) -> bool {
    PASSED.contains(&name)
        || PASSED_PROXIES.contains(&name)
        || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

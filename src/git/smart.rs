//! Git's [smart HTTP protocol](https://git-scm.com/docs/http-protocol), as far as a bot needs it:
//! what branches there are, one commit of some of them, and a push.
//!
//! libgit2's own transport asks twice for a shallow fetch, waits for a silent server for ever,
//! and brings a second TLS library; this asks once, within the limits of every other request.

use std::collections::BTreeMap;
use std::io::Write as _;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use url::Url;

use super::pkt::{self, Frame};
use super::{GitError, GitLogin, Oid, matters, object_id};
use crate::http::{self, USER_AGENT};

/// A list of branches of a repository with very many of them.
const MAX_REFS: usize = 256 << 20;

/// The largest pack that is fetched, in bytes: one commit, so about the size of the files.
const MAX_PACK: usize = 4 << 30;

/// How much of a history is wanted.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    /// What came after a time.
    Since(Timestamp),
    /// So many commits, one after the other.
    Commits(usize),
}

/// One repository on a server.
pub(super) struct Smart<'a> {
    client: reqwest::Client,
    url: &'a Url,
    authorization: Option<HeaderValue>,
}

/// What a server says about its references.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Advertised {
    /// Branches, and references of our own, by their full names.
    pub(super) references: BTreeMap<String, Oid>,
    /// The branch that `HEAD` stands for.
    pub(super) default_branch: Option<String>,
}

/// A reference to move.
pub(super) struct RefCommand<'a> {
    pub(super) reference: &'a str,
    pub(super) old: Oid,
    pub(super) new: Oid,
}

impl<'a> Smart<'a> {
    pub(super) fn new(url: &'a Url, login: Option<&GitLogin>) -> Result<Self, GitError> {
        let client = http::client(url.authority())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| GitError::Other {
                subject: url.to_string(),
                message: error.to_string(),
            })?;
        Ok(Self {
            client,
            url,
            authorization: login.and_then(|login| http::basic(login.user, &login.token)),
        })
    }

    /// Lists the branches, for fetching (`git-upload-pack`) or pushing (`git-receive-pack`).
    pub(super) async fn advertised(&self, service: &str) -> Result<Advertised, GitError> {
        let url = self.at(&format!("info/refs?service={service}"))?;
        let answer = self.send(self.client.get(url), service).await?;
        let body = self.read(answer, MAX_REFS).await?;
        advertisement(&body).map_err(|message| self.other(message))
    }

    /// Fetches one commit of each branch, without its history, into an object database.
    pub(super) async fn fetch(&self, wanted: &[Oid], into: &git2::Odb<'_>) -> Result<(), GitError> {
        let mut body = wants(wanted);
        pkt::put(&mut body, "deepen 1\n");
        self.fetch_pack(body, None, into).await
    }

    /// Fetches so many commits of histories, without the objects of a commit that is here without its own history.
    pub(super) async fn deepen(
        &self,
        wanted: &[Oid],
        known: Oid,
        depth: usize,
        into: &git2::Odb<'_>,
    ) -> Result<(), GitError> {
        let mut body = wants(wanted);
        pkt::put(&mut body, &format!("shallow {known}\n"));
        pkt::put(&mut body, &format!("deepen {depth}\n"));
        self.fetch_pack(body, Some(known), into).await
    }

    /// Fetches a commit with its history
    /// (<https://git-scm.com/docs/pack-protocol#_packfile_negotiation>).
    pub(super) async fn fetch_history(
        &self,
        wanted: Oid,
        depth: Depth,
        into: &git2::Odb<'_>,
    ) -> Result<(), GitError> {
        let mut body = Vec::new();
        let abilities =
            format!("side-band-64k ofs-delta shallow deepen-since no-progress agent={USER_AGENT}");
        pkt::put(&mut body, &format!("want {wanted} {abilities}\n"));
        pkt::put(
            &mut body,
            &match depth {
                Depth::Since(since) => format!("deepen-since {}\n", since.as_second().max(0)),
                Depth::Commits(number) => format!("deepen {number}\n"),
            },
        );
        self.fetch_pack(body, None, into).await
    }

    async fn fetch_pack(
        &self,
        mut body: Vec<u8>,
        known: Option<Oid>,
        into: &git2::Odb<'_>,
    ) -> Result<(), GitError> {
        pkt::flush(&mut body);
        if let Some(known) = known {
            pkt::put(&mut body, &format!("have {known}\n"));
        }
        pkt::put(&mut body, "done\n");
        let mut answer = self.post("git-upload-pack", body).await?;
        let mut pack =
            Pack { writer: into.packwriter().map_err(|error| self.git(&error))?, size: 0 };
        let mut buffer = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.broken(error))? {
            buffer.extend_from_slice(&chunk);
            let used = pack.feed(&buffer).map_err(|message| self.other(message))?;
            buffer.drain(..used);
        }
        if pack.size == 0 {
            return Err(self.other("the server sent no objects".to_owned()));
        }
        pack.writer.commit().map_err(|error| self.git(&error))?;
        Ok(())
    }

    /// Asks the server to move references, and gives it the objects; what it says of each.
    pub(super) async fn push(
        &self,
        commands: &[RefCommand<'_>],
        pack: &[u8],
    ) -> Result<BTreeMap<String, Option<String>>, GitError> {
        let mut body = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let RefCommand { reference, old, new } = command;
            let abilities =
                format!("\0 report-status side-band-64k delete-refs agent={USER_AGENT}");
            let abilities = if index == 0 { abilities } else { String::new() };
            pkt::put(&mut body, &format!("{old} {new} {reference}{abilities}"));
        }
        pkt::flush(&mut body);
        body.extend_from_slice(pack);
        let answer = self.post("git-receive-pack", body).await?;
        let body = self.read(answer, 1 << 20).await?;
        report(&body).map_err(|message| self.other(message))
    }

    async fn post(&self, service: &str, body: Vec<u8>) -> Result<Response, GitError> {
        let kind = format!("application/x-{service}-request");
        let request = self.client.post(self.at(service)?).header(CONTENT_TYPE, kind).body(body);
        self.send(request, service).await
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        service: &str,
    ) -> Result<Response, GitError> {
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        tracing::debug!(url = %self.url, service, "asking the git server");
        let answer = request.send().await.map_err(|error| self.broken(error))?;
        let subject = self.url.to_string();
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(GitError::Unauthorized(subject));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GitError::NotFound(subject)),
            status if status.is_redirection() => {
                let message = "the repository has moved; name its new address with --repo";
                return Err(self.other(message.to_owned()));
            }
            status => return Err(self.other(format!("the git server answers {status}"))),
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with(&format!("application/x-{service}-"))) {
            return Err(self.other("this is not a git repository over smart HTTP".to_owned()));
        }
        Ok(answer)
    }

    async fn read(&self, mut answer: Response, limit: usize) -> Result<Vec<u8>, GitError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > limit {
                return Err(self.other(format!("the answer is larger than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn at(&self, rest: &str) -> Result<Url, GitError> {
        let base = self.url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{rest}")).map_err(|error| self.other(error.to_string()))
    }

    fn other(&self, message: String) -> GitError {
        GitError::Other { subject: self.url.to_string(), message }
    }

    fn git(&self, error: &git2::Error) -> GitError {
        GitError::from_git(self.url.as_str(), error)
    }

    fn broken(&self, error: reqwest::Error) -> GitError {
        let error = error.without_url();
        let what = match (error.is_timeout(), error.is_connect()) {
            (true, _) => "the git server did not answer in time",
            (_, true) => "the git server cannot be reached",
            _ => "the connection to the git server broke",
        };
        self.other(what.to_owned())
    }
}

/// The first lines of a request: objects that are wanted.
fn wants(wanted: &[Oid]) -> Vec<u8> {
    let mut body = Vec::new();
    for (index, oid) in wanted.iter().enumerate() {
        let abilities = format!(" side-band-64k ofs-delta shallow no-progress agent={USER_AGENT}");
        let abilities = if index == 0 { abilities } else { String::new() };
        pkt::put(&mut body, &format!("want {oid}{abilities}\n"));
    }
    body
}

/// A pack on its way into the object database, out of the side band of an answer.
struct Pack<'a> {
    writer: git2::OdbPackwriter<'a>,
    size: usize,
}

impl Pack<'_> {
    /// Takes whole frames off a buffer; how many bytes they were.
    fn feed(&mut self, buffer: &[u8]) -> Result<usize, String> {
        let mut used = 0;
        while let Some((frame, length)) =
            pkt::take(&buffer[used..]).map_err(|error| error.to_string())?
        {
            used += length;
            let Frame::Data(content) = frame else { continue };
            match content {
                [1, data @ ..] => {
                    self.size += data.len();
                    if self.size > MAX_PACK {
                        return Err(format!("one commit has more than {MAX_PACK} bytes"));
                    }
                    self.writer.write_all(data).map_err(|error| error.to_string())?;
                }
                [2, ..] => {}
                [3, message @ ..] => return Err(said(message)),
                line if line.starts_with(b"ERR ") => return Err(said(&line[4..])),
                // `shallow …` and `NAK`, which hold nothing that was not asked for.
                _ => {}
            }
        }
        Ok(used)
    }
}

/// Reads the list of references that opens a conversation.
pub(super) fn advertisement(body: &[u8]) -> Result<Advertised, String> {
    let mut found = Advertised::default();
    let mut abilities = String::new();
    for frame in pkt::frames(body).map_err(|error| error.to_string())? {
        let Frame::Data(line) = frame else { continue };
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\n');
        if let Some(message) = line.strip_prefix("ERR ") {
            return Err(said(message.as_bytes()));
        }
        let (line, after) = line.split_once('\0').unwrap_or((line, ""));
        abilities.push_str(after);
        let Some((oid, name)) = line.split_once(' ') else { continue };
        if let (Some(oid), true) = (object_id(oid), matters(name)) {
            found.references.insert(name.to_owned(), oid);
        }
    }
    let ability = |name: &str| {
        abilities.split(' ').find_map(|ability| ability.strip_prefix(name)).map(str::to_owned)
    };
    if ability("object-format=").is_some_and(|format| format != "sha1") {
        return Err("repositories with SHA-256 object ids are not supported".to_owned());
    }
    found.default_branch = ability("symref=HEAD:refs/heads/");
    Ok(found)
}

/// Reads what a server says of a push: for each reference `None`, or why not.
pub(super) fn report(body: &[u8]) -> Result<BTreeMap<String, Option<String>>, String> {
    let mut inner = Vec::new();
    let mut words = String::new();
    for frame in pkt::frames(body).map_err(|error| error.to_string())? {
        match frame {
            Frame::Data([1, data @ ..]) => inner.extend_from_slice(data),
            Frame::Data([2, message @ ..]) => words.push_str(&String::from_utf8_lossy(message)),
            Frame::Data([3, message @ ..]) => return Err(said(message)),
            _ => {}
        }
    }
    let mut answers = BTreeMap::new();
    for frame in pkt::frames(&inner).map_err(|error| error.to_string())? {
        let Frame::Data(line) = frame else { continue };
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\n');
        if let Some(why) = line.strip_prefix("unpack ").filter(|result| *result != "ok") {
            let why = said(why.as_bytes());
            return Err(format!("the server could not read what was pushed: {why}"));
        }
        if let Some(reference) = line.strip_prefix("ok ") {
            answers.insert(reference.to_owned(), None);
        } else if let Some((reference, why)) =
            line.strip_prefix("ng ").and_then(|rest| rest.split_once(' '))
        {
            // Rules of the server explain themselves beside the report.
            let why = format!("{why} {}", words.trim());
            answers.insert(reference.to_owned(), Some(said(why.trim().as_bytes())));
        }
    }
    Ok(answers)
}

/// What a server says, fit for a message.
fn said(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).replace(['\n', '\r'], " ");
    crate::text::one_line(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(lines: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in lines {
            pkt::put(&mut out, line);
        }
        pkt::flush(&mut out);
        out
    }

    #[test]
    fn an_advertisement_names_branches_and_the_default_one() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let body = [
            framed(&["# service=git-upload-pack\n"]),
            framed(&[
                &format!("{a} HEAD\0multi_ack symref=HEAD:refs/heads/trunk object-format=sha1\n"),
                &format!("{a} refs/heads/trunk\n"),
                &format!("{b} refs/heads/tagalong/x\n"),
                &format!("{b} refs/tags/v1\n"),
                &format!("{b} refs/tagalong/ledger\n"),
                &format!("{b} refs/pull/1/head\n"),
            ]),
        ]
        .concat();
        let found = advertisement(&body).unwrap();
        assert_eq!(found.default_branch.as_deref(), Some("trunk"));
        assert_eq!(
            found.references.keys().collect::<Vec<_>>(),
            ["refs/heads/tagalong/x", "refs/heads/trunk", "refs/tagalong/ledger"]
        );
        let empty = framed(&[&format!("{} capabilities^{{}}\0report-status\n", "0".repeat(40))]);
        assert_eq!(advertisement(&empty), Ok(Advertised::default()));
        let sha256 =
            framed(&[&format!("{} capabilities^{{}}\0object-format=sha256\n", "0".repeat(64))]);
        assert!(advertisement(&sha256).is_err());
        assert!(advertisement(b"<html>").is_err());
        assert_eq!(
            advertisement(&framed(&["ERR access denied\n"])),
            Err("access denied".to_owned())
        );
    }

    #[test]
    fn a_report_says_what_became_of_each_branch() {
        let inner =
            framed(&["unpack ok\n", "ok refs/heads/a\n", "ng refs/heads/b hook declined\n"]);
        let mut body = Vec::new();
        pkt::put(&mut body, "\u{2}error: GH006: protected\n");
        pkt::put(&mut body, &format!("\u{1}{}", String::from_utf8(inner).unwrap()));
        pkt::flush(&mut body);
        let answers = report(&body).unwrap();
        assert_eq!(answers["refs/heads/a"], None);
        assert_eq!(
            answers["refs/heads/b"].as_deref(),
            Some("hook declined error: GH006: protected")
        );
    }

    #[test]
    fn what_a_server_says_is_fit_for_a_message() {
        let inner = String::from_utf8(framed(&["unpack no \u{1b}[31mroom\n"])).unwrap();
        let why = report(&framed(&[&format!("\u{1}{inner}")])).unwrap_err();
        assert!(why.starts_with("the server could not read") && !why.contains('\u{1b}'), "{why:?}");
    }
}

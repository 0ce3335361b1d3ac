//! What the daemon serves, and where it listens.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::checks::duration;
use super::file::{Places, sole};
use super::raw::{HookKind, RawServed, RawService, RawWebhook};
use super::{Home, PolicyFile};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Repository;

/// What the daemon does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The config repositories.
    pub repositories: Vec<Served>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it answers probes and shows metrics, if not there.
    pub status: Option<SocketAddr>,
    /// How long hints are collected.
    pub debounce: Duration,
    /// How many repositories are worked on at once.
    pub concurrency: usize,
    /// Memory limit of a run, in bytes.
    pub run_memory: u64,
    /// How long a stop waits.
    pub grace: Duration,
    /// Where webhooks are taken.
    pub webhooks: Vec<Webhook>,
}

/// More memory than this no repository needs that is within the other bounds, in MiB.
const RUN_MEMORY: u64 = 4096;

/// A config repository, and how often it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// OWNER/NAME, or a URL.
    pub repo: String,
    /// The branch.
    pub branch: Option<String>,
    /// How often everything is looked at.
    pub interval: Duration,
    /// How often some environments are.
    pub environments: Vec<(String, Duration)>,
}

/// A place for webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Who sends.
    pub kind: HookKind,
    /// The path.
    pub path: String,
    /// Where the secrets are: files, then variables.
    pub secrets: (Vec<String>, Vec<String>),
    /// The header of the secret, in lower case.
    pub header: String,
    /// The registry that is meant.
    pub registry: Option<String>,
    /// Whom Google's tokens have to be for, and whose they are.
    pub google: Option<PushAccount>,
}

/// The audience and the service account of Google's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushAccount {
    /// The audience that a token is for.
    pub audience: String,
    /// The account that sends it.
    pub account: String,
}

/// Everything is looked at so often.
const INTERVAL: Duration = Duration::from_mins(5);

/// More often than this is a mistake, and registries take it for one.
const LEAST: Duration = Duration::from_secs(10);

/// Hints are collected for so long.
const DEBOUNCE: Duration = Duration::from_secs(10);

/// Kubernetes kills after 30 seconds.
const GRACE: Duration = Duration::from_secs(25);

/// What the daemon answers itself.
const RESERVED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

impl Service {
    /// A service for one repository, with nothing else said.
    #[must_use]
    pub fn of(repo: String, branch: Option<String>) -> Self {
        let served = Served { repo, branch, interval: INTERVAL, environments: Vec::new() };
        Self {
            repositories: vec![served],
            listen: LISTEN,
            status: None,
            debounce: DEBOUNCE,
            concurrency: 2,
            run_memory: RUN_MEMORY << 20,
            grace: GRACE,
            webhooks: Vec::new(),
        }
    }
}

/// Reads the daemon's settings.
///
/// # Errors
/// Every problem of the file.
pub fn read_service(file: &PolicyFile) -> Result<Service, Vec<Diagnostic>> {
    sole::<RawService, _>(file, |raw, places| {
        let mut reading = Reading { places, problems: Vec::new() };
        let service = reading.service(raw);
        if reading.problems.is_empty() { Ok(service) } else { Err(reading.problems) }
    })
}

struct Reading<'a> {
    places: Option<Places<'a>>,
    problems: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn wrong(&mut self, keys: &[&str], why: String) {
        let place = self.places.map(|places| places.of(keys));
        let problem = Diagnostic::error(Code::PolicyInvalidValue, why);
        self.problems.push(Diagnostic { place, ..problem });
    }

    /// A duration, or what is usual.
    fn time(&mut self, keys: &[&str], text: Option<&str>, usual: Duration) -> Duration {
        let Some(text) = text else { return usual };
        match duration(text).and_then(|d| Duration::try_from(d).map_err(|error| error.to_string()))
        {
            Ok(duration) => duration,
            Err(why) => {
                self.wrong(keys, why);
                usual
            }
        }
    }

    /// An interval, which is long enough.
    fn interval(&mut self, keys: &[&str], text: Option<&str>, usual: Duration) -> Duration {
        let interval = self.time(keys, text, usual);
        if text.is_some() && interval < LEAST {
            self.wrong(keys, format!("less than {} seconds", LEAST.as_secs()));
        }
        interval
    }

    fn service(&mut self, raw: RawService) -> Service {
        let usual = Service::of(String::new(), None);
        let interval = self.interval(&["interval"], raw.interval.as_deref(), INTERVAL);
        let mut address = |key: &str, text: Option<&str>| {
            text.map(str::parse).transpose().unwrap_or_else(|_error| {
                self.wrong(&[key], "not an address and a port, as in 0.0.0.0:8080".to_owned());
                None
            })
        };
        let listen = address("listen", raw.listen.as_deref());
        let status = address("statusListen", raw.status_listen.as_deref());
        if raw.repositories.is_empty() {
            self.wrong(&["repositories"], "it names no repository".to_owned());
        }
        let mut seen = BTreeSet::new();
        let repositories = raw.repositories.into_iter().enumerate().map(|(index, raw)| {
            let index = index.to_string();
            if !seen.insert((raw.repo.clone(), raw.branch.clone())) {
                self.wrong(&["repositories", &index], format!("`{}` stands twice", raw.repo));
            }
            self.served(&index, raw, interval)
        });
        let repositories = repositories.collect();
        let debounce = self.time(&["debounce"], raw.debounce.as_deref(), usual.debounce);
        let grace = self.time(&["grace"], raw.grace.as_deref(), usual.grace);
        let mut paths: Vec<String> = Vec::new();
        let webhooks = raw.webhooks.into_iter().enumerate().filter_map(|(index, raw)| {
            let index = index.to_string();
            let path = raw.path.trim_end_matches('/').to_owned();
            let is_other = |other: &String| !beneath(other, &path) && !beneath(&path, other);
            if !paths.iter().all(is_other) {
                self.wrong(
                    &["webhooks", &index, "path"],
                    "another webhook has this path".to_owned(),
                );
            }
            paths.push(path);
            self.webhook(&index, raw)
        });
        let webhooks = webhooks.collect();
        Service {
            repositories,
            listen: listen.unwrap_or(usual.listen),
            status,
            debounce,
            concurrency: raw.concurrency.map_or(usual.concurrency, |count| count as usize),
            run_memory: raw.run_memory.map_or(RUN_MEMORY, u64::from) << 20,
            grace,
            webhooks,
        }
    }

    fn served(&mut self, index: &str, raw: RawServed, usual: Duration) -> Served {
        let keys = ["repositories", index, "interval"];
        let whole = self.interval(&keys, raw.interval.as_deref(), usual);
        let environments = raw.environments.into_iter().map(|(name, raw)| {
            let keys = ["repositories", index, "environments", &name, "interval"];
            let often = self.interval(&keys, Some(&raw.interval), whole);
            (name, often)
        });
        let environments = environments.collect();
        if let Err((key, why)) = Home::read(None, raw.branch.as_deref()) {
            self.wrong(&["repositories", index, key], why);
        }
        Served { repo: raw.repo, branch: raw.branch, interval: whole, environments }
    }

    /// What would let nobody in, or be of no use.
    fn idle(&mut self, index: &str, raw: &RawWebhook) {
        let mut wrong =
            |key: &str, why: &str| self.wrong(&["webhooks", index, key], why.to_owned());
        let path = raw.path.trim_end_matches('/');
        if path.is_empty() || RESERVED.iter().any(|own| beneath(own, path) || beneath(path, own)) {
            wrong("path", "something else is answered here; write one as in /hooks/github");
        }
        let is_host = |host: &&String| {
            !host.contains('/') && Repository::parse(&format!("{host}/a/b")).is_ok()
        };
        if raw.registry.as_ref().is_some_and(|host| !is_host(&host)) {
            wrong("registry", "not the host of a registry, as in harbor.acme.io");
        }
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        match &raw.header {
            Some(_) if raw.kind.sender().header.is_none() => {
                wrong("header", "this kind has its secret elsewhere");
            }
            Some(header) if header.is_empty() || !header.bytes().all(is_plain) => {
                wrong("header", "not the name of a header");
            }
            _ => {}
        }
        if raw.kind != HookKind::PubSub && (raw.audience.is_some() || raw.service_account.is_some())
        {
            wrong("kind", "`audience` and `serviceAccount` are for `pub-sub`");
        }
    }

    fn webhook(&mut self, index: &str, raw: RawWebhook) -> Option<Webhook> {
        self.idle(index, &raw);
        let secrets = (raw.secret_files, raw.secret_variables);
        let google = raw.audience.zip(raw.service_account);
        let google = google.map(|(audience, account)| PushAccount { audience, account });
        let is_bare = secrets.0.is_empty() && secrets.1.is_empty();
        match raw.kind {
            HookKind::PubSub if google.is_none() => {
                // Tokens of any service account are signed by Google, so the account decides.
                let why = "`pub-sub` needs `audience` and `serviceAccount`".to_owned();
                self.wrong(&["webhooks", index], why);
                return None;
            }
            HookKind::PubSub => {}
            _ if is_bare => {
                let why = "it has no secret: name one in `secretFiles` or `secretVariables`";
                self.wrong(&["webhooks", index], why.to_owned());
                return None;
            }
            _ => {}
        }
        let usual = raw.kind.sender().header.unwrap_or("authorization");
        Some(Webhook {
            kind: raw.kind,
            path: raw.path.trim_end_matches('/').to_owned(),
            secrets,
            header: raw.header.unwrap_or_else(|| usual.to_owned()).to_lowercase(),
            registry: raw.registry,
            google,
        })
    }
}

/// The traits of a sender of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The header with the secret, where the operator may name another one; the sender has its own way without.
    pub header: Option<&'static str>,
    /// The id of its deliveries.
    pub delivery: DeliveryId,
}

/// The part of a request that tells one delivery of a sender from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryId {
    /// A header.
    Header(&'static str),
    /// The first of these fields of the body, as JSON pointers.
    Field(&'static [&'static str]),
    /// Nothing does.
    None,
}

impl HookKind {
    /// The sender of such webhooks.
    #[must_use]
    pub const fn sender(self) -> Sender {
        const FIELDS: DeliveryId = DeliveryId::Field(&["/id", "/message/messageId"]);
        let (header, delivery) = match self {
            Self::GitHub => (None, DeliveryId::Header("x-github-delivery")),
            // https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers
            Self::GitLab => (None, DeliveryId::Header("idempotency-key")),
            Self::Forgejo | Self::Gitea => (None, DeliveryId::Header("x-gitea-delivery")),
            Self::DockerHub | Self::Quay => (None, DeliveryId::None),
            Self::Distribution => (Some("authorization"), DeliveryId::None),
            Self::Harbor | Self::Acr => (Some("authorization"), FIELDS),
            Self::EventBridge => (Some("x-api-key"), FIELDS),
            Self::PubSub => (None, FIELDS),
        };
        Sender { header, delivery }
    }
}

/// Whether a path is another one, or beneath it.
fn beneath(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Service, String> {
        let told = |all: Vec<Diagnostic>| {
            let told = all.iter().map(|d| {
                let line = d.place.as_ref().map_or(0, |place| place.line);
                format!("{line}: {}", d.message)
            });
            told.collect::<Vec<_>>().join("; ")
        };
        read_service(&PolicyFile::new("serve.yaml", text)).map_err(told)
    }

    #[test]
    fn settings_are_read_with_what_is_usual() {
        let read = read(
            "repositories:\n- repo: acme/fleet\n  environments: {dev: {interval: 1m}}\n- {repo: acme/other, interval: 1h}\n\
             listen: 0.0.0.0:9090\nwebhooks:\n- {kind: github, path: /hooks/github/, secretVariables: [S]}\n",
        );
        let read = read.unwrap();
        let intervals: Vec<_> = read.repositories.iter().map(|r| r.interval.as_secs()).collect();
        assert_eq!(intervals, [300, 3600]);
        assert_eq!(read.repositories[0].environments, [("dev".to_owned(), Duration::from_mins(1))]);
        assert_eq!(read.listen.port(), 9090);
        assert_eq!((read.debounce, read.concurrency), (DEBOUNCE, 2));
        assert_eq!(read.webhooks[0].path, "/hooks/github");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("repositories: []\n", "1: it names no repository"),
            ("repositories: [{repo: a/b}]\ninterval: 1s\n", "2: less than 10 seconds"),
            ("repositories: [{repo: a/b}, {repo: a/b}]\n", "1: `a/b` stands twice"),
            (
                "repositories: [{repo: a/b}]\nlisten: here\n",
                "2: not an address and a port, as in 0.0.0.0:8080",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks: [{kind: harbor, path: /h}]\n",
                "2: it has no secret: name one in `secretFiles` or `secretVariables`",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks: [{kind: pub-sub, path: /h, audience: x}]\n",
                "2: `pub-sub` needs `audience` and `serviceAccount`",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks:\n- {kind: quay, path: /h, secretVariables: [A]}\n\
                 - {kind: quay, path: /h/x, secretVariables: [A]}\n",
                "4: another webhook has this path",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks:\n- {kind: harbor, path: /metrics/x, secretVariables: [A]}\n",
                "3: something else is answered here; write one as in /hooks/github",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks:\n- {kind: harbor, path: /h, secretVariables: [A], registry: 'https://h.io'}\n",
                "3: not the host of a registry, as in harbor.acme.io",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks:\n- {kind: harbor, path: /h, secretVariables: [A], header: 'x y'}\n",
                "3: not the name of a header",
            ),
            (
                "repositories: [{repo: a/b}]\nwebhooks:\n- {kind: quay, path: /h, secretVariables: [A], header: x}\n",
                "3: this kind has its secret elsewhere",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(read(text).unwrap_err(), want, "{text}");
        }
    }
}

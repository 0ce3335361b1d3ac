//! Real registries, started on free ports with a time limit: Debian's `docker-registry`, and
//! `ferro-oci-server`, which divides its lists.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::World;
use super::registry::digest_of;

pub const USER: &str = "bot";
pub const PASSWORD: &str = "canary-p4ssword";

/// A running registry.
pub struct RealRegistry {
    pub host: String,
    client: reqwest::Client,
    scheme: &'static str,
    authorization: Option<String>,
    process: Child,
}

/// How it lets people in.
pub enum Access<'a> {
    Open,
    /// User and password over TLS, with a certificate of this authority.
    Password(&'a Authority),
    /// Tokens of this server.
    Token(&'a TokenServer),
    /// Whoever says anything, after the challenge of this server.
    Anything(&'a TokenServer),
    /// A certificate of this authority over TLS.
    Certificate(&'a Authority),
}

/// A certificate authority of the test, and one certificate of it for `localhost`.
pub struct Authority {
    pub ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    /// A client's certificate, and its key.
    pub client: (PathBuf, PathBuf),
}

impl Authority {
    pub fn new(world: &World) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(params, ca_key);
        let leaf = |name: &str, usage| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let (certificate, key) = leaf("localhost", rcgen::ExtendedKeyUsagePurpose::ServerAuth);
        let client = leaf("bot", rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        Self {
            ca: world.file("tls/ca.pem", &ca.pem()),
            certificate: world.file("tls/server.pem", &certificate),
            key: world.file("tls/server.key", &key),
            client: (world.file("tls/bot.pem", &client.0), world.file("tls/bot.key", &client.1)),
        }
    }
}

/// A token server by the specification: pulls from `public/` for everybody, all for the user.
pub struct TokenServer {
    pub host: String,
    bundle: PathBuf,
    signer: Signer,
}

#[derive(Clone)]
struct Signer {
    key: jsonwebtoken::EncodingKey,
    chain: Vec<String>,
}

impl TokenServer {
    pub fn start(world: &World) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["token".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let signer = Signer {
            key: jsonwebtoken::EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap(),
            chain: vec![STANDARD.encode(certificate.der())],
        };
        let router = Router::new().route("/token", get(token)).with_state(signer.clone());
        let listener =
            world.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        world.runtime.spawn(async move { axum::serve(listener, router).await });
        Self { host, bundle: world.file("token.pem", &certificate.pem()), signer }
    }
}

async fn token(
    State(signer): State<Signer>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    let is_user = sent == Some(&basic());
    if sent.is_some() && !is_user {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let scopes = query.iter().filter(|(key, _)| key == "scope").map(|(_, scope)| scope.as_str());
    axum::Json(json!({"token": signer.sign(scopes, is_user), "expires_in": 300})).into_response()
}

impl Signer {
    fn sign<'a>(&self, scopes: impl Iterator<Item = &'a str>, is_user: bool) -> String {
        let access: Vec<_> = scopes
            .filter_map(|scope| {
                let mut parts = scope.splitn(3, ':');
                let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
                let may =
                    |action: &&str| is_user || (*action == "pull" && name.starts_with("public/"));
                let actions: Vec<_> = actions.split(',').filter(may).collect();
                Some(json!({"type": kind, "name": name, "actions": actions}))
            })
            .collect();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({
            "iss": "test", "sub": USER, "aud": "registry", "exp": now + 300, "nbf": now - 10, "iat": now,
            "jti": now.to_string(), "access": access,
        });
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.x5c = Some(self.chain.clone());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

/// What the user sends.
fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

impl RealRegistry {
    pub fn start(world: &World, access: &Access<'_>) -> Self {
        let (scheme, http, auth, authorization) = match access {
            Access::Open => ("http", String::new(), String::new(), None),
            Access::Certificate(authority) => {
                let (certificate, key) = (authority.certificate.display(), authority.key.display());
                let ca = authority.ca.display();
                let tls =
                    format!(", tls: {{certificate: {certificate}, key: {key}, clientcas: [{ca}]}}");
                ("https", tls, String::new(), None)
            }
            Access::Anything(server) => {
                let realm = &server.host;
                let auth = format!(
                    "auth: {{silly: {{realm: 'http://{realm}/token', service: registry}}}}\n"
                );
                ("http", String::new(), auth, Some(basic()))
            }
            Access::Password(authority) => {
                let hash = bcrypt::hash(PASSWORD, 4).unwrap();
                let file = world.file("htpasswd", &format!("{USER}:{hash}\n"));
                let (certificate, key) = (authority.certificate.display(), authority.key.display());
                let tls = format!(", tls: {{certificate: {certificate}, key: {key}}}");
                let auth =
                    format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display());
                ("https", tls, auth, Some(basic()))
            }
            Access::Token(server) => {
                let (realm, bundle) = (&server.host, server.bundle.display());
                let auth = format!(
                    "auth: {{token: {{realm: 'http://{realm}/token', service: registry, issuer: test, rootcertbundle: {bundle}}}}}\n"
                );
                let push = ["repository:public/app:pull,push", "repository:private/app:pull,push"];
                let token = server.signer.sign(push.into_iter(), true);
                ("http", String::new(), auth, Some(format!("Bearer {token}")))
            }
        };
        let config = format!(
            "version: 0.1\nlog: {{level: info, formatter: json, accesslog: {{disabled: true}}}}\n\
             storage: {{inmemory: {{}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:0', secret: test{http}}}\n{auth}"
        );
        let config = world.file(&format!("registry-{scheme}-{}.yml", auth.len()), &config);
        let (process, port) = serve(&config);
        let mut client = reqwest::Client::builder();
        if let Access::Password(authority) | Access::Certificate(authority) = access {
            let read = |path: &Path| std::fs::read(path).unwrap();
            let ca = reqwest::Certificate::from_pem(&read(&authority.ca)).unwrap();
            let pair = [read(&authority.client.1), read(&authority.client.0)].concat();
            let identity = reqwest::Identity::from_pem(&pair).unwrap();
            client = client.tls_certs_merge([ca]).identity(identity);
        }
        let client = client.build().unwrap();
        let name = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        Self { host: format!("{name}:{port}"), client, scheme, authorization, process }
    }

    /// A registry that divides its lists as it is asked to.
    pub fn paging(world: &World) -> Self {
        let program =
            concat!(env!("CARGO_MANIFEST_DIR"), "/target/parts/ferro/bin/ferro-oci-server");
        // It does not say which port it found, so it is told a free one.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let mut command = Command::new("timeout");
        command.args(["--foreground", "600", program]);
        command.env("FERRO_OCI_LISTEN", &host).env("FERRO_OCI_STORAGE_DIR", world.dir("ferro"));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(process.stdout.take().unwrap());
        wait_for(log, "listening", "ferro-oci-server");
        let client = reqwest::Client::new();
        Self { host, client, scheme: "http", authorization: None, process }
    }

    /// Pushes an image without layers; its digest.
    pub fn push(&self, world: &World, repository: &str, tag: &str) -> String {
        self.push_image(world, repository, tag, "linux/amd64", tag)
    }

    /// Pushes an image for a platform, made at some time; its digest.
    pub fn push_image(
        &self,
        world: &World,
        repository: &str,
        tag: &str,
        platform: &str,
        created: &str,
    ) -> String {
        let (os, architecture) = platform.split_once('/').unwrap();
        let config = json!({
            "architecture": architecture, "os": os, "created": created,
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        self.push_config(world, repository, tag, &config)
    }

    /// Pushes an image with labels; its digest.
    pub fn push_labelled(
        &self,
        world: &World,
        repository: &str,
        tag: &str,
        labels: &serde_json::Value,
    ) -> String {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        self.push_config(world, repository, tag, &config)
    }

    fn push_config(
        &self,
        world: &World,
        repository: &str,
        tag: &str,
        config: &serde_json::Value,
    ) -> String {
        let config = self.push_blob(world, repository, &config.to_string());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": kind, "layers": [],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        });
        self.push_manifest(world, repository, tag, &manifest)
    }

    /// Pushes an index of images; its digest.
    pub fn push_index(
        &self,
        world: &World,
        repository: &str,
        tag: &str,
        entries: &[(&str, &str)],
    ) -> String {
        let entries = entries.iter().map(|(platform, digest)| {
            let (os, architecture) = platform.split_once('/').unwrap();
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest": digest,
                "platform": {"os": os, "architecture": architecture},
            })
        });
        let kind = "application/vnd.oci.image.index.v1+json";
        let entries: Vec<_> = entries.collect();
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
        self.push_manifest(world, repository, tag, &index)
    }

    /// Pushes a blob; its digest.
    pub fn push_blob(&self, world: &World, repository: &str, content: &str) -> String {
        let base = format!("{}://{}/v2/{repository}", self.scheme, self.host);
        world.runtime.block_on(async {
            let start = self.send(self.client.post(format!("{base}/blobs/uploads/")), 202).await;
            let location = start.headers()["location"].to_str().unwrap();
            let mut put = start.url().join(location).unwrap();
            put.query_pairs_mut().append_pair("digest", &digest_of(content));
            self.send(self.client.put(put).body(content.to_owned()), 201).await;
        });
        digest_of(content)
    }

    /// Pushes a manifest; its digest.
    pub fn push_manifest(
        &self,
        world: &World,
        repository: &str,
        tag: &str,
        manifest: &serde_json::Value,
    ) -> String {
        let base = format!("{}://{}/v2/{repository}", self.scheme, self.host);
        let kind = manifest["mediaType"].as_str().unwrap();
        let put = self.client.put(format!("{base}/manifests/{tag}")).header("content-type", kind);
        world.runtime.block_on(self.send(put.body(manifest.to_string()), 201));
        digest_of(&manifest.to_string())
    }

    async fn send(&self, request: reqwest::RequestBuilder, want: u16) -> reqwest::Response {
        let request = match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), want, "{}", answer.url());
        answer
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Starts it, and reads the port that it found from its log.
fn serve(config: &Path) -> (Child, u16) {
    let mut process = Command::new("timeout")
        .args(["--foreground", "600", "docker-registry", "serve"])
        .arg(config)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker-registry is missing; run scripts/test, which installs it");
    let log = BufReader::new(process.stderr.take().unwrap());
    let line = wait_for(log, "listening on 127.0.0.1:", "docker-registry");
    let port = line.chars().take_while(char::is_ascii_digit).collect::<String>();
    (process, port.parse().unwrap())
}

/// Reads a log up to a line with some words; what follows them.
fn wait_for(mut log: impl BufRead + Send + 'static, words: &str, program: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "{program} ended:\n{seen}");
        if let Some(rest) = line.split(words).nth(1) {
            let rest = rest.to_owned();
            // The log goes on; nobody reads it, and it must not fill a pipe.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return rest;
        }
        seen.push_str(&line);
    }
}

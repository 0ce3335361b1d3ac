//! The real registry: Debian's `docker-registry`, started on a free port with a time limit.

use std::io::{BufRead as _, BufReader};
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

/// A running `docker-registry`.
pub struct DockerRegistry {
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
}

/// A certificate authority of the test, and one certificate of it for `localhost`.
pub struct Authority {
    pub ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    pub fn new(world: &World) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(params, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        Self {
            ca: world.file("tls/ca.pem", &ca.pem()),
            certificate: world.file("tls/server.pem", &leaf.pem()),
            key: world.file("tls/server.key", &key.serialize_pem()),
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

impl DockerRegistry {
    pub fn start(world: &World, access: &Access<'_>) -> Self {
        let (scheme, http, auth, authorization) = match access {
            Access::Open => ("http", String::new(), String::new(), None),
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
        let ca = match access {
            Access::Password(authority) => Some(std::fs::read(&authority.ca).unwrap()),
            Access::Open | Access::Token(_) => None,
        };
        let roots = ca.iter().map(|pem| reqwest::Certificate::from_pem(pem).unwrap());
        let client = reqwest::Client::builder().tls_certs_merge(roots).build().unwrap();
        let name = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        Self { host: format!("{name}:{port}"), client, scheme, authorization, process }
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
            let location = start.headers()["location"].to_str().unwrap().to_owned();
            let put = format!("{location}&digest={}", digest_of(content));
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

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Starts it, and reads the port that it found from its log.
#[expect(clippy::zombie_processes, reason = "a registry that did not start has ended")]
fn serve(config: &Path) -> (Child, u16) {
    let mut process = Command::new("timeout")
        .args(["--foreground", "600", "docker-registry", "serve"])
        .arg(config)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker-registry is missing; run scripts/test, which installs it");
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "docker-registry ended:\n{seen}");
        if let Some(rest) = line.split("listening on 127.0.0.1:").nth(1) {
            let port = rest.chars().take_while(char::is_ascii_digit).collect::<String>();
            // The log goes on; nobody reads it, and it must not fill a pipe.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return (process, port.parse().unwrap());
        }
        seen.push_str(&line);
    }
}

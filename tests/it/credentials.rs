//! Who we are at a registry, and that nobody else learns it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::world::{Fault, Lie, Output, Registry, World, arg};

/// Whatever contains this is a secret.
const CANARY: &str = "canary";

/// One policy for an image of a host that is reached through `registry`, whatever its name.
struct Case {
    world: World,
    registry: Registry,
    host: &'static str,
    tree: PathBuf,
    registries: PathBuf,
}

impl Case {
    fn new(host: &'static str) -> Self {
        let world = World::new();
        let registry = world.registry();
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let policy =
            format!("images: {{shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}}}\n");
        let site = format!("image: {host}/acme/shop:v1.0.0\n");
        let tree = world.tree(&[("policies/p.yaml", &policy), ("a.yaml", &site)]);
        let at = &registry.host;
        let file = format!("registries: [{{host: {host}, address: '{at}', plainHttp: true}}]\n");
        let registries = world.file("registries.yaml", &file);
        Self { world, registry, host, tree, registries }
    }

    /// Wants a password.
    fn basic(self) -> Self {
        let challenge = Lie::header(401, "www-authenticate", "Basic realm=\"x\"");
        self.registry.lies("/tags/list", [challenge, Lie::Truth]);
        self
    }

    /// Wants a token, which its own token server gives.
    fn bearer(self, token: Lie) -> Self {
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"svc\"", self.host);
        let challenge = Lie::header(401, "www-authenticate", &challenge);
        self.registry.lies("/tags/list", [challenge, Lie::Truth]);
        self.registry.lies("/token", [token]);
        self
    }

    /// Runs with everything kept that can be kept, and looks for secrets in all of it.
    fn plan(&self, env: &[(&str, &str)]) -> Output {
        let (cache, saved) = (self.world.dir("cache"), self.world.dir("out").join("catalog.yaml"));
        let summary = self.world.dir("out").join("summary.md");
        let args = [
            "plan",
            "--repo",
            arg(&self.tree),
            "--format",
            "json",
            "-v",
            "-v",
            "--registries",
            arg(&self.registries),
            "--cache-dir",
            arg(&cache),
            "--save-catalog",
            arg(&saved),
        ];
        let bot = env.iter().fold(self.world.bot(args), |bot, (name, value)| bot.env(name, value));
        let out = bot.env("GITHUB_STEP_SUMMARY", arg(&summary)).run();
        let mut texts = vec![out.stdout.clone(), out.stderr.clone()];
        for directory in [cache, self.world.dir("out")] {
            let files = walkdir::WalkDir::new(directory).into_iter().map(Result::unwrap);
            let files = files.filter(|file| file.file_type().is_file());
            texts.extend(files.map(|file| std::fs::read_to_string(file.path()).unwrap()));
        }
        // Base64 of the word, wherever it starts.
        let forms = [CANARY, "Y2FuYXJ5", "NhbmFye", "jYW5hcn"];
        for text in texts {
            assert!(!forms.iter().any(|form| text.contains(form)), "{text}");
        }
        out
    }

    fn found(&self, env: &[(&str, &str)]) {
        let out = self.plan(env).exits(0);
        assert_eq!(out.decisions(), ["shop update v1.1.0 newer"]);
    }

    /// The registry refuses, the reason names where the login is from, and nobody asks without it.
    fn refused(&self, env: &[(&str, &str)], origin: &str) {
        let out = self.plan(env).exits(3).says(&[origin]);
        assert_eq!(out.decisions(), ["shop undecided - unauthorized"]);
    }

    /// What was sent along with requests whose path contains `part`.
    fn sent(&self, part: &str) -> Vec<Option<String>> {
        let seen = self.registry.requests().into_iter().filter(|seen| seen.path.contains(part));
        seen.map(|seen| seen.authorization).collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what was sent")]
fn basic(user: &str, password: &str) -> Option<String> {
    Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn auths(entries: &[(&str, &str)]) -> String {
    let entry = |(host, pair): &(&str, &str)| {
        format!(r#""{host}": {{"auth": "{}"}}"#, STANDARD.encode(pair))
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!(r#"{{"auths": {{{}}}}}"#, entries.join(", "))
}

#[test]
fn the_nearest_entry_of_podmans_and_dockers_files_counts() {
    let case = Case::new("registry.invalid").basic();
    let docker = auths(&[("registry.invalid", "docker:canary-1")]);
    case.world.file("home/.docker/config.json", &docker);
    case.found(&[]);
    assert_eq!(case.sent("/tags"), [None, basic("docker", "canary-1")]);
    let podman = auths(&[
        ("registry.invalid/acme", "podman:canary-2"),
        ("registry.invalid/other", "x:canary"),
    ]);
    case.world.file("home/run/containers/auth.json", &podman);
    let run = case.world.dir("home/run");
    let case = Case { registry: case.world.registry(), ..case };
    case.registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let file = format!(
        "registries: [{{host: registry.invalid, address: '{}', plainHttp: true}}]\n",
        case.registry.host
    );
    case.world.file("registries.yaml", &file);
    let case = case.basic();
    case.found(&[("XDG_RUNTIME_DIR", arg(&run))]);
    assert_eq!(case.sent("/tags"), [None, basic("podman", "canary-2")]);
    // A file that cannot be read is an error, with nothing of its content.
    case.world.file("home/run/containers/auth.json", r#"{"auths": {"registry.invalid": "canary"#);
    let case = case.basic();
    case.refused(&[("XDG_RUNTIME_DIR", arg(&run))], "auth.json");
}

#[test]
fn a_wrong_password_is_an_error_that_says_where_it_is_from() {
    let case = Case::new("registry.invalid");
    let challenge = Lie::header(401, "www-authenticate", "Basic realm=\"x\"");
    case.registry.lies("/tags/list", [challenge]);
    let file = case.world.file("home/.docker/config.json", &auths(&[(case.host, "u:canary")]));
    case.refused(&[], arg(&file));
    assert_eq!(case.sent("/tags"), [None, basic("u", "canary")]);
    let case = Case::new("registry.invalid").bearer(Lie::status(403));
    let file = case.world.file("home/.docker/config.json", &auths(&[(case.host, "u:canary")]));
    case.refused(&[], arg(&file));
    assert_eq!(case.sent("/token"), [basic("u", "canary")]);
}

/// Twenty images on a registry, so that most of them are asked for at once.
fn many(case: &Case) -> PathBuf {
    let mut policies = "images:\n".to_owned();
    let mut sites = String::new();
    for n in 0..20 {
        case.registry.push(&format!("acme/{n}"), &["v1.0.0", "v1.1.0"]);
        let image = format!("{}/acme/{n}", case.host);
        policies += &format!("  a{n}: {{image: {image}, tags: {{semver: '*'}}}}\n");
        sites += &format!("---\nimage: {image}:v1.0.0\n");
    }
    case.world.tree(&[("policies/p.yaml", &policies), ("a.yaml", &sites)]);
    case.world.file("home/.docker/config.json", &auths(&[(case.host, "u:canary")]))
}

/// Accounts are locked after a few wrong passwords.
#[test]
fn a_wrong_password_is_sent_once() {
    let case = Case::new("registry.invalid");
    let challenge = Lie::header(401, "www-authenticate", "Basic realm=\"x\"");
    case.registry.lies("/tags/list", [challenge]);
    many(&case);
    case.plan(&[]).exits(3);
    assert_eq!(case.sent("/tags").iter().flatten().count(), 1);
    let case = Case::new("registry.invalid").bearer(Lie::status(401));
    many(&case);
    case.plan(&[]).exits(3);
    assert_eq!(case.sent("/token"), [basic("u", "canary")]);
    // One that was taken is sent on, though it opens not everything.
    let challenge = || Lie::header(401, "www-authenticate", "Basic realm=\"x\"");
    let case = Case::new("registry.invalid");
    case.registry.lies("/tags/list", [challenge(), Lie::Truth]);
    case.registry.lies("/acme/7/tags/list", [challenge()]);
    many(&case);
    let out = case.plan(&[]).exits(3);
    let decisions = out.decisions();
    assert_eq!(decisions.iter().filter(|d| d.contains("unauthorized")).count(), 1, "{decisions:?}");
}

/// Puts a helper on the path that runs this.
fn helper(world: &World, script: &str) -> String {
    let path = world.file("bin/docker-credential-test", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", path.parent().unwrap().display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_helper_gets_what_it_needs_and_nothing_else() {
    let case = Case::new("registry.invalid").basic();
    let seen = case.world.dir("out").join("helper");
    case.world.file("home/.docker/config.json", r#"{"credHelpers": {"registry.invalid": "test"}}"#);
    let script = format!(
        "{{ echo \"$@\"; cat; echo; env; }} > {}\necho '{{\"Username\": \"u\", \"Secret\": \"canary-3\"}}'",
        seen.display()
    );
    let path = helper(&case.world, &script);
    case.found(&[("PATH", &path), ("GITHUB_TOKEN", "gh-token-3"), ("AWS_REGION", "eu-west-1")]);
    assert_eq!(case.sent("/tags"), [None, basic("u", "canary-3")]);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.starts_with("get\nregistry.invalid\n"), "{seen}");
    assert!(seen.contains("AWS_REGION=eu-west-1") && !seen.contains("gh-token"), "{seen}");
}

#[test]
fn helpers_that_fail_are_errors_and_those_that_know_nothing_are_not() {
    for (script, store, want) in [
        ("echo canary; exit 1", "credHelpers", "docker-credential-test failed"),
        ("echo canary", "credHelpers", "an answer that cannot be read"),
        ("echo 'credentials not found in native keychain'; exit 1", "credHelpers", "wants a login"),
        ("echo 'credentials not found in native keychain'; exit 1", "credsStore", "wants a login"),
        ("", "missing", "cannot be run"),
        ("", "shell", "no program's"),
    ] {
        let case = Case::new("registry.invalid").basic();
        let config = match store {
            "credsStore" => r#"{"credsStore": "test"}"#.to_owned(),
            "missing" => r#"{"credsStore": "nowhere"}"#.to_owned(),
            "shell" => r#"{"credsStore": "x/../../bin/sh"}"#.to_owned(),
            _ => r#"{"credHelpers": {"registry.invalid": "test"}}"#.to_owned(),
        };
        case.world.file("home/.docker/config.json", &config);
        let path = helper(&case.world, script);
        case.refused(&[("PATH", &path)], want);
        assert!(case.sent("/tags").iter().all(Option::is_none), "{script}");
    }
}

#[test]
fn tokens_for_the_token_server_and_for_the_registry() {
    let answer = Lie::json(r#"{"access_token": "canary-4", "expires_in": 300}"#);
    let case = Case::new("registry.invalid").bearer(answer);
    let entry = r#"{"auths": {"registry.invalid": {"identitytoken": "canary-identity"}}}"#;
    case.world.file("home/.docker/config.json", entry);
    case.found(&[]);
    let seen = case.registry.requests();
    let token = seen.iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!((token.method.as_str(), &token.authorization), ("POST", &None));
    assert!(token.body.contains("grant_type=refresh_token&"), "{}", token.body);
    assert!(token.body.contains("refresh_token=canary-identity"), "{}", token.body);
    assert_eq!(seen.last().unwrap().authorization, Some("Bearer canary-4".to_owned()));

    let case = Case::new("registry.invalid").bearer(Lie::status(500));
    let entry = r#"{"auths": {"registry.invalid": {"registrytoken": "canary-registry"}}}"#;
    case.world.file("home/.docker/config.json", entry);
    case.found(&[]);
    assert_eq!(case.sent("/tags"), [None, Some("Bearer canary-registry".to_owned())]);
}

#[test]
fn the_workflows_token_opens_its_own_registry_alone() {
    let answer = || Lie::json(r#"{"token": "canary-5", "expires_in": 300}"#);
    let token = [("GITHUB_TOKEN", "canary-gh"), ("GITHUB_ACTOR", "bot")];
    let case = Case::new("ghcr.io").bearer(answer());
    case.found(&token);
    assert_eq!(case.sent("/token"), [basic("bot", "canary-gh")]);
    let case = Case::new("ghcr.io").bearer(Lie::status(403));
    case.refused(&token, "the credentials of GITHUB_TOKEN (it needs `packages: read`");
    assert_eq!(case.sent("/token").len(), 1);
    for host in ["ghcr.io.evil.invalid", "xghcr.io", "containers.ghe.example"] {
        let case = Case::new(host).bearer(answer());
        case.found(&token);
        assert_eq!(case.sent("/token"), [None], "{host}");
    }
    let case = Case::new("containers.ghe.example").bearer(answer());
    case.found(&[("GITHUB_TOKEN", "canary-gh"), ("GITHUB_SERVER_URL", "https://ghe.example")]);
    assert_eq!(case.sent("/token"), [basic("tagalong", "canary-gh")]);
    // Docker's own entry is nearer, and `anonymous` beats them all.
    let case = Case::new("ghcr.io").bearer(answer());
    case.world.file("home/.docker/config.json", &auths(&[("ghcr.io", "u:canary-6")]));
    case.found(&token);
    assert_eq!(case.sent("/token"), [basic("u", "canary-6")]);
    let case = Case::new("ghcr.io").bearer(answer());
    let text = std::fs::read_to_string(&case.registries).unwrap();
    std::fs::write(&case.registries, text.replace("plainHttp", "anonymous: true, plainHttp"))
        .unwrap();
    case.found(&token);
    assert_eq!(case.sent("/token"), [None]);
}

/// Forgejo and Gitea have their registry at the server.
#[test]
fn the_token_of_a_forgejo_opens_the_registry_of_its_server_alone() {
    let answer = || Lie::json(r#"{"token": "canary-5", "expires_in": 300}"#);
    let server = "https://git.acme.invalid";
    let job = [
        ("FORGEJO_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", server),
        ("GITHUB_API_URL", "https://git.acme.invalid/api/v1"),
        ("GITHUB_TOKEN", "canary-fj"),
    ];
    for env in [
        &[("FORGEJO_URL", server), ("FORGEJO_TOKEN", "canary-fj")][..],
        &[("GITEA_URL", server), ("GITEA_TOKEN", "canary-fj")],
        &job,
    ] {
        let case = Case::new("git.acme.invalid").bearer(answer());
        case.found(env);
        assert_eq!(case.sent("/token"), [basic("oauth2", "canary-fj")], "{env:?}");
    }
    for (host, env) in [
        (
            "git.acme.invalid",
            [("FORGEJO_URL", "https://other.invalid"), ("FORGEJO_TOKEN", "canary-fj")],
        ),
        ("ghcr.io", job[2..].try_into().unwrap()),
        ("xgit.acme.invalid", [("GITEA_URL", server), ("GITEA_TOKEN", "canary-fj")]),
    ] {
        let case = Case::new(host).bearer(answer());
        let actions = [("FORGEJO_ACTIONS", "true"), ("GITHUB_SERVER_URL", server)];
        let is_job = env[1].0 == "GITHUB_TOKEN";
        let env: Vec<_> = actions.into_iter().filter(|_| is_job).chain(env).collect();
        case.found(&env);
        assert_eq!(case.sent("/token"), [None], "{host} {env:?}");
    }
    let case = Case::new("git.acme.invalid").bearer(Lie::status(403));
    let env = [("FORGEJO_URL", server), ("FORGEJO_TOKEN", "canary-fj")];
    case.refused(&env, "the token of the forge (it needs the scope `read:package`");
}

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// Amazon's service for logins.
fn ecr(case: &Case) -> Registry {
    let cloud = case.world.registry();
    let token = STANDARD.encode("AWS:canary-ecr");
    let answer = format!(r#"{{"authorizationData": [{{"authorizationToken": "{token}"}}]}}"#);
    cloud.lies("/ecr", [Lie::json(&answer)]);
    cloud
}

/// The request for a login was signed by this key.
fn signed_by(cloud: &Registry, key: &str) {
    let seen = cloud.requests();
    let login = seen.iter().find(|seen| seen.path == "/ecr/").unwrap();
    let signature = login.authorization.clone().unwrap();
    let want = format!("AWS4-HMAC-SHA256 Credential={key}/");
    assert!(signature.starts_with(&want), "{signature}");
    assert!(signature.contains("/eu-west-1/ecr/aws4_request"), "{signature}");
    assert!(signature.contains("x-amz-target"), "{signature}");
    assert_eq!(login.body, "{}");
}

#[test]
fn amazons_identities_open_its_registries() {
    let case = Case::new(ECR).basic();
    let cloud = ecr(&case);
    let endpoint = format!("http://{}/ecr/", cloud.host);
    let env = [
        ("AWS_ENDPOINT_URL_ECR", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "canary-aws"),
        ("AWS_SESSION_TOKEN", "canary-session"),
    ];
    case.found(&env);
    assert_eq!(case.sent("/tags"), [None, basic("AWS", "canary-ecr")]);
    signed_by(&cloud, "AKIDENV");
    // A login that is refused is an error.
    cloud.lies("/ecr", [Lie::status(400)]);
    let case = Case { registry: case.registry, ..case }.basic();
    case.refused(&env, "Amazon's registry gives no identity (400");
}

#[test]
fn a_service_account_of_kubernetes_is_an_identity_of_amazons() {
    let case = Case::new(ECR).basic();
    let cloud = ecr(&case);
    let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
        <AccessKeyId>AKIDIRSA</AccessKeyId><SecretAccessKey>canary-irsa</SecretAccessKey>\
        <SessionToken>canary-session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
        </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    cloud.lies("/sts", [Lie::body("text/xml", xml)]);
    let token = case.world.file("token", "canary-jwt");
    let (ecr, sts) = (format!("http://{}/ecr/", cloud.host), format!("http://{}/sts/", cloud.host));
    let env = [
        ("AWS_ENDPOINT_URL_ECR", ecr.as_str()),
        ("AWS_ENDPOINT_URL_STS", &sts),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", arg(&token)),
        ("AWS_REGION", "eu-west-1"),
    ];
    case.found(&env);
    assert_eq!(case.sent("/tags"), [None, basic("AWS", "canary-ecr")]);
    signed_by(&cloud, "AKIDIRSA");
    // When the role is refused, nobody else's identity is taken, and none at all neither.
    cloud.lies("/sts", [Lie::Answer(403, Vec::new(), "<Error>canary</Error>".to_owned())]);
    let case = case.basic();
    case.refused(&env, "the web identity (IRSA) gives no identity");
    assert!(case.sent("/tags").iter().all(Option::is_none));
}

#[test]
fn the_role_of_an_instance_is_an_identity_of_amazons() {
    let case = Case::new(ECR).basic();
    let cloud = ecr(&case);
    cloud.lies("/latest/api/token", [Lie::body("text/plain", "canary-imds")]);
    cloud.lies("/iam/security-credentials/", [Lie::body("text/plain", "role")]);
    let role = r#"{"Code": "Success", "AccessKeyId": "AKIDROLE", "SecretAccessKey": "canary-role",
        "Token": "canary-session", "Expiration": "2099-01-01T00:00:00Z"}"#;
    cloud.lies("/iam/security-credentials/role", [Lie::json(role)]);
    let (ecr, imds) = (format!("http://{}/ecr/", cloud.host), format!("http://{}", cloud.host));
    let env =
        [("AWS_ENDPOINT_URL_ECR", ecr.as_str()), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds)];
    case.found(&env);
    assert_eq!(case.sent("/tags"), [None, basic("AWS", "canary-ecr")]);
    signed_by(&cloud, "AKIDROLE");
    // Elsewhere nobody answers, and the registry's own refusal is the reason.
    let case = case.basic();
    let nowhere = [env[0], ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")];
    case.refused(&nowhere, "wants a login");
}

const GAR: &str = "europe-west1-docker.pkg.dev";

#[test]
fn googles_identities_open_its_registries() {
    let answer = || Lie::json(r#"{"token": "canary-7"}"#);
    let case = Case::new(GAR).bearer(answer());
    let cloud = case.world.registry();
    cloud.lies("/sa", [Lie::json(r#"{"access_token": "canary-google", "expires_in": 3600}"#)]);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let url = format!("http://{}/sa", cloud.host);
    let account = serde_json::json!({
        "type": "service_account", "client_email": "bot@acme.example", "token_uri": url,
        "private_key": key.serialize_pem(), "private_key_id": "k1",
    });
    let file = case.world.file("account.json", &account.to_string());
    case.found(&[("GOOGLE_APPLICATION_CREDENTIALS", arg(&file))]);
    assert_eq!(case.sent("/token"), [basic("oauth2accesstoken", "canary-google")]);
    let body = cloud.requests().remove(0).body;
    let assertion = body.split("assertion=").nth(1).unwrap();
    let public = jsonwebtoken::DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&[&url]);
    let claims = jsonwebtoken::decode::<serde_json::Value>(assertion, &public, &rules).unwrap();
    assert_eq!(claims.claims["iss"], "bot@acme.example");

    // Workload identity federation: a token of somebody else for one of Google's, for an account's.
    let case = Case::new(GAR).bearer(answer());
    cloud.lies("/sts", [Lie::json(r#"{"access_token": "canary-federated"}"#)]);
    cloud.lies("/impersonate", [Lie::json(r#"{"accessToken": "canary-account"}"#)]);
    let subject = case.world.file("subject.json", r#"{"value": "canary-subject"}"#);
    let external = serde_json::json!({
        "type": "external_account", "audience": "//iam.example/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://{}/sts", cloud.host),
        "service_account_impersonation_url": format!("http://{}/impersonate", cloud.host),
        "credential_source": {"file": subject, "format": {"type": "json", "subject_token_field_name": "value"}},
    });
    let file = case.world.file("external.json", &external.to_string());
    cloud.requests();
    case.found(&[("GOOGLE_APPLICATION_CREDENTIALS", arg(&file))]);
    assert_eq!(case.sent("/token"), [basic("oauth2accesstoken", "canary-account")]);
    let seen = cloud.requests();
    assert!(seen[0].body.contains("subject_token=canary-subject"), "{seen:?}");
    assert_eq!(seen[1].authorization, Some("Bearer canary-federated".to_owned()));

    // The machine's own.
    let case = Case::new("gcr.io").bearer(answer());
    cloud.lies("/computeMetadata/v1/", [Lie::json(r#"{"access_token": "canary-machine"}"#)]);
    case.found(&[("GCE_METADATA_HOST", &cloud.host)]);
    assert_eq!(case.sent("/token"), [basic("oauth2accesstoken", "canary-machine")]);

    // One that is set up and fails is an error, and one that runs a program is not run.
    let case = Case::new(GAR).bearer(answer());
    cloud.lies("/sa", [Lie::Answer(400, Vec::new(), "canary".to_owned())]);
    let file = case.world.file("account.json", &account.to_string());
    case.refused(&[("GOOGLE_APPLICATION_CREDENTIALS", arg(&file))], "gives no identity (400");
    let case = case.bearer(answer());
    let program = external
        .to_string()
        .replace("\"file\":", "\"executable\": {\"command\": \"id\"}, \"files\":");
    let file = case.world.file("program.json", &program);
    case.refused(&[("GOOGLE_APPLICATION_CREDENTIALS", arg(&file))], "no program is run");
    assert!(case.sent("/token").is_empty());
}

#[test]
fn azures_identities_are_exchanged_at_the_registry() {
    let host = "acmeprod.azurecr.io";
    let case = Case::new(host).bearer(Lie::json(r#"{"access_token": "canary-8"}"#));
    let cloud = case.world.registry();
    let tenant = "/tenant/oauth2/v2.0/token";
    cloud.lies(tenant, [Lie::json(r#"{"access_token": "canary-aad"}"#)]);
    case.registry.lies("/oauth2/exchange", [Lie::json(r#"{"refresh_token": "canary-refresh"}"#)]);
    let authority = format!("http://{}/", cloud.host);
    let assertion = case.world.file("federated", "canary-jwt\n");
    let common = [
        ("AZURE_AUTHORITY_HOST", authority.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "application"),
    ];
    for (name, value, sent) in [
        ("AZURE_CLIENT_SECRET", "canary-secret", "client_secret=canary-secret"),
        ("AZURE_FEDERATED_TOKEN_FILE", arg(&assertion), "client_assertion=canary-jwt"),
    ] {
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"");
        let challenge = Lie::header(401, "www-authenticate", &challenge);
        case.registry.lies("/tags/list", [challenge, Lie::Truth]);
        case.registry.requests();
        case.found(&[&common[..], &[(name, value)]].concat());
        let body = cloud.requests().remove(0).body;
        assert!(body.contains(sent) && body.contains("containerregistry.azure.net"), "{body}");
        let seen = case.registry.requests();
        let exchange = seen.iter().find(|seen| seen.path == "/oauth2/exchange").unwrap();
        let want =
            format!("grant_type=access_token&service={host}&access_token=canary-aad&tenant=tenant");
        assert_eq!(exchange.body, want);
        let token = seen.iter().find(|seen| seen.path == "/token").unwrap();
        assert!(token.body.contains("refresh_token=canary-refresh"), "{}", token.body);
    }
    // A managed identity.
    let case = case.bearer(Lie::json(r#"{"access_token": "canary-9"}"#));
    cloud.lies("/metadata/identity/", [Lie::json(r#"{"access_token": "canary-managed"}"#)]);
    case.registry.requests();
    case.found(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &authority)]);
    let seen = case.registry.requests();
    assert!(seen.iter().any(|seen| seen.body.contains("access_token=canary-managed")), "{seen:?}");
}

/// R2 of the requirements: what a redirect takes along. All hosts are behind one proxy, which sees
/// what each gets.
#[test]
fn redirects_leave_credentials_behind() {
    let own = "registry.invalid";
    for status in [301, 302, 303, 307, 308] {
        for (path, to, is_followed) in [
            ("/tags/list", "http://elsewhere.invalid/x", true),
            ("/tags/list", "http://registry.invalid:1/x", true),
            ("/tags/list", "http://169.254.169.254/x", false),
            ("/tags/list", "file:///x", false),
            ("/manifests/", "http://elsewhere.invalid/x", true),
            ("/manifests/", "http://registry.invalid:1/x", true),
            ("/manifests/", "http://127.0.0.1:1/x", false),
            ("/token", "http://elsewhere.invalid/x", false),
            ("/token", "http://registry.invalid/x", false),
        ] {
            let case =
                Case::new(own).bearer(Lie::json(r#"{"token": "canary-10", "expires_in": 300}"#));
            case.world.file("home/.docker/config.json", &auths(&[(own, "u:canary")]));
            let text = std::fs::read_to_string(&case.registries).unwrap();
            let text = text.replace("address: '", "proxy: 'http://");
            std::fs::write(&case.registries, text).unwrap();
            let policy = std::fs::read_to_string(case.tree.join("policies/p.yaml")).unwrap();
            let policy = policy.replace("tags:", "digest: pin, tags:");
            std::fs::write(case.tree.join("policies/p.yaml"), policy).unwrap();
            let redirect = Lie::header(status, "location", to);
            if path == "/tags/list" {
                let challenge = "Bearer realm=\"http://registry.invalid/token\"";
                let challenge = Lie::header(401, "www-authenticate", challenge);
                case.registry.lies(path, [challenge, redirect]);
            } else {
                case.registry.lies(path, [redirect]);
            }
            let what = format!("{status} {path} {to}");
            let out = case.plan(&[]).exits(3);
            assert!(out.decisions()[0].starts_with("shop undecided"), "{what}");
            let seen = case.registry.requests();
            let (there, here): (Vec<_>, Vec<_>) =
                seen.into_iter().partition(|seen| seen.host != own || seen.path == "/x");
            assert_eq!(there.len(), usize::from(is_followed), "{what}: {there:?}");
            assert!(there.iter().all(|seen| seen.authorization.is_none()), "{what}: {there:?}");
            assert!(here.iter().any(|seen| seen.authorization.is_some()), "{what}: {here:?}");
        }
    }
}

/// A token that is a JSON Web Token is a secret as well, also in parts.
#[test]
fn what_a_registry_says_back_is_not_shown() {
    let case = Case::new("registry.invalid").basic();
    case.world.file("home/.docker/config.json", &auths(&[("registry.invalid", "u:canary-11")]));
    let echo = URL_SAFE_NO_PAD.encode("u:canary-11");
    for body in [format!("denied: {echo}"), "denied: canary-11".to_owned()] {
        for status in [400, 401, 403, 404, 418, 500] {
            let headers = vec![
                ("www-authenticate".to_owned(), format!("Basic realm=\"{body}\"")),
                ("location".to_owned(), body.clone()),
                ("retry-after".to_owned(), "0".to_owned()),
            ];
            let challenge = Lie::header(401, "www-authenticate", "Basic realm=\"x\"");
            let lie = Lie::Answer(status, headers, body.clone());
            case.registry.lies("/tags/list", [challenge, lie]);
            case.plan(&[]).exits(3);
        }
    }
}

/// An answer of GitHub may hold the token that it was sent; what is printed of it does not.
#[test]
fn what_github_says_back_is_not_shown() {
    for (method, part) in [("POST", "graphql"), ("POST", "pulls")] {
        let fleet = crate::lifecycle::Fleet::new("group: all");
        fleet.forge.fault(Fault {
            method,
            part,
            status: 403,
            headers: Vec::new(),
            message: "the token ghs_canaryTokenOfTheTests may not do this",
            after_effect: false,
        });
        let out = fleet.run(&["-v"]);
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains("the token *** may not"), "{said}");
    }
}

#[test]
fn no_helper_is_asked_where_nobody_wants_a_login() {
    let case = Case::new("registry.invalid");
    case.world.file("home/.docker/config.json", r#"{"credsStore": "test"}"#);
    let asked = case.world.dir("out").join("asked");
    let path = helper(&case.world, &format!("touch {}", asked.display()));
    case.found(&[("PATH", &path)]);
    assert!(!Path::new(&asked).exists());
}

/// A config repository names a registry that is where clouds keep what their machines may know alone: it is not asked, also not
/// through a proxy.
#[test]
fn metadata_is_no_registry_of_a_repository() {
    for host in [
        "169.254.169.254",
        "169.254.169.254:80",
        "[fe80::1]",
        "[::ffff:169.254.169.254]:80",
        "168.63.129.16:32526",
        "100.100.100.200",
        "metadata.google.internal",
    ] {
        for proxy in [false, true] {
            let case = Case::new("registry.invalid");
            let image = format!("{host}/acme/shop");
            case.world.file(
                "tree/policies/p.yaml",
                &format!("images: {{shop: {{image: '{image}', tags: {{semver: '*'}}}}}}\n"),
            );
            case.world.file("tree/a.yaml", &format!("image: '{image}:1.0.0'\n"));
            let settings = format!("registries:\n- {{host: '{host}', plainHttp: true}}\n");
            case.world.file("tree/tagalong.yaml", &settings);
            let address = case.registry.host.clone();
            let proxies = [
                ("HTTP_PROXY", format!("http://{address}")),
                ("HTTPS_PROXY", format!("http://{address}")),
            ];
            let proxies: Vec<(&str, &str)> = proxies
                .iter()
                .filter(|_| proxy)
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let out = case.plan(&proxies);
            assert_ne!(out.code, 0, "{host} {}", out.stdout);
            assert!(case.registry.requests().is_empty(), "{host} {proxy}");
            assert!(
                out.stdout.contains("only the operator")
                    || out.stderr.contains("only the operator"),
                "{host}: {}\n{}",
                out.stdout,
                out.stderr
            );
        }
    }
}

//! What the demo's registry and config repository hold.

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{Repository, RepositoryInitOptions, Signature};
use jiff::Timestamp;

/// The tags: releases, a prerelease, and what every registry has besides.
pub(super) const TAGS: [(&str, &str); 9] = [
    ("acme/shop", "latest"),
    ("acme/shop", "v1.2.0"),
    ("acme/shop", "v1.4.2"),
    ("acme/shop", "v1.10.0-rc.1"),
    ("acme/shop", "v2.0.0"),
    ("acme/worker", "main-3f1c2a9-20261101080000"),
    ("acme/worker", "main-b07e551-20261119143000"),
    ("acme/worker", "main-c9aa012-20261120091500"),
    ("acme/worker", "sha256-cosign.sig"),
];

/// The policy file.
pub(super) fn policies(host: &str) -> String {
    format!(
        "images:
  shop:                             # releases of 1.x, no prereleases
    image: {host}/acme/shop
    tags: {{match: '^v', semver: '1.x'}}
  worker:                           # builds of the main branch, by their time
    image: {host}/acme/worker
    tags: {{match: '^main-[0-9a-f]+-(?<time>[0-9]+)$', extract: '$time', numerical: asc}}
    digest: pin
environments:
  staging: {{paths: [clusters/staging]}}
  production:                       # what staging has held for a day
    paths: [clusters/production]
    promoteFrom: staging
    soak: 24h
"
    )
}

fn deployment(host: &str, namespace: &str) -> String {
    format!(
        "# comments, quotes and odd spacing survive
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop,   namespace: {namespace}}}
spec:
  template:
    spec:
      containers:
      - name:  shop
        image: \"{host}/acme/shop:v1.2.0\"   # the shop
        args: [ \"--listen\",  \":8080\" ]
"
    )
}

fn values(host: &str) -> String {
    format!(
        "worker:
  image:
    registry: {host}
    repository: acme/worker
    tag: main-3f1c2a9-20261101080000
"
    )
}

/// Makes a bare repository with one commit.
pub(super) fn create(path: &Path, host: &str, now: Timestamp) -> Result<(), git2::Error> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).initial_head("main");
    let repository = Repository::init_opts(path, &options)?;
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let mut update = TreeUpdateBuilder::new();
    let files = [
        ("policies/shop.yaml", policies(host)),
        ("clusters/staging/shop.yaml", deployment(host, "staging")),
        ("clusters/production/shop.yaml", deployment(host, "production")),
        ("clusters/staging/worker/values.yaml", values(host)),
    ];
    for (path, text) in files {
        update.upsert(path, repository.blob(text.as_bytes())?, git2::FileMode::Blob);
    }
    let tree = repository.find_tree(update.create_updated(&repository, &empty)?)?;
    let time = git2::Time::new(now.as_second(), 0);
    let author = Signature::new("Ada", "ada@example.com", &time)?;
    repository.commit(Some("refs/heads/main"), &author, &author, "Start the fleet", &tree, &[])?;
    Ok(())
}

//! What surrounds the bot: servers on loopback, a repository, and the bot's own process.

pub mod bot;
pub mod daemon;
pub mod forge;
pub mod git_http;
pub mod gitbeaker;
pub mod openapi;
pub mod parts;
pub mod registry;
pub mod repo;
pub mod story;
pub mod swagger;

use std::path::{Path, PathBuf};

pub use bot::{Bot, Output};
pub use forge::{Fault, ForgeServer, Product, Pull, TOKEN};
pub use registry::{Lie, Paging, Registry};
pub use repo::Repo;
pub use story::Story;

/// Everything that one test needs; servers end with it.
pub struct World {
    pub runtime: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self { runtime, directory: tempfile::tempdir().unwrap() }
    }

    /// An empty directory of this test.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes a file of this test; its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A work tree with files, given as path and text.
    pub fn tree(&self, files: &[(&str, &str)]) -> PathBuf {
        for (path, text) in files {
            self.file(&format!("tree/{path}"), text);
        }
        self.dir("tree")
    }

    /// A process of the bot, not started yet.
    pub fn bot<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Bot {
        Bot::new(&self.dir("home"), args)
    }

    /// A scripted registry.
    pub fn registry(&self) -> Registry {
        Registry::start(&self.runtime)
    }

    /// A GitHub with one repository `acme/fleet` that holds these files.
    pub fn github(&self, files: &[(&str, &str)]) -> ForgeServer {
        self.serve(Repo::create(&self.dir("git"), "acme/fleet", files))
    }

    /// A GitHub with a repository that is there, as `acme/fleet`.
    pub fn serve(&self, repo: Repo) -> ForgeServer {
        ForgeServer::start(Product::GitHub, &self.runtime, &self.dir("git"), "fleet", repo)
    }

    /// A forge of a product, with one repository `acme/fleet` that holds these files.
    pub fn forge(&self, product: Product, files: &[(&str, &str)]) -> ForgeServer {
        match product {
            Product::GitHub => self.github(files),
            Product::GitLab => self.gitlab("fleet", files),
            Product::Forgejo => self.forgejo(files),
        }
    }

    /// A GitLab with one project `acme/NAME`, which holds these files.
    pub fn gitlab(&self, name: &str, files: &[(&str, &str)]) -> ForgeServer {
        let root = self.dir("gitlab");
        let repo = Repo::create(&root, &format!("acme/{name}"), files);
        ForgeServer::start(Product::GitLab, &self.runtime, &root, name, repo)
    }

    /// A Forgejo with one repository `acme/fleet` that holds these files.
    pub fn forgejo(&self, files: &[(&str, &str)]) -> ForgeServer {
        let root = self.dir("forgejo");
        let repo = Repo::create(&root, "acme/fleet", files);
        ForgeServer::start(Product::Forgejo, &self.runtime, &root, "fleet", repo)
    }
}

impl World {
    /// Another repository of a GitHub, `acme/NAME`.
    pub fn beside(&self, github: &ForgeServer, name: &str, files: &[(&str, &str)]) -> ForgeServer {
        github.beside(name, Repo::create(&self.dir("git"), &format!("acme/{name}"), files))
    }
}

/// The text of a path for an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

//! The image that `scripts/image` built: run as nobody, with a read-only root, against a real registry and git over HTTP.

use std::process::Command;

use crate::world::parts::{Access, RealRegistry};
use crate::world::story::shop;
use crate::world::{Bot, World};

/// The program in the image: in a mount namespace of its own, where its root cannot be written, as another user.
fn contained(world: &World, script: &str) -> Bot {
    let root = std::env::var("TAGALONG_IMAGE_ROOT").unwrap();
    // What a container's runtime does: devices, a place for temporary files, and a root that cannot be written.
    let prepare = "set -eu; mount --make-rprivate /; mkdir -p \"$ROOT/dev\"; mount --bind \"$ROOT\" \"$ROOT\"; \
        mount --rbind /dev \"$ROOT/dev\"; mount -o remount,bind,ro \"$ROOT\"; \
        mount -t tmpfs -o mode=1777 tmpfs \"$ROOT/tmp\"; exec chroot --userspec=65532:65532 --groups= \"$ROOT\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{prepare} /usr/local/bin/tagalong {script}")]);
    Bot::from(command, &world.dir("home")).env("ROOT", &root)
}

#[test]
#[ignore = "scripts/image runs it, with the image"]
fn the_image_opens_a_pull_request() {
    let world = World::new();
    let registry = RealRegistry::start(&world, &Access::Open);
    for tag in ["v1.0.0", "v1.1.0"] {
        registry.push(&world, "acme/shop", tag);
    }
    let files = shop(&registry.host);
    let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let github = world.github(&files);
    github.env(contained(&world, "run --repo acme/fleet")).run().exits(0).says(&["v1.1.0"]);
    assert_eq!(github.pulls().len(), 1);
    contained(&world, "demo").run().exits(0);
    // There is no place to write but the one for temporary files.
    let write = contained(&world, "plan --repo acme/fleet --save-catalog /x");
    github.env(write).run().says(&["Read-only file system"]);
}

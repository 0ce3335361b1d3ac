//! Merge requests on GitLab.

use crate::world::{Product, Story};

fn shop(policy: &str) -> Story {
    Story::on(Product::GitLab, |registry| {
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let host = &registry.host;
        let policies = format!(
            "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n\
             environments:\n  dev: {{paths: ['.'], deliver: {{{policy}}}}}\n"
        );
        let site = format!("image: {host}/acme/shop:v1.0.0\n");
        vec![("policies/p.yaml".to_owned(), policies), ("shop.yaml".to_owned(), site)]
    })
}

#[test]
fn a_merge_request_is_opened_updated_and_left_alone() {
    let story = shop("labels: [bump], reviewers: [ada], assignees: [grace], milestone: '2026-12'");
    let out = story.run().exits(0);
    assert_eq!(out.deliveries(), ["dev created"], "{}", out.stderr);
    let pull = story.forge.pulls().remove(0);
    assert_eq!((pull.title.as_str(), pull.draft), ("Update shop to v1.1.0 in dev", false));
    assert_eq!(
        (pull.labels, pull.reviewers, pull.assignees),
        (vec!["bump".to_owned()], vec!["ada".to_owned()], vec!["grace".to_owned()])
    );
    assert_eq!(pull.milestone, Some(7));
    story.forge.seen();
    assert_eq!(story.run().exits(0).deliveries(), ["dev unchanged"]);
    let seen = story.forge.seen();
    let api = seen.iter().filter(|request| request.contains("/api/"));
    assert_eq!(api.count(), 3, "{seen:#?}");
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run().exits(0).deliveries(), ["dev updated"]);
    assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.2.0 in dev");
    story.forge.edit(1, |pull| pull.state = "closed");
    assert_eq!(story.run().exits(0).deliveries(), Vec::<String>::new());
}

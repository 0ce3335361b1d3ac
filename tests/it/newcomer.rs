//! A world for somebody who follows README by hand, elsewhere: `scripts/newcomer` starts it with what they type.

use std::process::Command;

use crate::world::Story;
use crate::world::TOKEN;

#[test]
#[ignore = "scripts/newcomer runs it"]
fn readme_leads_to_a_pull_request() {
    let story = Story::of(|registry| {
        registry.push("acme/shop", &["v2.3.0", "v2.4.0", "v3.0.0"]);
        let site = |environment: &str| {
            let text = format!("image: {}/acme/shop:v2.3.0\n", registry.host);
            (format!("clusters/{environment}/shop.yaml"), text)
        };
        vec![site("staging"), site("production")]
    });
    let mut steps = Command::new(std::env::var("TAGALONG_NEWCOMER").unwrap());
    steps.env("GITHUB_API_URL", format!("{}/api/v3", story.forge.url));
    steps.env("GITHUB_SERVER_URL", &story.forge.url).env("GITHUB_TOKEN", TOKEN);
    assert!(steps.status().unwrap().success());
    let titles: Vec<String> = story.forge.pulls().into_iter().map(|pull| pull.title).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles.iter().all(|title| title.starts_with("Update shop to v2.4.0")), "{titles:?}");
}

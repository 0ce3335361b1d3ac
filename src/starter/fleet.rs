//! What Rancher Fleet's image scanning was told: `imageScans` in `fleet.yaml`
//! (<https://fleet.rancher.io/imagescan>). Fleet switched it off in 2026; its markers are `{"$imagescan": "NAME"}`.

use std::collections::BTreeSet;

use super::guess::Rule;
use super::yaml::YamlObject;
use super::{Starter, StarterPolicy, own_name};
use crate::image::Repository;

/// Adds what a `fleet.yaml` says.
pub(super) fn add(
    starter: &mut Starter,
    names: &mut BTreeSet<String>,
    object: &YamlObject<'_>,
    path: &str,
) {
    let scans = object.items(&["imageScans"]);
    for scan in scans {
        let name = scan.text(&["tagName"]).unwrap_or("scan");
        let left = |why: &str| format!("{path}: imageScans `{name}`: {why}");
        let image = scan.text(&["image"]).unwrap_or_default();
        let Ok(repository) = Repository::parse(image) else {
            starter.notes.push(left(&format!("`{image}` is no image")));
            continue;
        };
        let Some(rule) = rule(&scan) else {
            starter.notes.push(left("it has no policy that is known"));
            continue;
        };
        if scan.text(&["suspend"]) == Some("true") {
            starter.notes.push(left("it is suspended, and left out"));
            continue;
        }
        let own = own_name(names, "", name);
        let markers = format!(
            "from Fleet's image scanning in {path}; its markers still count, ours would be `# tagalong: {own}`"
        );
        starter.policies.push(StarterPolicy {
            name: own,
            image: repository.to_string(),
            rule,
            marker: Some(name.to_owned()),
            comments: vec![markers],
            ..StarterPolicy::default()
        });
    }
}

fn rule(scan: &YamlObject<'_>) -> Option<Rule> {
    if scan.has(&["policy", "semver"]) {
        return Some(Rule::by("semver", scan.text(&["policy", "semver", "range"])?));
    }
    let is_alphabetical = scan.has(&["policy", "alphabetical"]);
    let order = scan.text(&["policy", "alphabetical", "order"]).unwrap_or("asc").to_lowercase();
    is_alphabetical.then(|| Rule::by("alphabetical", &order))
}

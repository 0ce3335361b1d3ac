//! After `import`, a policy chooses no tag that Renovate would not have chosen: held against a small model of Renovate of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use tagalong::choose::{Answers, Facts, Listing, select};
use tagalong::image::{Repository, Shape, Tag};
use tagalong::ledger::Ledger;
use tagalong::policy::{Overlays, PolicyFile, read};
use tagalong::starter::{DeployedImage, Imported, RenovateConfig, Starter, policies};

/// Tags that a registry lists of every image.
const LISTED: [&str; 10] = [
    "1.2.3",
    "1.2.4",
    "1.3.0",
    "2.0.0",
    "2.1.0",
    "3.0.0",
    "2.2.0-alpine",
    "3.1.0-rc.1",
    "v4.0.0",
    "latest",
];

/// A setting, as it stands in a configuration, and what it leaves of an update.
#[derive(Clone, Debug)]
enum Setting {
    /// A kind of update is switched off: in an object, or by a rule.
    Off(&'static str, bool),
    /// Versions below a major one alone.
    Below(u64),
    Ignored,
    Disabled,
    /// The files of one manager alone are left out.
    Manager(&'static str),
    Path(&'static str),
    Prereleases,
}

fn settings() -> impl Strategy<Value = Setting> {
    prop_oneof![
        (prop::sample::select(vec!["major", "minor"]), any::<bool>())
            .prop_map(|(k, b)| Setting::Off(k, b)),
        (1_u64..5).prop_map(Setting::Below),
        Just(Setting::Ignored),
        Just(Setting::Disabled),
        prop::sample::select(vec!["docker-compose", "kubernetes"]).prop_map(Setting::Manager),
        prop::sample::select(vec!["apps/**", "other/**"]).prop_map(Setting::Path),
        Just(Setting::Prereleases),
    ]
}

/// The configuration; where a setting stands in the object of a manager, `manager` says which.
fn config(settings: &[Setting], manager: Option<&str>) -> Value {
    let mut object = json!({});
    let mut top = json!({});
    let mut rules = Vec::new();
    for setting in settings {
        match setting {
            Setting::Off(kind, false) => object[*kind] = json!({"enabled": false}),
            Setting::Off(kind, true) => {
                rules.push(json!({"matchUpdateTypes": [kind], "enabled": false}));
            }
            Setting::Below(major) => object["allowedVersions"] = json!(format!("<{major}")),
            Setting::Ignored => top["ignoreDeps"] = json!(["acme/web"]),
            Setting::Disabled => {
                rules.push(json!({"matchPackageNames": ["acme/web"], "enabled": false}));
            }
            Setting::Manager(name) => top["enabledManagers"] = json!([name]),
            Setting::Path(path) => top["ignorePaths"] = json!([path]),
            Setting::Prereleases => object["ignoreUnstable"] = json!(false),
        }
    }
    object["packageRules"] = json!(rules);
    top["kubernetes"] = json!({});
    match manager {
        Some(manager) => top[manager] = object,
        None => top.as_object_mut().unwrap().extend(object.as_object().unwrap().clone()),
    }
    // Without them, it reads nothing.
    top["kubernetes"]["managerFilePatterns"] = json!(["/^apps/"]);
    top
}

/// Whether Renovate would go from one version to another in `apps/web.yaml`, which its manager for Kubernetes reads.
fn would(settings: &[Setting], manager: Option<&str>, from: &Shape<'_>, to: &Shape<'_>) -> bool {
    let (a, b) = (&from.version, &to.version);
    let kind = match () {
        () if a.major != b.major => "major",
        () if a.minor != b.minor => "minor",
        () => "patch",
    };
    let counts = manager.is_none_or(|manager| manager == "kubernetes");
    let last_range = settings.iter().rev().find_map(|setting| match setting {
        Setting::Below(major) => Some(*major),
        _ => None,
    });
    let last = |is: fn(&Setting) -> bool| settings.iter().rev().find(|setting| is(setting));
    let unstable = settings.iter().any(|s| matches!(s, Setting::Prereleases)) && counts;
    let is_off = settings.iter().any(|setting| match setting {
        Setting::Off(off, _) => counts && *off == kind,
        Setting::Disabled => counts,
        Setting::Ignored => true,
        _ => false,
    });
    let is_other = matches!(
        last(|s| matches!(s, Setting::Manager(_))),
        Some(Setting::Manager("docker-compose"))
    );
    let is_ignored =
        matches!(last(|s| matches!(s, Setting::Path(_))), Some(Setting::Path("apps/**")));
    let is_below = last_range.filter(|_| counts).is_none_or(|major| b.major < major);
    b > a && is_below && !is_off && !is_other && !is_ignored && (b.pre.is_empty() || unstable)
}

proptest! {
    #[test]
    fn no_policy_chooses_what_renovate_would_not(
        settings in prop::collection::vec(settings(), 0..5),
        manager in prop::option::of(prop::sample::select(vec!["kubernetes", "docker-compose"])),
        from in prop::sample::select(vec!["1.2.3", "2.0.0", "2.1.0"]),
    ) {
        let deployed = [DeployedImage {
            repository: Repository::parse("acme/web").unwrap(),
            path: "apps/web.yaml".to_owned(),
            line: 1,
            tag: Tag::parse(from), has_digest: false
        }];
        let text = config(&settings, manager).to_string();
        let told = RenovateConfig { path: "renovate.json", text: &text, repository: "", read: &|_| None };
        let overlays = Overlays::default();
        let imported = Imported { manifests: &[], renovate: Some(told), overlays, repository: "" };
        let starter = Starter::imported(&imported, &deployed).unwrap();
        let (set, problems) = read(&[PolicyFile::new("p.yaml", policies(&starter, ""))]);
        let Some(policy) = set.policies.first() else { return Ok(()) };
        prop_assert!(!tagalong::diagnostic::any_error(&problems), "{problems:?}");
        let listing = Listing::from_texts(LISTED);
        let (answers, ledger, skewed) = (Answers::default(), Ledger::default(), BTreeMap::new());
        let now = Timestamp::UNIX_EPOCH;
        let facts = Facts { now, answers: &answers, ledger: &ledger, skewed: &skewed, is_catalog: true };
        let current = Tag::parse(from).unwrap();
        let selection = select(policy, &listing, Some(&current), facts).unwrap_or_else(|_| panic!("asked"));
        let shape = Shape::parse(from).unwrap();
        for candidate in selection.candidates().filter(|candidate| *candidate.tag != current) {
            let to = Shape::parse(candidate.tag.as_str()).unwrap();
            let is_newer = to.version > shape.version;
            prop_assert!(
                !is_newer || would(&settings, manager, &shape, &to),
                "{} -> {} by {:?} {settings:?} {manager:?}", from, candidate.tag, policy.rule.order()
            );
        }
    }
}

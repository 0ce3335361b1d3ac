//! Renovate's rules, applied to images that are deployed.

use super::*;
use crate::image::{Repository, Tag};

/// A configuration in which the manager for Kubernetes reads files, as it does not by itself.
fn with_files(config: &str) -> String {
    let Ok(mut value) = read(config) else { return config.into() };
    let object = &mut value["kubernetes"];
    if object.get("managerFilePatterns").is_none() {
        object["managerFilePatterns"] = serde_json::json!(["/\\.yaml$/"]);
    }
    value.to_string()
}

/// What comes of a configuration, in the repository `acme/fleet` with one preset in a file.
fn imported(config: &str, deployed: &[DeployedImage]) -> Result<Starter, String> {
    let read = |path: &str| {
        (path == "presets/db.json").then(|| {
            "{packageRules: [{matchPackageNames: ['nginx'], allowedVersions: '<2'}]}".to_owned()
        })
    };
    let (path, repository) = ("renovate.json", "acme/fleet");
    let config = with_files(config);
    let told = RenovateConfig { path, text: &config, repository, read: &read };
    let imported = crate::starter::Imported {
        manifests: &[],
        renovate: Some(told),
        overlays: crate::policy::Overlays::default(),
        repository,
    };
    Starter::imported(&imported, deployed)
}

/// The policy of an image that is deployed as `tag`, as `order by key=value…`; or what is said instead.
fn policy(config: &str, image: &str, tag: &str) -> String {
    let repository = Repository::parse(image).unwrap();
    let deployed = [DeployedImage {
        repository,
        path: "apps/web.yaml".to_owned(),
        line: 1,
        tag: Tag::parse(tag),
        has_digest: false,
    }];
    let starter = imported(config, &deployed).unwrap();
    let Some(policy) = starter.policies.first() else { return starter.notes.join("; ") };
    let rule = &policy.rule;
    let mut all = vec![rule.order.to_owned(), rule.by.clone()];
    all.extend(rule.pattern.iter().map(|pattern| format!("match={pattern}")));
    all.extend(rule.exclude.iter().map(|pattern| format!("exclude={pattern}")));
    all.extend(rule.also.iter().chain(&policy.also).map(|(key, value)| format!("{key}={value}")));
    all.join(" ")
}

#[test]
fn rules_are_applied_in_their_order() {
    let of = |rules: &str| format!("{{packageRules: [{rules}]}}");
    let cases: [(String, &str, &str); 34] = [
        ("{}".into(), "nginx", "semver major"),
        (
            "{extends: ['docker:disableMajor', 'docker:pinDigests']}".into(),
            "nginx",
            "semver minor digest=pin",
        ),
        ("{'major': {'enabled': false}, minor: {enabled: false}}".into(), "nginx", "semver patch"),
        ("// comments\n{\"pinDigests\": true,}".into(), "nginx", "semver major digest=pin"),
        (of("{matchPackageNames: ['redis'], enabled: false}"), "nginx", "semver major"),
        (
            of("{matchDatasources: ['docker'], allowedVersions: '<7.4'}"),
            "nginx",
            "semver <7.4 variant=keep",
        ),
        (of("{matchDatasources: ['npm'], allowedVersions: '<7.4'}"), "nginx", "semver major"),
        ("{extends: ['local>acme/fleet//presets/db']}".into(), "nginx", "semver <2 variant=keep"),
        (
            "{extends: ['github>Acme/Fleet//presets/db.json']}".into(),
            "nginx",
            "semver <2 variant=keep",
        ),
        (
            "{extends: ['docker:disableMajor'], allowedVersions: '<7 || >8'}".into(),
            "nginx",
            "semver <7 >=1.0.0 <2.0.0 || >8 >=1.0.0 <2.0.0 variant=keep",
        ),
        (
            of("{matchPackageNames: ['nginx'], allowedVersions: '/^1\\\\./'}"),
            "nginx",
            "semver major match=^1\\.",
        ),
        (of("{allowedVersions: '!/-debug$/'}"), "nginx", "semver major exclude=-debug$"),
        (
            of("{matchPackageNames: ['/^ngi/'], minimumReleaseAge: '3 days'}"),
            "nginx",
            "semver major minAge=3d",
        ),
        (
            of("{matchPackageNames: ['ghcr.io/acme/**'], pinDigests: true}"),
            "ghcr.io/acme/a/b",
            "semver major digest=pin",
        ),
        (
            of("{matchPackageNames: ['ghcr.io/acme/*'], pinDigests: true}"),
            "ghcr.io/acme/a/b",
            "semver major",
        ),
        (of("{matchPackageNames: ['!nginx'], pinDigests: true}"), "nginx", "semver major"),
        (
            of("{matchPackagePatterns: ['^library/'], pinDigests: true}"),
            "nginx",
            "semver major digest=pin",
        ),
        (of("{matchFileNames: ['apps/**'], pinDigests: true}"), "nginx", "semver major digest=pin"),
        (of("{matchFileNames: ['infra/**'], pinDigests: true}"), "nginx", "semver major"),
        (of("{pinDigests: true}, {pinDigests: false}"), "nginx", "semver major"),
        (of("{matchCurrentVersion: '<1', pinDigests: true}"), "nginx", "semver major"),
        (of("{packageNames: ['redis'], enabled: false}"), "nginx", "semver major"),
        (of("{packagePatterns: ['^ngi'], pinDigests: true}"), "nginx", "semver major digest=pin"),
        (of("{matchDatasources: ['!npm'], pinDigests: true}"), "nginx", "semver major digest=pin"),
        (of("{matchPackageNames: ['nginx'], major: {enabled: false}}"), "nginx", "semver minor"),
        (
            of("{matchUpdateTypes: ['major'], minimumReleaseAge: '3 days'}"),
            "nginx",
            "semver major minAge=3d",
        ),
        (
            of("{matchUpdateTypes: ['major'], dependencyDashboardApproval: true}"),
            "nginx",
            "semver minor",
        ),
        // The next major version without the next minor one cannot be said.
        (of("{matchUpdateTypes: ['minor'], enabled: false}"), "nginx", "semver patch"),
        (
            "{allowedVersions: '<2', packageRules: [{allowedVersions: null}]}".into(),
            "nginx",
            "semver major",
        ),
        ("{'docker-compose': {enabled: false}}".into(), "nginx", "semver major"),
        (of("{matchManagers: ['docker-compose'], enabled: false}"), "nginx", "semver major"),
        (
            of("{matchManagers: ['kubernetes'], pinDigests: true}"),
            "nginx",
            "semver major digest=pin",
        ),
        (of("{minimumReleaseAge: '2 weeks'}"), "nginx", "semver major minAge=14d"),
        (
            of("{ignoreUnstable: false, allowedVersions: '>=1'}"),
            "nginx",
            "semver >=1 variant=keep prereleases=true",
        ),
    ];
    for (config, image, want) in cases {
        assert_eq!(policy(&config, image, "1.2.3"), want, "{config}");
    }
}

/// Renovate reads nothing of a repository or for a manager that is off, so no rule has anything to switch on again.
#[test]
fn what_is_switched_off_no_rule_switches_on() {
    let on = "packageRules: [{matchDatasources: ['docker'], enabled: true, automerge: true}]";
    let cases = [
        ("extends: ['config:recommended', 'docker:disable']", false),
        ("enabled: false", false),
        ("kubernetes: {enabled: false}", false),
        ("docker: {enabled: false}", false),
        ("'docker-compose': {enabled: false}", true),
        // The last word counts.
        ("extends: ['docker:disable'], docker: {enabled: true}", true),
        ("enabled: true", true),
    ];
    for (settings, is_on) in cases {
        let said = policy(&format!("{{{settings}, {on}}}"), "nginx", "1.2.3");
        assert_eq!(said == "semver major", is_on, "{settings}: {said}");
    }
}

/// Rules are applied after the settings of each kind of update, and again; those of presets, after what stands at the top.
#[test]
fn what_counts_more_comes_later() {
    let of = |rules: &str| format!("{{packageRules: [{rules}]}}");
    let cases: [(String, &str); 5] = [
        (
            "{major: {enabled: false}, packageRules: [{matchPackageNames: ['nginx'], enabled: true}]}"
                .into(),
            "semver major",
        ),
        (
            of("{matchUpdateTypes: ['major'], enabled: true, major: {enabled: false}}"),
            "semver major",
        ),
        (
            of("{enabled: true, matchPackageNames: ['redis']}, {major: {enabled: false}}"),
            "semver minor",
        ),
        ("{extends: [':approveMajorUpdates', 'schedule:weekly']}".into(), "semver minor"),
        (
            "{extends: ['local>acme/fleet//presets/db'], allowedVersions: '<9'}".into(),
            "semver <2 variant=keep",
        ),
    ];
    for (config, want) in cases {
        assert_eq!(policy(&config, "nginx", "1.2.3"), want, "{config}");
    }
}

#[test]
fn what_is_left_alone_and_what_cannot_be_read_is_told() {
    let off = "{packageRules: [{matchPackageNames: ['nginx'], enabled: false}]}";
    assert!(policy(off, "nginx", "1.2.3").contains("no policy is written"));
    assert!(policy("{ignoreDeps: ['nginx']}", "nginx", "1.2.3").contains("no policy is written"));
    // What would let in what it keeps away is not written.
    for (config, why) in [
        ("{extends: ['docker:disable']}", "leaves it alone"),
        ("{kubernetes: {enabled: false}}", "leaves it alone"),
        (
            "{packageRules: [{matchUpdateTypes: ['major', 'minor', 'patch'], enabled: false}]}",
            "leaves it alone",
        ),
        ("{packageRules: [{matchCurrentAge: '> 1 year', enabled: false}]}", "matchCurrentAge"),
        (
            "{packageRules: [{matchPackageNames: ['/^nginx(?!-)/'], enabled: false}]}",
            "matchPackageNames",
        ),
        (
            "{argocd: {fileMatch: ['[.]yaml$']}, packageRules: [{matchManagers: ['argocd'], enabled: false}]}",
            "`argocd`",
        ),
        ("{allowedVersions: '/^16(?!0)/'}", "cannot be read"),
        ("{extends: ['github>acme/presets']}", "`github>acme/presets`"),
        ("{extends: [':approveMajorUpdates', 'workarounds:all']}", "`workarounds:all`"),
        ("{kubernetes: {managerFilePatterns: []}}", "`managerFilePatterns`"),
        ("{kubernetes: {managerFilePatterns: ['infra/**']}}", "`managerFilePatterns`"),
        ("{kubernetes: {managerFilePatterns: []}, flux: {fileMatch: ['yaml$']}}", "`flux` reads"),
        (
            "{kubernetes: {managerFilePatterns: []}, customManagers: [{managerFilePatterns: ['**']}]}",
            "`custom.regex` reads",
        ),
        ("{minimumReleaseAge: 'a while'}", "is not known"),
        ("{packageRules: [{extends: ['docker:disableMajor']}]}", "`extends`"),
        ("{kubernetes: {extends: ['github>acme/other']}}", "`extends`"),
        ("{patch: {enabled: false}}", "patches are switched off"),
        (
            "{packageRules: [{matchUpdateTypes: ['patch'], enabled: false}]}",
            "patches are switched off",
        ),
        ("{versioning: 'regex:^(?<major>1)$'}", "`versioning: regex"),
        (
            "{packageRules: [{matchPackageNames: ['nginx'], versioning: 'node'}]}",
            "`versioning: node`",
        ),
        (
            "{extends: ['config:best-practices'], ignorePresets: ['docker:pinDigests']}",
            "`ignorePresets`",
        ),
        ("{extends: ['gitlab>acme/fleet//presets/db']}", "gitlab>acme"),
    ] {
        let told = policy(config, "nginx", "1.2.3");
        assert!(told.contains(why) && told.contains("no policy is written"), "{config}: {told}");
    }
    let notes = |config: &str| imported(config, &[]).map(|starter| starter.notes.join("; "));
    assert!(notes("{automerge: true, followTag: 'x'}").unwrap().contains("autoMerge"));
    assert!(
        notes("{packageRules: [{followTag: 'x'}]}")
            .unwrap()
            .contains("not carried over: `followTag`")
    );
    assert!(notes("{").unwrap_err().starts_with("renovate.json cannot be read"));
    assert!(notes(&"[".repeat(100_000)).unwrap_err().contains("nested"));
    assert_eq!(policy("{}", "nginx", "main-1234"), "numerical asc match=^main-(?<build>\\d{1,6})$");
}

/// Digests that Renovate leaves alone are left alone, and none is written first.
#[test]
fn digests_that_are_switched_off_stay() {
    let import = |config: &str, has_digest: bool| {
        let repository = Repository::parse("nginx").unwrap();
        let path = "apps/web.yaml".to_owned();
        let deployed =
            [DeployedImage { repository, path, line: 1, tag: Tag::parse("1.2.3"), has_digest }];
        let starter = imported(config, &deployed).unwrap();
        (starter.policies.first().map(|policy| policy.also.clone()), starter.notes.join("; "))
    };
    let off = "extends: ['docker:pinDigests'], packageRules: [{matchUpdateTypes: ['digest', 'pinDigest'], enabled: false}]";
    for config in [format!("{{{off}}}"), "{digest: {enabled: false}}".to_owned()] {
        let (policy, notes) = import(&config, true);
        assert!(policy.is_none() && notes.contains("digests are switched off"), "{config} {notes}");
        assert_eq!(import(&config, false).0, Some(Vec::new()), "{config}");
    }
    assert_eq!(import("{pinDigests: true}", true).0, Some(vec![("digest", "pin".to_owned())]));
}

/// A rule for some of the places of an image is none for all of them.
#[test]
fn a_rule_for_some_places_is_not_one_for_all() {
    let at = |path: &str| DeployedImage {
        repository: Repository::parse("nginx").unwrap(),
        path: path.to_owned(),
        line: 1,
        tag: Tag::parse("1.2.3"),
        has_digest: false,
    };
    let deployed = [at("clusters/dev/web.yaml"), at("clusters/prod/web.yaml")];
    let import = |config: &str| {
        let starter = imported(config, &deployed).unwrap();
        (starter.policies.len(), starter.notes.join("; "))
    };
    let (count, notes) =
        import("{packageRules: [{matchFileNames: ['clusters/prod/**'], allowedVersions: '<2'}]}");
    assert!(count == 0 && notes.contains("1 of its 2 places"), "{notes}");
    let (count, notes) =
        import("{packageRules: [{matchFileNames: ['clusters/prod/**'], pinDigests: true}]}");
    assert!(count == 1 && notes.contains("1 of its 2 places"), "{notes}");
    assert_eq!(
        import("{packageRules: [{matchFileNames: ['clusters/**'], allowedVersions: '<2'}]}").0,
        1
    );
}

use super::*;
use crate::policy::Id as _;

fn read_text(text: &str) -> (PolicySet, Vec<Diagnostic>) {
    read(&[PolicyFile::new("policies/p.yaml", text)])
}

fn problems(text: &str) -> Vec<(String, usize)> {
    let (_, problems) = read_text(text);
    let line = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.line);
    problems.iter().map(|d| (d.code.to_string(), line(d))).collect()
}

#[test]
fn a_good_file_becomes_a_set() {
    let (set, problems) = read_text(
        "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '>=1'}}\n  \
             web: {image: nginx, tags: {fixed: stable}, digest: pin}\n\
             environments:\n  prod: {paths: [clusters/prod/], images: [w*]}\n  \
             stage: {paths: ['clusters/stage-*'], deliver: {via: push}}\n",
    );
    assert_eq!(problems, []);
    let names: Vec<_> = set.environments.iter().map(|e| (&*e.name, e.policies.len())).collect();
    assert_eq!(names, [("prod", 1), ("stage", 2)]);
    assert!(set.environments[EnvironmentId::at(0)].paths.contains("clusters/prod/a/b.yaml"));
    assert!(!set.environments[EnvironmentId::at(0)].paths.contains("clusters/production/a.yaml"));
    assert!(set.environments[EnvironmentId::at(1)].paths.contains("clusters/stage-eu/a.yaml"));
}

#[test]
fn without_environments_one_covers_everything() {
    let (set, _) = read_text("images: {a: {image: nginx, tags: {semver: '*'}}}\n");
    assert!(set.environments[EnvironmentId::at(0)].paths.contains("x/y.yaml"));
    assert!(set.environments[EnvironmentId::at(0)].paths.contains("z.yaml"));
}

#[test]
fn every_mistake_is_found_at_once_and_at_its_line() {
    let text = "\
images:
  a:
    image: https://ghcr.io/x
    tags:
      match: '('
      semver: '>=1 ||'
  b: {image: nginx, tags: {match: 'v(?<ver>.*)', extract: '$version', semver: '*'}}
  c: {image: nginx, tags: {semver: '*', fixed: x}}
  d: {image: nginx, tags: {}}
  e: {image: nginx, tags: {fixed: 'a b'}}
  f: {image: nginx, tags: {semver: '*'}}
environments:
  one: {paths: []}
  two: {paths: [../x, /y]}
  three: {paths: [clusters], images: [g]}
  four: {paths: [clusters/a]}
";
    let want = [
        ("policy.invalid-image", 3),
        ("policy.invalid-regex", 5),
        ("policy.invalid-range", 6),
        ("policy.unknown-group", 7),
        ("policy.order", 8),
        ("policy.order", 9),
        ("policy.invalid-tag", 10),
        ("policy.paths", 13),
        ("policy.paths", 14),
        ("policy.paths", 14),
        ("policy.overlap", 15),
        ("policy.unknown-image", 15),
    ];
    assert_eq!(problems(text), want.map(|(code, line)| (code.to_owned(), line)));
}

#[test]
fn the_schema_speaks_in_lines_and_words() {
    let text = "\
images:
  a:
    image: nginx
    tag: {semver: '*'}
    tags: {fixed: 1.10, exclude: x}
    digest: always
  a: 3
";
    let (_, found) = read_text(text);
    let mut got: Vec<_> = found
        .iter()
        .map(|d| (d.place.as_ref().unwrap().line, d.code.as_str(), d.help.as_deref()))
        .collect();
    got.sort_unstable();
    let want = [
        (4, "policy.unknown-key", Some("did you mean `tags`?")),
        (5, "policy.wrong-type", Some("write [x]")),
        (5, "policy.wrong-type", Some("write a text in quotes, as in `'1.27-alpine'`")),
        (6, "policy.invalid-value", Some("write one of `keep`, `pin`, `drop`")),
        (7, "policy.duplicate-key", Some("keep one of them")),
    ];
    assert_eq!(got, want);
}

#[test]
fn names_are_unique_over_files_and_images_over_environments() {
    let file = |path: &str, text: &str| PolicyFile::new(path, text);
    let (_, found) = read(&[
        file("policies/a.yaml", "images: {a: {image: nginx, tags: {semver: '*'}}}\n"),
        file(
            "policies/b.yaml",
            "images: {a: {image: redis, tags: {semver: '*'}}, b: {image: library/nginx, tags: {semver: '*'}}}\n",
        ),
    ]);
    let codes: Vec<_> = found.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::PolicyDuplicateName]);
}

#[test]
fn kubernetes_objects_are_passed_over_and_nothing_is_an_error() {
    let kyverno = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nspec: {}\n";
    assert_eq!(problems(kyverno), [("policy.none".to_owned(), 0)]);
    assert_eq!(read(&[]).1[0].code, Code::PolicyNone);
    assert_eq!(problems("a: [\n")[0].0, "policy.syntax");
}

#[test]
fn names_are_plain_words() {
    for bad in ["'a b'", "-a", "'@acme/team'", r#""a\nb""#, "''", &"a".repeat(64)] {
        let text = format!("images: {{{bad}: {{image: nginx, tags: {{semver: '*'}}}}}}\n");
        assert_eq!(problems(&text), [("policy.invalid-name".to_owned(), 1)], "{bad}");
    }
}

#[test]
fn excludes_that_are_too_large_together_are_not_dropped() {
    let many: Vec<String> = (0..14).map(|n| format!("'\\w{{12}}x12{n}'")).collect();
    let text = format!(
        "images: {{a: {{image: nginx, tags: {{semver: '*', exclude: [{}]}}}}}}\n",
        many.join(", ")
    );
    assert_eq!(problems(&text), [("policy.invalid-regex".to_owned(), 1)]);
    let long = format!(
        "images: {{a: {{image: nginx, tags: {{semver: '*', match: '{}'}}}}}}\n",
        "a".repeat(1025)
    );
    assert_eq!(problems(&long), [("policy.invalid-regex".to_owned(), 1)]);
}

#[test]
fn one_mistake_does_not_hide_the_others() {
    let text = "images:\n  a: {image: nginx, tags: {semver: '*'}, colour: x}\n  \
                b: {image: nginx, tags: {semver: '>>1', match: '('}}\nother: 1\n\
                environments:\n  e: {paths: [], images: [a]}\n";
    let want = [
        ("policy.unknown-key", 2),
        ("policy.unknown-key", 4),
        ("policy.invalid-regex", 3),
        ("policy.invalid-range", 3),
        ("policy.paths", 6),
    ];
    assert_eq!(problems(text), want.map(|(code, line)| (code.to_owned(), line)));
}

#[test]
fn a_document_that_contains_itself_is_refused() {
    assert_eq!(
        problems("images: &a\n  x: *a\n"),
        [("policy.syntax".to_owned(), 1), ("policy.none".to_owned(), 0)][..1]
    );
}

#[test]
fn a_regex_bomb_is_refused() {
    let text =
        "images: {a: {image: nginx, tags: {match: '((a{1000}){1000}){1000}', semver: '*'}}}\n";
    assert_eq!(problems(text), [("policy.invalid-regex".to_owned(), 1)]);
}

/// Flux resources in one file; environments as `name via paths policies`, then problems.
fn flux(text: &str) -> Vec<String> {
    let (set, problems) = read_text(text);
    let environments = set.environments.iter().map(|e| {
        let names: Vec<_> = set.policies_of(e).map(|policy| policy.name.as_str()).collect();
        format!(
            "{} {:?} {} {}",
            e.name,
            e.deliver.via,
            e.paths.written().join("+"),
            names.join("+")
        )
    });
    environments.chain(problems.iter().map(|d| format!("{} {}", d.code, d.message))).collect()
}

const IMAGE: &str = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: shop, namespace: ns}\n\
    spec: {image: nginx}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\n\
    metadata: {name: shop, namespace: ns, labels: {app: a}}\n\
    spec: {imageRepositoryRef: {name: shop}, policy: {semver: {range: 1.x}}}\n---\n";

fn automation(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\n\
         metadata: {{name: {name}, namespace: ns}}\nspec: {{{spec}}}\n---\n"
    )
}

#[test]
fn flux_automations_are_environments() {
    let two =
        automation("a", "update: {path: ./apps}") + &automation("b", "update: {path: /infra/}");
    assert_eq!(
        flux(&(IMAGE.to_owned() + &two)),
        ["ns-a Push apps ns:shop", "ns-b Push infra ns:shop"]
    );
    let all = two + &automation("c", "update: {path: ./}, git: {push: {branch: review}}");
    let got = flux(&(IMAGE.to_owned() + &all));
    assert_eq!(got[0].split(' ').take(2).collect::<Vec<_>>(), ["ns-a", "PullRequest"], "{got:?}");
    assert_eq!(got.iter().filter(|line| line.starts_with("ns-")).count(), 1, "{got:?}");
    assert_eq!(flux(IMAGE), ["default PullRequest . ns:shop"]);
}

#[test]
fn flux_resources_that_cannot_be_used_cover_nothing() {
    let cases = [
        ("suspend: true", "it is suspended"),
        ("update: {path: ../x}", "is not a path within the repository"),
        (
            "policySelector: {matchExpressions: [{key: a, operator: Near}]}",
            "no operator of a label selector",
        ),
    ];
    for (spec, want) in cases {
        let got = flux(&(IMAGE.to_owned() + &automation("a", spec)));
        assert!(got.len() == 1 && got[0].contains(want), "{got:?}");
    }
    let other = IMAGE.replace("1.x", "2.x");
    let got = flux(&(IMAGE.to_owned() + &other));
    assert!(got[0].contains("two different ImagePolicy `ns:shop`"), "{got:?}");
    let got = flux(&IMAGE.replace(", namespace: ns}", "}"));
    assert!(got[0].contains("has no namespace"), "{got:?}");
    let selected = automation("a", "policySelector: {matchLabels: {app: b}}");
    assert_eq!(flux(&(IMAGE.to_owned() + &selected)), ["ns-a Push . "]);
    let others =
        automation("a", "policySelector: {matchExpressions: [{key: a, operator: Exists}]}");
    assert_eq!(flux(&(IMAGE.to_owned() + &others)), ["ns-a Push . "]);
}

#[test]
fn targets_say_where_and_what() {
    let fine = [
        "files: a, path: x.y, part: tag",
        "files: [a, b/*], path: '$.x[0]', part: tag@digest",
        "files: a, match: '(?<tag>x)'",
    ];
    let bad = [
        ("files: a, path: x", "policy.target"),
        ("files: a", "policy.target"),
        ("files: [], path: x, part: tag", "policy.target"),
        ("files: ../a, path: x, part: tag", "policy.paths"),
        ("files: a, path: 'x..', part: tag", "policy.target"),
        ("files: a, match: 'x'", "policy.target"),
        ("files: a, match: '(?<version>x)'", "policy.target"),
        ("files: a, match: '(', part: tag", "policy.target"),
        ("files: a, match: '('", "policy.invalid-regex"),
        ("files: a, path: x, match: y, part: tag", "policy.target"),
        ("files: a, path: x, part: version", "policy.invalid-value"),
        ("path: x, part: tag", "policy.missing-key"),
        ("files: 1, path: x, part: tag", "policy.wrong-type"),
    ];
    let text = |target: &str| {
        format!(
            "images:\n  a:\n    image: nginx\n    tags: {{semver: '*'}}\n    targets:\n    - {{{target}}}\n"
        )
    };
    for target in fine {
        assert_eq!(problems(&text(target)), [], "{target}");
    }
    for (target, code) in bad {
        assert_eq!(problems(&text(target)), [(code.to_owned(), 6)], "{target}");
    }
}

#[test]
fn a_marker_is_of_one_policy_in_each_environment() {
    let of = |environments: &str| {
        problems(&format!(
            "images:\n  a: {{image: nginx, marker: 'ns:x', tags: {{semver: '*'}}}}\n  \
             b: {{image: redis, marker: 'ns:x', tags: {{semver: '*'}}}}\n{environments}"
        ))
    };
    let both = of("");
    assert_eq!(both, [("policy.duplicate-name".into(), 2), ("policy.duplicate-name".into(), 3)]);
    let apart =
        "environments:\n  one: {paths: [a], images: [a]}\n  two: {paths: [b], images: [b]}\n";
    assert_eq!(of(apart), []);
}

#[test]
fn labels_that_say_what_to_do_are_peoples() {
    let of = |label: &str| {
        problems(&format!(
            "images: {{a: {{image: nginx, tags: {{semver: '*'}}}}}}\nenvironments:\n  e:\n    paths: [a]\n    \
             deliver: {{labels: ['{label}']}}\n"
        ))
    };
    for label in ["tagalong:approve", "Tagalong:Hold", "tagalong:retry", "tagalong:rebase"] {
        assert_eq!(of(label), [("policy.invalid-value".into(), 5)], "{label}");
    }
    assert_eq!(of("tagalong"), []);
}

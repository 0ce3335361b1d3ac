use crate::policy::{PolicyFile, read};

/// Typical mistakes in a policy file: one error for each, that says what to write.
const MISTAKES: [(&str, &str, &str); 27] = [
    // In an environment.
    ("lockstep: [shop]", "`environments.dev.lockstep.0` must be a list", "as in `lockstep: [["),
    ("lockstep: {images: [shop], same: tags}", "cannot be `tags`", "did you mean `tag`?"),
    ("promoteFrom: {all: [dev]}", "lacks the key `any`", "as in `any: [eu-canary"),
    ("deliver: {group: images}", "cannot be `images`", "did you mean `image`? write one of"),
    ("deliver: {group: {web: shop}}", "`environments.dev.deliver.group.web` must", "write [shop]"),
    ("deliver: {maxOpen: 0}", "is `0`, and is 1 at least", ""),
    ("deliver: {via: push, approval: true}", "`via: push` asks nobody", "`via: pull-request`"),
    ("autoMerge: bot", "unknown key `autoMerge`", "`autoMerge` belongs into `deliver`"),
    ("deliver: {soak: 1d}", "unknown key `soak`", "`soak` belongs into `environments.dev`"),
    ("soak: 24", "`environments.dev.soak` must be text", "in quotes, as in `'24h'`"),
    ("suspend: no", "`no` is a text here, and would suspend; write `false`", ""),
    ("windows: x", "must be a list, not `x`", "as in `windows: [{cron:"),
    ("skip: [v1.2.0]", "must be a mapping, not `v1.2.0`", "as in `skip: [{images: [shop], tags:"),
    ("exclude: [*-debug]", "this is not YAML", "in quotes, as in `'*'`"),
    // A whole file.
    ("images: {x: {image: a/b, tags: {semver: >=1 <2}}}", "not YAML", "`>` or `|` in quotes"),
    ("images:\n  x:\n    image: a/b\n    tags: {semver: *}\n", "not YAML", "as in `'*'`"),
    ("images:\n  x:\n    image a/b\n    tags: {}\n", "not YAML", "lack its colon"),
    ("images:\n  x:\n\timage: a/b\n", "not YAML", "never with tabs"),
    ("images:\n  x:\n    image: a/b\n     tags: {}\n", "not YAML", "indented alike?"),
    ("images: {x: {image: a/b, tags: {match: \"^v\\d$\"}}}", "not YAML", "in single quotes"),
    ("images:\n  x:\n    image: 'a'/b\n", "not YAML", "quoted as a whole"),
    ("images: {x: {image: a/b\n", "not YAML", "is not closed"),
    ("images:\n  x:\n    image: a/b\n", "lacks the key `tags`", "as in `tags: {semver: minor}`"),
    ("images:\n  x: a/b\n", "must be a mapping, not `a/b`", "as in `images: {shop: {image:"),
    ("images:\n  x: {image: a/b, tags: latest}\n", "not `latest`", "as in `tags: {semver: minor}`"),
    (
        "images:\n  x:\n  image: a/b\n  tags: {}\n",
        "`images.x` is empty",
        "indent `image`, `tags`, beneath `x`",
    ),
    ("images: {x: {image: a/b, tags: {semver: '1'}, environments: [dev]}}", "unknown", "the top"),
];

#[test]
fn a_mistake_is_one_error_that_says_what_to_write() {
    for (written, message, help) in MISTAKES {
        let text = if written.starts_with("images") {
            written.to_owned()
        } else {
            let images = "images: {shop: {image: a/b, tags: {semver: '*'}}}";
            format!("{images}\nenvironments:\n  dev: {{paths: [a], {written}}}\n")
        };
        let (_, problems) = read(&[PolicyFile::new("p.yaml", text)]);
        let [problem] = &problems[..] else { panic!("{written}: {problems:#?}") };
        assert!(problem.message.contains(message), "{written}: {}", problem.message);
        let said = problem.help.as_deref().unwrap_or_default();
        assert!(said.contains(help), "{written}: {said}");
        assert!(problem.place.is_some(), "{written}");
    }
}

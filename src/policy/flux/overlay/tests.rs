use super::*;

fn patched(kustomization: &str, patch: &str) -> Vec<bool> {
    let mut overlays = Overlays::default();
    let read = |path: &str| (path == "base/patch.yaml").then(|| patch.to_owned());
    overlays.learn("dev/kustomization.yaml", kustomization, &read);
    let resources = [("ImagePolicy", "shop"), ("ImagePolicy", "web"), ("ImageRepository", "shop")];
    resources.iter().map(|(kind, name)| overlays.patched(kind, "acme", name).is_some()).collect()
}

#[test]
fn patches_are_of_the_resources_that_they_name() {
    let range =
        "kind: ImagePolicy\nmetadata: {name: shop}\nspec: {policy: {semver: {range: 1.x}}}\n";
    let pause = "kind: ImagePolicy\nmetadata: {name: shop}\nspec: {interval: 5m}\n";
    let deployment = "kind: Deployment\nmetadata: {name: shop}\nspec: {suspend: true}\n";
    let at = "patches: [{path: ../base/patch.yaml}]";
    let cases = [
        (at, range, [true, false, false]),
        (at, pause, [false; 3]),
        (at, deployment, [false; 3]),
        ("patchesStrategicMerge: [../base/patch.yaml]", range, [true, false, false]),
        (
            "patches:\n- target: {kind: ImagePolicy}\n  path: ../base/patch.yaml",
            "- {op: replace, path: /spec/policy/semver/range, value: 1.x}",
            [true, true, false],
        ),
        (
            "patchesJson6902:\n- target: {kind: Image.*, name: sh.*}\n  path: ../base/patch.yaml",
            "- {op: remove, path: /spec/suspend}",
            [true, false, true],
        ),
        (
            "patches:\n- target: {kind: ImagePolicy, namespace: other}\n  path: ../base/patch.yaml",
            "- {op: remove, path: /spec/suspend}",
            [false; 3],
        ),
        (
            "patches:\n- target: {labelSelector: a=b}\n  path: ../base/patch.yaml",
            "- {op: replace, path: /spec/replicas, value: 1}",
            [false; 3],
        ),
        (
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nmetadata: {name: a}\nspec:\n  path: ./x\n  patches:\n  - patch: |\n      - {op: add, path: /spec/image, value: x}\n    target: {kind: ImageRepository}",
            "",
            [false, false, true],
        ),
    ];
    for (kustomization, patch, want) in cases {
        assert_eq!(patched(kustomization, patch), want, "{kustomization} {patch}");
    }
}

#[test]
fn variables_are_put_in_where_they_are_set() {
    let mut overlays = Overlays::default();
    let text = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nmetadata: {name: dev}\nspec:\n  path: ./components/\n  postBuild: {substitute: {A: one, B: two}}\n";
    overlays.learn("clusters/dev.yaml", text, &|_| None);
    let of = |path| overlays.substituting(path).map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(of("components/x.yaml"), ["dev"]);
    assert_eq!(of("components-2/x.yaml"), Vec::<String>::new());
    let dev = overlays.substituting("components/x.yaml").next().unwrap();
    assert_eq!(dev.apply("./${A}/${B}"), Ok("./one/two".to_owned()));
    assert_eq!(dev.apply("${C:=three}${A:-x}"), Ok("threeone".to_owned()));
    assert_eq!(dev.apply("${C}"), Err("C".to_owned()));
    // A patch may set any.
    let patches = [
        (
            "target: {kind: Kustomization, name: d.*}",
            "- {op: add, path: /spec/postBuild, value: {}}",
            true,
        ),
        (
            "target: {kind: Kustomization, name: prod}",
            "- {op: add, path: /spec/postBuild, value: {}}",
            false,
        ),
        (
            "target: {kind: Kustomization}",
            "{kind: Kustomization, metadata: {name: x}, spec: {postBuild: {substituteFrom: []}}}",
            true,
        ),
        (
            "target: {kind: Kustomization}",
            "{kind: Kustomization, metadata: {name: x}, spec: {prune: true}}",
            false,
        ),
    ];
    for (target, patch, is_open) in patches {
        let mut overlays = Overlays::default();
        overlays.learn("clusters/dev.yaml", text, &|_| None);
        let parent = format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nmetadata: {{name: all}}\nspec:\n  path: x\n  patches:\n  - patch: '{patch}'\n    {target}\n"
        );
        overlays.learn("clusters/all.yaml", &parent, &|_| None);
        let overlays = overlays.settled();
        let dev = overlays.substituting("components/x.yaml").next().unwrap();
        let place = dev.others.as_ref().map(|place| (place.path.as_str(), place.line));
        assert_eq!(place, is_open.then_some(("clusters/all.yaml", 6)), "{target} {patch}");
    }
    assert_eq!(variable("a/${X}"), Some("X".to_owned()));
    assert_eq!(variable("a/${X:-b}"), None);
}

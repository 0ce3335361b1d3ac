//! Values of one release that stand in several files: a `HelmRelease` with patches and `ConfigMap`s, Argo CD's value files and
//! parameters, Fleet's targets.

use crate::further_away::after;
use crate::rows::{TAGS, filled};

/// The policy.
const POLICY: (&str, &str) =
    ("policies/p.yaml", "images:\n  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n");

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: shop}\nspec:\n  \
                       chart: {spec: {chart: ./charts/shop}}\n  values:\n    image: {repository: r.io/acme/shop, tag: v1.0.0}\n";

/// A patch of the release, which names no chart.
fn patch(values: &str) -> String {
    let head = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: shop}\nspec:\n  values:\n    ";
    format!("{head}{values}\n")
}

/// Checks what a run makes of the first of some files, and that it says some words.
pub fn holds(files: &[(&str, String)], moves: bool, says: &str) {
    let (path, before) = &files[0];
    let texts: Vec<(&str, String)> =
        files.iter().map(|(path, text)| (*path, filled(text))).collect();
    let mut all: Vec<(&str, &str)> =
        texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    all.push(POLICY);
    let (got, said) = after(&all, &filled(TAGS), path);
    let want = if moves { before.replace("v1.0.0", "v1.1.0") } else { before.clone() };
    assert_eq!(got, filled(&want), "{files:?}\n{said}");
    assert!(said.contains(says), "{says} in {files:?}\n{said}");
}

#[test]
fn a_digest_in_another_place_of_the_release_keeps_the_tag() {
    let base = || ("base/shop.yaml", RELEASE.to_owned());
    let kustomization = |patches: &str| format!("resources: [../base]\npatches:\n{patches}");
    let laid = |line: usize, path: &str| format!("in line {line} of {path} is");
    holds(
        &[base(), ("prod/shop.yaml", patch("image: {digest: '@A'}"))],
        false,
        &laid(6, "prod/shop.yaml"),
    );
    let operations = "- target: {kind: HelmRelease, name: shop}\n  patch: |\n    - op: add\n      \
                      path: /spec/values/image/digest\n      value: '@A'\n";
    let file = "prod/kustomization.yaml";
    holds(&[base(), (file, kustomization(operations))], false, &laid(7, file));
    let fields = "- patch: |\n    kind: HelmRelease\n    metadata: {name: shop}\n    spec:\n      values:\n        image: {digest: '@A'}\n";
    holds(&[base(), (file, kustomization(fields))], false, &laid(8, file));
    let named = "- target: {kind: HelmRelease}\n  path: digest.json\n";
    let json =
        "[{\"op\": \"add\", \"path\": \"/spec/values/image\", \"value\": {\"digest\": \"@A\"}}]\n";
    holds(
        &[base(), (file, kustomization(named)), ("prod/digest.json", json.to_owned())],
        false,
        &laid(1, "prod/digest.json"),
    );
    let from =
        RELEASE.replace("  values:", "  valuesFrom: [{kind: ConfigMap, name: more}]\n  values:");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata:\n  values.yaml: |\n    image:\n      digest: '@A'\n";
    holds(
        &[("base/shop.yaml", from.clone()), ("base/more.yaml", map.to_owned())],
        false,
        &laid(7, "base/more.yaml"),
    );
    let generator = "configMapGenerator:\n- name: more\n  files: [values.yaml=own.yaml]\n";
    let values = ("base/own.yaml", "image: {digest: '@A'}\n".to_owned());
    let made = ("base/kustomization.yaml", generator.to_owned());
    holds(&[("base/shop.yaml", from), made, values], false, &laid(1, "base/own.yaml"));
    let chart = ("charts/shop/values.yaml", "image: {digest: '@A'}\n".to_owned());
    holds(&[base(), chart], false, &laid(1, "charts/shop/values.yaml"));
}

#[test]
fn applications_and_fleets_are_put_together() {
    let application = |helm: &str| {
        let head = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  source:\n    path: charts/shop\n    helm:\n";
        ("apps/shop.yaml", format!("{head}{helm}"))
    };
    let values = |path| (path, "image: {repository: r.io/acme/shop, tag: v1.0.0}\n".to_owned());
    let defaults = || values("charts/shop/values.yaml");
    let digest = "      parameters:\n      - {name: image.digest, value: '@A'}\n";
    holds(&[defaults(), application(digest)], false, "in line 9 of apps/shop.yaml is");
    let prod = format!("      valueFiles: [../../env/prod.yaml]\n{digest}");
    holds(&[values("env/prod.yaml"), application(&prod)], false, "in line 10 of apps/shop.yaml is");
    let text = "      values: |\n        image:\n          digest: '@A'\n";
    holds(&[defaults(), application(text)], false, "in line 10 of apps/shop.yaml is");
    // A tag that counts more, and whose name stands here, is reported.
    let tag = "      parameters:\n      - {name: image.tag, value: v1.0.0}\n";
    holds(&[defaults(), application(tag)], true, "stands in another file than this tag");
    let fleet = "helm:\n  values:\n    image: {repository: r.io/acme/shop, tag: v1.0.0}\ntargetCustomizations:\n- name: prod\n  helm:\n    values:\n      image: {digest: '@A'}\n";
    holds(&[("shop/fleet.yaml", fleet.to_owned())], false, "in line 8 of shop/fleet.yaml is");
    let fleet = "helm:\n  valuesFiles: [own.yaml]\n  values: {image: {digest: '@A'}}\n";
    holds(
        &[values("shop/own.yaml"), ("shop/fleet.yaml", fleet.to_owned())],
        false,
        "in line 3 of shop/fleet.yaml is",
    );
    let tags = "helm:\n  values:\n    image: {repository: r.io/acme/shop, tag: v1.0.0}\ntargetCustomizations:\n- name: prod\n  helm:\n    values:\n      image: {tag: v1.0.0}\n";
    holds(&[("shop/fleet.yaml", tags.to_owned())], true, "");
}

#[test]
fn what_is_of_another_release_keeps_nothing() {
    let base = || ("base/shop.yaml", RELEASE.to_owned());
    let digest = || patch("image: {digest: '@A'}");
    let other = digest().replace("name: shop", "name: web");
    holds(&[base(), ("prod/web.yaml", other)], true, "");
    // A post-renderer of another one of this name, and a sum that is no image's.
    let rendered = RELEASE.replace("  values:", "  postRenderers: [{kustomize: {images: [{name: r.io/acme/shop, digest: '@A'}]}}]\n  values:");
    holds(&[base(), ("other/shop.yaml", rendered)], true, "");
    holds(&[base(), ("prod/shop.yaml", patch("image: {tokenChecksum: '#A'}"))], true, "");
    // Another release of the same name, in another cluster.
    let twin = RELEASE.replace("tag: v1.0.0", "tag: v1.0.0, digest: '@A'");
    holds(&[base(), ("other/shop.yaml", twin)], true, "");
    // Patches of two clusters do not meet; the chart's own name is another one's.
    let named = patch("image: {repository: r.io/acme/shop, tag: v1.0.0}");
    holds(&[("dev/shop.yaml", named), ("prod/shop.yaml", digest())], true, "");
    let chart = ("charts/shop/values.yaml", "image: {repository: nginx}\n".to_owned());
    holds(&[base(), chart], true, "");
}

#[test]
fn a_tag_in_a_patch_takes_its_name_from_the_release() {
    let base = || ("base/shop.yaml", RELEASE.to_owned());
    let tag = || ("prod/shop.yaml", patch("image: {tag: v1.0.0}"));
    holds(&[tag(), base()], true, "");
    let second =
        format!("kind: Namespace\napiVersion: v1\nmetadata: {{name: x}}\n---\n{}", tag().1);
    holds(&[("prod/shop.yaml", second), base()], true, "");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata:\n  values.yaml: |\n    image:\n      tag: v1.0.0\n";
    let from =
        RELEASE.replace("  values:", "  valuesFrom: [{kind: ConfigMap, name: more}]\n  values:");
    let map = ("base/more.yaml", map.to_owned());
    holds(&[map, ("base/shop.yaml", from)], false, "stands in another file than this tag");
}

/// A tag under a key like `shopTag` gets no name from another file; it is reported.
#[test]
fn a_tag_that_is_called_for_an_image_is_told() {
    let says = "the name of `shop` stands in another file than this tag";
    let values = "imageRepository: r.io/acme/shop\nimageTag: v1.0.0\n";
    let named = |path, values: &str| (path, values.to_owned());
    holds(
        &[named("values.yaml", values), named("values-prod.yaml", "imageTag: v1.0.0\n")],
        true,
        says,
    );
    let release = RELEASE.replace(
        "image: {repository: r.io/acme/shop, tag: v1.0.0}",
        "{shopImage: r.io/acme/shop, shopTag: v1.0.0}",
    );
    let tag = ("prod/shop.yaml", patch("shopTag: v1.0.0"));
    holds(&[("base/shop.yaml", release.clone()), tag], true, says);
    // Of another image, or marked, it is as it is.
    let world_of = |files: &[(&str, String)]| {
        let mut all: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (*path, &**text)).collect();
        all.push(POLICY);
        after(&all, &filled(TAGS), files[0].0).1
    };
    for other in ["webTag: v1.0.0", "shopTag: v1.0.0 # tagalong: shop:tag"] {
        let tag = ("prod/shop.yaml", patch(other));
        assert!(!world_of(&[("base/shop.yaml", release.clone()), tag]).contains(says), "{other}");
    }
}

/// One release in several places, each of which once moved a tag that something else decided about.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn however_the_places_of_a_release_are_found() {
    let base = || ("base/shop.yaml", RELEASE.to_owned());
    let kustomization = |patches: &str| {
        ("prod/kustomization.yaml", format!("resources: [../base]\npatches:\n{patches}"))
    };
    let digest = "image: {digest: '@A'}";
    let released = |name: &str| patch(digest).replace("name: shop", name);
    let says =
        |files: &[(&str, String)], at: &str| holds(files, false, &format!("in line {at} is"));
    // The chart's version in a patch makes no release of it, as in Flux's own example.
    let version = patch(digest).replace("  values:", "  chart: {spec: {version: 1.x}}\n  values:");
    says(&[base(), ("prod/shop.yaml", version)], "7 of prod/shop.yaml");
    // A target counts more than the name in the patch, and may say little.
    let aimed = kustomization("- path: p.yaml\n  target: {kind: HelmRelease, name: shop}\n");
    says(&[base(), aimed, ("prod/p.yaml", released("name: other"))], "6 of prod/p.yaml");
    let operation = "[{op: add, path: /spec/values/image/digest, value: '@A'}]\n".to_owned();
    for target in ["{name: shop}", "{kind: 'Helm.*'}", "{labelSelector: a=b}"] {
        let aimed = kustomization(&format!("- path: p.json\n  target: {target}\n"));
        says(&[base(), aimed, ("prod/p.json", operation.clone())], "1 of prod/p.json");
    }
    let strategic = format!("patchesStrategicMerge:\n- |\n{}", indented(&patch(digest)));
    says(&[base(), ("prod/kustomization.yaml", strategic)], "8 of prod/kustomization.yaml");
    // Aliases and merges are what they stand for.
    for values in ["{x: &i {digest: '@A'}, image: *i}", "{x: &i {digest: '@A'}, image: {<<: *i}}"] {
        let text = patch("").replace("  values:\n    \n", &format!("  values: {values}\n"));
        says(&[base(), ("prod/shop.yaml", text)], "5 of prod/shop.yaml");
    }
    // A post-renderer comes behind the chart.
    let rendered = RELEASE.replace(
        "  values:",
        "  postRenderers: [{kustomize: {images: [{name: r.io/acme/shop, digest: '@A'}]}}]\n  values:",
    );
    let twice = patch("image: {pullPolicy: Always}");
    says(&[("base/shop.yaml", rendered), ("prod/shop.yaml", twice)], "6 of base/shop.yaml");
    // Maps and secrets, one value of them, and what kustomize makes.
    let from = |from: &str| {
        let release = RELEASE.replace("  values:", &format!("  valuesFrom: [{from}]\n  values:"));
        ("base/shop.yaml", release)
    };
    let secret = "kind: Secret\nmetadata: {name: more}\nstringData:\n  values.yaml: |\n    image:\n      digest: '@A'\n";
    says(
        &[from("{kind: Secret, name: more}"), ("base/s.yaml", secret.to_owned())],
        "6 of base/s.yaml",
    );
    let one = "{kind: ConfigMap, name: app-more, valuesKey: d, targetPath: image.digest}";
    let made = "namePrefix: app-\nconfigMapGenerator:\n- name: more\n  literals: ['d=@A']\n";
    says(
        &[from(one), ("base/kustomization.yaml", made.to_owned())],
        "4 of base/kustomization.yaml",
    );
    // What counts less has a digest, or a registry, that is still there.
    let chart = |text: &str| ("charts/shop/values.yaml", text.to_owned());
    let pinned = chart("image: {repository: up/shop, tag: v0.1.0, digest: '@A'}\n");
    says(&[base(), pinned], "1 of charts/shop/values.yaml");
    let other = chart("image: {registry: q.io, repository: up/shop, tag: v0.1.0}\n");
    holds(&[base(), other], true, "");
    // A digest whose tag stands elsewhere stays with it.
    let both = RELEASE.replace("tag: v1.0.0", "tag: v1.0.0, digest: '@A'");
    let tag = patch("image: {repository: r.io/acme/shop, tag: v0.9.0}");
    says(&[("base/shop.yaml", both.clone()), ("prod/shop.yaml", tag)], "6 of prod/shop.yaml");
    let above = patch("image: {repository: r.io/acme/shop, tag: v0.9.0, digest: '@B'}");
    holds(&[("base/shop.yaml", RELEASE.to_owned()), ("prod/shop.yaml", above)], true, "");
    let nameless = patch("image: {tag: v0.9.0, digest: '@B'}");
    holds(&[base(), ("prod/shop.yaml", nameless)], true, "");
    // Overlays of overlays are of one cluster.
    let named = patch("image: {repository: r.io/acme/shop, tag: v1.0.0}");
    let chained = ("prod/kustomization.yaml", "resources: [../common]\n".to_owned());
    says(
        &[("common/shop.yaml", named), chained, ("prod/shop.yaml", patch(digest))],
        "6 of prod/shop.yaml",
    );
}

/// The same for other programs.
#[test]
fn whoever_makes_the_release() {
    let values = |path| (path, "image: {repository: r.io/acme/shop, tag: v1.0.0}\n".to_owned());
    let says =
        |files: &[(&str, String)], at: &str| holds(files, false, &format!("in line {at} is"));
    let set = "spec:\n  generators: [{list: {elements: [{env: prod}]}}]\n  template:\n    spec:\n      source:\n        path: '{{path}}'\n        \
               helm: {parameters: [{name: image.digest, value: '@A'}]}\n";
    let set = format!("apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n{set}");
    says(&[values("apps/shop/values.yaml"), ("sets/all.yaml", set)], "9 of sets/all.yaml");
    let source = "helm:\n  parameters:\n  - {name: image.digest, value: '@A'}\n".to_owned();
    says(
        &[values("apps/shop/values.yaml"), ("apps/shop/.argocd-source.yaml", source.clone())],
        "3 of apps/shop/.argocd-source.yaml",
    );
    let ignored = source.replace("'@A'}", "'@A'} # tagalong: ignore");
    let ignored = ("apps/shop/.argocd-source.yaml", ignored);
    holds(&[values("apps/shop/values.yaml"), ignored], true, "");
    let fleet = "helm: {values: {image: {digest: '@A'}}}\n".to_owned();
    says(&[values("shop/values.yaml"), ("shop/fleet.yaml", fleet)], "1 of shop/fleet.yaml");
    let charts = "helmCharts:\n- {name: shop, valuesFile: own.yaml, valuesInline: {image: {digest: '@A'}}}\n";
    says(
        &[values("k/own.yaml"), ("k/kustomization.yaml", charts.to_owned())],
        "2 of k/kustomization.yaml",
    );
    let helmfile = "releases:\n- name: shop\n  values: [env/shop.yaml]\n  set: [{name: image.digest, value: '@A'}]\n";
    says(&[values("env/shop.yaml"), ("helmfile.yaml", helmfile.to_owned())], "4 of helmfile.yaml");
    let oci = |spec: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {{name: shop}}\nspec: {spec}\n"
        )
    };
    let source = oci("{url: 'oci://r.io/acme/shop', ref: {tag: v1.0.0}}");
    says(
        &[("base/oci.yaml", source), ("prod/oci.yaml", oci("{ref: {digest: '@A'}}"))],
        "4 of prod/oci.yaml",
    );
    let k3s = |kind: &str, image: &str| {
        format!(
            "apiVersion: helm.cattle.io/v1\nkind: {kind}\nmetadata: {{name: shop}}\nspec:\n  valuesContent: |\n    image: {image}\n"
        )
    };
    says(
        &[
            ("a.yaml", k3s("HelmChart", "{repository: r.io/acme/shop, tag: v1.0.0}")),
            ("b.yaml", k3s("HelmChartConfig", "{digest: '@A'}")),
        ],
        "6 of b.yaml",
    );
}

/// What is of another release, or is filled in otherwise, decides nothing.
#[test]
fn what_is_made_for_another_one_keeps_nothing() {
    let values = |path| (path, "image: {repository: r.io/acme/shop, tag: v1.0.0}\n".to_owned());
    let argo = |kind: &str, name: &str, source: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n{source}"
        )
    };
    let digest = "image: {digest: '@A'}\n".to_owned();
    // One ApplicationSet makes an application of each directory.
    let set = argo(
        "ApplicationSet",
        "all",
        "spec: {template: {spec: {source: {path: 'apps/{{name}}', helm: {valueFiles: [prod.yaml]}}}}}\n",
    );
    let own = [values("apps/shop/values.yaml"), ("apps/web/prod.yaml", digest.clone())];
    holds(&[&own[..], &[("sets.yaml", set.clone())]].concat(), true, "");
    let own = [values("apps/shop/values.yaml"), ("apps/shop/prod.yaml", digest.clone())];
    holds(
        &[&own[..], &[("sets.yaml", set)]].concat(),
        false,
        "in line 1 of apps/shop/prod.yaml is",
    );
    let all =
        argo("ApplicationSet", "all", "spec: {template: {spec: {source: {path: '{{path}}'}}}}\n");
    // Files outside of the path are of all that the template makes.
    let env = argo(
        "ApplicationSet",
        "env",
        "spec: {template: {spec: {source: {path: 'apps/{{name}}', helm: {valueFiles: ['../../env/{{env}}.yaml']}}}}}\n",
    );
    holds(
        &[values("apps/shop/values.yaml"), ("env/prod.yaml", digest.clone()), ("sets.yaml", env)],
        false,
        "in line 1 of env/prod.yaml is",
    );
    let sub = ("apps/shop/charts/redis/values.yaml", digest.clone());
    holds(&[values("apps/shop/values.yaml"), sub, ("sets.yaml", all)], true, "");
    // Two applications in one file are two.
    let one = |name: &str, helm: &str| {
        argo(
            "Application",
            name,
            &format!("spec: {{source: {{path: charts/{name}, helm: {{{helm}}}}}}}\n"),
        )
    };
    let both = format!(
        "{}---\n{}",
        one("a", ""),
        one("b", "parameters: [{name: image.digest, value: '@A'}]")
    );
    holds(&[values("charts/a/values.yaml"), ("apps.yaml", both)], true, "");
    // A name that counts less than the lent one.
    let patch = patch("image: {tag: v1.0.0}");
    let generic =
        ("charts/shop/values.yaml", "image: {repository: nginx, tag: '1.25'}\n".to_owned());
    let release = RELEASE.replace(", tag: v1.0.0", "");
    holds(&[("prod/shop.yaml", patch), ("base/shop.yaml", release), generic], true, "");
    // Two patches in one file are two.
    let patches = "patches:\n- target: {kind: HelmRelease}\n  patch: |\n    - {op: add, path: /spec/values/image/pullPolicy, value: Always}\n\
                   - target: {kind: HelmRelease}\n  patch: |\n    - {op: add, path: /spec, value: {values: {image: {digest: '@A'}}}}\n";
    let file = ("prod/kustomization.yaml", patches.to_owned());
    holds(
        &[("base/shop.yaml", RELEASE.to_owned()), file],
        false,
        "in line 7 of prod/kustomization.yaml is",
    );
}

const PARAMETERS: &str = "      parameters:\n      - {name: image.repository, value: r.io/acme/shop}\n      - {name: image.tag, value: v1.0.0}\n";

/// Single values that are set count more than the values beneath them, whose digest and registry stay.
#[test]
fn what_is_set_alone_keeps_what_is_beneath() {
    let application = |more: &str, path: &str| {
        let head = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: shop}}\nspec:\n  source:\n    path: {path}\n    helm:\n"
        );
        ("apps/shop.yaml", format!("{head}{more}{PARAMETERS}"))
    };
    let digest = "image: {digest: '@A'}\n";
    let object = "      valuesObject: {image: {digest: '@A'}}\n";
    let text = "      values: |\n        image: {digest: '@A'}\n";
    let file = "      valueFiles: [../../env/prod.yaml]\n";
    let none = || ("x.yaml", String::new());
    let rows = [
        (object, none(), "in line 8 of apps/shop.yaml is"),
        (text, none(), "in line 9 of apps/shop.yaml is"),
        (file, ("env/prod.yaml", digest.to_owned()), "in line 1 of env/prod.yaml is"),
        (
            "",
            ("charts/shop/values.yaml", digest.to_owned()),
            "in line 1 of charts/shop/values.yaml",
        ),
    ];
    for (more, other, says) in rows {
        holds(&[application(more, "charts/shop"), other], false, says);
    }
    // Those of another application, or of another image, keep nothing.
    let other = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec: {source: {path: charts/web, helm: {valuesObject: {image: {digest: '@A'}}}}}\n";
    let (path, both) = application("", "charts/shop");
    holds(&[(path, format!("{both}---\n{other}"))], true, "");
    holds(&[application("      valuesObject: {web: {digest: '@A'}}\n", "charts/shop")], true, "");
    let helmfile = "releases:\n- name: shop\n  chart: ./chart\n  values: [v.yaml]\n  set:\n  - {name: image.repository, value: r.io/acme/shop}\n  - {name: image.tag, value: v1.0.0}\n";
    let values = || ("v.yaml", digest.to_owned());
    holds(&[("helmfile.yaml", helmfile.to_owned()), values()], false, "in line 1 of v.yaml is");
    let source = format!("helm:\n{}", PARAMETERS.replace("      ", "  "));
    let chart = ("app/values.yaml", digest.to_owned());
    holds(&[("app/.argocd-source-shop.yaml", source), chart], false, "of app/values.yaml is");
}

/// A registry that is beneath makes another image of a bare name.
#[test]
fn a_registry_beneath_what_is_set_counts() {
    let hub = "      parameters:\n      - {name: image.repository, value: acme/shop}\n      - {name: image.tag, value: v1.0.0}\n";
    let head = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  source:\n    helm:\n";
    for values in ["{image: {registry: r.io}}", "{global: {imageRegistry: r.io}}"] {
        let text = format!("{head}      valuesObject: {values}\n{hub}");
        let policy =
            ("policies/p.yaml", "images: {hub: {image: acme/shop, tags: {semver: minor}}}\n");
        let (got, said) = after(
            &[("app.yaml", &text), policy],
            "docker.io/acme/shop: [v1.0.0, v1.2.0]\n",
            "app.yaml",
        );
        assert_eq!(got, text, "{said}");
        assert!(said.contains("in line 7 of app.yaml is `r.io`"), "{said}");
    }
}

/// Sources of Flux's are patched in all the ways in which releases are.
#[test]
fn a_patch_of_a_source_counts_however_it_is_written() {
    let source = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: shop, namespace: a}\nspec:\n  interval: 1m\n  url: oci://r.io/acme/shop\n  ref: {tag: v1.0.0}\n";
    let base = || ("base/oci.yaml", source.to_owned());
    let kustomization =
        |text: &str| ("prod/kustomization.yaml", format!("resources: [../base]\n{text}"));
    let fields = |spec: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {{name: shop, namespace: a}}\nspec: {spec}\n"
        )
    };
    let digest = fields("{ref: {digest: '@A'}}");
    let inline = format!("patches:\n- patch: |\n{}", indented(&indented(&digest)));
    holds(
        &[base(), kustomization(&inline)],
        false,
        "`digest` in line 7 of prod/kustomization.yaml",
    );
    let merge = format!("patchesStrategicMerge:\n- |\n{}", indented(&digest));
    holds(&[base(), kustomization(&merge)], false, "`digest` in line 7 of prod/kustomization.yaml");
    let operations = "patches:\n- target: {kind: OCIRepository}\n  patch: |\n    - {op: add, path: /spec/ref/digest, value: '@A'}\n";
    holds(&[base(), kustomization(operations)], false, "`digest` in line 5 of");
    let flux = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps, namespace: a}}\nspec:\n  path: base\n  patches:\n  - patch: |\n{}",
        indented(&indented(&indented(&digest)))
    );
    holds(&[base(), ("clusters/apps.yaml", flux)], false, "of clusters/apps.yaml is");
    let elsewhere = ("prod/p.yaml", fields("{url: 'oci://q.io/acme/shop'}"));
    holds(
        &[base(), kustomization("patches: [{path: p.yaml}]\n"), elsewhere],
        false,
        "`url` in line 4",
    );
    let range = ("prod/p.yaml", fields("{ref: {semver: 1.x}}"));
    holds(
        &[base(), kustomization("patches: [{path: p.yaml}]\n"), range],
        false,
        "`semver` in line 4",
    );
    for operation in [
        "{op: add, path: /spec/ref/semver, value: 1.x}",
        "{op: replace, path: /spec/ref, value: {semver: 1.x}}",
    ] {
        let text =
            format!("patches:\n- target: {{kind: OCIRepository}}\n  patch: |\n    - {operation}\n");
        holds(
            &[base(), kustomization(&text)],
            false,
            "`semver` in line 5 of prod/kustomization.yaml",
        );
    }
    // Null is no range.
    let null = "    - {op: replace, path: /spec/ref/semver, value: null}\n";
    let text = format!("patches:\n- target: {{kind: OCIRepository}}\n  patch: |\n{null}");
    holds(&[base(), kustomization(&text)], true, "");
    // A tag in a patch is a place of its own.
    let tag = ("prod/p.yaml", fields("{ref: {tag: v1.0.0}}"));
    holds(&[tag, base(), kustomization("patches: [{path: p.yaml}]\n")], true, "");
    // What an overlay has over a range is a place of its own.
    let ranged = ("base/oci.yaml", source.replace("{tag: v1.0.0}", "{semver: 1.x}"));
    let over = ("prod/p.yaml", fields("{ref: {semver: null, tag: v1.0.0}}"));
    holds(&[over, ranged, kustomization("patches: [{path: p.yaml}]\n")], true, "");
    let other = digest.replace("name: shop", "name: web");
    let inline = format!("patches:\n- patch: |\n{}", indented(&indented(&other)));
    holds(&[base(), kustomization(&inline)], true, "");
}

/// The lines of a text, two spaces further in.
fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + "  " + line + "\n")
}

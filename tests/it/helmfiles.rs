//! Values of the releases of a helmfile, in files that it names.

use crate::further_away::after;
use crate::layered::holds;

/// Files that a helmfile names by a template are of its releases, whatever the file itself is called.
#[test]
fn a_helmfile_names_files_by_templates() {
    let values =
        || ("values/shop.yaml", "image: {repository: r.io/acme/shop, tag: v1.0.0}\n".to_owned());
    let digest = || ("values/prod.yaml", "image: {digest: '@A'}\n".to_owned());
    let release = |more: &str| format!("releases:\n- name: shop\n  chart: ./chart\n{more}");
    let lists = [
        (
            "helmfile.yaml",
            release("  values:\n  - values/shop.yaml\n  - values/{{ .Environment.Name }}.yaml\n"),
        ),
        (
            "helmfile.yaml",
            release("  values: [values/shop.yaml]\n  valuesTemplate: ['values/prod.yaml']\n"),
        ),
        (
            "helmfile.d/10-shop.yaml",
            release("  values: [../values/shop.yaml, ../values/prod.yaml]\n"),
        ),
        (
            "helmfile.yaml",
            "templates:\n  d: {values: [values/prod.yaml]}\n".to_owned()
                + &release("  inherit: [{template: d}]\n  values: [values/shop.yaml]\n"),
        ),
        (
            "helmfile.yaml",
            "templates:\n  d: &d {values: [values/prod.yaml]}\n".to_owned()
                + &release("  <<: *d\n  set: []\n")
                    .replace("  set: []\n", "  valuesTemplate: [values/shop.yaml]\n"),
        ),
    ];
    for helmfile in lists {
        holds(&[values(), digest(), helmfile], false, "in line 1 of values/prod.yaml is");
    }
    let generator = "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: shop}\nvaluesFile: values/shop.yaml\nvaluesInline: {image: {digest: '@A'}}\n";
    holds(&[values(), ("gen.yaml", generator.to_owned())], false, "in line 5 of gen.yaml is");
}

/// A template in a path makes alternatives: none lends its names to another one, nor keeps it.
#[test]
fn what_a_template_names_is_of_one_release_each() {
    let policies = "images:\n  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n  web: {image: r.io/acme/web, tags: {semver: minor}}\n";
    let catalog = "r.io/acme/shop: [v1.0.0, v1.1.0]\nr.io/acme/web: [v1.0.0, v1.9.0]\n";
    let image = |name: &str| format!("image: {{repository: r.io/acme/{name}, tag: v1.0.0}}\n");
    let tag = "image: {tag: v1.0.0}\n".to_owned();
    let values = |path: &str| {
        format!(
            "releases:\n- {{name: web, chart: ./charts/web, values: ['{path}']}}\n- {{name: shop, chart: ./charts/shop, values: ['{path}']}}\n"
        )
    };
    for path in [
        "values/{{ .Release.Name }}.yaml",
        "values/{{ .Values.x }}.yaml",
        "{{ requiredEnv \"X\" }}",
    ] {
        let files = [
            ("policies/p.yaml", policies.to_owned()),
            ("helmfile.yaml", values(path)),
            ("charts/web/values.yaml", image("web")),
            ("charts/shop/values.yaml", image("shop")),
            ("values/web.yaml", image("web")),
            ("values/shop.yaml", tag.clone()),
        ];
        let all: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
        let (got, said) = after(&all, catalog, "values/shop.yaml");
        assert!(!got.contains("v1.9.0"), "{path}: {got}\n{said}");
        // The chart names an image; what else may name it is not read, so the tag is reported and stays.
        assert!(!got.contains("v1.1.0"), "{path}: {got}\n{said}");
        let is_followed = !path.contains("requiredEnv");
        assert_eq!(
            said.contains("`shop` stands in another file than this tag"),
            is_followed,
            "{said}"
        );
        let (got, said) = after(&all, catalog, "values/web.yaml");
        assert!(got.contains("v1.9.0"), "{path}: {got}\n{said}");
    }
    // A local chart is not that of the other releases.
    let one = "templates:\n  d: &d {values: ['config/{{`{{ .Release.Name }}`}}/values.yaml']}\nreleases:\n- {name: shop, chart: ./c, <<: *d}\n- {name: redis, chart: bitnami/redis, <<: *d}\n";
    let files = [
        ("policies/p.yaml", policies),
        ("helmfile.yaml", one),
        ("c/values.yaml", "image: {repository: r.io/acme/shop}\n"),
        ("config/shop/values.yaml", "replicas: 2\n"),
        ("config/redis/values.yaml", &tag),
    ];
    let (got, said) = after(&files, catalog, "config/redis/values.yaml");
    assert_eq!(got, tag, "{said}");
    // Another service's file, which the pattern matches as well, says nothing of this one.
    let flat = "releases:\n- {name: shop, chart: x/y, values: [values/shop.yaml, 'values/{{ .Environment.Name }}.yaml']}\n";
    let other =
        ("values/grafana.yaml", "image: {repository: q.io/grafana, digest: '@A'}\n".to_owned());
    holds(
        &[("values/shop.yaml", image("shop")), ("helmfile.yaml", flat.to_owned()), other],
        true,
        "",
    );
    // Another environment's file is no layer of this one.
    let digest = "image: {repository: r.cn/acme/shop, tag: v1.0.0, digest: '@A'}\n".to_owned();
    let shop = ("env/prod/shop.yaml", image("shop"));
    let helmfile = "releases:\n- {name: shop, chart: ./c, values: ['env/{{ .Environment.Name }}/shop.yaml']}\n";
    holds(&[shop, ("env/cn/shop.yaml", digest), ("helmfile.yaml", helmfile.to_owned())], true, "");
}

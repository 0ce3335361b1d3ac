//! Flux's resources as they stand, delivered.

use crate::world::{Output, World};

fn resources(host: &str, template: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\n\
         metadata: {{name: shop, namespace: apps}}\n\
         spec: {{image: {host}/acme/shop, interval: 5m, provider: aws}}\n---\n\
         apiVersion: image.toolkit.fluxcd.io/v1beta2\nkind: ImagePolicy\n\
         metadata: {{name: shop, namespace: apps, labels: {{tier: web}}}}\n\
         spec: {{imageRepositoryRef: {{name: shop}}, policy: {{semver: {{range: '*'}}}}}}\n---\n\
         apiVersion: image.toolkit.fluxcd.io/v1beta1\nkind: ImageUpdateAutomation\n\
         metadata: {{name: all, namespace: apps}}\nspec:\n  interval: 30m\n  \
         sourceRef: {{kind: GitRepository, name: fleet}}\n  update: {{path: ./, strategy: Setters}}\n  \
         policySelector: {{matchExpressions: [{{key: tier, operator: In, values: [web]}}]}}\n  \
         git:\n    commit:\n      author: {{email: flux@example.com}}\n      messageTemplate: {template}\n"
    )
}

fn delivered(template: &str) -> (Output, String) {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let host = &registry.host;
    let site = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop, namespace: prod}}\nspec:\n  \
         image: {host}/acme/shop:v1.0.0 # {{\"$imagepolicy\": \"apps:shop\"}}\n"
    );
    let resources = resources(host, template);
    let github = world.github(&[("flux/all.yaml", &resources), ("a.yaml", &site)]);
    let out = github.env(world.bot(["run", "--repo", "acme/fleet", "--format", "json"])).run();
    assert!(github.repo.show("main", "a.yaml").contains("/acme/shop:v1.1.0 # {\"$imagepolicy\""));
    (out.exits(0), github.repo.git(&["log", "-1", "--format=%B", "main"]).replace(host, "HOST"))
}

#[test]
fn commits_are_worded_by_the_automations_template() {
    let template = "\"{{ range $o, $cs := .Changed.Objects }}{{ $o.Kind }}/{{ $o.Name }}: {{ range $cs }}\
                    {{ .OldValue }} -> {{ .NewValue }}{{ end }}{{ end }}\"";
    let (out, message) = delivered(template);
    let want = "Deployment/shop: HOST/acme/shop:v1.0.0 -> HOST/acme/shop:v1.1.0\n\nTagalong-Environment: apps-all\n";
    assert!(message.starts_with(want), "{message}");
    assert_eq!(out.deliveries(), ["apps-all pushed"]);
    out.says(&[
        "ImageRepository `apps:shop`: not read here: interval, provider",
        "ImageUpdateAutomation `apps:all`: not read here: interval, sourceRef, git.commit.author",
    ]);
}

#[test]
fn a_template_that_cannot_be_rendered_is_reported() {
    let (out, message) = delivered("'{{ .Updated.Images | sprigThing }}'");
    assert!(message.starts_with("Update apps:shop to v1.1.0 in apps-all\n"), "{message}");
    out.says(&["flux.template", "sprigThing"]);
}

//! Walks a stream and collects sites by the shape of mappings, whatever kind of object they are in.

use super::finder::Finder;
use super::target::TargetSearch;
use super::{
    Aim, Found, Setters, apart, argocd, embedded, kustomize, lent, named, oci_source, reference,
    values, wholes,
};
use crate::yaml::{Data, NodeId, Stream};

/// Whether a file may name images, by its path: YAML, JSON, which is YAML as well, and kustomize's
/// file without an extension.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml" | "json")) || name == "Kustomization"
}

/// Extensions of files that hold no text that somebody wrote.
const NO_TEXT: [&str; 34] = [
    "7z", "bin", "bmp", "bz2", "class", "crt", "der", "dll", "eot", "exe", "gif", "gz", "ico",
    "jar", "jpeg", "jpg", "map", "mov", "mp4", "otf", "p12", "pdf", "png", "pyc", "so", "svg",
    "tar", "tgz", "ttf", "webp", "woff", "woff2", "xz", "zip",
];

/// True if any other file may be text that names images, by its path.
#[must_use]
pub fn may_be_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    !NO_TEXT.iter().any(|one| extension.eq_ignore_ascii_case(one))
}

/// Finds every image that a file names, in the order of the file, and what targets reach in it.
#[must_use]
pub fn find(
    path: &str,
    text: &str,
    stream: &Stream,
    aims: &[Aim<'_>],
    setters: Setters<'_>,
) -> Found {
    let mut finder = Finder::new(text, stream, setters);
    let mut targeted = TargetSearch::new(text, stream);
    finder.claim(aims.iter().map(|aim| targeted.reach(*aim)));
    let kustomize_items = kustomize::items(path, stream);
    for (id, node) in stream.nodes() {
        if !matches!(node.data, Data::Mapping(_)) {
            continue;
        }
        if kustomize_items.contains(&id) {
            kustomize::visit(&mut finder, id);
        } else {
            visit(&mut finder, id);
            // One level: text within text within text is looked into by nobody.
            embedded::visit(&mut finder, id, find_in_text);
        }
    }
    lent::visit(&mut finder, setters.lent);
    wholes::visit(&mut finder);
    apart::visit(&mut finder);
    embedded::unread_markers(&mut finder);
    finder.finish()
}

/// Every shape of one mapping.
fn visit(finder: &mut Finder<'_>, id: NodeId) {
    reference::visit(finder, id);
    values::visit(finder, id);
    named::visit(finder, id);
    named::value(finder, id);
    oci_source::visit(finder, id);
    argocd::visit(finder, id);
}

/// What a text that is YAML itself names.
fn find_in_text(text: &str, stream: &Stream) -> Found {
    let mut finder = Finder::new(text, stream, Setters::default());
    for (id, node) in stream.nodes() {
        if matches!(node.data, Data::Mapping(_)) {
            visit(&mut finder, id);
        }
    }
    wholes::visit(&mut finder);
    embedded::unread_markers(&mut finder);
    finder.finish()
}

#[cfg(test)]
mod tests {
    use super::super::{Named, Obstacle, Variables};
    use super::*;
    use crate::image::Tag;

    /// Each found image as `repository tag digest? line`, obstacles as `repository obstacle`.
    fn found(path: &str, text: &str) -> Vec<String> {
        let stream = Stream::parse(text).unwrap();
        let found = find(path, text, &stream, &[], Setters::default());
        let sites = found.sites.iter().map(|site| {
            let tag = site.tag.as_ref().map_or("-", Tag::as_str);
            let digest = site.digest.as_ref().map_or("", |digest| digest.short());
            format!("{} {tag} {digest} {}", site.repository, site.line)
        });
        let obstacles = found.obstructed.iter().map(|o| match &o.named {
            Named::Is(repository) => format!("{repository} {:?}", o.obstacle),
            Named::Somewhere(path) => format!("?/{path} {:?}", o.obstacle),
        });
        sites.chain(obstacles).collect()
    }

    #[test]
    fn pod_specs_of_any_kind_lists_and_custom_resources() {
        let text = "\
apiVersion: v1
kind: List
items:
- spec: {template: {spec: {initContainers: [{image: nginx:1.27}]}}}
- kind: Widget
  spec:
    image: 'ghcr.io/acme/shop:v1'
---
- image: ghcr.io/acme/web
- image: {{a: b}: c}
- image: not an image
- image: \"{{ .Values.image }}\"
";
        let want = [
            "docker.io/library/nginx 1.27  4",
            "ghcr.io/acme/shop v1  7",
            "ghcr.io/acme/web Untagged",
        ];
        assert_eq!(found("a.yaml", text), want);
    }

    #[test]
    fn helm_values_in_parts() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "a: {{repository: acme/a, tag: v1}}\n\
             b: {{registry: ghcr.io, repository: acme/b, tag: \"1.0\", digest: \"\"}}\n\
             c: {{registry: ghcr.io, repository: acme/c, tag: v1, digest: '{digest}'}}\n\
             d: {{repository: acme/d, tag: v1@{digest}}}\n\
             e: {{repository: acme/e, tag: \"\"}}\n\
             f: {{image: acme/f, tag: v1}}\n\
             g: {{repository: 'https://charts.example.com', version: 1.0.0}}\n\
             h: {{repository: acme/h, tag: '{{{{ x }}}}'}}\n\
             k: {{repository: acme/k, tag: v1, tag: v2}}\n\
             l: {{image: 'acme/l:${{TAG}}'}}\n\
             m: &m {{repository: acme/m, tag: v1}}\n\
             n: {{<<: *m, tag: v2}}\n\
             i: {{repository: &r acme/i, tag: &t v1}}\n\
             j: {{repository: *r, tag: *t}}\n\
             p: {{repository: acme/p, tag: &u v1}}\n\
             q: {{repository: acme/q, tag: *u}}\n\
             s: {{repository: acme/s, tag: &w v1}}\n\
             other: *w\n"
        );
        let want = [
            "docker.io/acme/a v1  1".to_owned(),
            "ghcr.io/acme/b 1.0  2".to_owned(),
            "ghcr.io/acme/c v1 sha256:aaaaaaaaaaaa 3".to_owned(),
            "docker.io/acme/d v1 sha256:aaaaaaaaaaaa 4".to_owned(),
            "docker.io/acme/f v1  6".to_owned(),
            "docker.io/acme/m v1  11".to_owned(),
            "docker.io/acme/m v2  12".to_owned(),
            "docker.io/acme/i v1  13".to_owned(),
            "docker.io/acme/i v1  14".to_owned(),
            "docker.io/acme/e Untagged".to_owned(),
            "docker.io/acme/h NotATag".to_owned(),
            "docker.io/acme/k Repeated".to_owned(),
            "docker.io/acme/l Variable(\"`TAG`\")".to_owned(),
            "docker.io/acme/p Aliased".to_owned(),
            "docker.io/acme/q Aliased".to_owned(),
            "docker.io/acme/s Aliased".to_owned(),
        ];
        assert_eq!(found("values.yaml", &text), want);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_registry_elsewhere_is_part_of_the_name() {
        let cases = [
            ("hub: r.io/x\na: {image: pilot, tag: v1}", vec!["r.io/x/pilot v1  2"]),
            ("a: {hub: r.io/x, image: pilot, tag: v1}", vec!["r.io/x/pilot v1  1"]),
            ("a: {hub: r.io/x, image: acme/pilot, tag: v1}", vec!["docker.io/acme/pilot v1  1"]),
            ("hub: {image: {name: acme/h, tag: v1}}", vec!["docker.io/acme/h v1  1"]),
            (
                "global: {imageRegistry: r.io}\na: {image: {repository: acme/a, tag: v1}}\nb: {image: {registry: docker.io, repository: acme/b, tag: v1}}\nc: {image: {repository: q.io/c, tag: v1}}\nd: {image: 'acme/d:v1'}",
                vec![
                    "r.io/acme/a v1  2",
                    "q.io/c v1  4",
                    "docker.io/acme/b Elsewhere",
                    "?/acme/d Elsewhere",
                ],
            ),
            ("imageRegistry: r.io/\nimage: {repository: a, tag: v1}", vec!["r.io/a v1  2"]),
            (
                "global: {imageRegistry: ''}\nimage: {repository: a, tag: v1}",
                vec!["docker.io/library/a v1  2"],
            ),
            (
                "global: {registry: docker.io}\na: {repository: redis, tag: v1}",
                vec!["docker.io/library/redis v1  2"],
            ),
            (
                "global: {registry: docker.io/bitnami}\na: {repository: redis, tag: v1}",
                vec!["?/redis Elsewhere"],
            ),
            (
                "docker: {registry: r.io}\nmain: {image: wiki/x, version: v1}",
                vec!["?/wiki/x Elsewhere"],
            ),
            (
                "image: {registry: r.io, repository: a, tag: v1}\nb: {repository: b, tag: v1}",
                vec!["r.io/a v1  1", "docker.io/library/b v1  2"],
            ),
            (
                "proxyRegistry: r.io\nproxyRepository: a\nproxyTag: v1\nb: {repository: b, tag: v1}",
                vec!["r.io/a v1  3", "docker.io/library/b v1  4"],
            ),
            ("x-registry: r.io\nservices: {a: {image: 'b:1'}}", vec!["docker.io/library/b 1  2"]),
            (
                "a: {repository: bitnami, image: redis, tag: v1}",
                vec!["docker.io/bitnami/redis v1  1"],
            ),
            ("a: {repository: r.io/x, image: driver, version: v1}", vec!["r.io/x/driver v1  1"]),
            (
                "a: {registry: r.io, repository: x, image: driver, tag: v1}",
                vec!["r.io/x/driver v1  1"],
            ),
            ("a: {repository: bitnami, image: 'redis:v1'}", vec!["docker.io/bitnami/redis v1  1"]),
            (
                "image: {repository: strimzi, name: operator, tag: v1}",
                vec!["docker.io/strimzi/operator v1  1"],
            ),
            ("a: {repository: acme/web, image: web, tag: v1}", vec!["?/web TwoNames"]),
            ("a: {repository: charts, image: acme/web, tag: v1}", vec!["?/acme/web TwoNames"]),
            (
                "a: {repository: 'https://charts.example.com', image: 'web:v1'}",
                vec!["docker.io/library/web v1  1"],
            ),
            ("x: {name: web, repository: acme/web, tag: v1}", vec!["docker.io/acme/web v1  1"]),
            ("x: {repository: shop}\ny: {allowCustomImage: true, maxImage: 3}", vec![]),
            ("x: {repository: shop, pullPolicy: Always}", vec!["docker.io/library/shop Untagged"]),
        ];
        for (text, want) in cases {
            let got: Vec<String> = found("values.yaml", text)
                .iter()
                .map(|found| {
                    found
                        .split_once("Elsewhere(")
                        .map_or(found.clone(), |(front, _)| format!("{front}Elsewhere"))
                })
                .collect();
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn variables_are_understood_or_told_of() {
        let cases = [
            ("${R:-r.io}/acme/a:v1", "r.io/acme/a v1  1"),
            ("${R:-r.io}/acme/a:${T:-v1}", "r.io/acme/a v1  1"),
            ("${I:-acme/a}:${T:=v1}", "docker.io/acme/a v1  1"),
            ("${I:=acme/a:v1}", "docker.io/acme/a v1  1"),
            ("acme/a:${A:-v}${B:-1}", "docker.io/acme/a NotATag"),
            ("acme/a:v${B:-1}", "docker.io/acme/a NotATag"),
            ("acme/a:${T:?no}", "docker.io/acme/a Variable(\"`T`\")"),
            ("acme/a:$T", "docker.io/acme/a Variable(\"`T`\")"),
            ("${R}/acme/a:v1", "?/acme/a Variable(\"`R`\")"),
            ("$R/acme/a:${T:-v1}", "?/acme/a Variable(\"`R`\")"),
        ];
        for (text, want) in cases {
            assert_eq!(found("a.yaml", &format!("image: '{text}'")), [want], "{text}");
        }
        assert_eq!(found("a.yaml", "image: ${IMAGE}"), Vec::<String>::new());
        let text = "services:\n  a: {image: 'acme/a:${T:-v1}'}\n  b: {image: 'acme/b:${U:-v1}'}\n  c: {build: ., image: 'acme/c:1'}\n";
        let stream = Stream::parse(text).unwrap();
        let variables = Variables::read("x/.env", "T=v2\n");
        let found = find(
            "x/compose.yaml",
            text,
            &stream,
            &[],
            Setters { beside: Some(&variables), ..Setters::default() },
        );
        let obstacles: Vec<_> = found.obstructed.iter().map(|o| &o.obstacle).collect();
        let set = Obstacle::Variable("`T`, which x/.env:1 sets".into());
        assert_eq!(obstacles, [&set, &Obstacle::Built("here".into())]);
        assert_eq!(found.sites.len(), 1);
    }

    #[test]
    fn a_digest_of_nobody_keeps_the_tag_where_it_is() {
        let hex = "a".repeat(64);
        let stays = [
            format!("{{repository: a/b, tag: v1, buildLock: {hex}}}"),
            format!("{{repository: a/b, tag: v1, sbomDigest: 'sha256:{hex}'}}"),
            format!("{{repository: a/b, tag: v1, digest: '@sha256:{hex}'}}"),
            format!("{{fooImage: 'a/b:v1', digest: 'sha256:{hex}'}}"),
            format!("{{image: 'a/b:v1', sidecarDigest: 'sha256:{hex}'}}"),
            format!("{{image: 'a/b:v1', hash: 'SHA256:{hex}'}}"),
        ];
        for text in stays {
            let got = found("values.yaml", &text);
            assert!(
                matches!(&got[..], [one] if one.ends_with("OtherDigest") || one.ends_with("NotATag")),
                "{text} {got:?}"
            );
        }
        let moves = [
            format!("{{repository: a/b, tag: v1, commit: {}}}", "a".repeat(40)),
            format!("{{repository: a/b, tag: v1, sha: {}}}", "a".repeat(12)),
            format!("{{repository: a/b, tag: v1, configChecksum: {hex}, adminToken: {hex}}}"),
            format!("{{repository: a/b, tag: '{hex}'}}"),
            format!("{{image: 'a/b:v1', sidecarTag: v1, sidecarDigest: 'sha256:{hex}'}}"),
            format!("repository: a/b\ntag: v1\nrevision: {hex} # tagalong: ignore\n"),
        ];
        for text in moves {
            assert!(found("values.yaml", &text)[0].starts_with("docker.io/a/b "), "{text}");
        }
    }

    #[test]
    fn kustomize_images() {
        let text = "\
images:
- name: nginx
  newTag: \"1.27\"
- newName: ghcr.io/acme/shop
  name: shop
  newTag: v1
- name: redis
";
        let want = [
            "docker.io/library/nginx 1.27  3",
            "ghcr.io/acme/shop v1  6",
            "docker.io/library/redis Untagged",
        ];
        assert_eq!(found("apps/kustomization.yaml", text), want);
        assert_eq!(found("apps/Kustomization", text), want);
        let object =
            format!("kind: Kustomization\n{text}").replace("images:", "x: {image: a:b}\nimages:");
        assert_eq!(found("any.yaml", &object).len(), 4);
        // Elsewhere these keys mean nothing that is known.
        let other = ["ghcr.io/acme/shop Apart(\"`newName` in line 4 is its name\")"];
        assert_eq!(found("values.yaml", text), other);
    }

    #[test]
    fn keys_that_say_what_they_hold() {
        let text = "\
workerImage: acme/a:1
sidecarImage: acme/b
sidecarTag: 2
proxy_image: acme/c
proxy_tag: v3
log-image: acme/d
log-image-tag: v4
imageRepository: acme/e
imageTag: v5
jobRegistry: ghcr.io
jobRepository: acme/f
jobTag: v6
chartRepository: https://charts.example.com
image: {registry: ghcr.io, name: acme/g, tag: v7}
only: {tag: 'acme/h:v8', imageName: acme/k, imageTag: v10}
baseImage: acme/i
x: {fooImage: acme/j, fooImageTag: v9}
coverImage: photo.png
";
        let want = [
            "docker.io/acme/a 1  1",
            "docker.io/acme/b 2  3",
            "docker.io/acme/c v3  5",
            "docker.io/acme/d v4  7",
            "docker.io/acme/e v5  9",
            "ghcr.io/acme/f v6  12",
            "ghcr.io/acme/g v7  14",
            "docker.io/acme/h v8  15",
            "docker.io/acme/k v10  15",
            "docker.io/acme/j v9  17",
            "docker.io/acme/i Untagged",
            "docker.io/library/photo.png Untagged",
        ];
        assert_eq!(found("values.yaml", text), want);
    }

    #[test]
    fn compose_defaults_and_oci_sources() {
        let text = "\
services:
  a: {image: 'ghcr.io/acme/a:${TAG:-1.2.3}'}
  b: {image: 'ghcr.io/acme/b:${TAG-v1}'}
  c: {image: 'ghcr.io/acme/c:${TAG}'}
  d: {image: '${REPO}:1.0'}
  e: {image: '${IMAGE:-ghcr.io/acme/e:v5}'}
spec: {url: 'oci://ghcr.io/acme/manifests', ref: {tag: v1}}
other: {url: 'oci://ghcr.io/acme/charts', ref: {semver: 1.x}}
git: {url: 'https://github.com/acme/x', ref: {tag: v1}}
";
        let want = [
            "ghcr.io/acme/a 1.2.3  2",
            "ghcr.io/acme/b v1  3",
            "ghcr.io/acme/e v5  6",
            "ghcr.io/acme/manifests v1  7",
            "ghcr.io/acme/c Variable(\"`TAG`\")",
            "ghcr.io/acme/charts Untagged",
        ];
        assert_eq!(found("compose.yaml", text), want);
    }

    #[test]
    fn argo_cd_applications() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "spec:\n  source:\n    kustomize:\n      images:\n      - ghcr.io/acme/a:v1\n      - old=ghcr.io/acme/b:v2\n      \
             - c=ghcr.io/acme/c@{digest}\n      - 'ghcr.io/acme/d'\n  sources:\n  - helm:\n      parameters:\n      \
             - {{name: image.repository, value: ghcr.io/acme/e}}\n      - {{name: image.tag, value: v5}}\n      \
             - {{name: web.image, value: 'ghcr.io/acme/f:v6'}}\n      - {{name: job.image, value: ghcr.io/acme/g}}\n      \
             - {{name: job.image.tag, value: v7}}\n      - {{name: x.imageRepository, value: acme/h}}\n      \
             - {{name: x.imageRegistry, value: ghcr.io}}\n      - {{name: x.imageTag, value: v8}}\n      \
             - {{name: alone.tag, value: v9}}\n      valuesObject: {{image: {{repository: ghcr.io/acme/l, tag: v10}}, more: {{repository: ghcr.io/acme/k, tag: v10}}}}\n"
        );
        let mut got = found("app.yaml", &text);
        got.sort();
        let want = [
            "ghcr.io/acme/a v1  5",
            "ghcr.io/acme/b v2  6",
            "ghcr.io/acme/c - sha256:aaaaaaaaaaaa 7",
            "ghcr.io/acme/d Untagged",
            "ghcr.io/acme/e v5  13",
            "ghcr.io/acme/f v6  14",
            "ghcr.io/acme/g v7  16",
            "ghcr.io/acme/h v8  19",
            "ghcr.io/acme/k v10  21",
            "ghcr.io/acme/l Unread(\"the parameter `image.repository` in line 12 counts more than the values\")",
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_line_can_be_taken_out() {
        let text = "a: {image: 'a/b:1'} # tagalong: ignore\nb: {image: 'a/b:1'} # not ignored\n\
                    c:\n  repository: a/b\n  tag: v1 #tagalong: ignore\n";
        assert_eq!(found("a.yaml", text), ["docker.io/a/b 1  2"]);
    }

    /// The nodes of a text are none of the file's, which may have fewer.
    #[test]
    fn what_a_marker_in_a_text_claims_is_looked_at_there() {
        let hex = "a".repeat(64);
        let text = format!(
            "values: |\n  a: {{b: {{c: {{d: {{e: {{f: 1, g: 2}}}}}}}}}}\n  image:\n    digest: 'sha256:{hex}'\n    \
             tag: v1 # tagalong: shop:tag\n"
        );
        let stream = Stream::parse(&text).unwrap();
        let found = find("a.yaml", &text, &stream, &[], Setters::default());
        let claimed: Vec<_> = found.claimed.iter().map(|one| (one.line, one.stays)).collect();
        assert_eq!(claimed, [(5, Some(4))]);
    }

    #[test]
    fn only_yaml_and_kustomize_files_are_candidates() {
        for path in ["a.yaml", "a/b.yml", "x/Kustomization", "a.json"] {
            assert!(is_candidate(path), "{path}");
        }
        for path in ["a.txt", "yaml", "a.yaml.bak", "Kustomization.md"] {
            assert!(!is_candidate(path), "{path}");
        }
    }
}

use super::*;
use crate::policy::{Id as _, PolicyFile, read};

#[test]
fn sites_go_to_their_environment_and_the_rest_is_reported() {
    let text = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}\n  \
                web: {image: ghcr.io/acme/web, tags: {semver: '*'}}\n\
                environments:\n  a: {paths: [a]}\n  b: {paths: [b], images: [web]}\n";
    let (set, _) = read(&[PolicyFile::new("policies/p.yaml", text)]);
    let survey = Survey::new(&set);
    let large = [&b"# shop"[..], &vec![b' '; MAX_FILE]].concat();
    let look: [(&str, &[u8]); 8] = [
        ("a/x.yaml", b"image: ghcr.io/acme/shop:1.0.0\nx: {image: ghcr.io/other/shop:1}\n"),
        ("a/template.yaml", b"{{ if }}\nimage: shop\n"),
        ("a/latin1.yaml", b"# \xe9\nimage: ghcr.io/acme/shop:1.0.0\n"),
        ("a/none.yaml", b"image: ghcr.io/acme/shop\n"),
        ("a/large.yaml", &large),
        ("b/x.yaml", b"image: ghcr.io/acme/shop:1.0.0\n---\nimage: ghcr.io/acme/web:1.0.0\n"),
        ("c/x.yaml", b"image: ghcr.io/acme/shop:1.0.0\n"),
        ("c/y.yaml", b"image: ghcr.io/acme/shop:1.0.0\n"),
    ];
    let seen = look.map(|(path, bytes)| survey.look(path, bytes));
    let Looked { files, diagnostics, .. } = survey.finish(seen.into());
    let got: Vec<_> = files
        .iter()
        .map(|f| (&*f.path, f.environment.position(), f.sites.len(), f.sites[0].1.position()))
        .collect();
    assert_eq!(got, [("a/x.yaml", 0, 1, 0), ("b/x.yaml", 1, 1, 1)]);
    let codes: Vec<_> = diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "file.unreadable",
            "site.untagged",
            "file.too-large",
            "site.outside-environments",
            // Of a template without an image, last.
            "file.unreadable"
        ]
    );
}

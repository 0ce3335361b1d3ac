//! The pages that registries have for people.

use crate::image::{Repository, Tag};

/// The page of a tag, or of its repository where tags have none; `None` where nobody knows of any. Names
/// and tags hold nothing that a URL or Markdown would read.
#[must_use]
pub(super) fn page(repository: &Repository, tag: &Tag) -> Option<String> {
    let (path, tag) = (repository.path(), tag.as_str());
    Some(match repository.registry() {
        "docker.io" => match path.strip_prefix("library/") {
            Some(name) => format!("https://hub.docker.com/_/{name}/tags?name={tag}"),
            None => format!("https://hub.docker.com/r/{path}/tags?name={tag}"),
        },
        "quay.io" => format!("https://quay.io/repository/{path}?tab=tags&tag={tag}"),
        // Leads people to the page of the package, which nobody can tell from the name.
        "ghcr.io" => format!("https://ghcr.io/{path}"),
        "public.ecr.aws" => format!("https://gallery.ecr.aws/{path}"),
        "mcr.microsoft.com" => format!("https://mcr.microsoft.com/artifact/mar/{path}/tags"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_have_pages() {
        let cases = [
            ("nginx", Some("https://hub.docker.com/_/nginx/tags?name=v1")),
            ("docker.io/grafana/loki", Some("https://hub.docker.com/r/grafana/loki/tags?name=v1")),
            ("quay.io/a/b", Some("https://quay.io/repository/a/b?tab=tags&tag=v1")),
            ("ghcr.io/acme/shop", Some("https://ghcr.io/acme/shop")),
            ("public.ecr.aws/nginx/nginx", Some("https://gallery.ecr.aws/nginx/nginx")),
            (
                "mcr.microsoft.com/dotnet/sdk",
                Some("https://mcr.microsoft.com/artifact/mar/dotnet/sdk/tags"),
            ),
            ("registry.example.com/shop", None),
            ("quay.io.evil.example/a/b", None),
        ];
        for (name, want) in cases {
            let repository = Repository::parse(name).unwrap();
            assert_eq!(page(&repository, &Tag::parse("v1").unwrap()).as_deref(), want, "{name}");
        }
    }
}

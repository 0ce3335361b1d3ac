//! Which product answers at a host, by the whole name of the host: a name that only looks alike
//! (`123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example`) is nobody's, and gets nobody's
//! credentials.

use std::sync::LazyLock;

use regex::Regex;

use super::listing::List;
use crate::policy::RegistryKind;

/// A private registry of Amazon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ecr {
    /// The region that it is in.
    pub(super) region: String,
    /// Whether it is the one with validated cryptography, whose service has another name.
    pub(super) is_fips: bool,
    /// What its service's endpoints end in: `amazonaws.com`, or China's `amazonaws.com.cn`.
    pub(super) suffix: &'static str,
}

/// A cloud whose own identities open a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    /// Amazon's private registry
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>).
    Ecr(Ecr),
    /// Amazon's public one, which is open, and less limited after a login.
    EcrPublic,
    /// Artifact Registry, and the names that Container Registry had.
    Google,
    /// Azure Container Registry.
    Azure,
}

// Accounts have twelve digits. `dkr-ecr` and `on.aws` are the names for both versions of IP.
static ECR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\A[0-9]{12}\.dkr(?:\.ecr(?<fips>-fips)?\.(?<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+)\.(?<suffix>amazonaws\.com(?:\.cn)?)|-ecr(?<dualfips>-fips)?\.(?<dual>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+)\.on\.aws)\z").ok()
});
static GOOGLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\A(?:(?:[a-z]+\.)?gcr\.io|[a-z]+(?:-[a-z]+[0-9]+)?-docker\.pkg\.dev)\z").ok()
});
// Names of registries have 5 to 50 letters and digits, and may have a hash behind a hyphen.
static AZURE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\A[a-z0-9]{5,50}(?:-[a-z0-9]+)?\.azurecr\.(?:io|cn|us)\z").ok());

/// The cloud that a host belongs to.
pub(super) fn cloud(host: &str) -> Option<Cloud> {
    if let Some(found) = ECR.as_ref().and_then(|ecr| ecr.captures(host)) {
        let region = found.name("region").or_else(|| found.name("dual"))?.as_str().to_owned();
        let is_fips = found.name("fips").or_else(|| found.name("dualfips")).is_some();
        let is_china = region.starts_with("cn-");
        // A region and a suffix of different partitions are no registry of Amazon's.
        let written = found.name("suffix").map(|suffix| suffix.as_str() == "amazonaws.com.cn");
        let suffix = if is_china { "amazonaws.com.cn" } else { "amazonaws.com" };
        return written.is_none_or(|chinese| chinese == is_china).then_some(Cloud::Ecr(Ecr {
            region,
            is_fips,
            suffix,
        }));
    }
    let is = |pattern: &LazyLock<Option<Regex>>| {
        pattern.as_ref().is_some_and(|pattern| pattern.is_match(host))
    };
    match host {
        "public.ecr.aws" => Some(Cloud::EcrPublic),
        _ if is(&GOOGLE) => Some(Cloud::Google),
        _ if is(&AZURE) => Some(Cloud::Azure),
        _ => None,
    }
}

/// The product behind a host, as far as its name says so.
pub(super) fn of_host(host: &str) -> RegistryKind {
    match (host, cloud(host)) {
        ("registry-1.docker.io", _) => RegistryKind::DockerHub,
        ("quay.io", _) => RegistryKind::Quay,
        (_, Some(Cloud::Google)) => RegistryKind::Google,
        (_, Some(Cloud::Azure)) => RegistryKind::Azure,
        _ => RegistryKind::Other,
    }
}

/// The ways of a product that differ from the specification's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// The list of tags by the specification.
    pub(super) plain: List,
    /// Its own list, where it has one with times. Google's times are in the plain one.
    pub(super) timed: Option<List>,
    /// True if its own interface takes the password of the protocol without asking for it.
    pub(super) shares_login: bool,
    /// True if it counts manifests that are read against a limit, and nothing else
    /// (<https://docs.docker.com/docker-hub/usage/pulls/>).
    pub(super) counts_manifests: bool,
}

/// A registry that is as the specification has it.
const SPECIFIED: Product =
    Product { plain: List::Tags, timed: None, shares_login: false, counts_manifests: false };

/// The product of each kind.
pub(super) const fn product(kind: RegistryKind) -> Product {
    match kind {
        RegistryKind::DockerHub => Product {
            plain: List::TagsAtOnce,
            timed: Some(List::Hub),
            counts_manifests: true,
            ..SPECIFIED
        },
        RegistryKind::Quay => Product { timed: Some(List::Quay), ..SPECIFIED },
        RegistryKind::Harbor => {
            Product { timed: Some(List::Harbor), shares_login: true, ..SPECIFIED }
        }
        RegistryKind::Google | RegistryKind::Azure | RegistryKind::Other => SPECIFIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_known_by_their_names() {
        let ecr = |region: &str, suffix| {
            let is_fips = region.contains("gov");
            Some(Cloud::Ecr(Ecr { region: region.to_owned(), is_fips, suffix }))
        };
        let cases = [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", ecr("eu-west-1", "amazonaws.com")),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                ecr("us-gov-west-1", "amazonaws.com"),
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                ecr("cn-north-1", "amazonaws.com.cn"),
            ),
            ("123456789012.dkr-ecr.ap-southeast-2.on.aws", ecr("ap-southeast-2", "amazonaws.com")),
            ("public.ecr.aws", Some(Cloud::EcrPublic)),
            ("gcr.io", Some(Cloud::Google)),
            ("eu.gcr.io", Some(Cloud::Google)),
            ("europe-west1-docker.pkg.dev", Some(Cloud::Google)),
            ("us-docker.pkg.dev", Some(Cloud::Google)),
            ("acmeprod.azurecr.io", Some(Cloud::Azure)),
            ("acmeprod-a1b2c3.azurecr.io", Some(Cloud::Azure)),
            ("acmeprod.azurecr.cn", Some(Cloud::Azure)),
        ];
        for (host, want) in cases {
            assert_eq!(cloud(host), want, "{host}");
        }
    }

    /// R5 of the requirements, after GO-2026-6225 (`docker-credential-acr-env`).
    #[test]
    fn names_that_look_alike_are_nobodys() {
        let alike = "
            123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example
            123456789012.dkr.ecr.eu-west-1.amazonaws.com.
            123456789012.dkr.ecr.eu-west-1.amazonaws.com:443
            123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn
            123456789012.dkr.ecr.cn-north-1.amazonaws.com
            123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn.evil.example
            evil.123456789012.dkr.ecr.eu-west-1.amazonaws.com
            evil-123456789012.dkr.ecr.eu-west-1.amazonaws.com
            12345678901.dkr.ecr.eu-west-1.amazonaws.com
            1234567890123.dkr.ecr.eu-west-1.amazonaws.com
            123456789012-dkr.ecr.eu-west-1.amazonaws.com
            123456789012.dkr.ecr.eu-west-1.amazonaws.co
            123456789012.dkr.ecr.eu-west-1.amazonawsXcom
            123456789012.dkr.ecr.eu-west-1.evil.amazonaws.com
            123456789012.dkr.ecr..amazonaws.com
            123456789012.dkr.ecr.evil.amazonaws.com
            123456789012.dkr.ecr.eu-west-1.s3.amazonaws.com
            123456789012.dkr-ecr.eu-west-1.on.aws.evil.example
            123456789012.dkr-ecr.eu-west-1.on-aws
            dkr.ecr.eu-west-1.amazonaws.com
            public.ecr.aws.evil.example
            xpublic.ecr.aws
            public-ecr.aws
            public.ecr.aws:8443
            gcr.io.evil.example
            xgcr.io
            evil-gcr.io
            a.b.gcr.io
            gcr.io:443
            gcrXio
            docker.pkg.dev
            evil.pkg.dev
            eu-docker.pkg.dev.evil.example
            eu-docker-pkg.dev
            evil.eu-docker.pkg.dev
            europe-west1-docker.pkg.devil
            azurecr.io
            acme.azurecr.io
            acmeprod.azurecr.io.evil.example
            acmeprod.azurecr.io:443
            acmeprod.azurecr.io.
            acmeprod.azurecr.com
            acmeprod.evil.azurecr.io
            acmeprod-.azurecr.io
            acmeprodXazurecr.io
            evil.example/acmeprod.azurecr.io";
        let alike: Vec<&str> = alike.split_whitespace().collect();
        assert!(alike.len() >= 40);
        for host in alike {
            assert_eq!((cloud(host), of_host(host)), (None, RegistryKind::Other), "{host}");
        }
        for host in ["docker.io.evil.example", "xquay.io", "quay.io:8443", "ghcr.io.evil.example"] {
            assert_eq!(of_host(host), RegistryKind::Other, "{host}");
        }
    }
}

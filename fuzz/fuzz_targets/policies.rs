//! Reads text as a policy file, as settings and as a file of registries.

#![no_main]

use tagalong::policy::{PolicyFile, RepositorySettings, read, read_registries, read_service};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let file = PolicyFile::new("policies/p.yaml", text);
    let manifests = PolicyFile { manifests: true, ..PolicyFile::new("apps/flux.yaml", text) };
    for file in [&file, &manifests] {
        let (set, problems) = read(std::slice::from_ref(file));
        for problem in &problems {
            let Some(place) = &problem.place else { continue };
            // A frame is drawn from these.
            assert!(place.span.start <= place.span.end && place.span.end <= text.len(), "{problem:?}");
            // To YAML, each of both ends a line.
            let lines = text.matches(['\n', '\r']).count() + 1;
            assert!(place.line <= lines, "{problem:?}");
        }
        for environment in &set.environments {
            assert!(environment.policies.iter().all(|policy| *policy < set.policies.len()));
        }
    }
    drop(RepositorySettings::read(Some(&file)));
    drop(read_registries(&file));
    drop(read_service(&file));
});

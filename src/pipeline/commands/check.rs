//! Judgement of policies: mistakes, and places that they are for.

use crate::changeset::tried_templates;
use crate::diagnostic::Severity;
use crate::manifest::Looked;
use crate::pipeline::features::unsupported;
use crate::pipeline::survey::survey;
use crate::pipeline::{Failure, Invalid, Loaded, Tree, deployed, load, notes, signed_in};
use crate::settings::{Scope, Surroundings};

/// Loads and judges the policies, and finds what they are for; no registry is asked.
///
/// # Errors
/// The repository cannot be read, or the policies are invalid.
pub async fn check(scope: &Scope, around: &Surroundings) -> Result<Loaded, Failure> {
    let around = &signed_in(scope, around).await?;
    let given = load::given(scope)?;
    let tree = Tree::open(scope, around, None).await?;
    let mut loaded = Loaded::read(&tree, given.as_ref(), scope)?;
    let looked = survey(&tree, &loaded.set, &mut loaded.hits);
    let Looked { files, diagnostics: found, .. } = looked;
    loaded.diagnostics.extend(notes::unused(&loaded.set, &files, &found, true));
    loaded.diagnostics.extend(found);
    let unsupported = unsupported(&tree, &loaded.set, &loaded.repository, &around.forges);
    let is_impossible = unsupported.iter().any(|told| told.severity == Severity::Error);
    loaded.diagnostics.extend(unsupported);
    loaded.diagnostics.extend(deployed::uncovered(&tree, &loaded.repository, &loaded.set));
    loaded.diagnostics.extend(loaded.set.environments.iter().flat_map(tried_templates));
    notes::settle_idle(&mut loaded.diagnostics, &loaded.set, 1);
    if is_impossible {
        let Loaded { diagnostics, sources, .. } = loaded;
        return Err(Failure::Invalid(Box::new(Invalid { diagnostics, sources })));
    }
    Ok(loaded)
}

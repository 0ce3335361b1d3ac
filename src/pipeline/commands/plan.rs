//! A plan that is shown.

use crate::pipeline::homes::Elsewhere;
use crate::pipeline::plan::plan_tree;
use crate::pipeline::{DeliveryMode, Failure, Loaded, Planning, Request, Session, Tags, Tree};
use crate::settings::{DecideSettings, Surroundings};

/// Reads the repository as it is and plans.
///
/// # Errors
/// The repository cannot be read, or the policies are invalid.
pub async fn plan(settings: &DecideSettings, around: &Surroundings) -> Result<Planning, Failure> {
    let Session { around, mut tags, tree, loaded } = Session::open(settings, around, None).await?;
    let request = Request { settings, around: &around, deliver: DeliveryMode::Nothing };
    let mut planning = plan_all(tree, loaded, &request, &mut tags).await?;
    planning.tell_of_waits(settings.now);
    Ok(planning)
}

/// Plans a tree, and the other places where environments are.
pub(in crate::pipeline) async fn plan_all(
    tree: Tree,
    mut loaded: Loaded,
    request: &Request<'_>,
    tags: &mut Tags,
) -> Result<Planning, Failure> {
    let elsewhere = Elsewhere::open(&tree, &mut loaded, request).await;
    let mut planning = plan_tree(tree, loaded, &elsewhere.known, request, tags).await?;
    elsewhere.plan(&mut planning, request, tags).await;
    planning.settle_idle();
    Ok(planning)
}

//! Keeps the image references of a GitOps config repository up to date.
//!
//! The modules below are in the order in which data flows through them.

pub mod changeset;
pub mod choose;
pub mod diagnostic;
pub mod edit;
pub mod image;
pub mod manifest;
pub mod policy;
pub mod yaml;

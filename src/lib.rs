//! Keeps the image references of a GitOps config repository up to date.
//!
//! The modules below are in the order in which data flows through them; the first group is pure.

pub mod text;
pub mod forge_kind;
pub mod image;
pub mod yaml;
pub mod diagnostic;
pub mod policy;
pub mod manifest;
pub mod ledger;
pub mod choose;
pub mod signature;
pub mod edit;
pub mod changeset;
pub mod promote;
pub mod repo_id;
pub mod pull_request;
pub mod reconcile;
pub mod starter;

pub mod secret;
pub mod cli;
pub mod settings;
pub mod worktree;
pub mod store;
pub mod traces;
pub mod http;
pub mod registry;
pub mod git;
pub mod forge;
pub mod report;
pub mod pipeline;
pub mod demo;
pub mod serve;
pub mod command;

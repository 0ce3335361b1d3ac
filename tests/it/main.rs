//! The binary in a world on loopback: registries, a GitHub and git servers that hold state.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "tests say what they do by failing"
)]

mod world;

mod action;
mod advisories;
mod architecture;
mod bounds;
mod chaos;
mod check;
mod choices;
mod container;
mod convergence;
mod credentials;
mod docs;
mod dry_run;
mod faults;
mod flux;
mod further_away;
mod gitlab;
mod gitlab_ci;
mod gitlab_merging;
mod forgejo;
mod forgejo_ci;
mod forgejo_merging;
mod fuzz;
mod help;
mod helmfiles;
mod homes;
mod hostile;
mod hostile_files;
mod images;
mod imports;
mod layered;
mod left_alone;
mod left_out;
mod lifecycle;
mod memory;
mod merging;
mod never_another;
mod newcomer;
mod odd_objects;
mod other_files;
mod policies;
mod promotion;
mod pull_requests;
mod real_parts;
mod release;
mod rollback;
mod rows;
mod registries;
mod schemas;
mod serve;
mod shapes;
mod sight;
mod signing;
mod soak;
mod sources;
mod starter;
mod states;
mod together;
mod traces;
mod two_forges;
mod workload;

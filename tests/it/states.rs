//! The table of `docs/pull-requests.md`, cell by cell: a state, an event, and what a run of everything does
//! to staging's pull requests then.

#[path = "../../src/reconcile/tests/table.rs"]
mod table;

use table::{EVENTS, TABLE};

use crate::lifecycle::{Fleet, IMAGES};
use crate::world::{Lie, Product};

const BRANCH: &str = "tagalong/staging";

/// The pull request of staging; prod's is opened before it.
const NUMBER: u64 = 2;

/// On Mondays only, for the state that is not on time.
const SCHEDULE: &str = "schedule: [{cron: '0 0 * * 1', duration: 24h}]";
const MONDAY: &str = "2027-11-22T12:00:00Z";
const SUNDAY: &str = "2027-11-28T12:00:00Z";

fn deploy(fleet: &Fleet, tag: &str) {
    for image in IMAGES {
        fleet.deploy("staging", image, tag);
    }
}

/// Staging in a state; what `deliver` says there.
fn state(product: Product, state: &str) -> (Fleet, &'static str) {
    let deliver = if state == "off schedule" { SCHEDULE } else { "draft: false" };
    let fleet = Fleet::on(product, deliver);
    if state == "none" {
        return (fleet, deliver);
    }
    fleet.bot().args(&["--now", MONDAY]).run().exits(0);
    let label = |label: &str| fleet.forge.edit(NUMBER, |pull| pull.labels.push(label.to_owned()));
    let close = || fleet.forge.edit(NUMBER, |pull| pull.state = "closed");
    let merge = || assert!(fleet.forge.merge(NUMBER));
    match state {
        "held" => label("tagalong:hold"),
        "rebase" => label("tagalong:rebase"),
        "a person's" => {
            fleet.forge.repo.commit(BRANCH, "Mine", &[("staging/mine.yaml", "a: 1\n")]);
        }
        "closed" => close(),
        "retry" => (close(), label("tagalong:retry")).1,
        "merged" => merge(),
        "reverted" => {
            merge();
            fleet.bot().args(&["--now", MONDAY]).run().exits(0);
            deploy(&fleet, "v1.0.0");
        }
        "withdrawn" => {
            deploy(&fleet, "v1.1.0");
            let over = fleet.bot().args(&["--now", MONDAY]).run().exits(0).deliveries();
            assert!(over.contains(&"staging closed".to_owned()), "{over:?}");
            deploy(&fleet, "v1.0.0");
        }
        _ => {}
    }
    (fleet, deliver)
}

fn happens(fleet: &Fleet, event: &str, deliver: &str) {
    match event {
        "newer" => {
            for image in IMAGES {
                fleet.registry.push(&format!("acme/{image}"), &["v1.2.0"]);
            }
        }
        "over" => deploy(fleet, "v1.1.0"),
        "regroup" => fleet.redeliver(&format!("{deliver}, group: image")),
        "base" => {
            let site = fleet.forge.repo.show("main", "staging/shop.yaml");
            let site = format!("# new\n{site}");
            fleet.forge.repo.commit("main", "A comment", &[("staging/shop.yaml", &site)]);
        }
        _ => {}
    }
}

#[test]
fn every_state_and_event() {
    every_cell_on(Product::GitHub);
}

#[test]
fn every_state_and_event_on_gitlab() {
    every_cell_on(Product::GitLab);
}

#[test]
fn every_state_and_event_on_forgejo() {
    every_cell_on(Product::Forgejo);
}

fn every_cell_on(product: Product) {
    let mut wrong = Vec::new();
    for (name, cells) in TABLE {
        for (event, want) in EVENTS.into_iter().zip(cells) {
            let (fleet, deliver) = state(product, name);
            happens(&fleet, event, deliver);
            let bot = || {
                fleet.bot().args(&["--now", if name == "off schedule" { SUNDAY } else { MONDAY }])
            };
            if name == "undecided" {
                fleet.registry.lies("/acme/web/tags/list", (0..9).map(|_| Lie::status(404)));
            }
            let all = bot().run().deliveries();
            let got: Vec<&str> =
                all.iter().filter_map(|one| one.strip_prefix("staging ")).collect();
            if got.join(" ") != want {
                wrong.push(format!("{name} × {event}: {got:?}, not {want:?}"));
            }
            // Whatever happened, it is the end of it, when the branches of what is over are gone.
            bot().run();
            fleet.forge.seen();
            let again = bot().run();
            let writes = fleet.forge.writes();
            if name != "undecided" && !writes.is_empty() {
                wrong.push(format!("{name} × {event}: again {writes:?}\n{}", again.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

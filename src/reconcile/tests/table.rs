//! The table of `docs/pull-requests.md`: for the rules alone, and for the built program with git and a forge.

/// The events, as columns.
pub(super) const EVENTS: [&str; 5] = ["nothing", "newer", "over", "regroup", "base"];

/// The states, as rows: what becomes of the pull request, for each event.
pub(super) const TABLE: [(&str, [&str; 5]); 12] = [
    ("none", ["created", "created", "", "created created created", "created"]),
    ("open", ["unchanged", "updated", "closed", "created created created closed", "updated"]),
    ("undecided", ["unchanged", "updated", "", "created created", "updated"]),
    ("held", ["waiting", "waiting", "", "created created created", "waiting"]),
    ("off schedule", ["waiting", "waiting", "closed", "waiting waiting waiting", "waiting"]),
    ("a person's", ["frozen", "frozen", "", "created created created", "frozen"]),
    ("rebase", ["updated", "updated", "closed", "created created created closed", "updated"]),
    ("closed", ["", "created", "", "", ""]),
    ("retry", ["created", "created", "", "created created created", "created"]),
    ("withdrawn", ["created", "created", "", "created created created", "created"]),
    ("merged", ["", "created", "", "", ""]),
    ("reverted", ["", "created", "", "", ""]),
];

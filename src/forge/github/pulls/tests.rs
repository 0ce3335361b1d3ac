use super::*;

#[test]
fn names_are_variables_and_forks_are_passed_over() {
    let branches = ["tagalong/a", "tagalong/b"];
    let question =
        question(&RepoId::new("github.com", "acme/fleet").unwrap(), "main", &branches, true);
    assert_eq!(question["variables"]["b1"], "tagalong/b");
    assert!(!question["query"].as_str().unwrap().contains("tagalong"));
    let pull = |number, state, fork| {
        json!({"number": number, "url": "u", "state": state, "title": "t", "body": "b", "isCrossRepository": fork, "headRefOid": "0",
               "labels": {"nodes": [{"name": "l"}]}})
    };
    let forks = |state, count| vec![pull(4, state, true); count];
    let answer = json!({"viewer": {"login": "bot"}, "repository": {
        "squashMergeAllowed": true, "mergeCommitAllowed": false, "rebaseMergeAllowed": true,
        "autoMergeAllowed": false, "deleteBranchOnMerge": true,
        "o0": {"associatedPullRequests": {"nodes": [pull(2, "OPEN", false)]}},
        "c0": {"nodes": [pull(9, "CLOSED", false), pull(3, "CLOSED", false)]},
        "o1": null,
        "c1": {"nodes": forks("CLOSED", PULLS)},
        "m0": {"nodes": forks("MERGED", MERGED)},
        "m1": {"nodes": forks("MERGED", MERGED)},
    }});
    let (seen, crowded) = read(serde_json::from_value(answer).unwrap(), &branches).unwrap();
    assert_eq!(seen.rules.methods, [MergeMethod::Squash, MergeMethod::Rebase]);
    // Each is asked for once more, whatever crowds it.
    assert!(crowded.into_iter().eq(branches), "each is once there");
    let numbers = |pulls: &BranchPullRequests| {
        [&pulls.open, &pulls.closed].map(|pull| pull.as_ref().map(|pull| pull.number))
    };
    assert_eq!(numbers(&seen.pulls["tagalong/a"]), [Some(2), Some(9)]);
    assert_eq!(numbers(&seen.pulls["tagalong/b"]), [None, None]);
    assert_eq!(seen.pulls["tagalong/a"].open.as_ref().unwrap().labels, ["l"]);
    let unknown =
        serde_json::from_value(json!({"viewer": {"login": "bot"}, "repository": null})).unwrap();
    assert!(read(unknown, &branches).is_none());
}

/// Reviews that were not read may want changes.
#[test]
fn unread_reviews_are_not_believed() {
    for is_more in [false, true] {
        let open = json!({"number": 1, "url": "u", "state": "OPEN", "title": "t", "body": "b", "isCrossRepository": false,
            "headRefOid": "0", "id": "x", "isDraft": false, "isInMergeQueue": false, "isMergeQueueEnabled": false,
            "mergeStateStatus": "CLEAN", "reviewRequests": {"totalCount": 0},
            "latestOpinionatedReviews": {"pageInfo": {"hasNextPage": is_more}, "nodes": []}});
        let node: PullNode = serde_json::from_value(open).unwrap();
        assert_eq!(node.read(&RepoRules::default()).changes_requested, is_more);
    }
}

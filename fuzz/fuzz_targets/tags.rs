//! Reads lines as a range, a deployed tag and tags: ranks are an order, and what is chosen is in the range.

#![no_main]

use tagalong::image::Tag;
use tagalong::policy::{PolicyFile, read};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (Some(range), Some(deployed)) = (lines.next(), lines.next()) else { return };
    let tags: Vec<Tag> = lines.filter_map(Tag::parse).take(20).collect();
    let deployed = Tag::parse(deployed);
    for order in ["semver", "calver", "numerical", "alphabetical", "fixed"] {
        let range = serde_json::to_string(range).unwrap();
        let text = format!("images: {{a: {{image: r.io/a, tags: {{{order}: {range}}}}}}}");
        let (set, problems) = read(&[PolicyFile::new("p.yaml", text)]);
        if !problems.is_empty() {
            continue;
        }
        let rule = &set.policies[0].rule;
        let ranker = rule.ranker(deployed.as_ref());
        let keys: Vec<_> = tags.iter().filter_map(|tag| ranker.rank(tag, None).ok()).collect();
        for one in &keys {
            for other in &keys {
                assert_eq!(one.compare(other), other.compare(one).reverse());
                for third in &keys {
                    if one.compare(other).is_le() && other.compare(third).is_le() {
                        assert!(one.compare(third).is_le());
                    }
                }
            }
        }
        for tag in &tags {
            drop(rule.objection(deployed.as_ref(), tag));
            drop(ranker.rank_deployed(tag, None));
        }
    }
});

//! What an environment held, from commit to commit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::choose::Deployed;
use crate::image::{Shape, Tag};
use crate::policy::PolicyId;

/// The history of one environment, as far as it is known: the newest state first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The states.
    pub states: Vec<State>,
    /// What is before the oldest one.
    pub end: End,
}

/// What an environment held until the next state began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When it began; at the latest then, for the oldest state of a history that goes on before it.
    pub since: Timestamp,
    /// What each policy's image was, by the policy's index.
    pub held: BTreeMap<PolicyId, BTreeSet<Deployed>>,
    /// The commits at which it was held, the newest first.
    pub commits: Vec<String>,
}

/// What is before the oldest state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing: the history begins there.
    Root,
    /// More, which was not looked at.
    More,
    /// More, which is not there: the clone is shallow.
    Shallow,
}

/// What a state holds of one policy's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// Nothing.
    Nothing,
    /// One version.
    One(&'a Deployed),
    /// Several, so that nobody knows which one counts.
    Several(&'a BTreeSet<Deployed>),
}

/// How long something was held without a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// When it began, at the latest.
    pub since: Timestamp,
    /// When something else came; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// Whether it may have begun earlier than the history tells.
    pub is_open: bool,
    /// The commits, the newest first.
    pub commits: Vec<&'a str>,
}

impl State {
    /// What it holds of a policy's image.
    #[must_use]
    pub fn held(&self, policy: PolicyId) -> Held<'_> {
        match self.held.get(&policy) {
            None => Held::Nothing,
            Some(held) => match held.iter().collect::<Vec<_>>()[..] {
                [] => Held::Nothing,
                [one] => Held::One(one),
                _ => Held::Several(held),
            },
        }
    }
}

impl Timeline {
    /// What is held now.
    #[must_use]
    pub fn head(&self) -> Option<&State> {
        self.states.first()
    }

    /// How long a policy's image was held without a break as a state holds it.
    #[must_use]
    pub fn stretch(&self, index: usize, policy: PolicyId) -> Stretch<'_> {
        let value = self.states[index].held(policy);
        let is_same = |state: &&State| state.held(policy) == value;
        let newer = self.states[..index].iter().rev().take_while(is_same).count();
        let older = self.states[index..].iter().take_while(is_same).count();
        let (first, last) = (index - newer, index + older - 1);
        Stretch {
            since: self.states[last].since,
            until: first.checked_sub(1).map(|next| self.states[next].since),
            is_open: last + 1 == self.states.len() && self.end != End::Root,
            commits: self.states[first..=last]
                .iter()
                .flat_map(|state| state.commits.iter().map(String::as_str))
                .collect(),
        }
    }
}

impl Stretch<'_> {
    /// How long it lasted, or lasts until now.
    #[must_use]
    pub fn length(&self, now: Timestamp) -> SignedDuration {
        self.until.unwrap_or(now).duration_since(self.since)
    }
}

/// True if two places hold the same version; what one of them does not say is not another one.
#[must_use]
pub fn is_same(one: &Deployed, other: &Deployed) -> bool {
    let is_one = match (&one.digest, &other.digest) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.tag == other.tag && is_one
}

/// True for a tag that is given to one image after the other: only one of three numbers is expected to stay.
pub(super) fn moves(tag: &Tag) -> bool {
    Shape::parse(tag.as_str()).is_none_or(|shape| shape.precision < 3)
}

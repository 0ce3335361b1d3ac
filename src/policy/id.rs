//! Identity by type: which policy, and which environment, of a [`PolicySet`](super::PolicySet). Each opens its own list alone,
//! so that the one is never taken for the other.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Index, IndexMut};

/// A policy of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(usize);

/// An environment of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentId(usize);

/// An index of a [`ById`].
pub trait Id: Copy {
    /// The id of the item at a position.
    fn at(position: usize) -> Self;

    /// The position of its item.
    fn position(self) -> usize;
}

impl Id for PolicyId {
    fn at(position: usize) -> Self {
        Self(position)
    }

    fn position(self) -> usize {
        self.0
    }
}

impl Id for EnvironmentId {
    fn at(position: usize) -> Self {
        Self(position)
    }

    fn position(self) -> usize {
        self.0
    }
}

/// A list whose items are known by ids of their own type.
#[derive(Clone, Debug)]
pub struct ById<I, T> {
    all: Vec<T>,
    id: PhantomData<I>,
}

impl<I: Id, T> ById<I, T> {
    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = I> + use<I, T> {
        (0..self.all.len()).map(I::at)
    }

    /// The items with their ids.
    pub fn with_ids(&self) -> impl Iterator<Item = (I, &T)> {
        self.all.iter().enumerate().map(|(position, item)| (I::at(position), item))
    }

    /// The first item that something is true of.
    pub fn find(&self, is_it: impl FnMut(&T) -> bool) -> Option<I> {
        self.all.iter().position(is_it).map(I::at)
    }

    /// Adds an item.
    pub fn push(&mut self, item: T) {
        self.all.push(item);
    }

    /// The items alone.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.all
    }
}

impl<I, T> From<Vec<T>> for ById<I, T> {
    fn from(all: Vec<T>) -> Self {
        Self { all, id: PhantomData }
    }
}

impl<I, T> Default for ById<I, T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<I: Id, T> Index<I> for ById<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.all[id.position()]
    }
}

impl<I: Id, T> IndexMut<I> for ById<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.all[id.position()]
    }
}

impl<I, T> Deref for ById<I, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

impl<I, T> DerefMut for ById<I, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all
    }
}

impl<'a, I, T> IntoIterator for &'a ById<I, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl<'a, I, T> IntoIterator for &'a mut ById<I, T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter_mut()
    }
}

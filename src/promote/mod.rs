//! Promotion: what an environment held, and since when, decides what comes to the next one. Nothing is
//! resolved anew; what moves is what a source's files held at its own head.

mod back;
mod decide;
mod earn;
mod lockstep;
mod timeline;

#[cfg(test)]
mod tests;

pub use back::Back;
pub use decide::{Checked, Promoted, PromotionFacts, StatusQuestion, decide};
pub use lockstep::hold_together;
pub use timeline::{End, Held, State, Stretch, Timeline, is_same};

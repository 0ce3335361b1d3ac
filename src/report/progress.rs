//! What is going on, drawn on a terminal; silent elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line that says how far a step is.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A line on standard error for `total` units, or nothing when `visible` is false.
    #[must_use]
    pub fn new(visible: bool, what: &'static str, total: usize) -> Self {
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target).with_message(what);
        let style =
            ProgressStyle::with_template("{spinner} {msg} {pos}/{len} {wide_bar} {elapsed}");
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if visible {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self(bar)
    }

    /// One more unit is done.
    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

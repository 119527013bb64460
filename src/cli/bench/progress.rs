//! What is going on, on stderr; nothing where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(200);

/// One bar that begins anew with every part of the work.
#[derive(Clone)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(STEP);
        Self(bar)
    }

    /// Something that has no measure.
    pub(super) fn says(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// Something of so many parts.
    pub(super) fn begins(&self, what: &str, parts: u64) {
        let template = "{spinner} [{elapsed}] {bar:24} {pos}/{len} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_length(parts);
        self.0.set_position(0);
        self.says(what);
    }

    /// Some of them are done.
    pub(super) fn adds(&self, parts: u64) {
        self.0.inc(parts);
    }

    /// Wipes it away.
    pub(super) fn ends(&self) {
        self.0.finish_and_clear();
    }
}

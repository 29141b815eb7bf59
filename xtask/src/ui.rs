//! What the user sees while something takes long: a spinner on a terminal, plain
//! lines elsewhere. Everything goes to stderr; stdout is for results.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Tells something that is worth a line.
pub fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// A step that may take long.
#[derive(Debug)]
pub struct Step {
    bar: Option<ProgressBar>,
    what: String,
    started: Instant,
}

impl Step {
    /// Starts the step; `what` is in the present participle ("fetching rust-src").
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner()
                .with_style(style)
                .with_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            say(&format!("{what} …"));
        }
        Self {
            bar,
            what,
            started: Instant::now(),
        }
    }

    /// Ends the step with its result.
    pub fn done(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!(
            "{}: {result} ({:.1} s)",
            self.what,
            self.started.elapsed().as_secs_f32()
        ));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

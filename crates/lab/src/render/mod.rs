//! What people see: progress, log lines, findings, crashes, the verdict.
//!
//! Text goes to stdout, or to stderr when stdout carries JSON. Progress is a bar
//! on a terminal and a few plain lines elsewhere.

mod crash;
mod finding;
mod table;
mod team;
mod verdict;

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use console::{Style, Term};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lab_host::report::Event;

use crate::crash::explain::seconds;

pub use finding::Findings;
pub use table::Table;

/// Where text goes.
pub struct Screen {
    to: Term,
    colour: bool,
    bar: Option<ProgressBar>,
    step: String,
    finished: bool,
    verbose: u8,
}

impl Screen {
    /// Text on stdout, or on stderr if stdout is for JSON.
    pub fn new(json: bool, verbose: u8) -> Self {
        let to = if json { Term::stderr() } else { Term::stdout() };
        let colour = if json {
            console::colors_enabled_stderr()
        } else {
            console::colors_enabled()
        };
        // The bar is drawn on stderr, whichever of the two carries the text.
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(spinner());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            to,
            colour,
            bar,
            step: String::new(),
            finished: true,
            verbose,
        }
    }

    /// Prints text, above the bar if there is one.
    pub fn print(&mut self, text: &str) {
        let mut to = self.to.clone();
        let mut write = || {
            // A closed pipe is no reason to lose the verdict's exit code.
            let _ = writeln!(to, "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Text in a style, if styles are shown.
    pub fn paint(&self, style: &Style, text: &str) -> String {
        if self.colour {
            style.clone().force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }

    /// Removes the bar; what follows is the verdict.
    pub fn end_progress(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Shows log lines and progress; other events are the caller's.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Log {
                level,
                source,
                text,
                time,
            } => self.log(*level, source, text, *time),
            Event::Progress { what, done, total } => self.progress(what, *done, *total),
            Event::Finding(_) | Event::Summary { .. } | Event::Crash(_) => {}
        }
    }

    fn log(&mut self, level: u32, source: &str, text: &str, time: u64) {
        // The driver's own lines are always shown, the host's by verbosity:
        // errors and warnings always, information with -v, the rest with -vv.
        if source != "driver" && level > u32::from(self.verbose) + 1 {
            return;
        }
        let (name, style) = match level {
            0 => ("error", Style::new().red()),
            1 => ("warn", Style::new().yellow()),
            2 => ("trace", Style::new().dim()),
            _ => ("info", Style::new()),
        };
        let time = seconds(time);
        for line in text.trim_end().lines() {
            let line = format!("{time:>10} {source:<8} {name:<5} {}", printable(line));
            let line = self.paint(&style, &line);
            self.print(&line);
        }
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        let new = what != self.step;
        let complete = total > 0 && done >= total;
        if new {
            what.clone_into(&mut self.step);
            self.finished = false;
        }
        if let Some(bar) = &self.bar {
            if total > 0 {
                bar.set_length(total);
                bar.set_style(counter());
            } else {
                bar.set_style(spinner());
            }
            bar.set_position(done);
            bar.set_message(what.to_owned());
        } else if new || (complete && !self.finished) {
            // A log file gets a line where a step begins and one where it ends.
            let text = match (total, complete) {
                (0, _) => what.to_owned(),
                (_, true) => format!("{what}: {done} of {total}"),
                (_, false) => format!("{what}: 0 of {total}"),
            };
            eprintln!("  … {text}");
        }
        if complete {
            self.finished = true;
        }
    }
}

/// A driver's text cannot move the cursor or recolour the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn counter() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {wide_bar} {human_pos} of {human_len} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A whole number with thin groups: `67_108_864` reads badly, `67,108,864` well.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (67_108_864, "67,108,864"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn a_driver_cannot_write_escapes() {
        assert_eq!(printable("a\u{1b}[2Jb\tc"), "a\u{fffd}[2Jb\tc");
    }
}

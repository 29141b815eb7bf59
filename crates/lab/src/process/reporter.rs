//! The child's end of the event pipe.
//!
//! Runs concurrently: any thread of the host may report. Two locks, one for the
//! pipe and one for the counts, never held together and never across anything
//! but a `write`: a driver callback that suspends cannot hold one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    sync::{Mutex, PoisonError},
};

use lab_host::report::{Event, Finding, Sink};

use super::Message;

/// Findings of one rule that carry their stack and calls; a driver that breaks a
/// rule with every packet would otherwise fill the pipe with the same picture.
const FULL: u64 = 16;

/// Writes messages to the parent, one JSON line each.
pub struct Reporter {
    pipe: Mutex<File>,
    /// Lines of the host above this level stay in the child (the driver's own always go).
    level: u32,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Reporter {
    /// Reports over `pipe`; `verbosity` as in the job.
    pub fn new(pipe: File, verbosity: u8) -> Self {
        Self {
            pipe: Mutex::new(pipe),
            level: u32::from(verbosity).saturating_add(1),
            counts: Mutex::default(),
        }
    }

    /// Sends a message. A parent that no longer reads is a parent that died; the
    /// kernel kills this process then, so a failed write needs no other answer.
    pub fn send(&self, message: &Message) {
        let mut line = match serde_json::to_vec(message) {
            Ok(line) => line,
            Err(error) => format!("{{\"message\":\"unserialisable: {error}\"}}").into_bytes(),
        };
        line.push(b'\n');
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = pipe.write_all(&line);
    }
}

impl Reporter {
    fn shorten(&self, finding: &mut Finding) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(finding.rule.clone()).or_default();
        *count += 1;
        if *count > FULL {
            finding.stack = None;
            finding.calls.clear();
        }
    }
}

impl Sink for Reporter {
    fn event(&self, mut event: Event) {
        if let Event::Finding(finding) = &mut event {
            self.shorten(finding);
        }
        if let Event::Log { level, source, .. } = &event
            && source != "driver"
            && *level > self.level
        {
            return;
        }
        self.send(&Message::Event { event });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use lab_host::report::{Severity, StackSnapshot};

    use super::*;

    fn finding(rule: &str) -> Event {
        Event::Finding(Finding {
            rule: rule.into(),
            severity: Severity::Error,
            message: "m".into(),
            page: String::new(),
            objects: Vec::new(),
            time: 0,
            cpu: 0,
            irql: 0,
            calls: vec![],
            stack: Some(StackSnapshot::default()),
        })
    }

    #[test]
    fn a_rule_broken_all_the_time_is_counted_without_its_stack() {
        let (read, write) = std::io::pipe().expect("pipe");
        let reporter = Reporter::new(File::from(std::os::fd::OwnedFd::from(write)), 0);
        for _ in 0..FULL + 2 {
            reporter.event(finding("A-1"));
        }
        reporter.event(finding("B-1"));
        drop(reporter);
        let stacks: Vec<bool> = BufReader::new(read)
            .lines()
            .map(|line| {
                let line = line.expect("text");
                match serde_json::from_str(&line).expect("a message") {
                    Message::Event {
                        event: Event::Finding(finding),
                    } => finding.stack.is_some(),
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        assert_eq!(
            stacks.iter().filter(|stack| **stack).count() as u64,
            FULL + 1
        );
        assert_eq!(stacks.len() as u64, FULL + 3);
        assert_eq!(stacks.last(), Some(&true));
    }

    #[test]
    fn the_host_is_quiet_the_driver_is_not() {
        let (read, write) = std::io::pipe().expect("pipe");
        let reporter = Reporter::new(File::from(std::os::fd::OwnedFd::from(write)), 0);
        for source in ["driver", "nic"] {
            reporter.event(Event::Log {
                level: 3,
                source: source.into(),
                text: "hello".into(),
                time: 0,
            });
        }
        drop(reporter);
        let lines: Vec<_> = BufReader::new(read).lines().collect();
        assert_eq!(lines.len(), 1);
    }
}

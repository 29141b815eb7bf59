//! The child's end of the event pipe.
//!
//! Runs concurrently: any thread of the host may report. One lock, held for one
//! `write`, taken for nothing else; a driver callback that suspends cannot hold it.

use std::{
    fs::File,
    io::Write,
    sync::{Mutex, PoisonError},
};

use lab_host::report::{Event, Sink};

use super::Message;

/// Writes messages to the parent, one JSON line each.
pub struct Reporter {
    pipe: Mutex<File>,
    /// Lines of the host above this level stay in the child (the driver's own always go).
    level: u32,
}

impl Reporter {
    /// Reports over `pipe`; `verbosity` as in the job.
    pub fn new(pipe: File, verbosity: u8) -> Self {
        Self {
            pipe: Mutex::new(pipe),
            level: u32::from(verbosity).saturating_add(1),
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

impl Sink for Reporter {
    fn event(&self, event: Event) {
        if let Event::Log { level, source, .. } = &event
            && source != "driver"
            && *level > self.level
        {
            return;
        }
        self.send(&Message::Event { event });
    }
}

//! Lines on the event pipe.

use lab_host::report::Event;
use serde::{Deserialize, Serialize};

use crate::trouble::Trouble;

/// One line, child to parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", content = "body", rename_all = "snake_case")]
pub enum Message {
    /// The child is confined and starts its work.
    Confined {
        /// The child's process id.
        pid: i32,
        /// What confines it, for `-v`.
        by: Vec<String>,
    },
    /// An event of the host.
    Event {
        /// The event.
        event: Event,
    },
    /// The work could not be done.
    Failed {
        /// Why.
        trouble: Trouble,
    },
    /// The work is done; nothing follows.
    Done,
}

#[cfg(test)]
mod tests {
    use lab_host::report::{Finding, Severity};

    use super::*;

    #[test]
    fn fields_of_an_event_do_not_collide_with_the_envelope() {
        let event = Event::Finding(Finding {
            rule: "SND-6".into(),
            severity: Severity::Error,
            message: "m".into(),
            page: String::new(),
            objects: Vec::new(),
            time: 0,
            cpu: 0,
            irql: 0,
            calls: vec![],
            stack: None,
        });
        let message = Message::Event { event };
        let line = serde_json::to_string(&message).expect("serialises");
        assert_eq!(
            serde_json::from_str::<Message>(&line).expect("parses"),
            message
        );
    }

    #[test]
    fn an_event_survives_the_pipe() {
        let message = Message::Event {
            event: Event::Log {
                level: 1,
                source: "driver".into(),
                text: "line\nbreak \"quoted\" \u{1F980}".into(),
                time: u64::MAX,
            },
        };
        let line = serde_json::to_string(&message).expect("serialises");
        assert!(!line.contains('\n'), "one line is one message: {line}");
        let back: Message = serde_json::from_str(&line).expect("parses");
        assert_eq!(back, message);
    }
}

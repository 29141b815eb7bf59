//! Broken rules, shown once each however often they are broken.

use console::Style;
use lab_host::report::{CallKind, CallRecord, Finding, ObjectRecord, Severity};

use super::Screen;
use crate::crash::{
    explain::{irql_name, seconds},
    stack::{Frame, Pointer, Symbols},
};

/// Occurrences of one rule that are shown in full.
const SHOWN: u64 = 3;
/// Host calls shown with a finding.
const CALLS: usize = 6;

/// Findings of a run.
#[derive(Default)]
pub struct Findings {
    kinds: Vec<Kind>,
}

struct Kind {
    rule: String,
    severity: Severity,
    count: u64,
    first: String,
}

impl Findings {
    /// Counts a finding and shows it, unless enough of its kind were shown.
    pub fn add(&mut self, finding: &Finding, symbols: &mut Symbols, screen: &mut Screen) {
        let count = self.count(finding);
        if count <= SHOWN {
            let frames = finding
                .stack
                .as_ref()
                .map(|stack| symbols.frames(stack, Pointer::Return))
                .unwrap_or_default();
            screen.print(&text(finding, &frames, screen));
        } else if count == SHOWN + 1 {
            screen.print(&format!(
                "{}: more of the same are counted, not shown",
                finding.rule
            ));
        }
    }

    fn count(&mut self, finding: &Finding) -> u64 {
        let known = self.kinds.iter_mut().find(|kind| kind.rule == finding.rule);
        if let Some(kind) = known {
            kind.count += 1;
            kind.severity = kind.severity.max(finding.severity);
            return kind.count;
        }
        self.kinds.push(Kind {
            rule: finding.rule.clone(),
            severity: finding.severity,
            count: 1,
            first: finding.message.clone(),
        });
        1
    }

    /// Rules broken at least once, with how often and how bad; worst first.
    pub fn by_rule(&self) -> Vec<(&str, Severity, u64, &str)> {
        let mut list: Vec<_> = self
            .kinds
            .iter()
            .map(|kind| {
                (
                    kind.rule.as_str(),
                    kind.severity,
                    kind.count,
                    kind.first.as_str(),
                )
            })
            .collect();
        list.sort_by_key(|(rule, severity, ..)| (std::cmp::Reverse(*severity), (*rule).to_owned()));
        list
    }

    /// How often a requirement was broken; warnings do not count.
    pub fn violations(&self) -> u64 {
        self.kinds
            .iter()
            .filter(|kind| kind.severity > Severity::Warning)
            .map(|kind| kind.count)
            .sum()
    }

    /// How many warnings there were.
    pub fn warnings(&self) -> u64 {
        self.kinds
            .iter()
            .filter(|kind| kind.severity == Severity::Warning)
            .map(|kind| kind.count)
            .sum()
    }
}

fn text(finding: &Finding, frames: &[Frame], screen: &Screen) -> String {
    let (word, style) = match finding.severity {
        Severity::Warning => ("warning", Style::new().yellow().bold()),
        Severity::Error => ("violation", Style::new().red().bold()),
        Severity::Bugcheck => ("violation (bug check)", Style::new().red().bold()),
    };
    let head = screen.paint(&style, &format!("{word} {}", finding.rule));
    let mut lines = vec![
        format!("{head}: {}", super::printable(&finding.message)),
        format!(
            "  processor {}, {}, {} s",
            finding.cpu,
            irql_name(finding.irql),
            seconds(finding.time)
        ),
    ];
    if !finding.page.is_empty() {
        lines.push(format!("  documentation: {}", finding.page));
    }
    lines.extend(object_lines(&finding.objects));
    lines.extend(frame_lines(frames));
    let skip = finding.calls.len().saturating_sub(CALLS);
    lines.extend(call_lines(finding.calls.get(skip..).unwrap_or_default()));
    lines.join("\n")
}

/// The objects that a finding is about, each with its past.
fn object_lines(objects: &[ObjectRecord]) -> Vec<String> {
    let mut lines = Vec::new();
    for object in objects {
        lines.push(format!(
            "  {:#x}: {}",
            object.address,
            super::printable(&object.what)
        ));
        lines.extend(
            object
                .history
                .iter()
                .map(|step| format!("      {}", super::printable(step))),
        );
    }
    lines
}

/// Frames, innermost first, numbered.
pub(super) fn frame_lines(frames: &[Frame]) -> Vec<String> {
    let mut lines = Vec::new();
    if !frames.is_empty() {
        lines.push("  driver's stack, innermost first:".to_owned());
    }
    lines.extend(
        frames
            .iter()
            .enumerate()
            .map(|(number, frame)| format!("    {number:>2}  {frame}")),
    );
    lines
}

/// Host calls, oldest first, indented by nesting.
pub(super) fn call_lines(calls: &[CallRecord]) -> Vec<String> {
    let mut lines = Vec::new();
    if !calls.is_empty() {
        lines.push("  last calls between driver and host, oldest first:".to_owned());
    }
    for call in calls {
        let arrow = match call.kind {
            CallKind::Import => "driver ->",
            CallKind::Callback => "host   ->",
            CallKind::Return => "       <-",
        };
        let arguments: Vec<String> = call
            .args
            .iter()
            .map(|value| format!("{value:#x}"))
            .collect();
        lines.push(format!(
            "    {:>10} cpu{} {:<14} {arrow} {}({})",
            seconds(call.time),
            call.cpu,
            irql_name(call.irql),
            call.name,
            arguments.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, severity: Severity) -> Finding {
        Finding {
            rule: rule.into(),
            severity,
            message: "m".into(),
            page: String::new(),
            objects: vec![],
            time: 0,
            cpu: 0,
            irql: 2,
            calls: vec![],
            stack: None,
        }
    }

    #[test]
    fn objects_are_shown_with_their_past() {
        let lines = object_lines(&[ObjectRecord {
            address: 0x1000,
            what: "a list".into(),
            history: vec!["5 ns: the driver, by X".into()],
        }]);
        assert_eq!(lines, ["  0x1000: a list", "      5 ns: the driver, by X"]);
    }

    #[test]
    fn warnings_are_no_violations_and_the_worst_comes_first() {
        let mut findings = Findings::default();
        findings.count(&finding("A-1", Severity::Warning));
        findings.count(&finding("B-2", Severity::Error));
        assert_eq!(findings.count(&finding("B-2", Severity::Bugcheck)), 2);
        assert_eq!(findings.violations(), 2);
        assert_eq!(findings.warnings(), 1);
        let rules: Vec<_> = findings.by_rule().iter().map(|(rule, ..)| *rule).collect();
        assert_eq!(rules, ["B-2", "A-1"]);
    }
}

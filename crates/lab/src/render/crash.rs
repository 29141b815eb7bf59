//! A crash on the screen.

use console::Style;

use super::{
    Screen,
    finding::{call_lines, frame_lines},
};
use crate::crash::explain::CrashReport;

/// Host calls shown with a crash.
const CALLS: usize = 16;

impl Screen {
    /// Shows a crash.
    pub fn crash(&mut self, report: &CrashReport, note: Option<&str>) {
        let title = self.paint(&Style::new().red().bold(), &report.title);
        let mut lines = vec![title];
        lines.extend(report.details.iter().map(|line| format!("  {line}")));
        if let Some(state) = &report.state {
            lines.push(format!("  {state}"));
        }
        lines.extend(frame_lines(&report.frames));
        if let Some(note) = note
            && !report.frames.is_empty()
        {
            lines.push(format!("  (names are missing: {note})"));
        }
        for row in report.registers.chunks(4) {
            let cells: Vec<String> = row
                .iter()
                .map(|(name, value)| format!("{name:>6} {value:016x}"))
                .collect();
            lines.push(format!("  {}", cells.join(" ")));
        }
        if !report.code.is_empty() {
            let bytes: Vec<String> = report
                .code
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            lines.push(format!("  code at rip: {}", bytes.join(" ")));
        }
        let skip = report.calls.len().saturating_sub(CALLS);
        lines.extend(call_lines(report.calls.get(skip..).unwrap_or_default()));
        self.print(&lines.join("\n"));
    }
}

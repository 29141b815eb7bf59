//! The last page: what was done, what came of it.

use console::Style;

use super::{Findings, Screen, Table, grouped};
use crate::{
    exit::Verdict,
    summary::{OidFate, Summary},
};

impl Screen {
    /// Shows the summary of a scenario.
    pub fn summary(&mut self, summary: &Summary) {
        self.traffic(summary);
        self.matrices(summary);
        self.teams(summary);
        self.steps(summary);
        self.oids(summary);
        self.nics(summary);
        self.hops(summary);
        self.counters(summary);
        if let Some(trace) = &summary.trace {
            self.print(&format!("trace {trace} (equal runs have equal ones)"));
        }
    }

    pub(super) fn section(&mut self, title: &str, table: &Table) {
        if !table.is_empty() {
            let title = self.paint(&Style::new().bold(), title);
            self.print(&format!("{title}\n{}", table.render("  ")));
        }
    }

    fn traffic(&mut self, summary: &Summary) {
        let mut table = Table::new(["traffic", "path", "result", ""]);
        for ping in &summary.ping {
            table.row([
                "ping".into(),
                ping.path.clone(),
                format!("{}/{}", ping.answered, ping.sent),
                mark(ping.ok()),
            ]);
        }
        for tcp in &summary.tcp {
            // Bits per nanosecond are Gbit per second; two digits after the point.
            let rate = (u128::from(tcp.arrived) * 800)
                .checked_div(u128::from(tcp.ns))
                .map_or_else(String::new, |rate| {
                    format!(", {}.{:02} Gbit/s", rate / 100, rate % 100)
                });
            let content = match tcp.first_wrong {
                Some(at) => format!("content differs from byte {}", grouped(at)),
                None => "content checked".into(),
            };
            table.row([
                "TCP".into(),
                tcp.path.clone(),
                format!(
                    "{} of {} MiB, {content}{rate}",
                    tcp.arrived >> 20,
                    tcp.wanted >> 20
                ),
                mark(tcp.ok()),
            ]);
        }
        for udp in &summary.udp {
            table.row([
                "UDP".into(),
                udp.path.clone(),
                format!(
                    "{} of {} frames, lost {}, doubled {}, damaged {}, overtaken {}{}{}",
                    grouped(udp.received),
                    grouped(udp.sent),
                    udp.lost,
                    udp.duplicated,
                    udp.damaged,
                    udp.reordered,
                    if udp.reordering_allowed && udp.reordered > 0 {
                        " (allowed)"
                    } else {
                        ""
                    },
                    if udp.allowed_drops > 0 {
                        format!(", dropped where allowed {}", udp.allowed_drops)
                    } else {
                        String::new()
                    }
                ),
                mark(udp.ok()),
            ]);
        }
        self.section("Traffic", &table);
    }

    fn matrices(&mut self, summary: &Summary) {
        for matrix in &summary.matrices {
            let mut columns = vec!["speaker".to_owned(), "tagged".to_owned()];
            columns.extend(matrix.listeners.iter().cloned());
            let mut table = Table::with_columns(columns);
            for row in &matrix.rows {
                let mut cells = vec![row.speaker.clone(), row.tagged.clone()];
                cells.extend(
                    row.heard
                        .iter()
                        .zip(&row.expected)
                        .map(|(heard, expected)| {
                            if heard == expected {
                                heard.clone()
                            } else {
                                format!("{heard} !! {expected}")
                            }
                        }),
                );
                table.cells(cells);
            }
            self.section(&format!("Who hears whom: {}", matrix.title), &table);
            self.print(&format!("  {} (!!: what it should be)", matrix.legend));
        }
    }

    fn steps(&mut self, summary: &Summary) {
        let mut table = Table::new(["step", "seen", ""]);
        for step in &summary.steps {
            table.row([step.name.clone(), step.detail.clone(), mark(step.ok)]);
        }
        self.section("Life cycle and disturbances", &table);
    }

    fn oids(&mut self, summary: &Summary) {
        let count = |fate| summary.oids.iter().filter(|oid| oid.fate == fate).count();
        let title = format!(
            "OIDs of the lower adapters: {} forwarded, {} answered, {} refused",
            count(OidFate::Forwarded),
            count(OidFate::Answered),
            count(OidFate::Refused)
        );
        let mut table = Table::new(["adapter", "request", "OID", "fate", "status", "", "note"]);
        for oid in &summary.oids {
            table.row([
                oid.adapter.clone(),
                oid.kind.clone(),
                oid.name.clone(),
                match oid.fate {
                    OidFate::Forwarded => "forwarded",
                    OidFate::Answered => "answered",
                    OidFate::Refused => "refused",
                }
                .into(),
                oid.status.clone(),
                mark(oid.ok),
                oid.note.clone(),
            ]);
        }
        self.section(&title, &table);
    }

    fn nics(&mut self, summary: &Summary) {
        let mut table = Table::new([
            "adapter",
            "sent",
            "at once",
            "pended",
            "out of order",
            "other processor",
            "received",
            "RESOURCES",
        ]);
        for nic in &summary.nics {
            let share = |part: u64, whole: u64| match (part * 100).checked_div(whole) {
                Some(percent) => format!("{} ({percent} %)", grouped(part)),
                None => grouped(part),
            };
            table.row([
                nic.adapter.clone(),
                grouped(nic.sends),
                share(nic.inline, nic.sends),
                share(nic.pended, nic.sends),
                share(nic.out_of_order, nic.sends),
                share(nic.other_processor, nic.sends),
                grouped(nic.receives),
                share(nic.resources, nic.receives),
            ]);
        }
        self.section("What the software NICs did", &table);
    }

    fn hops(&mut self, summary: &Summary) {
        let mut table = Table::new(["path", "batch", "with the driver", "without", "the hop"]);
        for hop in &summary.hops {
            table.row([
                if hop.receive { "receive" } else { "send" }.into(),
                hop.batch.to_string(),
                format!("{:.1} ns", hop.with),
                format!("{:.1} ns", hop.without),
                format!(
                    "{:+.1} ns, x{:.2}",
                    hop.with - hop.without,
                    hop.with / hop.without
                ),
            ]);
        }
        self.section("Cost for each NET_BUFFER_LIST, there and back", &table);
    }

    fn counters(&mut self, summary: &Summary) {
        let mut table = Table::new(["counters", "name", "value"]);
        for counter in &summary.counters {
            table.row([
                counter.owner.clone(),
                counter.name.clone(),
                grouped(counter.value),
            ]);
        }
        self.section("Counters", &table);
    }

    /// Shows the verdict.
    pub fn verdict(&mut self, verdict: Verdict, findings: &Findings, summary: Option<&Summary>) {
        let mut table = Table::new(["rule", "severity", "times", "first"]);
        for (rule, severity, count, first) in findings.by_rule() {
            let severity = match severity {
                lab_host::report::Severity::Warning => "warning",
                lab_host::report::Severity::Error => "error",
                lab_host::report::Severity::Bugcheck => "bugcheck",
            };
            table.row([
                rule.into(),
                severity.into(),
                grouped(count),
                super::printable(first),
            ]);
        }
        self.section("Rules broken", &table);
        if let Some(summary) = summary {
            for failure in summary.failures() {
                let failure = self.paint(&Style::new().red(), &failure);
                self.print(&format!("  {failure}"));
            }
        }
        let leaks = summary.map(|summary| summary.leaks.iter().map(|leak| leak.count).sum::<u64>());
        let (word, style) = match verdict {
            Verdict::Clean => ("CLEAN", Style::new().green().bold()),
            Verdict::Violations => ("VIOLATIONS", Style::new().red().bold()),
            Verdict::BadInput => ("BAD INPUT", Style::new().red().bold()),
            Verdict::DriverFailed => ("DRIVER FAILED", Style::new().red().bold()),
            Verdict::HostError => ("LAB FAILURE", Style::new().magenta().bold()),
            Verdict::Interrupted(_) => ("INTERRUPTED", Style::new().yellow().bold()),
        };
        let word = self.paint(&style, word);
        // A run that did not get to its end knows of no leaks, which is not "none".
        let leaks = leaks.map_or_else(|| "not counted".to_owned(), |count| count.to_string());
        self.print(&format!(
            "verdict: {word}  violations {}, leaks {leaks}, warnings {}",
            findings.violations(),
            findings.warnings()
        ));
    }
}

fn mark(ok: bool) -> String {
    if ok { "ok" } else { "FAILED" }.into()
}

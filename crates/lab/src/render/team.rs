//! Teams: what each member carried, what a member's leaving cost, and what the driver
//! shows of them.
#![expect(
    clippy::cast_precision_loss,
    reason = "frames and bits stay far below 2^52"
)]

use super::{Screen, Table, grouped};
use crate::summary::{LacpEnd, LacpShown, Summary, TeamShown};

/// `1.5 Gbit/s` and the like, from Mbit/s.
fn speed(mbps: u64) -> String {
    if mbps >= 1_000 && mbps.is_multiple_of(100) {
        let tenths = mbps / 100;
        if tenths.is_multiple_of(10) {
            format!("{}G", tenths / 10)
        } else {
            format!("{}.{}G", tenths / 10, tenths % 10)
        }
    } else {
        format!("{mbps}M")
    }
}

fn speeds(list: &[u64]) -> String {
    let mut same = list.iter();
    match list.first() {
        Some(first) if same.all(|other| other == first) => {
            format!("{} x {}", list.len(), speed(*first))
        }
        _ => {
            let each: Vec<_> = list.iter().map(|mbps| speed(*mbps)).collect();
            each.join("+")
        }
    }
}

fn numbers(list: &[u64]) -> String {
    let each: Vec<_> = list.iter().map(ToString::to_string).collect();
    each.join(" ")
}

fn mark(ok: bool) -> String {
    if ok { "ok" } else { "FAILED" }.to_owned()
}

/// Nanoseconds as microseconds, or as milliseconds where they are many.
fn time(ns: u64) -> String {
    if ns >= 10_000_000 {
        format!("{:.1} ms", ns as f64 / 1e6)
    } else {
        format!("{:.1} us", ns as f64 / 1e3)
    }
}

/// The bits of a state octet, as the standard's letters.
fn state(octet: u8) -> String {
    const LETTERS: [char; 8] = ['A', 'T', 'G', 'S', 'C', 'D', 'F', 'E'];
    let letters = LETTERS.into_iter().enumerate();
    letters
        .map(|(bit, letter)| if octet & 1 << bit != 0 { letter } else { '-' })
        .collect()
}

fn end(end: &LacpEnd) -> String {
    format!(
        "{},{} key {} port {},{} {}",
        end.system_priority,
        end.system,
        end.key,
        end.port_priority,
        end.port,
        state(end.state)
    )
}

impl Screen {
    pub(super) fn teams(&mut self, summary: &Summary) {
        self.loads(summary);
        self.changes(summary);
        for team in &summary.shown {
            self.shown(team);
        }
    }

    fn loads(&mut self, summary: &Summary) {
        let mut table = Table::new([
            "mode",
            "members",
            "flows on each",
            "on paper",
            "off",
            "bound",
            "frames on each",
            "goodput",
            "expected",
            "least",
            "overtaken",
            "doubled",
            "lost",
            "",
        ]);
        for run in &summary.teams {
            let paper = run.paper_flows.as_ref();
            let hashed = paper.is_some();
            let only = |text: String| if hashed { text } else { String::new() };
            table.cells(vec![
                run.mode.clone(),
                speeds(&run.speeds),
                numbers(&run.member_flows),
                match paper {
                    Some(flows) if *flows == run.member_flows => "the same".to_owned(),
                    Some(flows) => numbers(flows),
                    None => String::new(),
                },
                only(format!("{:.0}", run.farthest)),
                only(format!("{:.0}", run.bound)),
                numbers(&run.member_frames),
                format!("{:.3}", run.goodput),
                format!("{:.3}", run.expected),
                format!("{:.3}", run.least),
                grouped(run.reordered),
                grouped(run.duplicated),
                grouped(run.lost),
                mark(run.ok),
            ]);
        }
        self.section("Teams under ten thousand flows", &table);
        if !summary.teams.is_empty() {
            self.print(
                "  off, bound: flows by which a member misses its share, and may; goodput: in \
                 ratio to the sum of the links",
            );
        }
    }

    fn changes(&mut self, summary: &Summary) {
        let mut table = Table::new([
            "mode",
            "members",
            "what",
            "batch",
            "after",
            "outstanding",
            "lost",
            "overtaken",
            "doubled",
            "",
        ]);
        for change in &summary.changes {
            table.row([
                change.mode.clone(),
                change.members.to_string(),
                change.what.clone(),
                change.batches.to_string(),
                time(change.ns),
                change.outstanding.to_string(),
                change.lost.to_string(),
                change.reordered.to_string(),
                change.duplicated.to_string(),
                if change.ok {
                    mark(true)
                } else {
                    format!("FAILED: {}", change.note)
                },
            ]);
        }
        self.section("Members that leave and come back", &table);
        if !summary.changes.is_empty() {
            self.print(
                "  batch: the first, counted from then, of which a frame went by the new member \
                 (0: the one under way)",
            );
        }
    }

    fn shown(&mut self, team: &TeamShown) {
        let mut table = Table::new([
            "slot", "number", "if", "address", "speed", "is", "buckets", "sent", "received",
            "dropped", "out",
        ]);
        for member in &team.members {
            table.row([
                member.slot.to_string(),
                member.number.to_string(),
                member.if_index.to_string(),
                member.mac.clone(),
                speed(member.speed / 1_000_000),
                member.flags.join(" "),
                member.buckets.to_string(),
                grouped(member.sent),
                grouped(member.received),
                grouped(member.dropped),
                grouped(member.outstanding),
            ]);
        }
        let aggregator = team
            .aggregator
            .map_or_else(String::new, |number| format!(", aggregator {number}"));
        let title = format!(
            "{} {}, {}, {} {}{aggregator}",
            team.name,
            team.when,
            team.mode,
            team.mac,
            if team.speed == 0 {
                "no link".to_owned()
            } else {
                speed(team.speed / 1_000_000)
            }
        );
        self.section(&title, &table);
        let mut table = Table::new(["slot", "machines", "actor", "partner", "counters"]);
        for member in &team.members {
            if let Some(lacp) = &member.lacp {
                table.row([
                    member.slot.to_string(),
                    machines(lacp),
                    end(&lacp.actor),
                    end(&lacp.partner),
                    counters(lacp),
                ]);
            }
        }
        if !table.is_empty() {
            self.section("LACP (state: Activity Timeout aGgregation Synchronization Collecting Distributing deFaulted Expired)", &table);
        }
    }
}

fn machines(lacp: &LacpShown) -> String {
    let each: Vec<_> = lacp
        .states
        .iter()
        .map(|(_, state)| state.as_str())
        .collect();
    each.join(" ")
}

fn counters(lacp: &LacpShown) -> String {
    let each: Vec<_> = lacp
        .counters
        .iter()
        .map(|(name, value)| {
            let short = name.trim_start_matches("aAggPortStats");
            let short = short.trim_start_matches("aAggPortDebug");
            format!("{short} {value}")
        })
        .collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(speeds(&[1_000, 1_000]), "2 x 1G");
        assert_eq!(speeds(&[1_000, 2_500, 10_000]), "1G+2.5G+10G");
        assert_eq!(speed(100), "100M");
        assert_eq!(time(1_500), "1.5 us");
        assert_eq!(time(3_000_000_000), "3000.0 ms");
        assert_eq!(state(0x3f), "ATGSCD--");
        assert_eq!(state(0xc5), "A-G---FE");
    }
}

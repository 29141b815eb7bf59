//! The isolation matrix: who hears whom, filled from frames really heard, and held
//! against what [`super::model`] says.
//!
//! Every speaker sends each kind of probe with each kind of tag; every listener notes
//! what it hears. A cell lists the kinds that came through.

use std::collections::BTreeMap;

use lab_host::Host;
use lab_net::oracle::tagged::link_local_address;
use lab_net::vlan::Tag;
use lab_net::{Mac, lock};
use ndis_sys as sys;

use super::super::stage::Stage;
use super::super::{progress, step};
use super::model::{Frame, Hears, Mode, Net, Party};
use super::probe::{self, Shared};
use crate::summary::{self, Summary};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// The group that every port lists.
pub const LISTED: Mac = Mac([0x01, 0x00, 0x5e, 0x01, 0x02, 0x03]);
/// A group that no port lists.
const UNLISTED: Mac = Mac([0x01, 0x00, 0x5e, 0x01, 0x02, 0x04]);
/// Who speaks at the far end of the wire.
pub const STRANGER: Mac = Mac::local(0x70, 1);
/// An address that nobody has.
const NOBODY: Mac = Mac::local(0x70, 2);

/// Posts of everybody.
pub struct Posts {
    /// Above each port of the net, in its order.
    pub ports: Vec<Shared>,
    /// At the far end of the wire.
    pub wire: Shared,
}

impl Posts {
    fn of(&self, party: Party) -> &Shared {
        match party {
            Party::Port(at) => &self.ports[at],
            Party::Wire => &self.wire,
        }
    }
}

/// Kinds of destinations, as a cell shows them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unicast,
    Listed,
    Unlisted,
    Broadcast,
    LinkLocal,
}

struct Probe {
    frame: Frame,
    row: usize,
    kind: Kind,
}

/// A speaker and how its frames are tagged.
struct Row {
    from: Party,
    tag: Option<Tag>,
    name: String,
    tagged: String,
}

fn rows(net: &Net) -> Vec<Row> {
    let mut vlans: Vec<u16> = net.ports.iter().map(|port| port.vlan).collect();
    vlans.retain(|vlan| *vlan != 0);
    vlans.sort_unstable();
    vlans.dedup();
    let strange = (1..=4094).find(|vlan| !vlans.contains(vlan)).unwrap_or(1);
    let mut rows = Vec::new();
    let mut add = |from, name: &str, tag: Option<Tag>| {
        let tagged = match tag {
            None => "untagged".to_owned(),
            Some(Tag { vlan: 0, priority }) => format!("priority {priority}"),
            Some(Tag { vlan, .. }) => format!("VLAN {vlan}"),
        };
        rows.push(Row {
            from,
            tag,
            name: name.to_owned(),
            tagged,
        });
    };
    let priority = Some(Tag {
        vlan: 0,
        priority: 6,
    });
    for (index, port) in net.ports.iter().enumerate() {
        add(Party::Port(index), &port.name, None);
        add(Party::Port(index), &port.name, priority);
        // A port on a VLAN reaches no other one by a tag of its own making.
        let foreign = vlans.iter().find(|vlan| **vlan != port.vlan);
        let foreign = foreign.copied().unwrap_or(strange);
        add(Party::Port(index), &port.name, Some(Tag::vlan(foreign)));
    }
    for tag in [None, priority] {
        add(Party::Wire, "wire", tag);
    }
    // Nobody may send 4095; who carries all VLANs unseen may carry it, too.
    let reserved = (net.mode != Mode::Passthru).then_some(4095);
    for vlan in vlans.into_iter().chain([strange]).chain(reserved) {
        let priority = (vlan % 8) as u8;
        add(Party::Wire, "wire", Some(Tag { vlan, priority }));
    }
    rows
}

fn probes(net: &Net, rows: &[Row]) -> Vec<Probe> {
    let mut unicast: Vec<Mac> = net.ports.iter().map(|port| port.mac).collect();
    unicast.extend([STRANGER, NOBODY]);
    unicast.sort_unstable();
    unicast.dedup();
    let destinations: Vec<(Kind, Mac)> = unicast
        .into_iter()
        .map(|mac| (Kind::Unicast, mac))
        .chain([
            (Kind::Listed, LISTED),
            (Kind::Unlisted, UNLISTED),
            (Kind::Broadcast, Mac::BROADCAST),
            (Kind::LinkLocal, link_local_address(2)),
        ])
        .collect();
    let mut probes = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let source = match row.from {
            Party::Port(port) => net.ports[port].mac,
            Party::Wire => STRANGER,
        };
        for &(kind, to) in &destinations {
            // Nobody sends to himself.
            if to == source {
                continue;
            }
            let frame = Frame {
                from: row.from,
                source,
                to,
                tag: row.tag,
            };
            probes.push(Probe {
                frame,
                row: at,
                kind,
            });
        }
    }
    probes
}

/// Letters of a cell: what was heard, kinds with their number if it is more than one.
fn cell(kinds: &BTreeMap<char, u32>) -> String {
    let parts: Vec<String> = kinds
        .iter()
        .map(|(letter, count)| match count {
            1 => letter.to_string(),
            _ => format!("{letter}{count}"),
        })
        .collect();
    if parts.is_empty() {
        "-".into()
    } else {
        parts.join(" ")
    }
}

/// What the letters mean.
pub const LEGEND: &str = "U unicast to the listener, o unicast to others, M listed group, \
                          m other group, B broadcast, L link-local group (LACP)";

fn letter(kind: Kind, own: bool) -> char {
    match kind {
        Kind::Unicast if own => 'U',
        Kind::Unicast => 'o',
        Kind::Listed => 'M',
        Kind::Unlisted => 'm',
        Kind::Broadcast => 'B',
        Kind::LinkLocal => 'L',
    }
}

/// Sets packet filter and multicast list of every port as the net says.
fn set_filters(host: &Host, stage: &Stage, net: &Net, summary: &mut Summary) {
    for port in &net.ports {
        let Some(upper) = stage.upper_of(&port.name) else {
            continue;
        };
        let usual = sys::NDIS_PACKET_TYPE_DIRECTED
            | sys::NDIS_PACKET_TYPE_MULTICAST
            | sys::NDIS_PACKET_TYPE_BROADCAST;
        let filter = match port.hears {
            Hears::Nothing => 0,
            Hears::Usual => usual,
            Hears::AllGroups => usual | sys::NDIS_PACKET_TYPE_ALL_MULTICAST,
            Hears::Everything => usual | sys::NDIS_PACKET_TYPE_PROMISCUOUS,
        };
        let groups: Vec<[u8; 6]> = port.groups.iter().map(|mac| mac.0).collect();
        let status = host.set_upper_filter(upper, filter, &groups);
        if status != 0 {
            let detail = format!("{}: status {status:#x}", port.name);
            step(summary, "packet filter", false, detail);
        }
    }
}

/// Frames that ports were given and whose filter does not ask for them.
pub fn unasked(host: &Host) -> u64 {
    (0..host.uppers())
        .map(|upper| host.upper_unasked(upper))
        .sum()
}

/// Waits until nothing is under way.
pub fn settle(host: &Host, stage: &Stage, posts: &Posts) -> bool {
    stage.kick(host);
    let idle = |host: &Host| {
        posts.wire.is_idle()
            && posts.ports.iter().all(Shared::is_idle)
            && (0..stage.topology.adapters.len()).all(|nic| host.nic_is_idle(nic))
            && (0..host.uppers()).all(|upper| host.upper_is_idle(upper))
    };
    let quiet = host.wait_until("for probes under way", MS / 10, 5 * SECOND, idle);
    // What a port was just given may be on its way back through a deferred call.
    host.sleep(MS / 2);
    quiet && host.wait_until("for probes under way", MS / 10, 5 * SECOND, idle)
}

/// Fills one matrix.
pub fn run(
    host: &Host,
    stage: &Stage,
    posts: &Posts,
    net: &Net,
    title: &str,
    summary: &mut Summary,
) {
    set_filters(host, stage, net, summary);
    let unasked_before = unasked(host);
    lock(&posts.wire.0).reflects = net.reflecting;
    settle(host, stage, posts);
    for post in posts.ports.iter().chain([&posts.wire]) {
        post.take();
    }
    let rows = rows(net);
    let probes = probes(net, &rows);
    for (done, (serial, probe)) in (0_u32..).zip(&probes).enumerate() {
        let Frame {
            from,
            source,
            to,
            tag,
        } = probe.frame;
        posts.of(from).send(probe::frame(serial, source, to, tag));
        if done % 32 == 31 || done + 1 == probes.len() {
            settle(host, stage, posts);
            progress(host, title, done as u64 + 1, probes.len() as u64);
        }
    }
    lock(&posts.wire.0).reflects = false;
    let (matrix, mut wrong) = judge(net, posts, &rows, &probes, title);
    // NDIS keeps such frames from a protocol: the matrix alone would not show them.
    let unasked = unasked(host) - unasked_before;
    if unasked > 0 {
        wrong.push(format!(
            "{unasked} frames that no filter asked for reached a port"
        ));
    }
    let differ = wrong.len();
    step(
        summary,
        &format!("isolation, {title}"),
        differ == 0,
        wrong.into_iter().next().map_or_else(
            || {
                format!(
                    "{} probes, heard exactly where they should be",
                    probes.len()
                )
            },
            |first| format!("{differ} of {} probes differ, first: {first}", probes.len()),
        ),
    );
    summary.matrices.push(matrix);
}

/// Holds what was heard against the model.
fn judge(
    net: &Net,
    posts: &Posts,
    rows: &[Row],
    probes: &[Probe],
    title: &str,
) -> (summary::Matrix, Vec<String>) {
    let mut listeners: Vec<Party> = (0..net.ports.len()).map(Party::Port).collect();
    listeners.push(Party::Wire);
    let name = |party: Party| match party {
        Party::Port(at) => net.ports[at].name.clone(),
        Party::Wire => "wire".into(),
    };
    let mac = |party: Party| match party {
        Party::Port(at) => net.ports[at].mac,
        Party::Wire => STRANGER,
    };
    let mut cells = vec![vec![[const { BTreeMap::new() }; 2]; listeners.len()]; rows.len()];
    let mut wrong = Vec::new();
    for (column, &listener) in listeners.iter().enumerate() {
        let mut heard: BTreeMap<u32, Vec<(Option<Tag>, bool, u32)>> = BTreeMap::new();
        for (probe, times) in posts.of(listener).take() {
            let list = heard.entry(probe.serial).or_default();
            list.push((probe.tag, probe.sound, times));
        }
        for (serial, probe) in (0_u32..).zip(probes) {
            let row = &rows[probe.row];
            if row.from == Party::Wire && listener == Party::Wire {
                continue;
            }
            let expected = match listener {
                Party::Wire => net.on_wire(&probe.frame).is_some(),
                Party::Port(at) => net.port_hears(&probe.frame, at),
            };
            let own = probe.frame.to == mac(listener);
            let letter = letter(probe.kind, own);
            let seen = heard.remove(&serial).unwrap_or_default();
            let [got, should] = &mut cells[probe.row][column];
            if !seen.is_empty() {
                *got.entry(letter).or_default() += 1;
            }
            if expected {
                *should.entry(letter).or_default() += 1;
            }
            let what = match (seen.as_slice(), expected) {
                ([], false) => continue,
                ([], true) => "is not heard".to_owned(),
                (_, false) => "is heard".to_owned(),
                ([(tag, true, 1)], true) => match bad_tag(net, &probe.frame, listener, *tag) {
                    None => continue,
                    Some(what) => what,
                },
                ([(_, false, _)], true) => "is heard with other content".to_owned(),
                (several, true) => {
                    let times: u32 = several.iter().map(|(_, _, times)| times).sum();
                    format!("is heard {times} times")
                }
            };
            wrong.push(format!(
                "from {} ({}) to {} {what} by {}",
                row.name,
                row.tagged,
                probe.frame.to,
                name(listener)
            ));
        }
        for serial in heard.keys() {
            wrong.push(format!("{} hears probe {serial} of no one", name(listener)));
        }
    }
    let cells = rows
        .iter()
        .zip(cells)
        .map(|(row, cells)| summary::MatrixRow {
            speaker: row.name.clone(),
            tagged: row.tagged.clone(),
            heard: cells.iter().map(|[got, _]| cell(got)).collect(),
            expected: cells.iter().map(|[_, should]| cell(should)).collect(),
        });
    let matrix = summary::Matrix {
        title: title.to_owned(),
        legend: LEGEND.to_owned(),
        listeners: listeners.iter().map(|party| name(*party)).collect(),
        rows: cells.collect(),
        differ: wrong.len() as u64,
    };
    (matrix, wrong)
}

/// What is wrong with the tag that a listener sees.
fn bad_tag(net: &Net, frame: &Frame, listener: Party, seen: Option<Tag>) -> Option<String> {
    match listener {
        Party::Wire => {
            let expected = net.on_wire(frame)?;
            (seen != expected).then(|| format!("has tag {seen:?} instead of {expected:?}"))
        }
        Party::Port(at) => {
            let port = &net.ports[at];
            if net.mode == Mode::Passthru {
                // A priority alone may stand beside the frame, where not everybody looks.
                let same = seen == frame.tag || frame.tag.is_none_or(|tag| tag.vlan == 0);
                return (!same).then(|| format!("has tag {seen:?} instead of {:?}", frame.tag));
            }
            if let Some(vlan) = seen.map(|tag| tag.vlan).filter(|vlan| *vlan != 0) {
                return Some(format!("shows VLAN {vlan}"));
            }
            // Beside the frame, where a protocol looks for it.
            let priority = port.priority_shown(frame)?;
            let shown = seen.map_or(0, |tag| tag.priority);
            (shown != priority).then(|| format!("shows priority {shown} instead of {priority}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Port;
    use super::*;

    fn net() -> Net {
        let port = |name: &str, vlan, number| Port {
            name: name.into(),
            vlan,
            mac: Mac::local(7, number),
            hears: Hears::Usual,
            groups: vec![LISTED],
            accept_untagged: false,
            priority_out: [0, 1, 2, 3, 4, 5, 6, 7],
            priority_in: [0, 1, 2, 3, 4, 5, 6, 7],
            sees_beside: false,
            default_priority: 0,
        };
        Net {
            mode: Mode::Private,
            ports: vec![port("a", 10, 0), port("b", 20, 1), port("c", 0, 2)],
            reflecting: false,
        }
    }

    /// Delivers every probe as the model says, apart from what `change` does.
    fn simulate(
        net: &Net,
        change: impl Fn(&Probe, Party, &mut u32),
    ) -> (summary::Matrix, Vec<String>) {
        let rows = rows(net);
        let probes = probes(net, &rows);
        let posts = Posts {
            ports: net.ports.iter().map(|_| Shared::default()).collect(),
            wire: Shared::default(),
        };
        for (serial, probe) in (0_u32..).zip(&probes) {
            for party in (0..net.ports.len()).map(Party::Port).chain([Party::Wire]) {
                let (hears, tag) = match party {
                    Party::Port(at) => (net.port_hears(&probe.frame, at), None),
                    Party::Wire => {
                        let tag = net.on_wire(&probe.frame);
                        (tag.is_some(), tag.flatten())
                    }
                };
                let mut times = u32::from(hears);
                change(probe, party, &mut times);
                let heard = probe::Heard {
                    serial,
                    tag,
                    sound: true,
                };
                if times > 0 {
                    lock(&posts.of(party).0).heard.insert(heard, times);
                }
            }
        }
        judge(net, &posts, &rows, &probes, "test")
    }

    #[test]
    fn what_the_model_says_is_no_difference() {
        let (matrix, wrong) = simulate(&net(), |_, _, _| {});
        assert_eq!(wrong, [""; 0]);
        assert_eq!(matrix.listeners, ["a", "b", "c", "wire"]);
        let row = matrix
            .rows
            .iter()
            .find(|row| row.speaker == "wire" && row.tagged == "VLAN 20")
            .expect("there");
        assert_eq!(row.heard, ["-", "B M U", "-", "-"]);
        assert_eq!(row.heard, row.expected);
        let below = matrix
            .rows
            .iter()
            .find(|row| row.speaker == "a" && row.tagged == "VLAN 20")
            .expect("there");
        assert_eq!(below.heard, ["-"; 4], "it may not send that");
    }

    #[test]
    fn one_frame_too_many_or_too_few_is_a_difference() {
        let to = |probe: &Probe, tagged| {
            probe.kind == Kind::Broadcast
                && probe.frame.from == Party::Wire
                && probe.frame.tag.map(|tag| tag.vlan) == tagged
        };
        let (matrix, wrong) = simulate(&net(), |probe, party, times| {
            // The public sample's fault: untagged frames for everybody.
            if to(probe, None) && party == Party::Port(0) {
                *times += 1;
            }
        });
        assert_eq!(
            wrong,
            ["from wire (untagged) to ff:ff:ff:ff:ff:ff is heard by a"]
        );
        assert_eq!(matrix.differ, 1);
        let (_, wrong) = simulate(&net(), |probe, party, times| {
            if to(probe, Some(10)) && party == Party::Port(0) {
                *times = 0;
            }
        });
        assert_eq!(
            wrong,
            ["from wire (VLAN 10) to ff:ff:ff:ff:ff:ff is not heard by a"]
        );
        let (_, wrong) = simulate(&net(), |probe, party, times| {
            if to(probe, Some(20)) && party == Party::Port(1) {
                *times = 2;
            }
        });
        assert_eq!(
            wrong,
            ["from wire (VLAN 20) to ff:ff:ff:ff:ff:ff is heard 2 times by b"]
        );
    }
}

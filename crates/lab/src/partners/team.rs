//! A team against Open vSwitch's bond: real TCP/IP through it, members pulled and put back
//! meanwhile, and both sides' view of LACP compared.
//!
//! The child is told what to do by two bytes on the second pipe, a command and a member; it
//! answers with a byte on the first when that is done.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, PipeReader, PipeWriter, Read as _, Seek as _, Write as _},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lab_net::{netns::Lan, tap::Tap};

use super::{
    check_programs,
    programs::{output, output_of, ping_answers, transfer},
    refused,
    sides::{self, Side},
    switch::{Access, Bond, Switch, SwitchError, program},
};
use crate::{
    process::FileUse,
    scenario::Command as Word,
    summary::{LacpEnd, MemberShown, Ping, Step, Summary},
    topology::{self, Place, Topology},
    trouble::Trouble,
};

/// Echo requests each way.
const PINGS: u32 = 50;
/// Bytes that iperf3 sends each way at first.
const TRANSFER: u64 = 8 << 20;
/// Seconds that iperf3 sends while members come and go.
const SECONDS: u64 = 8;
/// How long LACP may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// What tshark is asked for in each frame.
const FIELDS: [&str; 4] = [
    "frame.protocols",
    "_ws.malformed",
    "slow.subtype",
    "_ws.expert.message",
];

/// Both ends, before the talk.
pub struct TeamPartners {
    sides: Vec<Side>,
    switch: Switch,
    /// Other descriptors of the child's TAP devices.
    members: Vec<Tap>,
    lacp: bool,
    captures: Vec<File>,
    ready: PipeReader,
    stop: PipeWriter,
}

/// What came of it.
#[derive(Default)]
pub struct TeamTalk {
    ping: Vec<Ping>,
    steps: Vec<Step>,
    /// What Open vSwitch said of LACP when the child was asked too.
    shown: Vec<(String, String)>,
    captures: Vec<File>,
    lacp: bool,
}

/// Whether a topology has a team whose wires lead to a switch.
pub fn has_team(topology: &Topology) -> bool {
    !topology.teams.is_empty() && !topology.switches.is_empty()
}

impl TeamPartners {
    /// Makes the switch, the namespaces of the hosts, and the descriptors that the child
    /// needs.
    pub fn set_up(topology: &Topology) -> Result<(Self, Vec<(FileUse, OwnedFd)>), Trouble> {
        check_programs(true)?;
        let pipe = || io::pipe().map_err(|error| Trouble::host(format!("a pipe: {error}")));
        let (ready, ready_child) = pipe()?;
        let (stop_child, stop) = pipe()?;
        let mut files: Vec<(FileUse, OwnedFd)> = vec![
            (FileUse::Ready, ready_child.into()),
            (FileUse::Stop, stop_child.into()),
        ];
        let switch = topology.switches.first();
        let switch = switch.ok_or_else(|| Trouble::input("the topology has no [[switch]]"))?;
        let mut sides = Vec::new();
        let mut accesses = Vec::new();
        for (index, host) in topology.hosts.iter().enumerate() {
            let port = topology.port(index);
            let lan = Lan::open(&port).map_err(|error| refused(&error).at(&host.name))?;
            let (namespace, tap) = lan.split();
            if host.on == Place::Switch(switch.name.clone()) {
                accesses.push(Access {
                    vlan: host.tag.map_or(0, |tag| tag.vlan),
                    priority: 0,
                    mtu: port.mtu,
                    far: tap,
                });
            } else {
                files.push((FileUse::Tap(host.name.clone()), tap.into()));
            }
            sides.push(Side {
                name: host.name.clone(),
                interface: port.name,
                mac: port.mac,
                vlan: sides::vlan(topology, host),
                namespace,
                v4: host.ipv4.map(|(address, _)| address),
                v6: host.ipv6.map(|(address, _)| address),
                port: match &host.on {
                    Place::Miniport(port) => Some(port.clone()),
                    _ => None,
                },
            });
        }
        let lacp = switch.bond == topology::Bond::Lacp;
        let bond = Bond {
            members: switch.wires.len(),
            mode: switch.spread.name(),
            lacp: lacp.then_some(switch.partner),
        };
        let place = Place::Switch(switch.name.clone());
        let mtu = topology.bottom(&place).map_or(1_500, |adapter| adapter.mtu);
        let started = Switch::bonded(bond, mtu as u16, accesses);
        let (made, taps) = started.map_err(|error| match error {
            SwitchError::Namespace(error) => refused(&error).at(&switch.name),
            SwitchError::Program(..) => Trouble::host(error.to_string())
                .at(&switch.name)
                .hint("`ovs-vswitchd --version` has to work; the lab needs 2.17 or later"),
        })?;
        let mut members = Vec::new();
        let mut captures = Vec::new();
        for (wire, tap) in switch.wires.iter().zip(taps) {
            let failed = |error: io::Error| Trouble::host(format!("wire {wire}: {error}"));
            members.push(tap.try_clone().map_err(failed)?);
            files.push((FileUse::Trunk(wire.clone()), tap.into()));
            let file = tempfile::tempfile().map_err(failed)?;
            let write = file.try_clone().map_err(failed)?;
            files.push((FileUse::Record(wire.clone()), write.into()));
            captures.push(file);
        }
        Ok((
            Self {
                sides,
                switch: made,
                members,
                lacp,
                captures,
                ready,
                stop,
            },
            files,
        ))
    }

    /// Waits until the team is up, then talks. The child is told when it is over.
    pub fn start(self) -> JoinHandle<Option<TeamTalk>> {
        thread::spawn(move || {
            let mut talk = TeamTalk {
                lacp: self.lacp,
                ..TeamTalk::default()
            };
            self.wait()?;
            talk.hold(&self)?;
            let Self {
                mut switch,
                captures,
                stop,
                ..
            } = self;
            let ended = switch.ended();
            let what = switch.describe();
            let ok = ended.is_empty();
            talk.step("Open vSwitch", ok, [vec![what], ended].concat().join("; "));
            talk.captures = captures;
            drop(stop);
            Some(talk)
        })
    }

    /// Waits for the child's next word. None: it is gone.
    fn wait(&self) -> Option<()> {
        (&self.ready).read_exact(&mut [0]).ok()
    }

    /// Has the child do something.
    fn order(&self, word: Word, member: usize) -> Option<()> {
        (&self.stop).write_all(&[word as u8, member as u8]).ok()?;
        self.wait()
    }

    /// Pulls a member's cable at both ends, or puts it back.
    fn set_member(&self, member: usize, up: bool) -> Option<()> {
        if up {
            // An interface that is gone is the end of the switch, which is noted.
            let _ = self.members[member].set_carrier(true);
            return self.order(Word::Plug, member);
        }
        self.order(Word::Pull, member)?;
        let _ = self.members[member].set_carrier(false);
        Some(())
    }

    /// Waits until the bond says that so many members carry frames.
    fn attached(&self, count: usize) -> Result<Duration, String> {
        let started = Instant::now();
        loop {
            let text = if self.lacp {
                self.switch.lacp()
            } else {
                self.switch.bond()
            };
            let text = text.map_err(|error| error.to_string())?;
            let there = if self.lacp {
                text.lines()
                    .filter(|line| line.contains("current attached"))
                    .count()
            } else {
                text.lines()
                    .filter(|line| line.ends_with(": enabled"))
                    .count()
            };
            if there == count {
                return Ok(started.elapsed());
            }
            if started.elapsed() > PATIENCE {
                return Err(format!(
                    "{there} of {count} members after {PATIENCE:?}:\n{text}"
                ));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl TeamTalk {
    fn step(&mut self, name: &str, ok: bool, detail: String) {
        self.steps.push(Step {
            name: name.into(),
            ok,
            detail,
        });
    }

    fn hold(&mut self, partners: &TeamPartners) -> Option<()> {
        let members = partners.members.len();
        match partners.attached(members) {
            Ok(time) => {
                let text = format!("{members} members after {:.1} s", time.as_secs_f32());
                self.step("the bond is up", true, text);
            }
            Err(why) => self.step("the bond is up", false, why),
        }
        let above: Vec<&Side> = partners.sides.iter().filter(|s| s.port.is_some()).collect();
        let below: Vec<&Side> = partners.sides.iter().filter(|s| s.port.is_none()).collect();
        let &above = above.first()?;
        for &side in &below {
            for (from, to) in [(above, side), (side, above)] {
                for address in to.addresses() {
                    self.ping(from, to, &address.to_string(), "");
                }
            }
        }
        let &far = below.first()?;
        let address = far.v4?;
        let mut server = far.namespace.command("iperf3");
        server.args(["--server", "--bind", &address.to_string()]);
        server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = match server.spawn() {
            Ok(server) => server,
            Err(error) => {
                self.step("iperf3", false, error.to_string());
                return Some(());
            }
        };
        for reverse in [false, true] {
            match transfer(above, address, Some(TRANSFER), reverse) {
                Ok(iperf) => self.step("iperf3, TCP", iperf.ok(), iperf.to_string()),
                Err(why) => self.step("iperf3, TCP", false, why),
            }
        }
        self.compare(partners, "with all members")?;
        for member in 0..members.min(2) {
            self.pull(
                partners,
                above,
                &address.to_string(),
                member,
                member % 2 == 1,
            )?;
        }
        self.compare(partners, "after members were pulled and put back")?;
        for address in far.addresses() {
            self.ping(above, far, &address.to_string(), ", at the end");
        }
        let _ = server.kill();
        let _ = server.wait();
        Some(())
    }

    /// Asks both sides what they know of each other.
    fn compare(&mut self, partners: &TeamPartners, when: &str) -> Option<()> {
        // What one has just changed, the other hears within a second or two.
        thread::sleep(Duration::from_millis(2_500));
        partners.order(Word::Show, self.shown.len())?;
        match partners.switch.lacp() {
            Ok(text) => self.shown.push((when.to_owned(), text)),
            Err(_) if !self.lacp => {}
            Err(error) => self.step("ovs-appctl lacp/show", false, error.to_string()),
        }
        Some(())
    }

    /// A member goes and comes back while iperf3 sends.
    fn pull(
        &mut self,
        partners: &TeamPartners,
        above: &Side,
        address: &str,
        member: usize,
        reverse: bool,
    ) -> Option<()> {
        let members = partners.members.len();
        let mut client = above.namespace.command("iperf3");
        client.args(["--client", address, "--json", "--interval", "0.5"]);
        client.args(["--time", &SECONDS.to_string()]);
        if reverse {
            client.arg("--reverse");
        }
        let mut said = Vec::new();
        let text = thread::scope(|scope| {
            let running = scope.spawn(move || output(client));
            thread::sleep(Duration::from_secs(2));
            partners.set_member(member, false)?;
            match partners.attached(members - 1) {
                Ok(time) => said.push(format!("gone after {:.1} s", time.as_secs_f32())),
                Err(why) => said.push(why),
            }
            thread::sleep(Duration::from_secs(2));
            partners.set_member(member, true)?;
            running.join().ok()
        })?;
        let back = partners.attached(members);
        let name = format!("member {member} pulled and put back under iperf3");
        let result = text.and_then(|text| {
            survived(&text).ok_or_else(|| format!("its report cannot be read: {text}"))
        });
        match (result, back) {
            (Ok((bytes, idle)), Ok(time)) => {
                said.push(format!("back after {:.1} s", time.as_secs_f32()));
                let ok = bytes > 1 << 20 && said.iter().all(|text| text.contains(" after "));
                let way = if reverse { "up" } else { "down" };
                said.push(format!(
                    "{way}: {} MiB in {SECONDS} s, {idle} half seconds without any",
                    bytes >> 20
                ));
                self.step(&name, ok, said.join(", "));
            }
            (Err(why), _) | (_, Err(why)) => self.step(&name, false, why),
        }
        Some(())
    }

    fn ping(&mut self, from: &Side, to: &Side, address: &str, when: &str) {
        let path = format!("{} -> {address} ({}{when})", from.name, to.name);
        let mut command = from.namespace.command("ping");
        command.args(["-n", "-q", "-i", "0.01", "-W", "2", "-c"]);
        command.arg(PINGS.to_string()).arg(address);
        match output(command) {
            Ok(text) => self.ping.push(Ping {
                path,
                sent: u64::from(PINGS),
                answered: ping_answers(&text).unwrap_or(0),
            }),
            Err(why) => self.step("ping", false, format!("{path}: {why}")),
        }
    }

    /// Adds all that to what the child found out, and compares.
    pub fn join(mut self, summary: &mut Summary) {
        let team = |when: &str| {
            let mut all = summary.shown.iter();
            all.find(|team| team.when == when)
                .map(|team| team.members.clone())
        };
        let mut compared = Vec::new();
        for (at, (when, text)) in self.shown.iter().enumerate() {
            let members = team(&shown_at(at)).unwrap_or_default();
            compared.push(agreement(when, text, &members));
        }
        self.steps.extend(compared);
        for (wire, capture) in std::mem::take(&mut self.captures).into_iter().enumerate() {
            let result = read(capture);
            let name = format!("tshark, wire {wire}");
            match result {
                Ok(reading) => {
                    let ok = reading.malformed == 0
                        && reading.frames > 0
                        && (!self.lacp || reading.lacpdus > 0);
                    self.step(&name, ok, reading.to_string());
                }
                Err(why) => self.step(&name, false, why),
            }
        }
        summary.ping.extend(self.ping);
        summary.steps.extend(self.steps);
    }
}

/// What the child calls its `number`th answer.
pub fn shown_at(number: usize) -> String {
    format!("asked by the partner, {}", number + 1)
}

/// Bytes that iperf3 has received or sent, and intervals in which there were none.
fn survived(text: &str) -> Option<(u64, usize)> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let bytes = document["end"]["sum_received"]["bytes"].as_u64()?;
    let intervals = document["intervals"].as_array()?;
    let idle = intervals
        .iter()
        .filter(|interval| interval["sum"]["bytes"].as_u64() == Some(0))
        .count();
    Some((bytes, idle))
}

/// The lines of `lacp/show` about each member, by name.
fn parse(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut members: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut name = None;
    for line in text.lines() {
        let begins = line
            .strip_prefix("member: ")
            .or_else(|| line.strip_prefix("slave: "));
        if let Some(rest) = begins {
            let (member, status) = rest.split_once(": ").unwrap_or((rest, ""));
            members
                .entry(member.to_owned())
                .or_default()
                .insert("status".into(), status.to_owned());
            name = Some(member.to_owned());
        } else if let (Some(name), Some((key, value))) = (&name, line.split_once(':')) {
            members
                .entry(name.clone())
                .or_default()
                .insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    members
}

/// The words that Open vSwitch has for the bits of the state octet.
const WORDS: [&str; 8] = [
    "activity",
    "timeout",
    "aggregation",
    "synchronized",
    "collecting",
    "distributing",
    "defaulted",
    "expired",
];

fn octet(words: &str) -> u8 {
    let bits = WORDS.iter().enumerate();
    bits.filter(|(_, word)| words.split(' ').any(|known| known == **word))
        .fold(0, |octet, (bit, _)| octet | 1 << bit)
}

/// One end as Open vSwitch has it, `actor` or `partner`.
fn end(lines: &BTreeMap<String, String>, who: &str) -> LacpEnd {
    let text = |what: &str| {
        lines
            .get(&format!("{who} {what}"))
            .cloned()
            .unwrap_or_default()
    };
    LacpEnd {
        system_priority: text("sys_priority").parse().unwrap_or(0),
        system: text("sys_id"),
        key: text("key").parse().unwrap_or(0),
        port_priority: text("port_priority").parse().unwrap_or(0),
        port: text("port_id").parse().unwrap_or(0),
        state: octet(&text("state")),
    }
}

/// Distributing: that a port does is no reason to tell the partner.
const DISTRIBUTING: u8 = 0x20;

/// Whether both sides say the same of each other.
fn agreement(when: &str, text: &str, members: &[MemberShown]) -> Step {
    let theirs = parse(text);
    let mut wrong = Vec::new();
    let mut right = Vec::new();
    for lines in theirs.values() {
        let (actor, partner) = (end(lines, "actor"), end(lines, "partner"));
        // The wire that both are on is the one of which both say the same ports.
        let ours = members.iter().find_map(|member| {
            let lacp = member.lacp.as_ref()?;
            (lacp.partner.port == actor.port).then_some((member.slot, lacp))
        });
        let Some((slot, lacp)) = ours else {
            wrong.push(format!("no member has the partner's port {}", actor.port));
            continue;
        };
        let without = |end: &LacpEnd| LacpEnd {
            state: end.state & !DISTRIBUTING,
            ..end.clone()
        };
        if without(&lacp.partner) != without(&actor) {
            wrong.push(format!(
                "slot {slot}: partner {:?}, it says {actor:?}",
                lacp.partner
            ));
        }
        if without(&lacp.actor) != without(&partner) {
            wrong.push(format!(
                "slot {slot}: actor {:?}, it says {partner:?}",
                lacp.actor
            ));
        }
        right.push(format!(
            "slot {slot}: key {}, port {}, state {:#04x}; partner {} key {}, port {}, state {:#04x}",
            lacp.actor.key,
            lacp.actor.port,
            lacp.actor.state,
            lacp.partner.system,
            lacp.partner.key,
            lacp.partner.port,
            lacp.partner.state
        ));
    }
    if theirs.len() != members.len() || theirs.is_empty() {
        wrong.push(format!(
            "{} members there, {} here",
            theirs.len(),
            members.len()
        ));
    }
    Step {
        name: format!("LACP: both sides agree {when}"),
        ok: wrong.is_empty(),
        detail: if wrong.is_empty() { right } else { wrong }.join("; "),
    }
}

/// What tshark made of a capture.
#[derive(Debug, Default)]
struct Reading {
    frames: u64,
    lacpdus: u64,
    markers: u64,
    malformed: u64,
    first: Option<String>,
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} frames, {} LACPDUs, {} markers, {} malformed",
            self.frames, self.lacpdus, self.markers, self.malformed
        )?;
        if let Some(first) = &self.first {
            write!(f, ": {first}")?;
        }
        Ok(())
    }
}

fn read(mut capture: File) -> Result<Reading, String> {
    // Written through another descriptor of the same file: back to its start.
    capture.rewind().map_err(|error| error.to_string())?;
    let mut command = Command::new(program("tshark"));
    command.args(["-n", "-r", "-", "-T", "fields", "-E", "occurrence=a"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    command.stdin(Stdio::from(capture));
    let text = output_of(command)?;
    let mut reading = Reading::default();
    for line in text.lines() {
        reading.add(line);
    }
    Ok(reading)
}

impl Reading {
    fn add(&mut self, line: &str) {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        self.frames += 1;
        match field(2).trim_start_matches("0x").trim_start_matches('0') {
            "1" => self.lacpdus += 1,
            "2" => self.markers += 1,
            _ => {}
        }
        // Bytes of iperf3 are taken for all sorts of things: the headers are judged.
        let guessed = [":tcp:", ":udp:"].iter().any(|end| field(0).contains(end));
        let is_slow = !field(2).is_empty();
        if (!field(1).is_empty() && !guessed) || (is_slow && !field(3).is_empty()) {
            self.malformed += 1;
            self.first.get_or_insert_with(|| line.replace('\t', " | "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::LacpShown;

    const SHOWN: &str = "---- bond ----\n  status: active negotiated\n  sys_id: 02:00:00:00:09:00\n\
        \nmember: member0: current attached\n  port_id: 11\n  actor sys_id: 02:00:00:00:09:00\n\
        \x20 actor sys_priority: 100\n  actor port_id: 11\n  actor port_priority: 65535\n\
        \x20 actor key: 55\n  actor state: activity timeout aggregation synchronized collecting distributing\n\
        \x20 partner sys_id: 02:4c:41:42:01:00\n  partner sys_priority: 32768\n  partner port_id: 1\n\
        \x20 partner port_priority: 32768\n  partner key: 1\n\
        \x20 partner state: activity timeout aggregation synchronized collecting\n";

    fn ours() -> MemberShown {
        MemberShown {
            lacp: Some(LacpShown {
                actor: LacpEnd {
                    system_priority: 32_768,
                    system: "02:4c:41:42:01:00".into(),
                    key: 1,
                    port_priority: 32_768,
                    port: 1,
                    state: 0x3f,
                },
                partner: LacpEnd {
                    system_priority: 100,
                    system: "02:00:00:00:09:00".into(),
                    key: 55,
                    port_priority: 65_535,
                    port: 11,
                    state: 0x3f,
                },
                ..LacpShown::default()
            }),
            ..MemberShown::default()
        }
    }

    #[test]
    fn both_views_are_compared() {
        let step = agreement("now", SHOWN, &[ours()]);
        assert!(step.ok, "{}", step.detail);
        for (from, to) in [
            ("actor key: 55", "actor key: 56"),
            ("partner port_id: 1\n", "partner port_id: 2\n"),
            (
                "distributing\n  partner sys_id",
                "expired\n  partner sys_id",
            ),
            ("sys_priority: 100", "sys_priority: 101"),
        ] {
            assert!(SHOWN.contains(from), "{from}");
            let step = agreement("now", &SHOWN.replacen(from, to, 1), &[ours()]);
            assert!(!step.ok, "{from}");
        }
        assert!(!agreement("now", SHOWN, &[]).ok);
        assert!(!agreement("now", "", &[]).ok);
    }

    #[test]
    fn tsharks_lines_are_judged() {
        let mut reading = Reading::default();
        reading.add("eth:ethertype:slow:lacp\t\t0x01\t");
        reading.add("eth:ethertype:slow:marker\t\t0x02\t");
        reading.add("eth:ethertype:ip:tcp:q931\t1\t\tMalformed");
        assert_eq!(
            (reading.lacpdus, reading.markers, reading.malformed),
            (1, 1, 0)
        );
        reading.add("eth:ethertype:slow:lacp\t1\t0x01\tMalformed");
        reading.add("eth:ethertype:ip:tcp\t1\t\t");
        assert_eq!(reading.malformed, 2);
    }

    #[test]
    fn a_connection_that_lives_has_bytes() {
        let text = r#"{"intervals":[{"sum":{"bytes":5}},{"sum":{"bytes":0}}],
            "end":{"sum_received":{"bytes":5000000}}}"#;
        assert_eq!(survived(text), Some((5_000_000, 1)));
        assert_eq!(survived(r#"{"error":"x"}"#), None);
    }
}

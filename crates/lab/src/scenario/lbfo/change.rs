//! A member leaves, and comes back: what is lost, and how soon the others have its flows.

use std::collections::{BTreeMap, BTreeSet};

use lab_host::Host;
use lab_net::lock;
use lab_net::oracle::{SentFrame, SwarmPace};
use lab_net::team::Mute;

use super::plan::Mode;
use super::rig::{Handed, LENGTH, Rig, wire_bits};
use crate::summary::TeamChange;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Frames of a burst: less than a member's queue.
const BURST: u32 = 16;

/// Nanoseconds between bursts where it takes seconds until something happens.
const SPARSE: u64 = 4 * MS;

/// What happens to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its cable is pulled.
    Cable,
    /// The adapter vanishes.
    Surprise,
    /// Its link seems up and carries nothing: LACP has to notice.
    Silence,
}

impl Loss {
    const fn words(self) -> &'static str {
        match self {
            Self::Cable => "cable pulled",
            Self::Surprise => "surprise removal",
            Self::Silence => "link gone silent",
        }
    }
}

/// Half of what all members but one can carry, so that the others have room for it; with
/// at least so many nanoseconds between bursts.
fn pace(rig: &Rig, least: u64) -> SwarmPace {
    let mut speeds = rig.plan.speeds.clone();
    speeds.sort_unstable();
    let one = speeds.first().copied().unwrap_or(1_000);
    let mbps = match rig.plan.mode {
        Mode::ActiveBackup | Mode::Broadcast => one,
        _ => one * (speeds.len() as u64 - 1).max(1),
    };
    // Mbit/s are bits in a microsecond.
    let interval = 1_000 * u64::from(BURST) * wire_bits(LENGTH) * 2 / mbps;
    SwarmPace {
        burst: BURST,
        length: LENGTH,
        interval: interval.max(least),
        ..SwarmPace::default()
    }
}

/// Numbers of the oracle at one moment.
#[derive(Clone, Copy, Default)]
struct Count {
    lost: u64,
    reordered: u64,
    duplicated: u64,
}

fn count(rig: &Rig) -> Count {
    let down = lock(&rig.down);
    let ledger = &rig.stage.endpoints.ledger;
    let mut count = Count::default();
    for &flow in down.flows() {
        let verdict = ledger.flow_verdict(flow);
        count.lost += verdict.lost;
        count.reordered += verdict.reordered;
        count.duplicated += verdict.duplicated;
    }
    count
}

/// Lists of the protocol above that came back as failed.
fn failures(host: &Host, rig: &Rig) -> u64 {
    let upper = rig.stage.upper_of(&rig.team);
    upper.map_or(0, |upper| host.upper_counts(upper).2)
}

/// The adapter that carries most of what is sent now.
fn busiest(rig: &Rig) -> usize {
    let frames = lock(&rig.book).frames.clone();
    let most = frames.iter().enumerate().max_by_key(|(_, count)| **count);
    most.map_or(0, |(nic, _)| nic)
}

/// A flood under which something happens.
struct Flood {
    before: Count,
    /// Batches begun when it happened.
    batch: u32,
    at: u64,
}

impl Flood {
    /// Starts the flood and lets it settle.
    fn start(host: &Host, rig: &Rig, least: u64) -> Self {
        let flows = lock(&rig.down).flows().len();
        let _ = rig.take_sent();
        {
            let mut book = lock(&rig.book);
            book.clear(rig.stage.topology.adapters.len(), flows);
            book.log = Some(Vec::new());
        }
        let before = count(rig);
        // Every batch has every flow: the next one tells.
        lock(&rig.down).keep_to(BURST as usize);
        let pace = pace(rig, least);
        rig.start(host, u64::MAX / 2, pace);
        host.sleep((4 * pace.interval).max(2 * MS));
        Self {
            before,
            batch: 0,
            at: 0,
        }
    }

    fn happens(&mut self, host: &Host, rig: &Rig) {
        self.at = host.now();
        self.batch = lock(&rig.down).batches();
    }

    /// Ends it; what was sent, and what the adapters took.
    fn end(host: &Host, rig: &Rig) -> (Vec<SentFrame>, Vec<Handed>, bool) {
        lock(&rig.down).stop();
        let settled = rig.settle(host, 10 * SECOND);
        let handed = lock(&rig.book).log.take().unwrap_or_default();
        (rig.take_sent(), handed, settled)
    }
}

/// The first frame that another adapter took of a flow that the one had before: when, and
/// in which batch.
fn first_moved(
    flood: &Flood,
    from: usize,
    sent: &[SentFrame],
    handed: &[Handed],
) -> Option<(u64, u32)> {
    let batches: BTreeMap<(u32, u32), u32> = sent
        .iter()
        .map(|frame| ((frame.flow, frame.number), frame.batch))
        .collect();
    let mut had = BTreeSet::new();
    for frame in handed {
        if frame.at <= flood.at && frame.nic == from {
            had.insert(frame.flow);
        } else if frame.at >= flood.at && frame.nic != from && had.contains(&frame.flow) {
            let batch = batches.get(&(frame.flow, frame.number))?;
            return Some((frame.at - flood.at, *batch));
        }
    }
    None
}

/// A member goes. Returns which adapter it was.
pub fn leave(host: &Host, rig: &Rig, bindings: &mut [u64], loss: Loss) -> (usize, TeamChange) {
    let mode = rig.plan.mode;
    let least = if loss == Loss::Silence { SPARSE } else { 0 };
    let mut flood = Flood::start(host, rig, least);
    let nic = busiest(rig);
    // At a moment at which it has something to lose.
    host.wait_until("for frames on the member", US, 40 * MS, |host| {
        host.nic_pending(nic) > 0
    });
    let mut change = TeamChange {
        mode: mode.name().to_owned(),
        members: rig.members() as u64,
        what: format!(
            "{}: {}",
            loss.words(),
            rig.stage.topology.adapters[nic].name
        ),
        outstanding: host.nic_pending(nic) as u64,
        ..TeamChange::default()
    };
    let cut = host.nic_mix(nic).cut;
    let failed = failures(host, rig);
    let dead = lock(&rig.switch).uplink(nic).dead;
    flood.happens(host, rig);
    match loss {
        Loss::Cable => {
            lock(&rig.switch).set_link(host.now(), nic, false);
            host.set_link(nic, false);
        }
        Loss::Surprise => {
            lock(&rig.switch).set_link(host.now(), nic, false);
            if nic < bindings.len() {
                let binding = bindings[nic];
                host.surprise_remove(nic, binding, None);
                // Its place stays, so that the others keep theirs.
                bindings[nic] = 0;
            }
        }
        Loss::Silence => {
            let mute = Mute {
                inward: true,
                outward: true,
            };
            lock(&rig.switch).set_mute(nic, mute);
            // Three seconds of the short timeout, and one for what waits.
            let bit = 1 << nic;
            host.wait_until("for LACP's timeout", MS, 5 * SECOND, |_| {
                lock(&rig.switch).usable() & bit == 0
            });
            host.sleep(20 * MS);
        }
    }
    let told = lock(&rig.down).batches();
    host.sleep(3 * MS);
    let (sent, handed, settled) = Flood::end(host, rig);
    let after = count(rig);
    change.lost = after.lost - flood.before.lost;
    change.reordered = after.reordered - flood.before.reordered;
    change.duplicated = after.duplicated - flood.before.duplicated;
    if loss == Loss::Silence {
        // What the wire has swallowed was handed to it; nobody can know sooner.
        change.outstanding = lock(&rig.switch).uplink(nic).dead - dead;
    } else {
        change.outstanding = host.nic_mix(nic).cut - cut;
        if mode == Mode::Lacp {
            // Markers and LACPDUs among them are the driver's own: of the protocol's lists
            // those count that came back as failed.
            change.outstanding = change.outstanding.min(failures(host, rig) - failed);
        }
    }
    let moved = first_moved(&flood, nic, &sent, &handed);
    if let Some((ns, batch)) = moved {
        change.ns = ns;
        change.batches = u64::from(batch.saturating_sub(flood.batch));
    }
    change.late = late(&sent, &handed, nic, told, loss);
    let mut wrong = Vec::new();
    if !settled {
        wrong.push("lists are missing".to_owned());
    }
    if moved.is_none() && mode != Mode::Broadcast {
        wrong.push("its flows went nowhere else".to_owned());
    }
    judge(mode, &mut change, &mut wrong);
    if loss != Loss::Silence {
        if mode == Mode::Broadcast {
            // The other copies arrive.
            if change.lost > 0 {
                wrong.push(format!("{} frames were lost", change.lost));
            }
        } else if change.lost != change.outstanding {
            wrong.push(format!(
                "{} frames were lost, {} were outstanding",
                change.lost, change.outstanding
            ));
        }
        if change.batches > 1 {
            wrong.push(format!("only batch {} went elsewhere", change.batches));
        }
        if change.late > 0 {
            wrong.push(format!("{} frames went to the dead member", change.late));
        }
    } else if change.lost > change.outstanding {
        wrong.push(format!(
            "{} frames were lost, {} went into the silent link",
            change.lost, change.outstanding
        ));
    }
    change.ok = wrong.is_empty();
    change.note = wrong.join("; ");
    (nic, change)
}

/// Frames that went to the adapter in batches begun after the driver had been told.
fn late(sent: &[SentFrame], handed: &[Handed], nic: usize, told: u32, loss: Loss) -> u64 {
    if loss == Loss::Silence {
        return 0;
    }
    let later: BTreeSet<(u32, u32)> = sent
        .iter()
        .filter(|frame| frame.batch > told)
        .map(|frame| (frame.flow, frame.number))
        .collect();
    let to_it = handed.iter().filter(|frame| frame.nic == nic);
    to_it
        .filter(|frame| later.contains(&(frame.flow, frame.number)))
        .count() as u64
}

fn judge(mode: Mode, change: &mut TeamChange, wrong: &mut Vec<String>) {
    if mode.keeps_order() && change.reordered > 0 {
        wrong.push(format!("{} frames were overtaken", change.reordered));
    }
    if mode != Mode::Broadcast && change.duplicated > 0 {
        wrong.push(format!("{} frames came twice", change.duplicated));
    }
}

/// A member comes back: its flows are on it again, in order, and none is lost.
pub fn come_back(host: &Host, rig: &Rig, nic: usize, loss: Loss) -> TeamChange {
    let mode = rig.plan.mode;
    // LACP takes seconds.
    let least = if mode == Mode::Lacp { SPARSE } else { 0 };
    let mut flood = Flood::start(host, rig, least);
    let mut change = TeamChange {
        mode: mode.name().to_owned(),
        members: rig.members() as u64,
        what: format!("back: {}", rig.stage.topology.adapters[nic].name),
        ..TeamChange::default()
    };
    flood.happens(host, rig);
    if loss == Loss::Silence {
        lock(&rig.switch).set_mute(nic, Mute::default());
    } else {
        lock(&rig.switch).set_link(host.now(), nic, true);
        host.set_link(nic, true);
    }
    let back = host.wait_until(
        "for the member to carry frames",
        10 * US,
        40 * SECOND,
        |_| lock(&rig.book).frames[nic] > 0,
    );
    host.sleep(3 * MS);
    let (sent, handed, settled) = Flood::end(host, rig);
    let after = count(rig);
    change.lost = after.lost - flood.before.lost;
    change.reordered = after.reordered - flood.before.reordered;
    change.duplicated = after.duplicated - flood.before.duplicated;
    let first = handed.iter().find(|frame| frame.nic == nic);
    if let Some(first) = first {
        change.ns = first.at - flood.at;
        let mut all = sent.iter();
        let batch = all.find(|f| (f.flow, f.number) == (first.flow, first.number));
        change.batches = batch.map_or(0, |f| u64::from(f.batch.saturating_sub(flood.batch)));
    }
    let mut wrong = Vec::new();
    if !settled {
        wrong.push("lists are missing".to_owned());
    }
    if !back {
        wrong.push("it carries nothing".to_owned());
    }
    if change.lost > 0 {
        wrong.push(format!("{} frames were lost", change.lost));
    }
    judge(mode, &mut change, &mut wrong);
    change.ok = wrong.is_empty();
    change.note = wrong.join("; ");
    change
}

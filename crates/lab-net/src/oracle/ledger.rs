//! What was sent and what arrived, flow by flow, and the verdict on it.

use std::fmt;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};

use super::frame::{self, Seen};
use crate::{Frame, Mac, lock};

/// How a flow's frames travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Straight in Ethernet, with the local experimental type.
    Private,
    /// As UDP over IPv4.
    Udp {
        /// Source address and port.
        from: SocketAddrV4,
        /// Destination address and port.
        to: SocketAddrV4,
    },
}

/// A stream of numbered frames from one generator to one sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Its name in reports.
    pub name: String,
    /// How its frames travel.
    pub carrier: Carrier,
    /// The sender's address.
    pub source: Mac,
    /// The receiver's address.
    pub destination: Mac,
    /// Whether a frame that arrives after a later one is a fault.
    pub ordered: bool,
}

impl Flow {
    /// A flow straight in Ethernet.
    pub fn private(name: impl Into<String>, source: Mac, destination: Mac) -> Self {
        Self {
            name: name.into(),
            carrier: Carrier::Private,
            source,
            destination,
            ordered: true,
        }
    }

    /// A flow of UDP datagrams over IPv4.
    pub fn udp(
        name: impl Into<String>,
        source: Mac,
        destination: Mac,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Self {
        Self {
            carrier: Carrier::Udp { from, to },
            ..Self::private(name, source, destination)
        }
    }
}

/// Names a flow of one ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub(super) u32);

/// What happened to the frames of a flow, or of all flows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Frames handed to the adapter.
    pub sent: u64,
    /// Of these, frames that arrived sound, each counted once.
    pub received: u64,
    /// Frames that did not arrive and that no window excuses.
    pub lost: u64,
    /// Frames that did not arrive and were excused, by the window's name.
    pub excused: Vec<(String, u64)>,
    /// Sound frames that arrived again.
    pub duplicated: u64,
    /// Sound frames that arrived after a later one of their flow.
    pub reordered: u64,
    /// Of these, frames of flows whose order matters.
    pub misordered: u64,
    /// Frames that arrived with other octets than they were sent with.
    pub corrupted: u64,
    /// Frames that no generator sent, or that came to the wrong sink.
    pub alien: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.misordered + self.corrupted + self.alien == 0
    }

    /// Frames that were excused, all windows together.
    pub fn excused_total(&self) -> u64 {
        self.excused.iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.misordered += other.misordered;
        self.corrupted += other.corrupted;
        self.alien += other.alien;
        for (name, count) in &other.excused {
            excuse(&mut self.excused, name, *count);
        }
    }
}

fn excuse(list: &mut Vec<(String, u64)>, name: &str, count: u64) {
    match list.iter_mut().find(|(known, _)| known == name) {
        Some((_, sum)) => *sum += count,
        None => list.push((name.to_owned(), count)),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sent {}, received {}, lost {}, duplicated {}, reordered {}, corrupted {}, alien {}",
            self.sent,
            self.received,
            self.lost,
            self.duplicated,
            self.reordered,
            self.corrupted,
            self.alien
        )?;
        for (name, count) in &self.excused {
            write!(f, ", {count} excused by {name}")?;
        }
        Ok(())
    }
}

/// A time in which frames may be lost.
struct Window {
    name: String,
    /// Of these flows; of all, if there is no list.
    flows: Option<Vec<FlowId>>,
    from: u64,
    to: Option<u64>,
}

struct Account {
    flow: Flow,
    /// When each frame was sent.
    sent_at: Vec<u64>,
    /// One bit for each frame that arrived sound.
    arrived: Vec<u64>,
    received: u64,
    highest: Option<u64>,
    duplicated: u64,
    reordered: u64,
    corrupted: u64,
}

struct Books {
    seed: u64,
    accounts: Vec<Account>,
    windows: Vec<Window>,
    alien: u64,
    /// Changed frames whose record names no flow.
    unattributed: u64,
}

/// The books of a run. Clones share them. See [`crate::oracle`].
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Books>>);

impl Ledger {
    /// Empty books. `seed` keys the hashes and decides the content.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Books {
            seed,
            accounts: Vec::new(),
            windows: Vec::new(),
            alien: 0,
            unattributed: 0,
        })))
    }

    /// Opens an account for a flow.
    pub fn add_flow(&self, flow: Flow) -> FlowId {
        let books = &mut *lock(&self.0);
        books.accounts.push(Account {
            flow,
            sent_at: Vec::new(),
            arrived: Vec::new(),
            received: 0,
            highest: None,
            duplicated: 0,
            reordered: 0,
            corrupted: 0,
        });
        FlowId(books.accounts.len() as u32 - 1)
    }

    pub(super) fn with_flow<R>(&self, flow: FlowId, f: impl FnOnce(&Flow) -> R) -> R {
        f(&lock(&self.0).accounts[flow.0 as usize].flow)
    }

    /// The seed from [`Ledger::new`].
    pub fn seed(&self) -> u64 {
        lock(&self.0).seed
    }

    /// From `now` on frames may be lost, because of what `name` says. So may
    /// frames sent up to `grace` nanoseconds ago: they may still be on their way.
    pub fn open_window(&self, name: impl Into<String>, now: u64, grace: u64) {
        self.push_window(name.into(), None, now.saturating_sub(grace));
    }

    /// The same for the frames of some flows: of no other flow may one be lost.
    pub fn open_window_of(&self, flows: &[FlowId], name: impl Into<String>, now: u64, grace: u64) {
        let from = now.saturating_sub(grace);
        self.push_window(name.into(), Some(flows.to_vec()), from);
    }

    fn push_window(&self, name: String, flows: Option<Vec<FlowId>>, from: u64) {
        lock(&self.0).windows.push(Window {
            name,
            flows,
            from,
            to: None,
        });
    }

    /// Ends the newest open window of this name: frames sent from `now` on have
    /// to arrive. Returns whether there was one.
    pub fn close_window(&self, name: &str, now: u64) -> bool {
        let books = &mut *lock(&self.0);
        let open = books
            .windows
            .iter_mut()
            .rev()
            .find(|w| w.to.is_none() && w.name == name);
        open.map(|window| window.to = Some(now)).is_some()
    }

    /// Frames of a flow that were sent and did neither arrive nor change; what is
    /// still on its way counts. Zero means that waiting longer changes nothing.
    pub fn missing(&self) -> u64 {
        let books = &*lock(&self.0);
        books
            .accounts
            .iter()
            .map(|a| a.sent_at.len() as u64 - a.received)
            .sum()
    }

    /// The verdict on one flow. Aliens belong to none.
    pub fn flow_verdict(&self, flow: FlowId) -> Verdict {
        lock(&self.0).judge(flow)
    }

    /// Flows by name, each with its verdict.
    pub fn flow_verdicts(&self) -> Vec<(String, Verdict)> {
        let books = &*lock(&self.0);
        let each = books.accounts.iter().enumerate();
        each.map(|(id, account)| (account.flow.name.clone(), books.judge(FlowId(id as u32))))
            .collect()
    }

    /// The verdict on everything. A frame counts as lost until it arrives: ask
    /// when nothing is on its way any more.
    pub fn verdict(&self) -> Verdict {
        let books = &*lock(&self.0);
        let mut total = Verdict {
            alien: books.alien,
            ..Verdict::default()
        };
        for id in 0..books.accounts.len() {
            total.add(&books.judge(FlowId(id as u32)));
        }
        // A frame that changed so that it names no flow is missing from one.
        total.corrupted += books.unattributed;
        total.lost = total.lost.saturating_sub(books.unattributed);
        total
    }

    /// Makes and books the next frame of a flow.
    pub(super) fn send(&self, flow: FlowId, now: u64, length: usize) -> Frame {
        let books = &mut *lock(&self.0);
        let account = &mut books.accounts[flow.0 as usize];
        let number = account.sent_at.len() as u64;
        account.sent_at.push(now);
        if number.is_multiple_of(64) {
            account.arrived.push(0);
        }
        frame::build(books.seed, flow.0, &account.flow, number, length)
    }

    /// Books a frame that arrived at the sink of `flows`, in order, whose own address is `own`.
    /// Returns whether it was one of the oracle's, or was meant for the sink.
    pub(super) fn receive(&self, flows: &[FlowId], own: Option<Mac>, frame: &[u8]) -> bool {
        let books = &mut *lock(&self.0);
        match frame::read(books.seed, frame) {
            Seen::Sound { flow, number } => {
                let expected = flows.binary_search(&FlowId(flow)).is_ok();
                match books.accounts.get_mut(flow as usize) {
                    Some(account) if expected && number < account.sent_at.len() as u64 => {
                        account.arrive(number);
                    }
                    _ => books.alien += 1,
                }
            }
            Seen::Changed { flow } => books.changed(flow),
            Seen::Other => {
                // The record itself may be what changed: the header still tells.
                let owner = books
                    .accounts
                    .iter()
                    .position(|account| frame::is_headed(&account.flow, frame));
                if let Some(owner) = owner {
                    books.changed(owner as u32);
                } else if frame::is_private(frame)
                    || own.is_some_and(|own| frame.get(..6) == Some(&own.0[..]))
                {
                    books.alien += 1;
                } else {
                    return false;
                }
            }
        }
        true
    }
}

impl Account {
    fn arrive(&mut self, number: u64) {
        let Some(word) = self.arrived.get_mut((number / 64) as usize) else {
            return;
        };
        let bit = 1 << (number % 64);
        if *word & bit != 0 {
            self.duplicated += 1;
            return;
        }
        *word |= bit;
        self.received += 1;
        match self.highest {
            Some(highest) if number < highest => self.reordered += 1,
            _ => self.highest = Some(number),
        }
    }
}

impl Books {
    fn changed(&mut self, flow: u32) {
        match self.accounts.get_mut(flow as usize) {
            Some(account) => account.corrupted += 1,
            None => self.unattributed += 1,
        }
    }

    fn judge(&self, flow: FlowId) -> Verdict {
        let account = &self.accounts[flow.0 as usize];
        let mut verdict = Verdict {
            sent: account.sent_at.len() as u64,
            received: account.received,
            duplicated: account.duplicated,
            reordered: account.reordered,
            misordered: if account.flow.ordered {
                account.reordered
            } else {
                0
            },
            corrupted: account.corrupted,
            ..Verdict::default()
        };
        for (number, &at) in account.sent_at.iter().enumerate() {
            if account.arrived[number / 64] & (1 << (number % 64)) != 0 {
                continue;
            }
            let inside = |w: &&Window| {
                let mine = w.flows.as_ref().is_none_or(|flows| flows.contains(&flow));
                mine && at >= w.from && w.to.is_none_or(|to| at < to)
            };
            match self.windows.iter().find(inside) {
                Some(window) => excuse(&mut verdict.excused, &window.name, 1),
                None => verdict.lost += 1,
            }
        }
        // A frame that changed did not arrive sound, but it was not lost either.
        verdict.lost = verdict.lost.saturating_sub(account.corrupted);
        verdict
    }
}

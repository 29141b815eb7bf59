//! UDP: an echo port, and a probe that sends datagrams to one and compares
//! what comes back.

use std::fmt;
use std::net::SocketAddr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket, UdpMetadata};
use smoltcp::wire::IpEndpoint;

use super::{HostError, JobReport, JobState, MS, SECOND};
use crate::mix::{Chance, Content, derive};

/// Datagrams a socket keeps in each direction.
const DEPTH: usize = 256;

/// Number of the datagram at the start of each.
const NUMBER: usize = 4;
/// Nanoseconds after which a full socket is tried again at the latest.
const FULL: u64 = 100_000;

fn socket(port: u16, largest: usize) -> Result<Socket<'static>, HostError> {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DEPTH], vec![0; largest * DEPTH]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.bind(port).map_err(|_| HostError::OutOfRange {
        what: "UDP port",
        value: u64::from(port),
        range: "1 to 65535",
    })?;
    Ok(socket)
}

/// An order for [`super::IpHost::udp_echo`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UdpEcho {
    /// The port to answer at.
    pub port: u16,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpEchoReport {
    /// The port.
    pub port: u16,
    /// Runs until it is stopped.
    pub state: JobState,
    /// Datagrams that arrived.
    pub received: u64,
    /// Datagrams sent back.
    pub sent: u64,
}

impl fmt::Display for UdpEchoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "udp echo :{} returned {}/{}",
            self.port, self.sent, self.received
        )
    }
}

pub(super) struct Echo {
    socket: Option<SocketHandle>,
    report: UdpEchoReport,
    datagram: Vec<u8>,
}

impl Echo {
    pub(super) fn new(order: UdpEcho, sockets: &mut SocketSet<'static>) -> Result<Self, HostError> {
        let socket = socket(order.port, 2048)?;
        Ok(Self {
            socket: Some(sockets.add(socket)),
            report: UdpEchoReport {
                port: order.port,
                state: JobState::Running,
                received: 0,
                sent: 0,
            },
            datagram: Vec::new(),
        })
    }
}

impl super::Job for Echo {
    fn pump(&mut self, _now: u64, sockets: &mut SocketSet<'static>) -> bool {
        let Some(handle) = self.socket else {
            return false;
        };
        let socket = sockets.get_mut::<Socket<'static>>(handle);
        let mut moved = false;
        // What cannot be sent back yet stays in the receive buffer.
        while socket.can_send() {
            let Ok((data, from)) = socket.recv() else {
                break;
            };
            self.datagram.clear();
            self.datagram.extend_from_slice(data);
            let mut back = UdpMetadata::from(from.endpoint);
            back.local_address = from.local_address;
            self.report.received += 1;
            if socket.send_slice(&self.datagram, back).is_ok() {
                self.report.sent += 1;
                moved = true;
            }
        }
        moved
    }

    fn wakes_at(&self) -> Option<u64> {
        None
    }

    fn retire(&mut self, sockets: &mut SocketSet<'static>) {
        if self.report.state != JobState::Running
            && let Some(handle) = self.socket.take()
        {
            sockets.remove(handle);
        }
    }

    fn report(&self) -> JobReport {
        JobReport::UdpEcho(self.report.clone())
    }

    fn stop(&mut self) {
        self.report.state = JobState::Done;
    }
}

/// An order for [`super::IpHost::udp_probe`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UdpProbe {
    /// The echo port.
    pub to: SocketAddr,
    /// How many datagrams.
    pub count: u32,
    /// The largest content in octets; sizes vary from 4 to this.
    pub size: u16,
    /// Nanoseconds from one datagram to the next.
    pub interval: u64,
    /// Nanoseconds after the last datagram when what is missing counts as lost.
    pub timeout: u64,
}

impl UdpProbe {
    /// 1,000 datagrams of 4 to 1,400 octets, ten a millisecond.
    pub fn to(to: SocketAddr) -> Self {
        Self {
            to,
            count: 1_000,
            size: 1_400,
            interval: MS / 10,
            timeout: SECOND,
        }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpProbeReport {
    /// The echo port.
    pub to: SocketAddr,
    /// How far it is; losses and differences are a failure.
    pub state: JobState,
    /// Datagrams ordered.
    pub count: u32,
    /// Datagrams handed to the stack.
    pub sent: u32,
    /// Datagrams that came back right, each counted once.
    pub received: u32,
    /// Datagrams that came back more than once.
    pub duplicated: u64,
    /// Datagrams that came back different.
    pub corrupted: u64,
}

impl fmt::Display for UdpProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "udp {} echoed {}/{}", self.to, self.received, self.count)?;
        if self.duplicated + self.corrupted > 0 {
            write!(
                f,
                ", {} duplicated, {} corrupted",
                self.duplicated, self.corrupted
            )?;
        }
        if let JobState::Failed(why) = &self.state {
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}

pub(super) struct Probe {
    order: UdpProbe,
    seed: u64,
    socket: Option<SocketHandle>,
    report: UdpProbeReport,
    waiting: Vec<bool>,
    next_send: u64,
    last_sent: u64,
}

impl Probe {
    pub(super) fn new(
        order: UdpProbe,
        port: u16,
        seed: u64,
        mtu: u16,
        sockets: &mut SocketSet<'static>,
    ) -> Result<Self, HostError> {
        let header = 8 + if order.to.is_ipv4() { 20 } else { 40 };
        if usize::from(order.size) < NUMBER || order.size + header > mtu {
            return Err(HostError::OutOfRange {
                what: "datagram size",
                value: u64::from(order.size),
                range: "from 4 to what fits the MTU",
            });
        }
        let socket = socket(port, usize::from(order.size))?;
        Ok(Self {
            order,
            seed,
            socket: Some(sockets.add(socket)),
            report: UdpProbeReport {
                to: order.to,
                state: JobState::Running,
                count: order.count,
                sent: 0,
                received: 0,
                duplicated: 0,
                corrupted: 0,
            },
            waiting: Vec::new(),
            next_send: 0,
            last_sent: 0,
        })
    }

    /// Length and content of datagram `number`, both from the seed.
    fn shape(&self, number: u32) -> (usize, Content) {
        let seed = derive(self.seed, u64::from(number));
        let length = Chance::new(seed).between(NUMBER as u64, u64::from(self.order.size));
        (length as usize, Content::new(seed))
    }

    fn take(&mut self, data: &[u8]) {
        let number = data
            .first_chunk::<NUMBER>()
            .map(|bytes| u32::from_be_bytes(*bytes));
        let right = number.is_some_and(|number| {
            let (length, content) = self.shape(number);
            data.len() == length && content.check(0, &data[NUMBER..]).is_none()
        });
        match number.and_then(|number| self.waiting.get_mut(number as usize)) {
            Some(waiting) if right => {
                if std::mem::take(waiting) {
                    self.report.received += 1;
                } else {
                    self.report.duplicated += 1;
                }
            }
            _ => self.report.corrupted += 1,
        }
    }

    fn settle(&mut self, now: u64) {
        let report = &mut self.report;
        if report.sent < report.count || report.state != JobState::Running {
            return;
        }
        let missing = report.count - report.received;
        if missing > 0 && now < self.last_sent.saturating_add(self.order.timeout) {
            return;
        }
        report.state = if missing == 0 && report.corrupted == 0 && report.duplicated == 0 {
            JobState::Done
        } else {
            JobState::Failed(format!("{missing} of {} datagrams lost", report.count))
        };
    }
}

impl super::Job for Probe {
    fn pump(&mut self, now: u64, sockets: &mut SocketSet<'static>) -> bool {
        let Some(handle) = self.socket else {
            return false;
        };
        let socket = sockets.get_mut::<Socket<'static>>(handle);
        while let Ok((data, _)) = socket.recv() {
            self.take(data);
        }
        let mut moved = false;
        while self.report.sent < self.order.count && self.next_send <= now && socket.can_send() {
            let number = self.report.sent;
            let (length, content) = self.shape(number);
            let Ok(datagram) = socket.send(length, IpEndpoint::from(self.order.to)) else {
                break;
            };
            datagram[..NUMBER].copy_from_slice(&number.to_be_bytes());
            content.fill(0, &mut datagram[NUMBER..]);
            moved = true;
            self.report.sent += 1;
            self.waiting.push(true);
            self.last_sent = now;
            self.next_send = now.saturating_add(self.order.interval);
        }
        if self.next_send <= now {
            // No room, as while a neighbour is being looked for. Asking again at once
            // would keep the host awake for all that time.
            self.next_send = now.saturating_add(self.order.interval.max(FULL));
        }
        self.settle(now);
        moved
    }

    fn wakes_at(&self) -> Option<u64> {
        (self.report.state == JobState::Running).then(|| {
            if self.report.sent < self.order.count {
                self.next_send
            } else {
                self.last_sent.saturating_add(self.order.timeout)
            }
        })
    }

    fn retire(&mut self, sockets: &mut SocketSet<'static>) {
        if self.report.state != JobState::Running
            && let Some(handle) = self.socket.take()
        {
            sockets.remove(handle);
        }
    }

    fn report(&self) -> JobReport {
        JobReport::UdpProbe(self.report.clone())
    }
}

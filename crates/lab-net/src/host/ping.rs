//! Echo requests, ICMPv4 and ICMPv6, with every reply compared byte by byte.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress};

use super::{HostError, JobReport, JobState, MS, SECOND};
use crate::mix::{Content, derive};

/// Octets of an ICMP echo header.
const ECHO_HEADER: usize = 8;
/// Nanoseconds after which a full socket is tried again at the latest.
const FULL: u64 = 100_000;

/// An order for [`super::IpHost::ping`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ping {
    /// The peer.
    pub to: IpAddr,
    /// How many requests.
    pub count: u16,
    /// Octets of content in each.
    pub size: u16,
    /// Nanoseconds from one request to the next.
    pub interval: u64,
    /// Nanoseconds after the last request when what is missing counts as lost.
    pub timeout: u64,
}

impl Ping {
    /// 100 requests of 56 octets, one a millisecond.
    pub fn to(to: IpAddr) -> Self {
        Self {
            to,
            count: 100,
            size: 56,
            interval: MS,
            timeout: 5 * SECOND,
        }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PingReport {
    /// The peer.
    pub to: IpAddr,
    /// How far it is; lost or wrong replies are a failure.
    pub state: JobState,
    /// Requests ordered.
    pub count: u16,
    /// Requests handed to the stack.
    pub sent: u16,
    /// Requests answered with the right content, each once.
    pub received: u16,
    /// Further replies to a request already answered.
    pub duplicated: u64,
    /// Replies whose content differs from the request's.
    pub corrupted: u64,
    /// Shortest round trip in nanoseconds.
    pub rtt_min: u64,
    /// Longest round trip in nanoseconds.
    pub rtt_max: u64,
}

impl fmt::Display for PingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ping {} {}/{}", self.to, self.received, self.count)?;
        if self.duplicated + self.corrupted > 0 {
            write!(
                f,
                ", {} duplicated, {} corrupted",
                self.duplicated, self.corrupted
            )?;
        }
        if self.received > 0 {
            write!(
                f,
                ", round trip {}..{} us",
                self.rtt_min / 1_000,
                self.rtt_max / 1_000
            )?;
        }
        if let JobState::Failed(why) = &self.state {
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}

pub(super) struct Job {
    order: Ping,
    ident: u16,
    seed: u64,
    source6: Ipv6Addr,
    socket: Option<SocketHandle>,
    report: PingReport,
    /// When each request was sent; `None` once it was answered.
    waiting: Vec<Option<u64>>,
    next_send: u64,
    last_sent: u64,
    packet: Vec<u8>,
}

impl Job {
    pub(super) fn new(
        order: Ping,
        ident: u16,
        seed: u64,
        mtu: u16,
        source6: Ipv6Addr,
        sockets: &mut SocketSet<'static>,
    ) -> Result<Self, HostError> {
        let header = if order.to.is_ipv4() { 20 } else { 40 };
        if usize::from(order.size) + ECHO_HEADER + header > usize::from(mtu) {
            return Err(HostError::OutOfRange {
                what: "ping size",
                value: u64::from(order.size),
                range: "must fit the MTU: there is no fragmentation",
            });
        }
        let buffer = || {
            let octets = (usize::from(order.size) + ECHO_HEADER) * 64;
            icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 64], vec![0; octets])
        };
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket
            .bind(icmp::Endpoint::Ident(ident))
            .expect("a fresh socket takes any identifier");
        Ok(Self {
            order,
            ident,
            seed,
            source6,
            socket: Some(sockets.add(socket)),
            report: PingReport {
                to: order.to,
                state: JobState::Running,
                count: order.count,
                sent: 0,
                received: 0,
                duplicated: 0,
                corrupted: 0,
                rtt_min: u64::MAX,
                rtt_max: 0,
            },
            waiting: Vec::with_capacity(usize::from(order.count)),
            next_send: 0,
            last_sent: 0,
            packet: vec![0; usize::from(order.size) + ECHO_HEADER],
        })
    }

    fn content(&self, sequence: u16) -> Content {
        Content::new(derive(self.seed, u64::from(sequence)))
    }

    fn send(&mut self, socket: &mut icmp::Socket<'static>) -> bool {
        let sequence = self.report.sent;
        let mut data = vec![0; usize::from(self.order.size)];
        self.content(sequence).fill(0, &mut data);
        let checksum = ChecksumCapabilities::default();
        match self.order.to {
            IpAddr::V4(_) => {
                let request = Icmpv4Repr::EchoRequest {
                    ident: self.ident,
                    seq_no: sequence,
                    data: &data,
                };
                request.emit(
                    &mut Icmpv4Packet::new_unchecked(&mut self.packet),
                    &checksum,
                );
            }
            IpAddr::V6(to) => {
                let request = Icmpv6Repr::EchoRequest {
                    ident: self.ident,
                    seq_no: sequence,
                    data: &data,
                };
                request.emit(
                    &self.source6,
                    &to,
                    &mut Icmpv6Packet::new_unchecked(&mut self.packet),
                    &checksum,
                );
            }
        }
        socket
            .send_slice(&self.packet, IpAddress::from(self.order.to))
            .is_ok()
    }

    /// Sequence number and content of an echo reply. The stack has checked the
    /// checksum and the identifier already.
    fn reply(to: IpAddr, packet: &[u8]) -> Option<(u16, &[u8])> {
        match to {
            IpAddr::V4(_) => {
                let packet = Icmpv4Packet::new_checked(packet).ok()?;
                (packet.msg_type() == smoltcp::wire::Icmpv4Message::EchoReply)
                    .then(|| (packet.echo_seq_no(), packet.into_inner().get(ECHO_HEADER..)))
            }
            IpAddr::V6(_) => {
                let packet = Icmpv6Packet::new_checked(packet).ok()?;
                (packet.msg_type() == smoltcp::wire::Icmpv6Message::EchoReply)
                    .then(|| (packet.echo_seq_no(), packet.into_inner().get(ECHO_HEADER..)))
            }
        }
        .and_then(|(sequence, data)| Some((sequence, data?)))
    }

    fn take(&mut self, now: u64, packet: &[u8]) {
        let Some((sequence, data)) = Self::reply(self.order.to, packet) else {
            return;
        };
        let right = data.len() == usize::from(self.order.size)
            && self.content(sequence).check(0, data).is_none();
        match self.waiting.get_mut(usize::from(sequence)) {
            Some(sent) if right => {
                if let Some(sent) = sent.take() {
                    let rtt = now - sent;
                    self.report.received += 1;
                    self.report.rtt_min = self.report.rtt_min.min(rtt);
                    self.report.rtt_max = self.report.rtt_max.max(rtt);
                } else {
                    self.report.duplicated += 1;
                }
            }
            // A sequence number that was never sent is a wrong reply too.
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
            let first = self.waiting.iter().position(Option::is_some);
            let first = first.map_or(String::new(), |at| format!(", the first is #{at}"));
            JobState::Failed(format!(
                "{missing} of {} requests unanswered{first}",
                report.count
            ))
        };
    }
}

impl super::Job for Job {
    fn pump(&mut self, now: u64, sockets: &mut SocketSet<'static>) -> bool {
        let Some(handle) = self.socket else {
            return false;
        };
        let socket = sockets.get_mut::<icmp::Socket<'static>>(handle);
        while let Ok((packet, _)) = socket.recv() {
            self.take(now, packet);
        }
        let mut moved = false;
        while self.report.sent < self.order.count && self.next_send <= now && socket.can_send() {
            if !self.send(socket) {
                break;
            }
            moved = true;
            self.report.sent += 1;
            self.waiting.push(Some(now));
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
        JobReport::Ping(self.report.clone())
    }
}

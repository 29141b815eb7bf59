//! An embedded TCP/IP host: the protocol above a virtual miniport, or the peer
//! at the far end of a wire, without root and without a clock.
//!
//! # Use
//!
//! ```
//! use lab_net::host::{HostConfig, IpHost, Ping};
//! use lab_net::Mac;
//!
//! # fn main() -> Result<(), lab_net::host::HostError> {
//! let mut host = IpHost::new(
//!     HostConfig::new("upper", Mac::local(1, 1), 42).address("10.0.0.1".parse().unwrap(), 24),
//! )?;
//! let job = host.ping(Ping { count: 100, ..Ping::to("10.0.0.2".parse().unwrap()) })?;
//! // Drive it as an `Endpoint`; then:
//! assert!(!host.is_done(job));
//! println!("{}", host.report(job));
//! # Ok(())
//! # }
//! ```
//!
//! A scenario keeps the host in an `Arc<Mutex<IpHost>>`, hands a clone to the
//! adapter as its [`Endpoint`], starts jobs and asks for [`IpHost::is_done`]. A
//! job starts at the next poll, so whoever starts one makes the host be polled.
//!
//! Each job is one socket. Content is a stream that a seed decides
//! ([`crate::mix::Content`]); both ends know the seed, and every byte received is
//! compared, not counted.
//!
//! One caller at a time; nothing blocks, sleeps or reads a clock.

mod phy;
mod ping;
mod tcp;
mod udp;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::mix::derive;
use crate::{Endpoint, Frame, Mac};
use phy::{Inbox, Phy};

pub use ping::{Ping, PingReport};
pub use tcp::{Tcp, TcpReport, TcpRole};
pub use udp::{UdpEcho, UdpEchoReport, UdpProbe, UdpProbeReport};

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000 * MS;

/// The smallest MTU that IPv6 allows.
const MIN_MTU: u16 = 1280;

/// Frames a host keeps until it is polled; more are dropped and counted.
const INBOX: usize = 4096;

/// Rounds of "stack, then jobs" in one poll, so that a poll is bounded even
/// when the adapter never fills up.
const ROUNDS: usize = 64;

/// What a host is.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its name in reports.
    pub name: String,
    /// Its station address.
    pub mac: Mac,
    /// The largest IP packet it sends; the Ethernet header comes on top.
    pub mtu: u16,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Default routers, at most one per IP version.
    pub gateways: Vec<IpAddr>,
    /// Decides port numbers, sequence numbers and content.
    pub seed: u64,
    /// Bytes of each TCP buffer: the window that is offered.
    pub tcp_buffer: usize,
    /// Whether frames are padded to [`crate::MIN_FRAME`], as a wire has them.
    pub pad: bool,
}

impl HostConfig {
    /// A host with MTU 1500, 1 MiB TCP buffers and no address yet.
    pub fn new(name: impl Into<String>, mac: Mac, seed: u64) -> Self {
        Self {
            name: name.into(),
            mac,
            mtu: 1500,
            addresses: Vec::new(),
            gateways: Vec::new(),
            seed,
            tcp_buffer: 1 << 20,
            pad: true,
        }
    }

    /// Adds an address.
    #[must_use]
    pub fn address(mut self, address: IpAddr, prefix: u8) -> Self {
        self.addresses.push((address, prefix));
        self
    }

    /// Sets the MTU.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }
}

/// Why a host or a job cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostError {
    /// The MAC address is a group address or zero.
    #[error("{0} is not a unicast MAC address")]
    NotUnicast(Mac),
    /// The MTU is below what IPv6 needs.
    #[error("MTU {0} is below {MIN_MTU}")]
    MtuTooSmall(u16),
    /// A prefix longer than its address.
    #[error("{0}/{1}: the prefix is longer than the address")]
    BadPrefix(IpAddr, u8),
    /// More addresses or routes than the stack's tables hold.
    #[error("{0}: too many {1}")]
    TooMany(IpAddr, &'static str),
    /// No address of the right IP version to talk from.
    #[error("no address of {host} can reach {to}")]
    Unreachable {
        /// The host's name.
        host: String,
        /// The peer.
        to: IpAddr,
    },
    /// A port or a size that the protocol does not have.
    #[error("{what} {value} is out of range ({range})")]
    OutOfRange {
        /// Which value.
        what: &'static str,
        /// What it was.
        value: u64,
        /// What it may be.
        range: &'static str,
    },
}

/// Names a job of one host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(usize);

/// How far a job is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobState {
    /// Not finished.
    Running,
    /// Finished as ordered.
    Done,
    /// Finished otherwise, and why.
    Failed(String),
}

/// What a job did so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobReport {
    /// Of [`IpHost::ping`].
    Ping(PingReport),
    /// Of [`IpHost::tcp`].
    Tcp(TcpReport),
    /// Of [`IpHost::udp_echo`].
    UdpEcho(UdpEchoReport),
    /// Of [`IpHost::udp_probe`].
    UdpProbe(UdpProbeReport),
}

impl JobReport {
    /// How far the job is.
    pub fn state(&self) -> &JobState {
        match self {
            Self::Ping(report) => &report.state,
            Self::Tcp(report) => &report.state,
            Self::UdpEcho(report) => &report.state,
            Self::UdpProbe(report) => &report.state,
        }
    }
}

impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping(report) => report.fmt(f),
            Self::Tcp(report) => report.fmt(f),
            Self::UdpEcho(report) => report.fmt(f),
            Self::UdpProbe(report) => report.fmt(f),
        }
    }
}

/// Frames and octets that crossed a host's edge.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct HostCounters {
    /// Frames taken from the adapter.
    pub frames_in: u64,
    /// Their octets.
    pub octets_in: u64,
    /// Frames handed to the adapter.
    pub frames_out: u64,
    /// Their octets.
    pub octets_out: u64,
    /// Frames dropped because the host was not polled for too long.
    pub inbox_full: u64,
}

/// What every kind of job can do.
trait Job: Send {
    /// Moves data between the job and its socket. Returns whether the stack has
    /// something new to send because of it.
    fn pump(&mut self, now: u64, sockets: &mut SocketSet<'static>) -> bool;

    /// When it wants to be pumped if no frame arrives.
    fn wakes_at(&self) -> Option<u64>;

    /// Gives the socket back when it is no longer needed.
    fn retire(&mut self, sockets: &mut SocketSet<'static>);

    fn report(&self) -> JobReport;

    /// Ends a job that otherwise runs for ever.
    fn stop(&mut self) {}
}

/// The embedded host. See the module's documentation.
pub struct IpHost {
    name: String,
    seed: u64,
    mtu: u16,
    tcp_buffer: usize,
    interface: Interface,
    sockets: SocketSet<'static>,
    inbox: Inbox,
    jobs: Vec<Box<dyn Job>>,
    next_port: u16,
    counters: HostCounters,
    pad: bool,
    /// A job was added since the last poll.
    fresh: bool,
    /// The last poll ended because the adapter was full.
    stalled: bool,
}

fn instant(now: u64) -> Instant {
    // 2^63 microseconds are 292,000 years.
    Instant::from_micros(i64::try_from(now / 1_000).unwrap_or(i64::MAX))
}

impl IpHost {
    /// Brings a host up. It sends nothing until it has a reason.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        if !config.mac.is_unicast() {
            return Err(HostError::NotUnicast(config.mac));
        }
        if config.mtu < MIN_MTU {
            return Err(HostError::MtuTooSmall(config.mtu));
        }
        let mut inbox = Inbox::default();
        let mut link = Config::new(HardwareAddress::Ethernet(EthernetAddress(config.mac.0)));
        link.random_seed = derive(config.seed, 0);
        let mut refuse = |_: Frame| false;
        let mut phy = Phy::new(&mut inbox, &mut refuse, config.mtu, config.pad);
        let mut interface = Interface::new(link, &mut phy, instant(0));
        let mut error = None;
        interface.update_ip_addrs(|list| {
            for &(address, prefix) in &config.addresses {
                if prefix > if address.is_ipv4() { 32 } else { 128 } {
                    error = Some(HostError::BadPrefix(address, prefix));
                } else if list.push(IpCidr::new(address.into(), prefix)).is_err() {
                    error = Some(HostError::TooMany(address, "addresses"));
                }
            }
        });
        if let Some(error) = error {
            return Err(error);
        }
        for &gateway in &config.gateways {
            let routes = interface.routes_mut();
            match gateway {
                IpAddr::V4(router) => routes.add_default_ipv4_route(router).map(|_| ()),
                IpAddr::V6(router) => routes.add_default_ipv6_route(router).map(|_| ()),
            }
            .map_err(|_| HostError::TooMany(gateway, "routes"))?;
        }
        Ok(Self {
            name: config.name,
            seed: config.seed,
            mtu: config.mtu,
            tcp_buffer: config.tcp_buffer.max(1 << 16),
            interface,
            sockets: SocketSet::new(Vec::new()),
            inbox,
            jobs: Vec::new(),
            // RFC 6335: the dynamic ports begin at 49152.
            next_port: 49_152 + (derive(config.seed, 1) % 8_192) as u16,
            counters: HostCounters::default(),
            pad: config.pad,
            fresh: false,
            stalled: false,
        })
    }

    /// The name from its configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What crossed its edge so far.
    pub fn counters(&self) -> HostCounters {
        self.counters
    }

    /// Sends echo requests and compares the replies.
    pub fn ping(&mut self, order: Ping) -> Result<JobId, HostError> {
        self.reachable(order.to)?;
        let ident = self.port();
        let seed = derive(self.seed, 0x1_0000 + u64::from(ident));
        let source = match order.to {
            IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
            IpAddr::V6(to) => self.interface.get_source_address_ipv6(&to),
        };
        let job = ping::Job::new(order, ident, seed, self.mtu, source, &mut self.sockets)?;
        Ok(self.add(Box::new(job)))
    }

    /// Listens for one TCP connection, or makes one, and moves bytes over it.
    pub fn tcp(&mut self, order: Tcp) -> Result<JobId, HostError> {
        let port = if let TcpRole::Connect { to } = order.role {
            self.reachable(to.ip())?;
            self.port()
        } else {
            0
        };
        let job = tcp::Job::new(
            order,
            port,
            self.tcp_buffer,
            self.interface.context(),
            &mut self.sockets,
        )?;
        Ok(self.add(Box::new(job)))
    }

    /// Sends every UDP datagram that arrives at a port back to its sender,
    /// until [`IpHost::stop`].
    pub fn udp_echo(&mut self, order: UdpEcho) -> Result<JobId, HostError> {
        let job = udp::Echo::new(order, &mut self.sockets)?;
        Ok(self.add(Box::new(job)))
    }

    /// Sends UDP datagrams to an echo port and compares what comes back.
    pub fn udp_probe(&mut self, order: UdpProbe) -> Result<JobId, HostError> {
        self.reachable(order.to.ip())?;
        let port = self.port();
        let seed = derive(self.seed, 0x2_0000 + u64::from(port));
        let job = udp::Probe::new(order, port, seed, self.mtu, &mut self.sockets)?;
        Ok(self.add(Box::new(job)))
    }

    /// Ends a job that otherwise runs for ever, at the next poll.
    pub fn stop(&mut self, job: JobId) {
        self.jobs[job.0].stop();
        self.fresh = true;
    }

    /// Whether a job is over, well or not.
    pub fn is_done(&self, job: JobId) -> bool {
        *self.jobs[job.0].report().state() != JobState::Running
    }

    /// What a job did so far.
    pub fn report(&self, job: JobId) -> JobReport {
        self.jobs[job.0].report()
    }

    /// All jobs in the order they were started.
    pub fn reports(&self) -> impl Iterator<Item = (JobId, JobReport)> {
        self.jobs
            .iter()
            .enumerate()
            .map(|(index, job)| (JobId(index), job.report()))
    }

    fn add(&mut self, job: Box<dyn Job>) -> JobId {
        self.jobs.push(job);
        self.fresh = true;
        JobId(self.jobs.len() - 1)
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        port
    }

    fn reachable(&self, to: IpAddr) -> Result<(), HostError> {
        if !to.is_unspecified() && self.interface.get_source_address(&to.into()).is_some() {
            // The stack falls back to the loopback address when it has no other.
            let same = |cidr: &IpCidr| IpAddr::from(cidr.address()).is_ipv4() == to.is_ipv4();
            if self.interface.ip_addrs().iter().any(same) {
                return Ok(());
            }
        }
        Err(HostError::Unreachable {
            host: self.name.clone(),
            to,
        })
    }
}

impl Endpoint for IpHost {
    fn on_frame(&mut self, _now: u64, frame: &[u8]) {
        if self.inbox.len() >= INBOX {
            self.counters.inbox_full += 1;
            return;
        }
        self.counters.frames_in += 1;
        self.counters.octets_in += frame.len() as u64;
        self.inbox.push(frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let at = instant(now);
        let counters = &mut self.counters;
        let mut counted = |frame: Frame| {
            counters.frames_out += 1;
            counters.octets_out += frame.len() as u64;
            out(frame)
        };
        // `pump` needs all of `self`, the device a part of it: the inbox moves
        // out for the duration of the poll.
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut phy = Phy::new(&mut inbox, &mut counted, self.mtu, self.pad);
        let mut pumped = false;
        if std::mem::take(&mut self.fresh) {
            for job in &mut self.jobs {
                job.pump(now, &mut self.sockets);
            }
        }
        for _ in 0..ROUNDS {
            let polled = self.interface.poll(at, &mut phy, &mut self.sockets);
            if pumped && polled == PollResult::None {
                break;
            }
            let mut moved = false;
            for job in &mut self.jobs {
                moved |= job.pump(now, &mut self.sockets);
                job.retire(&mut self.sockets);
            }
            pumped = true;
            if !moved || !phy.has_room() {
                break;
            }
        }
        self.stalled = !phy.has_room();
        self.inbox = inbox;
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        if self.fresh || self.stalled || self.inbox.len() > 0 {
            return Some(now);
        }
        let stack = self
            .interface
            .poll_at(instant(now), &self.sockets)
            .map(|at| {
                u64::try_from(at.total_micros())
                    .unwrap_or(0)
                    .saturating_mul(1_000)
                    .max(now)
            });
        let jobs = self.jobs.iter().filter_map(|job| job.wakes_at()).min();
        stack.into_iter().chain(jobs).min()
    }
}

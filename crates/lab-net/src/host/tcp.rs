//! TCP transfers: one connection, bytes of a seeded stream in either direction
//! or both, each byte compared on arrival, an orderly end.

use std::fmt;
use std::net::SocketAddr;

use smoltcp::iface::{Context, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Duration;

use super::{HostError, JobReport, JobState, SECOND};
use crate::mix::{Content, derive};

/// Which end of the connection a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpRole {
    /// Waits for one connection.
    Listen {
        /// At this port of any address.
        port: u16,
    },
    /// Makes the connection.
    Connect {
        /// To this peer.
        to: SocketAddr,
    },
}

/// An order for [`super::IpHost::tcp`]. The peer's order has the same seed and
/// the two lengths exchanged ([`Tcp::peer`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Listen or connect.
    pub role: TcpRole,
    /// Octets to send.
    pub send: u64,
    /// Octets to receive.
    pub receive: u64,
    /// Decides the content; the same at both ends.
    pub seed: u64,
    /// Nanoseconds without an acknowledgement after which the connection is
    /// given up.
    pub timeout: u64,
}

impl Tcp {
    /// Waits at `port` for a peer that sends `receive` octets.
    pub fn sink(port: u16, receive: u64, seed: u64) -> Self {
        Self {
            role: TcpRole::Listen { port },
            send: 0,
            receive,
            seed,
            timeout: 30 * SECOND,
        }
    }

    /// Waits at `port` for a peer and sends it `send` octets.
    pub fn server(port: u16, send: u64, seed: u64) -> Self {
        Self {
            role: TcpRole::Listen { port },
            send,
            receive: 0,
            seed,
            timeout: 30 * SECOND,
        }
    }

    /// What the host at the other end has to be ordered: it connects `to` the
    /// listener this order makes.
    #[must_use]
    pub fn peer(&self, to: SocketAddr) -> Self {
        Self {
            role: TcpRole::Connect { to },
            send: self.receive,
            receive: self.send,
            ..*self
        }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpReport {
    /// Which end.
    pub role: TcpRole,
    /// How far it is.
    pub state: JobState,
    /// Octets ordered to be sent.
    pub to_send: u64,
    /// Octets the peer's stack has acknowledged.
    pub sent: u64,
    /// Octets ordered to be received.
    pub to_receive: u64,
    /// Octets that arrived with the right content.
    pub received: u64,
    /// When the first octet moved.
    pub started: Option<u64>,
    /// When the transfer ended.
    pub ended: Option<u64>,
}

impl fmt::Display for TcpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            TcpRole::Listen { port } => write!(f, "tcp :{port}")?,
            TcpRole::Connect { to } => write!(f, "tcp {to}")?,
        }
        if self.to_send > 0 {
            write!(f, " sent {}/{}", self.sent, self.to_send)?;
        }
        if self.to_receive > 0 {
            write!(f, " received {}/{}", self.received, self.to_receive)?;
        }
        if let (Some(started), Some(ended)) = (self.started, self.ended) {
            write!(f, " in {} us", ended.saturating_sub(started) / 1_000)?;
        }
        if let JobState::Failed(why) = &self.state {
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}

pub(super) struct Job {
    order: Tcp,
    socket: Option<SocketHandle>,
    outgoing: Content,
    incoming: Content,
    /// Octets written into the socket.
    written: u64,
    closed: bool,
    /// A connection existed.
    met: bool,
    report: TcpReport,
}

/// Each direction has a stream of its own, named by who sends.
fn streams(order: &Tcp) -> (Content, Content) {
    let client = Content::new(derive(order.seed, 0));
    let server = Content::new(derive(order.seed, 1));
    match order.role {
        TcpRole::Listen { .. } => (server, client),
        TcpRole::Connect { .. } => (client, server),
    }
}

impl Job {
    pub(super) fn new(
        order: Tcp,
        local_port: u16,
        buffer: usize,
        context: &mut Context,
        sockets: &mut SocketSet<'static>,
    ) -> Result<Self, HostError> {
        let bad_port = || HostError::OutOfRange {
            what: "TCP port",
            value: 0,
            range: "1 to 65535",
        };
        let mut socket = Socket::new(
            SocketBuffer::new(vec![0; buffer]),
            SocketBuffer::new(vec![0; buffer]),
        );
        socket.set_timeout(Some(Duration::from_micros(order.timeout / 1_000)));
        socket.set_nagle_enabled(false);
        socket.set_congestion_control(CongestionControl::Reno);
        match order.role {
            TcpRole::Listen { port } => socket.listen(port).map_err(|_| bad_port())?,
            TcpRole::Connect { to } => {
                socket
                    .connect(context, (to.ip(), to.port()), local_port)
                    .map_err(|_| bad_port())?;
            }
        }
        let (outgoing, incoming) = streams(&order);
        Ok(Self {
            order,
            socket: Some(sockets.add(socket)),
            outgoing,
            incoming,
            written: 0,
            closed: false,
            met: false,
            report: TcpReport {
                role: order.role,
                state: JobState::Running,
                to_send: order.send,
                sent: 0,
                to_receive: order.receive,
                received: 0,
                started: None,
                ended: None,
            },
        })
    }

    fn fail(&mut self, now: u64, why: String, socket: &mut Socket<'static>) -> bool {
        self.report.state = JobState::Failed(why);
        self.report.ended = Some(now);
        socket.abort();
        true
    }

    /// Compares what arrived. `Err` says what is wrong with it.
    fn drain(&mut self, socket: &mut Socket<'static>) -> Result<bool, String> {
        let mut moved = false;
        while socket.can_recv() {
            let at = self.report.received;
            let content = self.incoming;
            let checked =
                socket.recv(|bytes| (bytes.len(), (content.check(at, bytes), bytes.len())));
            let Ok((wrong, length)) = checked else {
                break;
            };
            if let Some(offset) = wrong {
                self.report.received = offset;
                return Err(format!("octet {offset} of the stream differs"));
            }
            self.report.received += length as u64;
            if self.report.received > self.order.receive {
                return Err(format!(
                    "more than the {} octets ordered arrived",
                    self.order.receive
                ));
            }
            moved = true;
        }
        Ok(moved)
    }

    fn write(&mut self, socket: &mut Socket<'static>) -> bool {
        let mut moved = false;
        while self.written < self.order.send && socket.can_send() {
            let (at, content) = (self.written, self.outgoing);
            let left = usize::try_from(self.order.send - at).unwrap_or(usize::MAX);
            let filled = socket.send(|room| {
                let length = room.len().min(left);
                content.fill(at, &mut room[..length]);
                (length, length)
            });
            match filled {
                Ok(length) if length > 0 => self.written += length as u64,
                _ => break,
            }
            moved = true;
        }
        moved
    }
}

impl super::Job for Job {
    fn pump(&mut self, now: u64, sockets: &mut SocketSet<'static>) -> bool {
        let Some(handle) = self.socket else {
            return false;
        };
        if self.report.state != JobState::Running {
            return false;
        }
        let socket = sockets.get_mut::<Socket<'static>>(handle);
        self.met |= socket.may_send() || socket.may_recv();
        let mut moved = match self.drain(socket) {
            Ok(moved) => moved,
            Err(why) => return self.fail(now, why, socket),
        };
        moved |= self.write(socket);
        self.report.sent = self.written - socket.send_queue() as u64;
        if moved {
            self.report.started.get_or_insert(now);
        }
        let all_written = self.written == self.order.send;
        let all_read = self.report.received == self.order.receive;
        if self.met && all_written && !self.closed {
            // Only the sending half: what is still to be received comes.
            socket.close();
            self.closed = true;
            moved = true;
        }
        match socket.state() {
            State::TimeWait | State::Closed
                if self.met && all_read && self.report.sent == self.order.send =>
            {
                self.report.state = JobState::Done;
                self.report.ended = Some(now);
            }
            State::Closed | State::TimeWait => {
                let why = if self.met {
                    "the connection ended early"
                } else {
                    "no connection was made"
                };
                return self.fail(now, why.to_owned(), socket);
            }
            State::CloseWait | State::LastAck | State::Closing if !all_read => {
                let why = format!("the peer closed after {} octets", self.report.received);
                return self.fail(now, why, socket);
            }
            _ => {}
        }
        moved
    }

    fn wakes_at(&self) -> Option<u64> {
        None // The stack's own timers cover all of it.
    }

    fn retire(&mut self, sockets: &mut SocketSet<'static>) {
        // A socket in TIME-WAIT stays: it has to answer a repeated FIN. One that
        // was aborted stays until its reset is out.
        if self.report.state != JobState::Running
            && let Some(handle) = self.socket
        {
            let socket = sockets.get::<Socket<'static>>(handle);
            if socket.state() == State::Closed && socket.remote_endpoint().is_none() {
                sockets.remove(handle);
                self.socket = None;
            }
        }
    }

    fn report(&self) -> JobReport {
        JobReport::Tcp(self.report.clone())
    }
}

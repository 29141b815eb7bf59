//! ping and iperf3: how they are run, and what they say.
//!
//! Each runs in the namespace of one side; the kernel ends it with the thread that started
//! it.

use std::{
    fmt,
    io::{self, Read as _},
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::Side;

/// What sockets, queues and the driver hold between both ends at most.
const BUFFERS: u64 = 16 << 20;
/// UDP that iperf3 sends each way: rate and seconds. Little enough for a slow machine.
const UDP: [&str; 5] = ["--udp", "--bitrate", "20M", "--time", "1"];
/// How long one program may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// One transfer from or to the server at `address`: so many bytes of TCP, or UDP for a while.
pub fn transfer(
    client: &Side,
    address: Ipv4Addr,
    tcp: Option<u64>,
    reverse: bool,
) -> Result<Iperf, String> {
    // The server takes a moment to listen, after its start and between two clients;
    // until then the client is refused.
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let mut command = client.namespace.command("iperf3");
        command.args(["--client", &address.to_string(), "--json"]);
        match tcp {
            None => command.args(UDP),
            Some(bytes) => command.args(["--bytes", &bytes.to_string()]),
        };
        if reverse {
            command.arg("--reverse");
        }
        let result = output(command).and_then(|text| {
            Iperf::parse(&text, tcp).ok_or_else(|| "its report cannot be read".to_owned())
        });
        if result.is_ok() || Instant::now() > end {
            return result;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Runs a program to its end, not for ever. It reads nothing.
pub fn output(mut command: Command) -> Result<String, String> {
    command.stdin(Stdio::null());
    output_of(command)
}

/// The same for one that may read what it was given.
pub fn output_of(mut command: Command) -> Result<String, String> {
    let failed = |error: io::Error| error.to_string();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let reader = child.stdout.take().map(|mut pipe| {
        thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        })
    });
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {} s", PATIENCE.as_secs()));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = reader
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    if status.success() {
        return Ok(text);
    }
    let mut why = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        let _ = pipe.read_to_string(&mut why);
    }
    // ping reports lost answers by its exit code, with the numbers on stdout.
    if ping_answers(&text).is_some() {
        return Ok(text);
    }
    let why = if why.trim().is_empty() { text } else { why };
    Err(format!("{status}: {}", why.trim()))
}

/// `100 packets transmitted, 99 received, …` -> 99
pub fn ping_answers(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let part = line.split(", ").find(|part| part.contains("received"))?;
    part.split_whitespace().next()?.parse().ok()
}

/// Who answered the first echo request, out of what ping prints for each answer.
pub fn responders(text: &str) -> Vec<IpAddr> {
    let of_first = |line: &str| {
        let rest = line.split_once(" bytes from ")?.1;
        let (who, rest) = rest.split_once(": ")?;
        rest.split(' ').find(|word| *word == "icmp_seq=1")?;
        let address = who.split_once('%').map_or(who, |(address, _)| address);
        address.parse().ok()
    };
    text.lines().filter_map(of_first).collect()
}

/// What iperf3 measured.
#[derive(Debug, PartialEq)]
pub enum Iperf {
    Tcp {
        wanted: u64,
        sent: u64,
        /// What the receiver had read when the sender was done; the rest was under way.
        received: u64,
        bits_per_second: f64,
        retransmits: u64,
    },
    Udp {
        packets: u64,
        lost: u64,
        bits_per_second: f64,
    },
}

impl Iperf {
    fn parse(text: &str, tcp: Option<u64>) -> Option<Self> {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let end = &document["end"];
        Some(if let Some(wanted) = tcp {
            Self::Tcp {
                wanted,
                sent: end["sum_sent"]["bytes"].as_u64()?,
                received: end["sum_received"]["bytes"].as_u64()?,
                bits_per_second: end["sum_received"]["bits_per_second"].as_f64()?,
                retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
            }
        } else {
            let sum = &end["sum"];
            Self::Udp {
                packets: sum["packets"].as_u64()?,
                lost: u64::try_from(sum["lost_packets"].as_i64()?).unwrap_or(0),
                bits_per_second: sum["bits_per_second"].as_f64()?,
            }
        })
    }

    /// TCP: everything was sent, and all but what buffers hold had arrived; that the
    /// bytes are the right ones is TCP's own care here. UDP: most arrived,
    /// for queues that are full for a moment are Linux's own.
    pub fn ok(&self) -> bool {
        match self {
            Self::Tcp {
                wanted,
                sent,
                received,
                ..
            } => {
                let held = BUFFERS.min(wanted / 4 * 3);
                sent >= wanted && received.saturating_add(held) >= *sent
            }
            Self::Udp { packets, lost, .. } => *packets > 0 && lost.saturating_mul(4) <= *packets,
        }
    }
}

impl fmt::Display for Iperf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp {
                sent,
                received,
                bits_per_second,
                retransmits,
                ..
            } => write!(
                f,
                "{} MiB sent, {} MiB read by its end, {:.0} Mbit/s, {retransmits} retransmitted",
                sent >> 20,
                received >> 20,
                bits_per_second / 1e6,
            ),
            Self::Udp {
                packets,
                lost,
                bits_per_second,
            } => write!(
                f,
                "{packets} packets, {lost} lost, {:.0} Mbit/s",
                bits_per_second / 1e6
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: Option<u64> = Some(64 << 20);

    #[test]
    fn ping_is_understood() {
        let text = "--- 10.0.0.2 ping statistics ---\n\
                    100 packets transmitted, 98 received, 2% packet loss, time 1012ms\n";
        assert_eq!(ping_answers(text), Some(98));
        assert_eq!(ping_answers("ping: unknown host"), None);
    }

    #[test]
    fn every_answer_to_the_first_request_counts() {
        let text = "PING ff02::1(ff02::1) from :: lab0: 56 data bytes\n\
                    64 bytes from fe80::1%lab0: icmp_seq=1 ttl=64 time=0.1 ms\n\
                    64 bytes from fe80::2%lab0: icmp_seq=1 ttl=64 time=0.2 ms (DUP!)\n\
                    64 bytes from fe80::3%lab0: icmp_seq=2 ttl=64 time=0.2 ms\n\
                    64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.2 ms\n";
        let expected: Vec<IpAddr> = ["fe80::1", "fe80::2", "10.0.0.1"]
            .map(|text| text.parse().expect("an address"))
            .into();
        assert_eq!(responders(text), expected);
        assert!(responders("--- ff02::1 ping statistics ---\n").is_empty());
    }

    #[test]
    fn iperf_is_understood() {
        let text = r#"{"end":{"sum_sent":{"bytes":67108864,"retransmits":3},
            "sum_received":{"bytes":63292080,"bits_per_second":5e8}}}"#;
        let iperf = Iperf::parse(text, TCP).expect("parses");
        assert!(iperf.ok());
        assert_eq!(
            iperf.to_string(),
            "64 MiB sent, 60 MiB read by its end, 500 Mbit/s, 3 retransmitted"
        );
        let short = text.replace("63292080", "1");
        assert!(!Iperf::parse(&short, TCP).expect("parses").ok());
        let udp = r#"{"end":{"sum":{"packets":100,"lost_packets":25,"bits_per_second":4e7}}}"#;
        let iperf = Iperf::parse(udp, None).expect("parses");
        assert!(iperf.ok());
        assert_eq!(iperf.to_string(), "100 packets, 25 lost, 40 Mbit/s");
        let worse = udp.replace(":25,", ":26,");
        assert!(!Iperf::parse(&worse, None).expect("parses").ok());
        for tcp in [TCP, None] {
            assert_eq!(Iperf::parse(r#"{"error":"unable to connect"}"#, tcp), None);
        }
    }
}

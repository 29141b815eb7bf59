//! Captures: pcapng files of what adapters carried, and their replay.
//!
//! # Use
//!
//! ```
//! use lab_net::pcap::{Direction, Interface, Recorder, Replay};
//!
//! # fn main() -> Result<(), lab_net::pcap::PcapError> {
//! let mut recorder = Recorder::new(Vec::new(), &[Interface::new("nic0"), Interface::new("vm0")])?;
//! recorder.record(0, 1_500, Direction::Inbound, &[0xff; 60], Some("pended"))?;
//! let file = recorder.finish()?;
//!
//! let replay = Replay::read(&file[..], Some("nic0"))?;
//! assert_eq!(replay.frames(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Timestamps are nanoseconds. Virtual time begins at the epoch, so that equal
//! runs give equal files. Each adapter is an interface of the file; a comment on
//! a packet says what the lab did with it.
//!
//! [`Replay`] is an [`Endpoint`] that sends the frames of a file at the distances
//! in time that they were recorded at.
//!
//! One caller at a time; a recorder buffers nothing itself, so give it a
//! `BufWriter` for a file.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::{DataLink, Endianness};

use crate::{Endpoint, Frame, Mac};

/// The first octets of every pcapng file: the type of a section header.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The largest block that is read: no frame of Ethernet comes near it.
const LARGEST_BLOCK: usize = 1 << 20;

/// Why a capture cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// Writing failed; the file ends in the middle of a packet.
    #[error("the capture cannot be written: {0}")]
    Write(String),
    /// An interface that was not declared.
    #[error("interface {0} of a capture with {1}")]
    NoSuchInterface(usize, usize),
    /// An earlier write failed.
    #[error("the capture ended with an earlier error")]
    Ended,
    /// Reading failed.
    #[error("the capture cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Not pcapng at all.
    #[error("this is no pcapng file{}", if *.0 { ", but one of the older pcap format: editcap converts it" } else { "" })]
    NotPcapng(bool),
    /// pcapng, but broken.
    #[error("the capture is broken after {offset} octets: {why}")]
    Broken {
        /// Octets read without an error.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// No interface of the name that was asked for.
    #[error("the capture has no interface {wanted} (it has: {})", .present.join(", "))]
    UnknownInterface {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: Vec<String>,
    },
    /// Frames that are not Ethernet's.
    #[error("interface {0} of the capture is not Ethernet")]
    NotEthernet(String),
}

/// An adapter in a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Its address.
    pub mac: Option<Mac>,
    /// Bits per second.
    pub speed: Option<u64>,
}

impl Interface {
    /// An interface of which only the name is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            mac: None,
            speed: None,
        }
    }
}

/// Which way a frame went, as seen from the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// It was received.
    Inbound,
    /// It was sent.
    Outbound,
}

/// Writes a capture. See the module's documentation.
pub struct Recorder<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: usize,
    failed: bool,
}

/// An error with its causes: the outer text names the block, the inner says why.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn write_error(error: impl std::error::Error) -> PcapError {
    PcapError::Write(chain_of(&error))
}

impl<W: Write> Recorder<W> {
    /// Begins a capture. Interfaces are numbered in the order given.
    pub fn new(writer: W, interfaces: &[Interface]) -> Result<Self, PcapError> {
        let section = SectionHeaderBlock {
            // Not the machine's: equal runs give equal files everywhere.
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(
                "ndis-im lab",
            ))],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(writer, section).map_err(write_error)?;
        let nanoseconds = InterfaceTsResolution::new(false, 9).map_err(write_error)?;
        for interface in interfaces {
            let mut block = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
            let options = &mut block.options;
            options.push(InterfaceDescriptionOption::IfName(Cow::Borrowed(
                &interface.name,
            )));
            if let Some(description) = &interface.description {
                options.push(InterfaceDescriptionOption::IfDescription(Cow::Borrowed(
                    description,
                )));
            }
            if let Some(mac) = interface.mac {
                options.push(InterfaceDescriptionOption::IfMacAddr(mac.0.to_vec().into()));
            }
            if let Some(speed) = interface.speed {
                options.push(InterfaceDescriptionOption::IfSpeed(speed));
            }
            options.push(InterfaceDescriptionOption::IfTsResol(nanoseconds));
            writer.write_pcapng_block(block).map_err(write_error)?;
        }
        Ok(Self {
            writer,
            interfaces: interfaces.len(),
            failed: false,
        })
    }

    /// Writes one frame. After an error the capture takes no more.
    pub fn record(
        &mut self,
        interface: usize,
        now: u64,
        direction: Direction,
        frame: &[u8],
        comment: Option<&str>,
    ) -> Result<(), PcapError> {
        if self.failed {
            return Err(PcapError::Ended);
        }
        if interface >= self.interfaces {
            return Err(PcapError::NoSuchInterface(interface, self.interfaces));
        }
        // The two low bits of the flags word: 1 inbound, 2 outbound.
        let flags = if direction == Direction::Inbound {
            1
        } else {
            2
        };
        let mut options = vec![EnhancedPacketOption::Flags(flags)];
        if let Some(comment) = comment {
            options.push(EnhancedPacketOption::Common(CommonOption::Comment(
                Cow::Borrowed(comment),
            )));
        }
        let block = EnhancedPacketBlock {
            interface_id: interface as u32,
            timestamp: Duration::from_nanos(now),
            original_len: frame.len() as u32,
            data: Cow::Borrowed(frame),
            options,
        };
        let written = self.writer.write_pcapng_block(block);
        self.failed = written.is_err();
        written.map(|_| ()).map_err(write_error)
    }

    /// Writes out what the writer holds back.
    pub fn flush(&mut self) -> Result<(), PcapError> {
        self.writer.get_mut().flush().map_err(write_error)
    }

    /// Ends the capture.
    pub fn finish(mut self) -> Result<W, PcapError> {
        if self.failed {
            return Err(PcapError::Ended);
        }
        self.flush()?;
        Ok(self.writer.into_inner())
    }
}

/// Plays a capture back. See the module's documentation.
pub struct Replay {
    /// Time after the first frame, and the frame.
    frames: Vec<(u64, Frame)>,
    next: usize,
    start: Option<u64>,
    cut: u64,
}

impl Replay {
    /// Reads a whole capture, or one interface of it.
    pub fn read(mut reader: impl Read, interface: Option<&str>) -> Result<Self, PcapError> {
        // A sound message for the common mistake; the rest is the crate's.
        let mut magic = [0; 4];
        let mut got = 0;
        while got < magic.len() {
            match reader.read(&mut magic[got..])? {
                0 => break,
                length => got += length,
            }
        }
        if magic != SECTION {
            let older = [0xa1b2_c3d4_u32, 0xa1b2_3c4d];
            let number = u32::from_le_bytes(magic);
            return Err(PcapError::NotPcapng(
                older.contains(&number) || older.contains(&number.swap_bytes()),
            ));
        }
        let whole = io::Cursor::new(magic).chain(reader);
        let broken = |offset, error: &dyn std::error::Error| PcapError::Broken {
            offset,
            why: chain_of(error),
        };
        let mut capture =
            PcapNgReader::with_capacity(whole, LARGEST_BLOCK).map_err(|error| broken(0, &error))?;
        let (mut frames, mut cut, mut names) = (Vec::new(), 0, Vec::new());
        loop {
            let offset = capture.bytes_parsed();
            let Some(block) = capture.next_block() else {
                break;
            };
            let (block, state) = block.map_err(|error| broken(offset, &error))?;
            let packet = match block {
                Block::EnhancedPacket(packet) => packet,
                Block::InterfaceDescription(_) => {
                    names.extend(state.interfaces().last().map(name_of));
                    continue;
                }
                _ => continue,
            };
            let Some(from) = state.interfaces().get(packet.interface_id as usize) else {
                continue;
            };
            let name = name_of(from);
            if interface.is_some_and(|wanted| wanted != name) {
                continue;
            }
            if from.linktype != DataLink::ETHERNET {
                return Err(PcapError::NotEthernet(name));
            }
            if (packet.data.len() as u64) < u64::from(packet.original_len) {
                cut += 1;
                continue;
            }
            let at = u64::try_from(packet.timestamp.as_nanos()).unwrap_or(u64::MAX);
            frames.push((at, packet.data.into_owned()));
        }
        if let Some(wanted) = interface
            && !names.iter().any(|name| name == wanted)
        {
            return Err(PcapError::UnknownInterface {
                wanted: wanted.to_owned(),
                present: names,
            });
        }
        // Interfaces of one file need not be written in the order of time.
        frames.sort_by_key(|(at, _)| *at);
        let first = frames.first().map_or(0, |(at, _)| *at);
        for (at, _) in &mut frames {
            *at -= first;
        }
        Ok(Self {
            frames,
            next: 0,
            start: None,
            cut,
        })
    }

    /// Frames that will be sent in all.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Packets left out because the capture has only their beginning.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Whether everything was sent.
    pub fn is_done(&self) -> bool {
        self.next >= self.frames.len()
    }
}

fn name_of(interface: &InterfaceDescriptionBlock<'_>) -> String {
    let name = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
        _ => None,
    });
    name.unwrap_or_else(|| "without a name".to_owned())
}

impl Endpoint for Replay {
    fn on_frame(&mut self, _now: u64, _frame: &[u8]) {}

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let start = *self.start.get_or_insert(now);
        while let Some((at, frame)) = self.frames.get_mut(self.next) {
            if start.saturating_add(*at) > now {
                return;
            }
            let frame = std::mem::take(frame);
            self.next += 1;
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let start = self.start.unwrap_or(now);
        self.frames
            .get(self.next)
            .map(|(at, _)| start.saturating_add(*at).max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let nic = Interface {
            description: Some("the NIC".to_owned()),
            mac: Some(Mac::local(0, 1)),
            speed: Some(10_000_000_000),
            ..Interface::new("nic0")
        };
        let mut recorder =
            Recorder::new(Vec::new(), &[nic, Interface::new("vm0")]).expect("memory");
        for number in 0..20_u64 {
            let frame = vec![number as u8; 60 + number as usize];
            let direction = if number % 2 == 0 {
                Direction::Inbound
            } else {
                Direction::Outbound
            };
            let comment = (number == 3).then_some("third");
            recorder
                .record(
                    (number % 2) as usize,
                    5_000_000_001 + number * 10,
                    direction,
                    &frame,
                    comment,
                )
                .expect("memory");
        }
        recorder.finish().expect("memory")
    }

    fn collect(replay: &mut Replay, start: u64) -> Vec<(u64, Frame)> {
        let mut sent = Vec::new();
        let mut now = start;
        while let Some(next) = replay.next_poll(now) {
            now = next;
            // Room for one frame at a time.
            replay.poll(now, &mut |frame| {
                sent.push((now - start, frame));
                false
            });
        }
        assert!(replay.is_done());
        sent
    }

    #[test]
    fn what_is_recorded_is_replayed_to_the_nanosecond() {
        let file = sample();
        let mut replay = Replay::read(&file[..], None).expect("sound");
        assert_eq!((replay.frames(), replay.cut()), (20, 0));
        let expected: Vec<_> = (0..20)
            .map(|n| (n * 10, vec![n as u8; 60 + n as usize]))
            .collect();
        assert_eq!(collect(&mut replay, 777), expected);

        let mut one = Replay::read(&file[..], Some("vm0")).expect("sound");
        let expected: Vec<_> = (0..10)
            .map(|n| (n * 20, vec![(2 * n + 1) as u8; 61 + 2 * n as usize]))
            .collect();
        assert_eq!(collect(&mut one, 0), expected);
    }

    #[test]
    fn equal_runs_give_equal_files() {
        assert_eq!(sample(), sample());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let say = |bytes: &[u8]| {
            Replay::read(bytes, None)
                .map(|_| ())
                .expect_err("bad")
                .to_string()
        };
        assert_eq!(say(b""), "this is no pcapng file");
        assert_eq!(say(b"[lab]\nseed = 1"), "this is no pcapng file");
        assert_eq!(
            say(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]),
            "this is no pcapng file, but one of the older pcap format: editcap converts it"
        );
        let error = Replay::read(&sample()[..], Some("nic9"))
            .map(|_| ())
            .expect_err("no such interface");
        assert_eq!(
            error.to_string(),
            "the capture has no interface nic9 (it has: nic0, vm0)"
        );
        let file = sample();
        assert!(say(&file[..file.len() - 1]).starts_with("the capture is broken after "));
    }

    #[test]
    fn no_broken_file_is_taken_for_a_sound_one_or_panics() {
        let file = sample();
        let whole = Replay::read(&file[..], None).expect("sound").frames();
        for end in 0..file.len() {
            if let Ok(replay) = Replay::read(&file[..end], None) {
                assert!(replay.frames() < whole, "{end}");
            }
        }
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0xff;
            let _ = Replay::read(&changed[..], None);
        }
    }

    #[test]
    fn a_failed_write_ends_the_capture() {
        /// Takes so many octets and no more, as a full disk does.
        struct Full(usize);

        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                let taken = bytes.len().min(self.0);
                self.0 -= taken;
                Ok(taken)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        assert!(matches!(
            Recorder::new(Full(10), &[]),
            Err(PcapError::Write(_))
        ));
        let mut recorder = Recorder::new(Full(300), &[Interface::new("nic0")]).expect("room");
        let results: Vec<_> = (0..5)
            .map(|now| recorder.record(0, now, Direction::Inbound, &[0; 60], None))
            .collect();
        assert!(results[0].is_ok());
        let failed = results
            .iter()
            .find_map(|result| result.as_ref().err())
            .expect("full");
        assert!(failed.to_string().contains("no storage space"), "{failed}");
        assert!(matches!(results[4], Err(PcapError::Ended)));
        assert!(matches!(recorder.finish(), Err(PcapError::Ended)));
    }

    #[test]
    fn an_interface_has_to_be_declared() {
        let mut recorder = Recorder::new(Vec::new(), &[Interface::new("nic0")]).expect("memory");
        let error = recorder
            .record(1, 0, Direction::Inbound, &[], None)
            .expect_err("undeclared");
        assert_eq!(error.to_string(), "interface 1 of a capture with 1");
    }
}

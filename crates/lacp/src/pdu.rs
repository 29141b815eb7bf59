//! PDUs of the Slow Protocols: LACPDUs (6.4.2), Marker and Marker Response PDUs
//! (6.5.3), as octets of an Ethernet frame without its FCS.
//!
//! What a receiver may look at is narrower than it seems (6.4.12): version number,
//! TLV types and reserved fields are *not* validated, so that a version 1 receiver
//! understands later versions; lengths may be, and are here. A frame is counted by
//! what [`parse`] says of it: `UnknownRx` or `IllegalRx` (7.3.3.1.5, 7.3.3.1.6).

use crate::id::{MacAddress, PortId, PortInformation, PortState, SystemId};

/// EtherType of the Slow Protocols (IEEE 802.3 57A.4).
pub const SLOW_PROTOCOLS_ETHERTYPE: u16 = 0x8809;

/// Octets of an LACPDU of version 1, of any marker PDU, and of all that is built
/// here: the subtype and what follows it, without the FCS.
pub const PDU_LEN: usize = 110;

/// Octets of a frame that is built here: no padding is needed, no FCS included.
pub const FRAME_LEN: usize = HEADER_LEN + PDU_LEN;

/// Destination, source, EtherType.
const HEADER_LEN: usize = 14;

/// Protocol subtypes (IEEE 802.3 57A, table 57A-3).
mod subtype {
    pub const LACP: u8 = 1;
    pub const MARKER: u8 = 2;
    /// Above it every subtype is illegal, as is 0; from 3 up to it they are of
    /// others (OAM, OSSP) or reserved.
    pub const LAST_LEGAL: u8 = 10;
}

/// TLV types (6.4.2.3, 6.4.2.4, 6.5.3.2).
mod tlv {
    pub const TERMINATOR: u8 = 0;
    pub const ACTOR: u8 = 1;
    pub const PARTNER: u8 = 2;
    pub const COLLECTOR: u8 = 3;
    pub const PORT_ALGORITHM: u8 = 4;
    pub const PORT_CONVERSATION_ID_DIGEST: u8 = 5;
    pub const PORT_CONVERSATION_SERVICE_MAPPING_DIGEST: u8 = 10;
    pub const MARKER: u8 = 1;
    pub const MARKER_RESPONSE: u8 = 2;
}

/// Lengths of TLVs, their type and length octets included.
mod length {
    pub const INFORMATION: u8 = 20;
    pub const COLLECTOR: u8 = 16;
    pub const PORT_ALGORITHM: u8 = 6;
    pub const PORT_CONVERSATION_ID_DIGEST: u8 = 20;
    pub const PORT_CONVERSATION_SERVICE_MAPPING_DIGEST: u8 = 18;
    pub const MARKER: u8 = 16;
    /// What some implementations send: 16 taken for a hexadecimal number.
    pub const MARKER_OF_SOME: u8 = 0x16;
}

/// Offset of the TLVs of version 2: that of the terminator of version 1.
const AFTER_COLLECTOR: usize = 58;

/// `Link_Number_ID` and digest of the Port Conversation ID Digest TLV (6.4.2.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConversationDigest {
    /// `Link_Number_ID`.
    pub link_number_id: u16,
    /// `Actor_Conversation_LinkList_Digest`, an MD5.
    pub digest: [u8; 16],
}

/// The TLVs that version 2 adds and that this crate can carry. The conversation
/// masks (6.4.2.4.3) belong to long LACPDUs, of which only the rest is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Version2 {
    /// `Actor_Port_Algorithm` (6.4.2.4.1): OUI and number.
    pub port_algorithm: Option<[u8; 4]>,
    /// Port Conversation ID Digest (6.4.2.4.2).
    pub conversation_id_digest: Option<ConversationDigest>,
    /// Port Conversation Service Mapping Digest (6.4.2.4.4).
    pub service_mapping_digest: Option<[u8; 16]>,
    /// The list of TLVs ends badly: what came before is kept.
    pub malformed: bool,
}

/// An LACPDU (6.4.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lacpdu {
    /// `Version_Number`.
    pub version_number: u8,
    /// Actor Information: the sender.
    pub actor: PortInformation,
    /// Partner Information: what the sender thinks of the receiver.
    pub partner: PortInformation,
    /// `CollectorMaxDelay`, in tens of microseconds.
    pub collector_max_delay: u16,
    /// TLVs of version 2; empty in one of version 1.
    pub version_2: Version2,
}

/// Which of the two marker PDUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkerKind {
    /// `TLV_type` = Marker Information.
    Marker,
    /// `TLV_type` = Marker Response Information.
    Response,
}

/// A Marker or Marker Response PDU (6.5.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marker {
    /// Which of both.
    pub kind: MarkerKind,
    /// `Requester_Port`.
    pub requester_port: u16,
    /// `Requester_System`.
    pub requester_system: MacAddress,
    /// `Requester_Transaction_ID`.
    pub requester_transaction_id: u32,
}

/// A PDU of one of the two protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pdu {
    /// Link Aggregation Control Protocol, subtype 1.
    Lacpdu(Lacpdu),
    /// Marker Protocol, subtype 2.
    Marker(Marker),
}

/// Why a frame carries no [`Pdu`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Neither the group address nor the EtherType: it belongs to somebody else.
    NotSlowProtocols,
    /// To the group address, but with another EtherType.
    UnknownEtherType,
    /// The EtherType, but to another address.
    UnknownDestination,
    /// A subtype of another protocol (OAM, OSSP) or a reserved one.
    UnknownSubtype(u8),
    /// Subtype 0, or one above 10.
    IllegalSubtype(u8),
    /// It ends before its PDU does.
    Short,
    /// A TLV whose length is not that of its place.
    TlvLength {
        /// Its offset in the PDU.
        offset: u8,
        /// The length it claims.
        length: u8,
    },
    /// A marker PDU that is neither of both.
    MarkerType(u8),
}

/// How a frame that is no [`Pdu`] is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not at all.
    NotCounted,
    /// `aAggPortStatsUnknownRx` (7.3.3.1.5).
    Unknown,
    /// `aAggPortStatsIllegalRx` (7.3.3.1.6).
    Illegal,
}

impl Fault {
    /// How it is counted.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::NotSlowProtocols => Verdict::NotCounted,
            Self::UnknownEtherType | Self::UnknownDestination | Self::UnknownSubtype(_) => {
                Verdict::Unknown
            }
            Self::IllegalSubtype(_)
            | Self::Short
            | Self::TlvLength { .. }
            | Self::MarkerType(_) => Verdict::Illegal,
        }
    }
}

/// Takes `N` octets at an offset.
fn at<const N: usize>(octets: &[u8], offset: usize) -> Option<[u8; N]> {
    octets.get(offset..)?.first_chunk().copied()
}

fn u16_at(octets: &[u8], offset: usize) -> Option<u16> {
    at(octets, offset).map(u16::from_be_bytes)
}

/// Reads a frame: destination, source, EtherType, PDU; no FCS, no tag (6.4.2.2).
///
/// `protocol_da` is the group address of the port (`aAggPortProtocolDA`, 7.3.2.2.1).
pub fn parse(frame: &[u8], protocol_da: MacAddress) -> Result<Pdu, Fault> {
    let (Some(destination), Some(ethertype)) = (at::<6>(frame, 0), u16_at(frame, 12)) else {
        return Err(Fault::NotSlowProtocols);
    };
    let ours = destination == protocol_da.0;
    match (ours, ethertype == SLOW_PROTOCOLS_ETHERTYPE) {
        (false, false) => return Err(Fault::NotSlowProtocols),
        (true, false) => return Err(Fault::UnknownEtherType),
        (false, true) => return Err(Fault::UnknownDestination),
        (true, true) => {}
    }
    let pdu = frame.get(HEADER_LEN..).unwrap_or_default();
    match pdu.first() {
        None => Err(Fault::Short),
        Some(&subtype::LACP) => parse_lacpdu(pdu).map(Pdu::Lacpdu),
        Some(&subtype::MARKER) => parse_marker(pdu).map(Pdu::Marker),
        Some(&number @ 1..=subtype::LAST_LEGAL) => Err(Fault::UnknownSubtype(number)),
        Some(&number) => Err(Fault::IllegalSubtype(number)),
    }
}

fn expect_length(pdu: &[u8], offset: usize, expected: u8) -> Result<(), Fault> {
    match pdu.get(offset + 1) {
        Some(&length) if length == expected => Ok(()),
        Some(&length) => Err(Fault::TlvLength {
            offset: offset as u8,
            length,
        }),
        None => Err(Fault::Short),
    }
}

fn parse_lacpdu(pdu: &[u8]) -> Result<Lacpdu, Fault> {
    if pdu.len() < PDU_LEN {
        return Err(Fault::Short);
    }
    expect_length(pdu, 2, length::INFORMATION)?;
    expect_length(pdu, 22, length::INFORMATION)?;
    expect_length(pdu, 42, length::COLLECTOR)?;
    let read = || {
        let version_number = *pdu.get(1)?;
        Some(Lacpdu {
            version_number,
            actor: information(pdu, 4)?,
            partner: information(pdu, 24)?,
            collector_max_delay: u16_at(pdu, 44)?,
            version_2: if version_number >= 2 {
                version_2(pdu.get(AFTER_COLLECTOR..)?)
            } else {
                Version2::default()
            },
        })
    };
    read().ok_or(Fault::Short)
}

/// The fields of an information TLV after its type and length.
fn information(pdu: &[u8], offset: usize) -> Option<PortInformation> {
    Some(PortInformation {
        system: SystemId {
            priority: u16_at(pdu, offset)?,
            address: MacAddress(at(pdu, offset + 2)?),
        },
        key: u16_at(pdu, offset + 8)?,
        port: PortId {
            priority: u16_at(pdu, offset + 10)?,
            number: u16_at(pdu, offset + 12)?,
        },
        state: PortState(*pdu.get(offset + 14)?),
    })
}

/// TLVs up to the terminator. Unknown types are skipped (6.4.2.3); a length that
/// cannot be ends the list.
fn version_2(mut octets: &[u8]) -> Version2 {
    let mut found = Version2::default();
    loop {
        let &[kind, length, ..] = octets else {
            // Not even a terminator.
            found.malformed = true;
            return found;
        };
        if kind == tlv::TERMINATOR {
            return found;
        }
        let Some((value, rest)) = octets.split_at_checked(usize::from(length)) else {
            found.malformed = true;
            return found;
        };
        let expected = match kind {
            tlv::PORT_ALGORITHM => length::PORT_ALGORITHM,
            tlv::PORT_CONVERSATION_ID_DIGEST => length::PORT_CONVERSATION_ID_DIGEST,
            tlv::PORT_CONVERSATION_SERVICE_MAPPING_DIGEST => {
                length::PORT_CONVERSATION_SERVICE_MAPPING_DIGEST
            }
            // Any length that leads forward.
            _ => length.max(2),
        };
        if length != expected {
            found.malformed = true;
            return found;
        }
        match kind {
            tlv::PORT_ALGORITHM => found.port_algorithm = at(value, 2),
            tlv::PORT_CONVERSATION_ID_DIGEST => {
                found.conversation_id_digest =
                    u16_at(value, 2)
                        .zip(at(value, 4))
                        .map(|(link_number_id, digest)| ConversationDigest {
                            link_number_id,
                            digest,
                        });
            }
            tlv::PORT_CONVERSATION_SERVICE_MAPPING_DIGEST => {
                found.service_mapping_digest = at(value, 2);
            }
            _ => {}
        }
        octets = rest;
    }
}

fn parse_marker(pdu: &[u8]) -> Result<Marker, Fault> {
    if pdu.len() < PDU_LEN {
        return Err(Fault::Short);
    }
    let kind = match pdu.get(2) {
        Some(&tlv::MARKER) => MarkerKind::Marker,
        Some(&tlv::MARKER_RESPONSE) => MarkerKind::Response,
        Some(&other) => return Err(Fault::MarkerType(other)),
        None => return Err(Fault::Short),
    };
    // The standard lets the length be validated or not (6.5.3.2); between the two, a
    // marker that somebody waits for is not refused for a well-known slip.
    if pdu.get(3) != Some(&length::MARKER_OF_SOME) {
        expect_length(pdu, 2, length::MARKER)?;
    }
    let read = || {
        Some(Marker {
            kind,
            requester_port: u16_at(pdu, 4)?,
            requester_system: MacAddress(at(pdu, 6)?),
            requester_transaction_id: at(pdu, 12).map(u32::from_be_bytes)?,
        })
    };
    read().ok_or(Fault::Short)
}

/// Writes fields one after the other; what has no room is left out, which the
/// sizes here exclude and a test shows.
struct Writer<'a> {
    octets: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, field: &[u8]) {
        let end = self.at + field.len();
        if let Some(place) = self.octets.get_mut(self.at..end) {
            place.copy_from_slice(field);
        }
        self.at = end;
    }

    fn put_u16(&mut self, field: u16) {
        self.put(&field.to_be_bytes());
    }

    fn reserved(&mut self, length: usize) {
        self.at += length;
    }

    fn put_information(&mut self, kind: u8, information: &PortInformation) {
        self.put(&[kind, length::INFORMATION]);
        self.put_u16(information.system.priority);
        self.put(&information.system.address.0);
        self.put_u16(information.key);
        self.put_u16(information.port.priority);
        self.put_u16(information.port.number);
        self.put(&[information.state.0]);
        self.reserved(3);
    }
}

impl Pdu {
    /// Builds the frame that carries it.
    pub fn frame(&self, destination: MacAddress, source: MacAddress) -> [u8; FRAME_LEN] {
        let mut octets = [0; FRAME_LEN];
        let mut to = Writer {
            octets: &mut octets,
            at: 0,
        };
        to.put(&destination.0);
        to.put(&source.0);
        to.put_u16(SLOW_PROTOCOLS_ETHERTYPE);
        match self {
            Self::Lacpdu(lacpdu) => lacpdu.write(&mut to),
            Self::Marker(marker) => marker.write(&mut to),
        }
        octets
    }
}

impl Lacpdu {
    fn write(&self, to: &mut Writer<'_>) {
        to.put(&[subtype::LACP, self.version_number]);
        to.put_information(tlv::ACTOR, &self.actor);
        to.put_information(tlv::PARTNER, &self.partner);
        to.put(&[tlv::COLLECTOR, length::COLLECTOR]);
        to.put_u16(self.collector_max_delay);
        to.reserved(12);
        if self.version_number >= 2 {
            if let Some(algorithm) = &self.version_2.port_algorithm {
                to.put(&[tlv::PORT_ALGORITHM, length::PORT_ALGORITHM]);
                to.put(algorithm);
            }
            if let Some(conversation) = &self.version_2.conversation_id_digest {
                to.put(&[
                    tlv::PORT_CONVERSATION_ID_DIGEST,
                    length::PORT_CONVERSATION_ID_DIGEST,
                ]);
                to.put_u16(conversation.link_number_id);
                to.put(&conversation.digest);
            }
            if let Some(digest) = &self.version_2.service_mapping_digest {
                to.put(&[
                    tlv::PORT_CONVERSATION_SERVICE_MAPPING_DIGEST,
                    length::PORT_CONVERSATION_SERVICE_MAPPING_DIGEST,
                ]);
                to.put(digest);
            }
        }
        // Terminator_Length is 0; it and the reserved octets are there already.
        to.put(&[tlv::TERMINATOR]);
    }
}

impl Marker {
    /// The response to it: its fields with the other type (6.5.4.2). Pad and
    /// reserved octets are sent as zeros, which 6.5.3.2 allows.
    #[must_use]
    pub const fn response(self) -> Self {
        Self {
            kind: MarkerKind::Response,
            ..self
        }
    }

    fn write(&self, to: &mut Writer<'_>) {
        let kind = match self.kind {
            MarkerKind::Marker => tlv::MARKER,
            MarkerKind::Response => tlv::MARKER_RESPONSE,
        };
        to.put(&[subtype::MARKER, 1, kind, length::MARKER]);
        to.put_u16(self.requester_port);
        to.put(&self.requester_system.0);
        to.put(&self.requester_transaction_id.to_be_bytes());
    }
}

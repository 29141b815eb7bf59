//! How a NIC answers OIDs.

use ndis_sys::{
    NDIS_INTERRUPT_MODERATION_PARAMETERS, NDIS_OID, NDIS_OID_REQUEST, NDIS_PACKET_TYPE_PROMISCUOUS,
    NDIS_STATISTICS_INFO, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_LENGTH,
    NDIS_STATUS_MULTICAST_FULL, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_SUCCESS,
    NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, NdisInterruptModerationNotSupported,
    NdisRequestMethod, NdisRequestSetInformation, OID_802_3_CURRENT_ADDRESS,
    OID_802_3_MAXIMUM_LIST_SIZE, OID_802_3_MULTICAST_LIST, OID_802_3_PERMANENT_ADDRESS,
    OID_GEN_CURRENT_LOOKAHEAD, OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_LINK_PARAMETERS, OID_GEN_MAC_OPTIONS, OID_GEN_MAXIMUM_FRAME_SIZE,
    OID_GEN_MAXIMUM_TOTAL_SIZE, OID_GEN_NETWORK_LAYER_ADDRESSES, OID_GEN_RCV_OK,
    OID_GEN_RECEIVE_BLOCK_SIZE, OID_GEN_RECEIVE_BUFFER_SPACE, OID_GEN_RECEIVE_HASH,
    OID_GEN_RECEIVE_SCALE_PARAMETERS, OID_GEN_STATISTICS, OID_GEN_SUPPORTED_LIST,
    OID_GEN_TRANSMIT_BLOCK_SIZE, OID_GEN_TRANSMIT_BUFFER_SPACE, OID_GEN_VENDOR_DESCRIPTION,
    OID_GEN_VENDOR_DRIVER_VERSION, OID_GEN_VENDOR_ID, OID_GEN_XMIT_OK,
    OID_NIC_SWITCH_CURRENT_CAPABILITIES, OID_NIC_SWITCH_HARDWARE_CAPABILITIES,
    OID_OFFLOAD_ENCAPSULATION, OID_PM_ADD_WOL_PATTERN, OID_PM_PARAMETERS,
    OID_PM_REMOVE_WOL_PATTERN, OID_RECEIVE_FILTER_CURRENT_CAPABILITIES,
    OID_RECEIVE_FILTER_HARDWARE_CAPABILITIES, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
    OID_TCP_OFFLOAD_PARAMETERS,
};

use super::super::binding::header;
use super::super::handed::whole;
use super::super::nic::NicConfig;
use crate::host::Host;

/// A private OID of the software NIC: a method that answers its input reversed.
pub const OID_LAB_REVERSE: NDIS_OID = NDIS_OID(0xFF01_0101);
/// A private OID of the software NIC: a 16-byte value that is read back as it was set.
pub const OID_LAB_SCRATCH: NDIS_OID = NDIS_OID(0xFF01_0102);

const DESCRIPTION: &[u8] = b"Software NIC of the lab\0";

/// What every NIC supports.
const SUPPORTED: [NDIS_OID; 23] = [
    OID_GEN_STATISTICS,
    OID_GEN_XMIT_OK,
    OID_GEN_RCV_OK,
    OID_GEN_VENDOR_ID,
    OID_GEN_VENDOR_DESCRIPTION,
    OID_GEN_VENDOR_DRIVER_VERSION,
    OID_GEN_MAXIMUM_TOTAL_SIZE,
    OID_GEN_RECEIVE_BLOCK_SIZE,
    OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_RECEIVE_BUFFER_SPACE,
    OID_GEN_TRANSMIT_BUFFER_SPACE,
    OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_LINK_PARAMETERS,
    OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_NETWORK_LAYER_ADDRESSES,
    OID_GEN_MAXIMUM_FRAME_SIZE,
    OID_802_3_MULTICAST_LIST,
    OID_802_3_MAXIMUM_LIST_SIZE,
    OID_802_3_CURRENT_ADDRESS,
    OID_802_3_PERMANENT_ADDRESS,
    OID_LAB_REVERSE,
    OID_LAB_SCRATCH,
];

enum Answer {
    Bytes(Vec<u8>),
    /// A counter that may be read as 32 or 64 bits (OID-24).
    Counter(u64),
    Refused,
}

/// NDIS_OFFLOAD with what a NIC can do.
fn offload_bytes(config: &NicConfig) -> Vec<u8> {
    let offload = config.offload_capabilities();
    // SAFETY: a structure of plain data is read as bytes.
    let bytes = unsafe {
        std::slice::from_raw_parts((&raw const offload).cast::<u8>(), size_of_val(&offload))
    };
    bytes.to_vec()
}

/// The OIDs that a NIC lists as supported.
fn supported(config: &NicConfig) -> Vec<NDIS_OID> {
    let mut all = SUPPORTED.to_vec();
    if config.pm {
        all.extend([
            OID_PM_PARAMETERS,
            OID_PM_ADD_WOL_PATTERN,
            OID_PM_REMOVE_WOL_PATTERN,
        ]);
    }
    if config.offload {
        all.extend([OID_TCP_OFFLOAD_PARAMETERS, OID_OFFLOAD_ENCAPSULATION]);
    }
    if config.rss {
        all.extend([OID_GEN_RECEIVE_SCALE_PARAMETERS, OID_GEN_RECEIVE_HASH]);
    }
    all
}

impl Host {
    /// Executes a request at a NIC; writes the counts and returns the status.
    pub(in crate::ndis) fn adapter_oid(&self, nic: usize, binding: u64, request: u64) -> i32 {
        let mut r: NDIS_OID_REQUEST = self.get(request, "OidRequest");
        // SAFETY: every view of the union is plain data; the request's type says which is meant.
        let status = unsafe {
            if r.RequestType == NdisRequestSetInformation {
                let v = &mut r.DATA.SET_INFORMATION;
                let len = v.InformationBufferLength as usize;
                let data = if len == 0 {
                    Vec::new()
                } else {
                    self.get_bytes(v.InformationBuffer as u64, len, "InformationBuffer")
                };
                match self.adapter_set(nic, binding, v.Oid, &data) {
                    Ok(()) => {
                        v.BytesRead = len as u32;
                        r.SupportedRevision = 1;
                        NDIS_STATUS_SUCCESS.0
                    }
                    Err((status, needed)) => {
                        v.BytesNeeded = needed;
                        status
                    }
                }
            } else if r.RequestType == NdisRequestMethod {
                let v = &mut r.DATA.METHOD_INFORMATION;
                if v.Oid == OID_LAB_REVERSE {
                    let len = v.InputBufferLength;
                    if v.OutputBufferLength < len {
                        v.BytesNeeded = len;
                        NDIS_STATUS_INVALID_LENGTH.0
                    } else {
                        let mut data = if len == 0 {
                            Vec::new()
                        } else {
                            self.get_bytes(
                                v.InformationBuffer as u64,
                                len as usize,
                                "InformationBuffer",
                            )
                        };
                        data.reverse();
                        self.write_buffer(v.InformationBuffer as u64, &data);
                        v.BytesRead = len;
                        v.BytesWritten = len;
                        NDIS_STATUS_SUCCESS.0
                    }
                } else {
                    NDIS_STATUS_NOT_SUPPORTED.0
                }
            } else {
                let v = &mut r.DATA.QUERY_INFORMATION;
                let room = v.InformationBufferLength;
                match self.adapter_query(nic, binding, v.Oid) {
                    Answer::Refused => NDIS_STATUS_NOT_SUPPORTED.0,
                    Answer::Bytes(bytes) if room as usize >= bytes.len() => {
                        self.write_buffer(v.InformationBuffer as u64, &bytes);
                        v.BytesWritten = bytes.len() as u32;
                        NDIS_STATUS_SUCCESS.0
                    }
                    Answer::Bytes(bytes) => {
                        v.BytesNeeded = bytes.len() as u32;
                        NDIS_STATUS_INVALID_LENGTH.0
                    }
                    Answer::Counter(value) if room >= 8 => {
                        self.write_buffer(v.InformationBuffer as u64, &value.to_le_bytes());
                        v.BytesWritten = 8;
                        NDIS_STATUS_SUCCESS.0
                    }
                    Answer::Counter(value) if room >= 4 => {
                        self.write_buffer(
                            v.InformationBuffer as u64,
                            &(value as u32).to_le_bytes(),
                        );
                        v.BytesWritten = 4;
                        v.BytesNeeded = 8;
                        NDIS_STATUS_SUCCESS.0
                    }
                    Answer::Counter(_) => {
                        v.BytesNeeded = 8;
                        NDIS_STATUS_INVALID_LENGTH.0
                    }
                }
            }
        };
        self.put(request, r, "OidRequest");
        status
    }

    fn write_buffer(&self, at: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            self.put(at + i as u64, *byte, "InformationBuffer");
        }
    }

    fn adapter_set(
        &self,
        nic: usize,
        binding: u64,
        oid: NDIS_OID,
        data: &[u8],
    ) -> Result<(), (i32, u32)> {
        let short = |needed: u32| Err((NDIS_STATUS_INVALID_LENGTH.0, needed));
        let unsupported = Err((NDIS_STATUS_NOT_SUPPORTED.0, 0));
        match oid {
            OID_GEN_CURRENT_PACKET_FILTER => {
                let Some(value) = data.first_chunk::<4>() else {
                    return short(4);
                };
                let filter = u32::from_le_bytes(*value);
                let (supported, refuses) = self.ndis(|n| {
                    let config = &n.nics[nic].config;
                    (config.packet_filters(), config.refuse_promiscuous)
                });
                if filter & !supported != 0 {
                    return unsupported;
                }
                if refuses && filter & NDIS_PACKET_TYPE_PROMISCUOUS != 0 {
                    return Err((NDIS_STATUS_FAILURE.0, 0));
                }
                self.ndis(|n| {
                    if let Some(b) = n.bindings.get_mut(&binding) {
                        b.packet_filter = filter;
                    }
                });
                Ok(())
            }
            OID_802_3_MULTICAST_LIST => {
                if !data.len().is_multiple_of(6) {
                    return short(0);
                }
                let most = self.ndis(|n| n.nics[nic].config.max_multicast);
                let groups = data.chunks(6).all(|address| address[0] & 1 != 0);
                if data.len() / 6 > most as usize || !groups {
                    return Err((NDIS_STATUS_MULTICAST_FULL.0, 0));
                }
                self.ndis(|n| {
                    if let Some(b) = n.bindings.get_mut(&binding) {
                        b.multicast = data.to_vec();
                    }
                });
                Ok(())
            }
            OID_GEN_CURRENT_LOOKAHEAD => {
                if data.len() < 4 {
                    short(4)
                } else {
                    Ok(())
                }
            }
            OID_GEN_LINK_PARAMETERS
            | OID_GEN_INTERRUPT_MODERATION
            | OID_GEN_NETWORK_LAYER_ADDRESSES => Ok(()),
            OID_PM_PARAMETERS | OID_PM_ADD_WOL_PATTERN | OID_PM_REMOVE_WOL_PATTERN => {
                if self.ndis(|n| n.nics[nic].config.pm) {
                    self.ndis(|n| {
                        if let Some(b) = n.bindings.get_mut(&binding) {
                            if oid == OID_PM_ADD_WOL_PATTERN {
                                b.wake.insert(oid.0);
                            } else if oid == OID_PM_REMOVE_WOL_PATTERN {
                                b.wake.remove(&OID_PM_ADD_WOL_PATTERN.0);
                            }
                        }
                    });
                    Ok(())
                } else {
                    unsupported
                }
            }
            OID_TCP_OFFLOAD_PARAMETERS | OID_OFFLOAD_ENCAPSULATION => {
                if self.ndis(|n| n.nics[nic].config.offload) {
                    let bytes = self.ndis(|n| offload_bytes(&n.nics[nic].config));
                    // STS-6: the settings that are in force now.
                    self.spawn_after(
                        3_000,
                        crate::engine::Job::dpc("NIC indicates its offload", move |host| {
                            host.nic_status(nic, NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG.0, &bytes);
                        }),
                    );
                    Ok(())
                } else {
                    unsupported
                }
            }
            OID_GEN_RECEIVE_SCALE_PARAMETERS | OID_GEN_RECEIVE_HASH => {
                if self.ndis(|n| n.nics[nic].config.rss) {
                    Ok(())
                } else {
                    unsupported
                }
            }
            OID_LAB_SCRATCH => {
                let Some(value) = data.first_chunk::<16>() else {
                    return short(16);
                };
                self.ndis(|n| n.nics[nic].scratch = *value);
                Ok(())
            }
            _ => unsupported,
        }
    }

    fn adapter_query(&self, nic: usize, binding: u64, oid: NDIS_OID) -> Answer {
        let (config, mix, scratch) = self.ndis(|n| {
            let x = &n.nics[nic];
            (x.config.clone(), x.mix, x.scratch)
        });
        let number = |v: u32| Answer::Bytes(v.to_le_bytes().to_vec());
        match oid {
            OID_GEN_STATISTICS => {
                // SAFETY: plain data of the ABI; all zero is a value of it.
                let mut s: NDIS_STATISTICS_INFO = unsafe { std::mem::zeroed() };
                s.Header = header(
                    ndis_sys::NDIS_OBJECT_TYPE_DEFAULT,
                    1,
                    size_of::<NDIS_STATISTICS_INFO>(),
                );
                s.SupportedStatistics = 0xFFFF_FFFF >> 4;
                s.ifHCInOctets = mix.bytes_received;
                s.ifHCInUcastPkts = mix.receives;
                s.ifHCOutOctets = mix.bytes_sent;
                s.ifHCOutUcastPkts = mix.sends;
                s.ifInDiscards = mix.dropped;
                let mut bytes = vec![0_u8; size_of::<NDIS_STATISTICS_INFO>()];
                // SAFETY: a structure of plain data is copied into as many bytes.
                unsafe {
                    bytes
                        .as_mut_ptr()
                        .cast::<NDIS_STATISTICS_INFO>()
                        .write_unaligned(s);
                };
                Answer::Bytes(bytes)
            }
            // NDIS answers it from the attributes of the adapter's miniport (ATR-10).
            OID_GEN_SUPPORTED_LIST => {
                let list = supported(&config);
                Answer::Bytes(list.iter().flat_map(|oid| oid.0.to_le_bytes()).collect())
            }
            // NDIS answers this one as well, from the offload attributes.
            OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES if config.offload => {
                Answer::Bytes(offload_bytes(&config))
            }
            // Nor do these reach a miniport: they are in its hardware assist attributes.
            OID_RECEIVE_FILTER_HARDWARE_CAPABILITIES | OID_RECEIVE_FILTER_CURRENT_CAPABILITIES => {
                let current = oid == OID_RECEIVE_FILTER_CURRENT_CAPABILITIES;
                let filters = config.assist.filters(current);
                filters.map_or(Answer::Refused, |c| Answer::Bytes(whole(&c)))
            }
            OID_NIC_SWITCH_HARDWARE_CAPABILITIES | OID_NIC_SWITCH_CURRENT_CAPABILITIES => {
                let current = oid == OID_NIC_SWITCH_CURRENT_CAPABILITIES;
                let switch = config.assist.switch(current);
                switch.map_or(Answer::Refused, |c| Answer::Bytes(whole(&c)))
            }
            OID_GEN_XMIT_OK => Answer::Counter(mix.sends),
            OID_GEN_RCV_OK => Answer::Counter(mix.receives),
            OID_GEN_VENDOR_ID => number(0x00FF_FFFF),
            OID_GEN_VENDOR_DESCRIPTION => Answer::Bytes(DESCRIPTION.to_vec()),
            OID_GEN_VENDOR_DRIVER_VERSION => number(0x0001_0000),
            OID_GEN_MAXIMUM_TOTAL_SIZE
            | OID_GEN_RECEIVE_BLOCK_SIZE
            | OID_GEN_TRANSMIT_BLOCK_SIZE => number(config.mtu + 14),
            OID_GEN_RECEIVE_BUFFER_SPACE => number((config.mtu + 14) * config.receive_lists as u32),
            OID_GEN_TRANSMIT_BUFFER_SPACE => number((config.mtu + 14) * 256),
            OID_GEN_CURRENT_LOOKAHEAD | OID_GEN_MAXIMUM_FRAME_SIZE => number(config.mtu),
            OID_GEN_CURRENT_PACKET_FILTER => {
                number(self.ndis(|n| n.bindings.get(&binding).map_or(0, |b| b.packet_filter)))
            }
            OID_802_3_MULTICAST_LIST => Answer::Bytes(self.ndis(|n| {
                n.bindings
                    .get(&binding)
                    .map(|b| b.multicast.clone())
                    .unwrap_or_default()
            })),
            OID_802_3_CURRENT_ADDRESS | OID_802_3_PERMANENT_ADDRESS => {
                Answer::Bytes(config.mac.to_vec())
            }
            OID_802_3_MAXIMUM_LIST_SIZE => number(config.max_multicast),
            OID_GEN_MAC_OPTIONS => number(config.mac_options()),
            OID_LAB_SCRATCH => Answer::Bytes(scratch.to_vec()),
            OID_GEN_INTERRUPT_MODERATION => {
                let h = header(
                    ndis_sys::NDIS_OBJECT_TYPE_DEFAULT,
                    1,
                    size_of::<NDIS_INTERRUPT_MODERATION_PARAMETERS>(),
                );
                let [low, high] = h.Size.to_le_bytes();
                let mut bytes = vec![h.Type, h.Revision, low, high, 0, 0, 0, 0];
                bytes.extend(NdisInterruptModerationNotSupported.0.to_le_bytes());
                Answer::Bytes(bytes)
            }
            _ => Answer::Refused,
        }
    }
}

//! What a NIC is, and what it says of itself.

use ndis_sys::{
    MediaConnectStateConnected, MediaConnectStateDisconnected, NDIS_MAC_OPTION_8021P_PRIORITY,
    NDIS_MAC_OPTION_8021Q_VLAN, NDIS_MAC_OPTION_NO_LOOPBACK, NDIS_MAC_OPTION_TRANSFERS_NOT_PEND,
    NDIS_MEDIA_CONNECT_STATE, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_OFFLOAD,
    NDIS_OBJECT_TYPE_RSS_CAPABILITIES, NDIS_OFFLOAD, NDIS_PACKET_TYPE_ALL_MULTICAST,
    NDIS_PACKET_TYPE_BROADCAST, NDIS_PACKET_TYPE_DIRECTED, NDIS_PACKET_TYPE_MULTICAST,
    NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_PHYSICAL_MEDIUM, NDIS_PM_CAPABILITIES,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NdisDeviceStateD2, NdisPhysicalMedium802_3,
    NdisPhysicalMediumNative802_11,
};

use super::Assist;
use crate::ndis::binding::header;
use crate::ndis::tasks::Tasks;

/// What a NIC is.
#[derive(Clone, Debug)]
pub struct NicConfig {
    /// Name; its device is `\DEVICE\<name>`.
    pub name: String,
    /// Permanent and current address.
    pub mac: [u8; 6],
    /// MTU without the Ethernet header.
    pub mtu: u32,
    /// Bits per second.
    pub link_speed: u64,
    /// One-way latency of the wire in nanoseconds.
    pub latency: u64,
    /// Lists for receives.
    pub receive_lists: u64,
    /// Frames that wait for a receive list before more are dropped.
    pub queue_depth: usize,
    /// Share of sends (0 to 1) that pend.
    pub pend: f64,
    /// Share of receive batches (0 to 1) that are lent with RESOURCES.
    pub resources: f64,
    /// Whether pended sends complete out of order.
    pub out_of_order: bool,
    /// Whether a send is complete only when its frame has left at the link's speed, as with
    /// an adapter that has a ring: every send pends, and what a driver has outstanding is its
    /// load. A frame that has not left when the cable is pulled is lost, and its list fails.
    pub paced: bool,
    /// Largest receive batch.
    pub batch: u64,
    /// Data backfill it wants of senders.
    pub data_backfill: u32,
    /// Context backfill it wants of senders.
    pub context_backfill: u32,
    /// Context room of the lists it indicates.
    pub receive_context: u16,
    /// Reports power management capabilities.
    pub pm: bool,
    /// Reports RSS.
    pub rss: bool,
    /// Reports checksum offload.
    pub offload: bool,
    /// Interface index.
    pub if_index: u32,
    /// Cable plugged in.
    pub connected: bool,
    /// Indicates frames of any length, even none, in MDL chains that no sound adapter makes.
    pub rough: bool,
    /// Takes VLAN tags out of frames and puts them in (`NDIS_MAC_OPTION_8021Q_VLAN`): they
    /// travel beside the frame. Without it only priority tags (VLAN 0) do.
    pub vlan_offload: bool,
    /// Offers promiscuous mode and fails the request that sets it.
    pub refuse_promiscuous: bool,
    /// Multicast addresses it holds; a longer list is refused.
    pub max_multicast: u32,
    /// What it is to NDIS and to those who send through it.
    pub medium: Medium,
    /// Share of received lists (0 to 1) that are read-only, their data on protected pages.
    pub read_only_ratio: f64,
    /// Where received frames are split over MDLs.
    pub split: Split,
    /// Unused bytes before the data of received frames.
    pub receive_backfill: u32,
    /// What it does in the stack's place, if `offload` says that it reports it.
    pub tasks: Tasks,
    /// Receive filters and NIC switch.
    pub assist: Assist,
}

/// Physical medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// Ethernet.
    #[default]
    Ethernet,
    /// Native 802.11: one MAC address only. Frames from any other are dropped (and counted in
    /// [`NicMix::foreign`](super::NicMix::foreign)), promiscuous mode is not offered.
    Wifi,
}

/// Where received frames are split over MDLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// Some frames in two MDLs, the first with all headers.
    #[default]
    Deep,
    /// Behind the MAC header or behind the network header, as header-data split may (RCV-13).
    Headers,
    /// Every frame at this byte, whatever lies there: hostile.
    At(usize),
    /// Up to four cuts anywhere in the first 80 bytes: hostile.
    Anywhere,
}

impl Default for NicConfig {
    fn default() -> Self {
        Self {
            name: "NIC0".into(),
            mac: [0x02, 0, 0, 0, 0, 0x01],
            mtu: 1500,
            link_speed: 10_000_000_000,
            latency: 5_000,
            receive_lists: 256,
            queue_depth: 4096,
            pend: 0.5,
            resources: 0.1,
            out_of_order: true,
            paced: false,
            batch: 32,
            data_backfill: 0,
            context_backfill: 0,
            receive_context: 64,
            pm: true,
            rss: true,
            offload: true,
            if_index: 1,
            connected: true,
            rough: false,
            vlan_offload: false,
            refuse_promiscuous: false,
            max_multicast: 32,
            medium: Medium::Ethernet,
            read_only_ratio: 0.0,
            split: Split::Deep,
            receive_backfill: 0,
            tasks: Tasks::default(),
            assist: Assist::default(),
        }
    }
}

/// Writes a word of a structure whose members are words.
fn put_word(offload: &mut NDIS_OFFLOAD, at: usize, word: u32) {
    debug_assert!(at + 4 <= size_of::<NDIS_OFFLOAD>());
    // SAFETY: plain data of four-byte alignment; every caller's offset is a multiple of four
    // within it.
    unsafe {
        std::ptr::from_mut(offload)
            .cast::<u32>()
            .add(at / 4)
            .write(word);
    }
}

impl NicConfig {
    /// Whether frames come up split where no sound adapter splits them.
    pub(crate) const fn splits_anywhere(&self) -> bool {
        self.rough || matches!(self.split, Split::At(_) | Split::Anywhere)
    }

    pub(crate) const fn mac_options(&self) -> u32 {
        let vlan = if self.vlan_offload {
            NDIS_MAC_OPTION_8021Q_VLAN
        } else {
            0
        };
        NDIS_MAC_OPTION_NO_LOOPBACK
            | NDIS_MAC_OPTION_8021P_PRIORITY
            | NDIS_MAC_OPTION_TRANSFERS_NOT_PEND
            | vlan
    }

    pub(crate) const fn physical_medium(&self) -> NDIS_PHYSICAL_MEDIUM {
        match self.medium {
            Medium::Ethernet => NdisPhysicalMedium802_3,
            Medium::Wifi => NdisPhysicalMediumNative802_11,
        }
    }

    pub(crate) const fn connect_state(&self) -> NDIS_MEDIA_CONNECT_STATE {
        if self.connected {
            MediaConnectStateConnected
        } else {
            MediaConnectStateDisconnected
        }
    }

    pub(crate) const fn packet_filters(&self) -> u32 {
        let all = NDIS_PACKET_TYPE_DIRECTED
            | NDIS_PACKET_TYPE_MULTICAST
            | NDIS_PACKET_TYPE_ALL_MULTICAST
            | NDIS_PACKET_TYPE_BROADCAST;
        match self.medium {
            Medium::Ethernet => all | NDIS_PACKET_TYPE_PROMISCUOUS,
            Medium::Wifi => all,
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "a property of this NIC, whatever it depends on"
    )]
    pub(crate) fn pm_capabilities(&self) -> NDIS_PM_CAPABILITIES {
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut pm: NDIS_PM_CAPABILITIES = unsafe { std::mem::zeroed() };
        pm.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            2,
            size_of::<NDIS_PM_CAPABILITIES>(),
        );
        pm.SupportedWoLPacketPatterns = 1;
        pm.NumTotalWoLPatterns = 8;
        pm.MaxWoLPatternSize = 128;
        pm.MinMagicPacketWakeUp = NdisDeviceStateD2;
        pm.MinPatternWakeUp = NdisDeviceStateD2;
        pm
    }

    #[expect(
        clippy::unused_self,
        reason = "a property of this NIC, whatever it depends on"
    )]
    pub(crate) fn rss_capabilities(&self) -> NDIS_RECEIVE_SCALE_CAPABILITIES {
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut rss: NDIS_RECEIVE_SCALE_CAPABILITIES = unsafe { std::mem::zeroed() };
        rss.Header = header(
            NDIS_OBJECT_TYPE_RSS_CAPABILITIES,
            2,
            size_of::<NDIS_RECEIVE_SCALE_CAPABILITIES>(),
        );
        rss.NumberOfInterruptMessages = 1;
        rss.NumberOfReceiveQueues = 1;
        rss.NumberOfIndirectionTableEntries = 128;
        rss
    }

    pub(crate) fn offload_capabilities(&self) -> NDIS_OFFLOAD {
        // SAFETY: plain data of the ABI; all zero (nothing offloaded) is a value of it.
        let mut o: NDIS_OFFLOAD = unsafe { std::mem::zeroed() };
        o.Header = header(NDIS_OBJECT_TYPE_OFFLOAD, 6, size_of::<NDIS_OFFLOAD>());
        if self.tasks.checksums {
            // Each task of both IP versions, on Ethernet.
            for (at, bits) in [
                (4, 2),
                (8, 0x155),
                (12, 2),
                (16, 0x155),
                (20, 2),
                (24, 0x55),
                (28, 2),
                (32, 0x55),
            ] {
                put_word(&mut o, at, bits);
            }
        }
        if self.tasks.large_send > 0 {
            for (at, word) in [
                (80, 2),
                (84, self.tasks.large_send),
                (88, 2),
                (92, 2),
                (96, self.tasks.large_send),
                (100, 2),
            ] {
                put_word(&mut o, at, word);
            }
        }
        if self.tasks.coalesce {
            put_word(&mut o, 144, 0x0101);
        }
        o
    }
}

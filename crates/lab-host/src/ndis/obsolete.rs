//! What NDIS 5 had, and what NDIS 6.20 made obsolete.
//!
//! An image that imports a function of NDIS 5 loads: a driver may have the call in code that
//! never runs. Whoever calls one is stopped (MPR-10).

use crate::api::api;
use crate::host::Host;

impl Host {
    /// Something that a driver of NDIS 6.20 or later avoids (VER-2).
    pub(crate) fn obsolete(&self, name: &str, instead: &str) {
        let declared = self.ndis(|n| {
            let mut mine = n
                .drivers
                .values()
                .filter(|d| d.driver_object == n.driver_object);
            mine.next().map(|d| d.chars.MinorNdisVersion)
        });
        if let Some(minor @ 20..) = declared {
            self.violate(
                "VER-2",
                format!(
                    "{name} is obsolete since NDIS 6.20, the driver declares 6.{minor}: {instead}"
                ),
            );
        }
    }
}

macro_rules! of_ndis_5 {
    ($($name:ident)*) => {
        api! { of_ndis_5:
            $(
                /// Of NDIS 5.
                "ndis.sys" 0..=2 "IRQ-11"
                fn $name(host) {
                    host.fatal("MPR-10", concat!(stringify!($name), " is a function of NDIS 5"))
                }
            )*
        }
    };
}
of_ndis_5! {
    NdisInitializeWrapper
    NdisMInitializeWrapper
    NdisTerminateWrapper
    NdisMRegisterMiniport
    NdisMRegisterUnloadHandler
    NdisMSetAttributes
    NdisMSetAttributesEx
    NdisIMRegisterLayeredMiniport
    NdisIMDeregisterLayeredMiniport
    NdisIMInitializeDeviceInstance
    NdisIMNotifyPnPEvent
    NdisIMCopySendPerPacketInfo
    NdisIMCopySendCompletePerPacketInfo
    NdisIMGetCurrentPacketStack
    NdisRegisterProtocol
    NdisDeregisterProtocol
    NdisOpenAdapter
    NdisCloseAdapter
    NdisCompleteBindAdapter
    NdisCompleteUnbindAdapter
    NdisCompletePnPEvent
    NdisRequest
    NdisReset
    NdisSend
    NdisSendPackets
    NdisTransferData
    NdisReturnPackets
    NdisGetReceivedPacket
    NdisGetPacketCancelId
    NdisSetPacketCancelId
    NdisCancelSendPackets
    NdisAllocatePacket
    NdisFreePacket
    NdisAllocatePacketPool
    NdisAllocatePacketPoolEx
    NdisFreePacketPool
    NdisPacketPoolUsage
    NdisAllocateBuffer
    NdisAllocateBufferPool
    NdisFreeBufferPool
    NdisUnchainBufferAtFront
    NdisUnchainBufferAtBack
    NdisCopyFromPacketToPacket
    NdisGetPoolFromPacket
}

api! { obsolete:
    /// Number of processors, at most 64.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisSystemProcessorCount(host) -> i8 {
        host.obsolete("NdisSystemProcessorCount", "NdisGroupActiveProcessorCount counts all");
        host.processors() as i8
    }
}

/// The functions of this file.
pub(crate) fn exports() -> Vec<crate::api::Api> {
    let mut all = of_ndis_5();
    all.extend(obsolete());
    all
}

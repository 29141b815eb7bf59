//! Receive filters and the NIC switch of an adapter: what it reports of them, and how it says
//! that they are other ones.
//!
//! They are reported and no more: the adapter allocates no queue and no port. A driver above
//! that shows them has to tell when they change (LBF-3), and that needs no frame in a queue.

use ndis_sys::{
    GROUP_AFFINITY, NDIS_NIC_SWITCH_CAPABILITIES, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_RECEIVE_FILTER_CAPABILITIES,
    NDIS_RECEIVE_FILTER_DYNAMIC_PROCESSOR_AFFINITY_CHANGE_SUPPORTED,
    NDIS_RECEIVE_FILTER_INTERRUPT_VECTOR_COALESCING_SUPPORTED,
    NDIS_RECEIVE_FILTER_MAC_HEADER_DEST_ADDR_SUPPORTED, NDIS_RECEIVE_FILTER_MAC_HEADER_SUPPORTED,
    NDIS_RECEIVE_FILTER_MSI_X_SUPPORTED, NDIS_RECEIVE_FILTER_TEST_HEADER_FIELD_EQUAL_SUPPORTED,
    NDIS_RECEIVE_FILTER_VM_QUEUE_SUPPORTED, NDIS_RECEIVE_FILTER_VM_QUEUES_ENABLED,
    NDIS_RECEIVE_FILTER_VMQ_FILTERS_ENABLED, NDIS_RECEIVE_QUEUE_PARAMETERS,
    NDIS_RECEIVE_QUEUE_PARAMETERS_INTERRUPT_COALESCING_DOMAIN_ID_CHANGED,
    NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES, NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES,
    NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES,
    NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES, NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS,
    NdisReceiveQueueTypeVMQueue,
};

use crate::host::Host;
use crate::ndis::binding::header;
use crate::ndis::handed::{Handed, whole};

/// The NDIS version of the adapter's own driver, which decides on the form of its statuses.
const MINOR: u8 = 87;

/// What an adapter has for virtual machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assist {
    /// Queues that its receive filters lead to (VMQ); 0 for none.
    pub queues: u32,
    /// Ports of its NIC switch (SR-IOV); 0 for none. With a switch there are receive filters
    /// too, which lead to its ports: there are no queues then.
    pub vports: u32,
    /// Switched on. What is switched off is a capability of the hardware still.
    pub enabled: bool,
    /// Interrupt coalescing domain of the default receive queue.
    pub domain: u32,
}

impl Default for Assist {
    fn default() -> Self {
        Self {
            queues: 0,
            vports: 0,
            enabled: true,
            domain: 0,
        }
    }
}

impl Assist {
    /// Queues of the receive filters, if there are such: of the hardware, or switched on.
    pub(crate) fn queues(&self, current: bool) -> Option<u32> {
        let there = (self.queues > 0 || self.vports > 0) && (self.enabled || !current);
        there.then_some(if self.vports > 0 { 0 } else { self.queues })
    }

    /// Ports of the NIC switch, if there is one: of the hardware, or switched on.
    pub(crate) fn vports(&self, current: bool) -> Option<u32> {
        let there = self.vports > 0 && (self.enabled || !current);
        there.then_some(self.vports)
    }

    /// Receive filters of the hardware or those that are switched on; nothing without hardware,
    /// all zero if it is switched off.
    pub(crate) fn filters(&self, current: bool) -> Option<NDIS_RECEIVE_FILTER_CAPABILITIES> {
        self.queues(false)?;
        // SAFETY: plain data of the ABI; all zero (nothing is filtered) is a value of it.
        let mut c: NDIS_RECEIVE_FILTER_CAPABILITIES = unsafe { std::mem::zeroed() };
        c.Header = Handed::Filters.header(NDIS_OBJECT_TYPE_DEFAULT, MINOR);
        if let Some(queues) = self.queues(current) {
            c.EnabledFilterTypes = NDIS_RECEIVE_FILTER_VMQ_FILTERS_ENABLED;
            // With SR-IOV alone there are ports in place of queues.
            if queues > 0 {
                c.EnabledQueueTypes = NDIS_RECEIVE_FILTER_VM_QUEUES_ENABLED;
            }
            c.NumQueues = queues;
            c.SupportedQueueProperties = NDIS_RECEIVE_FILTER_MSI_X_SUPPORTED
                | NDIS_RECEIVE_FILTER_VM_QUEUE_SUPPORTED
                | NDIS_RECEIVE_FILTER_DYNAMIC_PROCESSOR_AFFINITY_CHANGE_SUPPORTED
                | NDIS_RECEIVE_FILTER_INTERRUPT_VECTOR_COALESCING_SUPPORTED;
            c.SupportedFilterTests = NDIS_RECEIVE_FILTER_TEST_HEADER_FIELD_EQUAL_SUPPORTED;
            c.SupportedHeaders = NDIS_RECEIVE_FILTER_MAC_HEADER_SUPPORTED;
            c.SupportedMacHeaderFields = NDIS_RECEIVE_FILTER_MAC_HEADER_DEST_ADDR_SUPPORTED;
            c.MaxMacHeaderFilters = self.queues.max(self.vports);
        }
        Some(c)
    }

    /// The same of the NIC switch.
    pub(crate) fn switch(&self, current: bool) -> Option<NDIS_NIC_SWITCH_CAPABILITIES> {
        self.vports(false)?;
        // SAFETY: plain data of the ABI; all zero (no switch) is a value of it.
        let mut c: NDIS_NIC_SWITCH_CAPABILITIES = unsafe { std::mem::zeroed() };
        c.Header = Handed::Switch.header(NDIS_OBJECT_TYPE_DEFAULT, MINOR);
        if let Some(vports) = self.vports(current) {
            c.MaxNumSwitches = 1; // Windows knows the default switch only
            c.MaxNumVPorts = vports;
            c.MaxNumVFs = vports - 1; // one port is always the adapter's own
            c.MaxNumQueuePairs = vports;
            c.MaxNumQueuePairsPerNonDefaultVPort = 1;
            c.MaxNumQueuePairsForDefaultVPort = 1;
            c.MaxNumMacAddresses = vports;
        }
        Some(c)
    }

    /// Filters, or an all-zero structure where there are none any more.
    fn filter_bytes(&self, current: bool) -> Vec<u8> {
        let none = || {
            Self {
                queues: 1,
                enabled: false,
                ..*self
            }
            .filters(true)
        };
        let c = self.filters(current).or_else(none);
        c.map_or_else(Vec::new, |c| whole(&c))
    }

    /// As [`Self::filter_bytes`].
    fn switch_bytes(&self, current: bool) -> Vec<u8> {
        let none = || {
            Self {
                vports: 1,
                enabled: false,
                ..*self
            }
            .switch(true)
        };
        let c = self.switch(current).or_else(none);
        c.map_or_else(Vec::new, |c| whole(&c))
    }

    /// What an adapter says that had `before` and has this now: status and buffer.
    fn news(&self, before: &Self) -> Vec<(i32, Vec<u8>)> {
        let mut news = Vec::new();
        for (code, current) in [
            (NDIS_STATUS_RECEIVE_FILTER_HARDWARE_CAPABILITIES, false),
            (NDIS_STATUS_RECEIVE_FILTER_CURRENT_CAPABILITIES, true),
        ] {
            if self.queues(current) != before.queues(current) {
                news.push((code.0, self.filter_bytes(current)));
            }
        }
        for (code, current) in [
            (NDIS_STATUS_NIC_SWITCH_HARDWARE_CAPABILITIES, false),
            (NDIS_STATUS_NIC_SWITCH_CURRENT_CAPABILITIES, true),
        ] {
            if self.vports(current) != before.vports(current) {
                news.push((code.0, self.switch_bytes(current)));
            }
        }
        news
    }
}

/// The default receive queue's parameters, of which the domain is another one.
fn queue_parameters(domain: u32) -> Vec<u8> {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut q: NDIS_RECEIVE_QUEUE_PARAMETERS = unsafe { std::mem::zeroed() };
    let (revision, size) = Handed::Queue.of(MINOR);
    q.Header = header(NDIS_OBJECT_TYPE_DEFAULT, revision, usize::from(size));
    // Nothing else may be told by this status since NDIS 6.30.
    q.Flags = NDIS_RECEIVE_QUEUE_PARAMETERS_INTERRUPT_COALESCING_DOMAIN_ID_CHANGED;
    q.QueueType = NdisReceiveQueueTypeVMQueue;
    q.ProcessorAffinity = GROUP_AFFINITY {
        Mask: 1,
        ..q.ProcessorAffinity
    };
    q.InterruptCoalescingDomainId = domain;
    whole(&q)
}

impl Host {
    /// An adapter says what is new about its receive filters and its NIC switch.
    pub(super) fn tell_assist(&self, nic: usize, before: &Assist) {
        let now = self.ndis(|n| n.nics[nic].config.assist);
        for (code, buffer) in now.news(before) {
            self.nic_status(nic, code, &buffer);
        }
    }

    /// The default receive queue of an adapter moves into another interrupt coalescing domain,
    /// and the adapter says so. One without queues, or whose queues are switched off, does
    /// nothing.
    pub fn move_queue(&self, nic: usize, domain: u32) {
        let moves = self.ndis(|n| {
            let assist = &mut n.nics[nic].config.assist;
            let moves = assist.queues(true).is_some_and(|q| q > 0) && assist.domain != domain;
            if moves {
                assist.domain = domain;
            }
            moves
        });
        if moves {
            self.queue_is_owed(nic);
            let code = NDIS_STATUS_RECEIVE_FILTER_QUEUE_PARAMETERS;
            self.nic_status(nic, code.0, &queue_parameters(domain));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Assist = Assist {
        queues: 0,
        vports: 0,
        enabled: true,
        domain: 0,
    };
    const QUEUES: Assist = Assist { queues: 8, ..NONE };
    const SWITCH: Assist = Assist {
        vports: 4,
        ..QUEUES
    };

    #[test]
    fn what_is_not_there_is_not_reported() {
        assert!(NONE.filters(false).is_none() && NONE.switch(false).is_none());
        assert!(QUEUES.switch(false).is_none());
        let filters = QUEUES.filters(true).expect("filters");
        assert_eq!((filters.NumQueues, filters.EnabledQueueTypes), (8, 1));
        // SR-IOV has filters, which lead to no queue.
        let filters = SWITCH.filters(true).expect("filters");
        assert_eq!((filters.NumQueues, filters.EnabledQueueTypes), (0, 0));
        let switch = SWITCH.switch(true).expect("a switch");
        assert!(switch.MaxNumVPorts > switch.MaxNumVFs);
        assert!(switch.MaxNumQueuePairs >= switch.MaxNumVPorts);
        assert!(switch.MaxNumMacAddresses >= switch.MaxNumVPorts);
    }

    #[test]
    fn what_is_switched_off_is_there_in_hardware() {
        let off = Assist {
            enabled: false,
            ..SWITCH
        };
        assert_eq!(off.filters(false).expect("filters").EnabledFilterTypes, 1);
        assert_eq!(off.filters(true).expect("filters").EnabledFilterTypes, 0);
        assert_eq!(off.switch(false).expect("a switch").MaxNumVPorts, 4);
        assert_eq!(off.switch(true).expect("a switch").MaxNumVPorts, 0);
    }

    #[test]
    fn an_adapter_tells_what_changed() {
        let codes = |now: Assist, before: Assist| {
            let news = now.news(&before);
            news.into_iter()
                .map(|(code, buffer)| (code & 0xFF, buffer.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(codes(QUEUES, QUEUES), []);
        assert_eq!(codes(NONE, QUEUES), [(0x20, 84), (0x10, 84)]);
        let off = Assist {
            enabled: false,
            ..QUEUES
        };
        assert_eq!(codes(off, QUEUES), [(0x10, 84)]);
        let all = [(0x20, 84), (0x10, 84), (0x50, 132), (0x40, 132)];
        assert_eq!(codes(SWITCH, NONE), all);
        assert_eq!(codes(NONE, SWITCH), all);
        let parameters = queue_parameters(7);
        assert_eq!(parameters.len(), 1096);
        assert_eq!(parameters[1088..1092], [7, 0, 0, 0]);
    }
}

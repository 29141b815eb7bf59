//! Status indications, from a NIC up and from the driver up.

use ndis_sys::{
    NDIS_LINK_STATE, NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_STATUS_INDICATION,
    NDIS_STATUS_INDICATION, NDIS_STATUS_LINK_STATE, NDIS_STATUS_OPER_STATUS,
    NDIS_STATUS_PM_CAPABILITIES_CHANGE, NDIS_STATUS_RESET_END, NDIS_STATUS_RESET_START,
};

use super::binding::header;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

impl Host {
    /// A NIC indicates a status to each binding. `RESET_START` and `RESET_END` also begin and
    /// end the time in which the driver lets the adapter alone (RST-2).
    pub fn nic_status(&self, nic: usize, code: i32, buffer: &[u8]) {
        if code == NDIS_STATUS_RESET_END.0 {
            self.ndis(|n| {
                n.nics[nic].resetting = None;
                for b in n.bindings.values_mut().filter(|b| b.nic == nic) {
                    b.reset_at_end |= b.unbinding;
                }
            });
        }
        let reset = code == NDIS_STATUS_RESET_START.0;
        if reset {
            self.ndis(|n| n.nics[nic].in_reset = true);
        }
        let before = self.indicated(nic, code);
        if code == NDIS_STATUS_LINK_STATE.0 {
            self.ndis(|n| n.judge.links += 1);
        }
        self.tell_bindings(nic, code, buffer);
        self.status_came(nic, code, &before);
        if code == NDIS_STATUS_RESET_END.0 {
            self.ndis(|n| n.nics[nic].in_reset = false);
        }
        if reset {
            let told = self.crossings();
            self.ndis(|n| {
                n.nics[nic].resetting = Some(told);
                for b in n.bindings.values_mut().filter(|b| b.nic == nic) {
                    b.reset_told = b.opened;
                }
            });
        }
    }

    /// RST-2: during a reset a driver calls the adapter only to return lists. What was under way
    /// when the driver was told may still arrive, and a binding made since was not told.
    pub(crate) fn not_in_reset(&self, nic: usize, name: &str) {
        let told = self.ndis(|n| {
            let mut bindings = n.bindings.values();
            let knows = bindings.any(|b| b.nic == nic && b.reset_told && !b.closed);
            n.nics[nic].resetting.filter(|_| knows)
        });
        if told.is_some_and(|told| self.call_began() >= told) {
            self.violate("RST-2", format!("{name} while the adapter below resets"));
        }
    }

    /// Crossings when the call of the driver began that is under way here.
    pub(crate) fn call_began(&self) -> u64 {
        let frames = self.local().frames.borrow();
        frames.iter().find(|f| f.callback).map_or(0, |f| f.began)
    }

    fn tell_bindings(&self, nic: usize, code: i32, buffer: &[u8]) {
        let targets = self.ndis(|n| {
            n.bindings
                .iter()
                .filter(|(_, b)| b.nic == nic && b.opened && !b.closed)
                .filter_map(|(&h, b)| {
                    let handler = n.protocols.get(&b.protocol)?.chars.StatusHandlerEx?;
                    Some((h, b.context, handler as usize as u64))
                })
                .collect::<Vec<_>>()
        });
        for (binding, context, handler) in targets {
            self.tell(nic, binding, context, handler, code, buffer);
        }
    }

    /// Indicates a status to one binding.
    pub(crate) fn tell(
        &self,
        nic: usize,
        binding: u64,
        context: u64,
        handler: u64,
        code: i32,
        buffer: &[u8],
    ) {
        {
            let size = size_of::<NDIS_STATUS_INDICATION>() as u64;
            let at = self.allocate(
                size + buffer.len() as u64,
                u32::from_le_bytes(*b"Stat"),
                "NDIS_STATUS_INDICATION",
            );
            // SAFETY: plain data of the ABI; all zero is a value of it.
            let mut s: NDIS_STATUS_INDICATION = unsafe { std::mem::zeroed() };
            s.Header = header(
                NDIS_OBJECT_TYPE_STATUS_INDICATION,
                1,
                size_of::<NDIS_STATUS_INDICATION>(),
            );
            s.SourceHandle = self.ndis(|n| n.nics[nic].sources()[0]) as *mut _;
            s.StatusCode.0 = code;
            s.StatusBuffer = if buffer.is_empty() {
                std::ptr::null_mut()
            } else {
                (at + size) as *mut _
            };
            s.StatusBufferSize = buffer.len() as u32;
            self.put(at, s, "NDIS_STATUS_INDICATION");
            let _ = self.arena.write_bytes(at + size, buffer);
            let telling = |more: bool| {
                self.ndis(|n| {
                    if let Some(b) = n.bindings.get_mut(&binding) {
                        b.telling = b.telling.saturating_add_signed(if more { 1 } else { -1 });
                    }
                });
            };
            telling(true);
            self.call("ProtocolStatusEx", binding, handler, &[context, at]);
            telling(false);
            self.release(at);
        }
    }

    /// Whether a NIC is there, and its cable in.
    pub fn is_plugged(&self, nic: usize) -> bool {
        self.ndis(|n| {
            n.nics
                .get(nic)
                .is_some_and(|x| x.config.connected && !x.gone)
        })
    }

    /// Pulls or plugs a NIC's cable, and says so.
    pub fn set_link(&self, nic: usize, connected: bool) {
        if self.plug_image(nic, connected) {
            return;
        }
        let now = self.now();
        self.disturb();
        if !connected {
            self.member_goes(nic);
        }
        let config = self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.config.connected = connected;
            if !connected {
                x.cut(now);
            }
            x.config.clone()
        });
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut l: NDIS_LINK_STATE = unsafe { std::mem::zeroed() };
        l.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, size_of::<NDIS_LINK_STATE>());
        l.MediaConnectState = config.connect_state();
        l.MediaDuplexState = ndis_sys::MediaDuplexStateFull;
        let speed = if connected { config.link_speed } else { 0 };
        l.XmitLinkSpeed = speed;
        l.RcvLinkSpeed = speed;
        let mut bytes = [0_u8; size_of::<NDIS_LINK_STATE>()];
        // SAFETY: a structure of plain data is copied into as many bytes.
        unsafe {
            bytes
                .as_mut_ptr()
                .cast::<NDIS_LINK_STATE>()
                .write_unaligned(l);
        };
        self.nic_status(nic, NDIS_STATUS_LINK_STATE.0, &bytes);
        self.link_is_owed(nic);
        self.nic_kick(nic);
    }
}

api! { exports:
    /// A virtual miniport indicates a status.
    "ndis.sys" 0..=2 "IRQ-7"
    fn NdisMIndicateStatusEx(host, miniport: u64, indication: u64) {
        if host.ndis(|n| n.handles.check(miniport, Kind::Miniport)).is_err() {
            host.violate("STS-2", format!("NdisMIndicateStatusEx on {miniport:#x}, which is no initialised miniport"));
            return;
        }
        let s: NDIS_STATUS_INDICATION = host.get(indication, "StatusIndication");
        // During the halt it may still be; after it the handle is gone.
        let (registered, asleep) = host.ndis(|n| {
            let m = &n.miniports[&miniport];
            (m.facts.registered, m.asleep)
        });
        if !registered {
            host.violate("STS-2", "a status is indicated before the registration attributes are set".into());
        }
        let unknown = s.StatusCode == NDIS_STATUS_LINK_STATE
            && s.StatusBufferSize >= 8
            && host.get::<i32>(s.StatusBuffer as u64 + 4, "StatusBuffer") == ndis_sys::MediaConnectStateUnknown.0;
        if asleep && unknown {
            host.violate("PWR-8", "the unknown link state of a sleeping miniport is indicated after OID_PNP_SET_POWER is complete".into());
        } else if asleep {
            host.violate("PWR-2", format!("status {:#x} is indicated while the virtual miniport is asleep", s.StatusCode.0));
        }
        if s.SourceHandle as u64 != miniport {
            host.violate("STS-1", format!("status {:#x} carries SourceHandle {:?}", s.StatusCode.0, s.SourceHandle));
        }
        if s.Header.Type != NDIS_OBJECT_TYPE_STATUS_INDICATION || s.Header.Revision != 1 || s.Flags != 0
            || s.StatusBufferSize > 0 && s.StatusBuffer.is_null()
        {
            host.violate("STS-1", format!("status {:#x}: type {:#x}, revision {}, flags {:#x}, {} bytes at {:?}", s.StatusCode.0, s.Header.Type, s.Header.Revision, s.Flags, s.StatusBufferSize, s.StatusBuffer));
            if s.StatusBuffer.is_null() {
                return;
            }
        }
        if [NDIS_STATUS_RESET_START, NDIS_STATUS_RESET_END, NDIS_STATUS_OPER_STATUS,
            NDIS_STATUS_PM_CAPABILITIES_CHANGE].contains(&s.StatusCode)
        {
            host.violate("STS-3", format!("status {:#x} is NDIS's own to indicate", s.StatusCode.0));
        }
        let size = s.StatusBufferSize as usize;
        let bytes = if size == 0 { Vec::new() } else { host.get_bytes(s.StatusBuffer as u64, size.min(65_536), "StatusBuffer") };
        if s.StatusCode == NDIS_STATUS_LINK_STATE && size < size_of::<NDIS_LINK_STATE>() {
            host.violate("STS-4", format!("NDIS_STATUS_LINK_STATE with {size} bytes"));
        }
        if s.StatusCode == NDIS_STATUS_LINK_STATE {
            host.link_is_told(miniport, &bytes);
        }
        // What has not the form of its status tells nobody anything.
        let formed = host.assist_has_form(miniport, s.StatusCode, &bytes);
        if formed {
            host.capabilities_told(miniport, s.StatusCode.0, &bytes);
        }
        host.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).expect("checked handle");
            *m.told.entry(s.StatusCode.0).or_default() += u64::from(formed);
            if s.StatusCode == NDIS_STATUS_LINK_STATE && bytes.len() >= 8 {
                m.facts.connect_state = i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            }
            m.statuses.push((s.StatusCode.0, bytes.clone()));
        });
        host.status_above(miniport, s.StatusCode, &bytes);
    }
}

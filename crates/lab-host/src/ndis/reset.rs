//! Reset of an adapter by its miniport driver: `MiniportResetEx` and what NDIS does around it.
//!
//! An intermediate driver has no such handler (MPR-5); a miniport driver of an adapter may. NDIS
//! tells the protocols above that the reset begins and ends, sends nothing meanwhile, and after
//! it sets filters and addresses again when the driver says that they are lost.

use ndis_sys::{
    NDIS_INTERMEDIATE_DRIVER, NDIS_STATUS_RESET_END, NDIS_STATUS_RESET_IN_PROGRESS,
    NDIS_STATUS_RESET_START, OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER,
};

use super::binding::PENDING;
use super::oid::OidCall;
use crate::api::api;
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::ledger::Owner;

/// How long a reset may take before the host says so.
const LIMIT: u64 = 10_000_000_000;

/// A reset that is under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resetting {
    /// The end of one that pended: status, and whether addresses are lost.
    ended: Option<(i32, bool)>,
}

impl Host {
    /// Resets an adapter that has `MiniportResetEx`; its status, or `None` if it has none or a
    /// reset is under way.
    pub fn reset_miniport(&self, miniport: u64) -> Option<i32> {
        let (context, handler) = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            if m.resetting.is_some() {
                return None;
            }
            let handler = n.drivers.get(&m.driver)?.chars.ResetHandlerEx?;
            m.resetting = Some(Resetting::default());
            Some((m.context, handler as usize as u64))
        })?;
        self.disturb();
        self.status_above(miniport, NDIS_STATUS_RESET_START, &[]);
        let lost = self.allocate(1, u32::from_le_bytes(*b"Rset"), "AddressingReset");
        let returned =
            self.call("MiniportResetEx", miniport, handler, &[context, lost]) as u32 as i32;
        let ended =
            |h: &Self| h.ndis(|n| n.miniports.get(&miniport).and_then(|m| m.resetting)?.ended);
        let (status, again) = if returned == PENDING {
            if !self.wait_until("for NdisMResetComplete", 100_000, LIMIT, |h| {
                ended(h).is_some()
            }) {
                self.violate(
                    "BUG-1",
                    format!(
                        "MiniportResetEx is not complete after 10 s: {}",
                        self.who_has_it()
                    ),
                );
            }
            ended(self).unwrap_or((NDIS_STATUS_RESET_IN_PROGRESS.0, false))
        } else {
            let flag: u8 = self.get(lost, "AddressingReset");
            (returned, flag != 0)
        };
        self.release(lost);
        let (filter, groups) = self.ndis(|n| {
            n.miniports
                .get_mut(&miniport)
                .map_or((None, Vec::new()), |m| {
                    m.resetting = None;
                    (m.packet_filter, m.groups.concat())
                })
        });
        if status == 0 && again {
            let _ = self.oid(miniport, &OidCall::set(OID_802_3_MULTICAST_LIST, &groups));
            if let Some(filter) = filter {
                let _ = self.oid_set_u32(miniport, OID_GEN_CURRENT_PACKET_FILTER, filter);
            }
        }
        self.status_above(miniport, NDIS_STATUS_RESET_END, &[]);
        self.disturb();
        Some(status)
    }

    /// A NIC below resets: what it was given and has not sent comes back with
    /// `NDIS_STATUS_RESET_IN_PROGRESS`; the reset lasts for `ns` nanoseconds. An adapter resets
    /// once at a time: another waits for the end of this one.
    pub fn nic_reset(&self, nic: usize, ns: u64) {
        self.wait_until("for the end of another reset", 10_000, LIMIT, |h| {
            h.ndis(|n| !std::mem::replace(&mut n.nics[nic].reset_begun, true))
        });
        self.disturb();
        self.nic_stick(nic, true);
        self.nic_status(nic, NDIS_STATUS_RESET_START.0, &[]);
        self.nic_abort(nic, NDIS_STATUS_RESET_IN_PROGRESS.0);
        self.sleep(ns);
        self.nic_status(nic, NDIS_STATUS_RESET_END.0, &[]);
        self.nic_stick(nic, false);
        self.ndis(|n| n.nics[nic].reset_begun = false);
        self.disturb();
        // RST-3: nothing that came back is forgotten.
        let came: Vec<u64> = self.ndis(|n| {
            let back = n
                .ledger
                .lists
                .iter()
                .filter(|(_, r)| r.owner == Owner::Driver);
            back.map(|(&list, _)| list)
                .filter(|list| n.judge.reset_back.contains(list))
                .collect()
        });
        self.ndis(|n| n.judge.reset_back.clear());
        if came.is_empty() {
            return;
        }
        self.spawn_after(
            5 * super::judge::SOON,
            Job::dpc("after a reset", move |host| {
                let kept = host.ndis(|n| {
                    let still = came.iter().filter(|list| {
                        n.ledger.lists.get(list).is_some_and(|r| {
                            r.owner == Owner::Driver
                                && matches!(r.path, super::ledger::Path::Send { .. })
                        })
                    });
                    still.count()
                });
                if kept > 0 {
                    host.violate(
                        "RST-3",
                        format!("{kept} lists that came back for a reset are neither sent again nor completed 5 s after it: {}", host.who_has_it()),
                    );
                }
            }),
        );
    }
}

api! { exports:
    /// A reset that pended is over.
    "ndis.sys" 0..=2 "IRQ-3"
    fn NdisMResetComplete(host, miniport: u64, status: i32, lost: u8) {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        let right = host.ndis(|n| {
            let reset = n.miniports.get_mut(&miniport).and_then(|m| m.resetting.as_mut());
            reset.is_some_and(|r| r.ended.replace((status, lost != 0)).is_none())
        });
        if !right {
            host.violate("RST-1", "NdisMResetComplete without a reset that is pending".into());
        }
    }

    /// A miniport driver asks for a reset of its adapter.
    "ndis.sys" 0..=2 "IRQ-3"
    fn NdisMResetMiniport(host, miniport: u64) {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        let intermediate = host.ndis(|n| {
            let driver = n.miniports.get(&miniport).and_then(|m| n.drivers.get(&m.driver));
            driver.is_none_or(|d| d.chars.Flags & NDIS_INTERMEDIATE_DRIVER != 0)
        });
        if intermediate {
            host.violate("RST-1", "an intermediate driver asks for a reset".into());
            return;
        }
        host.spawn(Job::thread("NDIS resets an adapter", move |host| {
            host.reset_miniport(miniport);
        }));
    }
}

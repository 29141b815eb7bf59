//! Power: either edge leaves and re-enters D0, in the order NDIS uses for a system sleep.
//!
//! Going down, the protocols above stop, the virtual miniport is set to D3, then the binding
//! is paused and told, then the adapter sleeps. Coming back, the other way round.

use ndis_sys::{
    NDIS_DEVICE_POWER_STATE, NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND, NdisDeviceStateD0,
    NdisDeviceStateD3, NetEventQueryPower, NetEventSetPower, OID_GEN_VENDOR_ID, OID_PNP_SET_POWER,
};

use super::oid::OidCall;
use crate::host::Host;

impl Host {
    /// Sets the virtual miniport's power state; returns the status of `OID_PNP_SET_POWER`.
    pub fn set_miniport_power(&self, miniport: u64, up: bool) -> i32 {
        let state = if up {
            NdisDeviceStateD0
        } else {
            NdisDeviceStateD3
        };
        let no_pause = !up
            && self.ndis(|n| {
                n.miniports.get(&miniport).is_some_and(|m| {
                    m.facts.flags & NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND != 0
                })
            });
        if !up {
            if no_pause {
                // Nobody pauses it: what is out is out, and what comes now is too late (PWR-6).
                self.hush_uppers(miniport);
            } else {
                self.pause_miniport(miniport);
            }
        }
        let set = |asleep: bool, waking: bool| {
            self.ndis(|n| {
                if let Some(m) = n.miniports.get_mut(&miniport) {
                    (m.asleep, m.waking) = (asleep, waking);
                }
            });
        };
        // It is the driver that wakes the miniport, inside the request: from then on it may
        // indicate (PWR-8). It goes to sleep when the request is complete (PWR-2).
        if up {
            set(false, true);
        }
        let call = OidCall::set(OID_PNP_SET_POWER, &state.0.to_le_bytes());
        self.disturb();
        let status = self.oid(miniport, &call).status;
        let now_asleep = up != (status == 0);
        if up || now_asleep {
            set(now_asleep, false);
        }
        let out = self.ndis(|n| n.miniports.get(&miniport).map_or(0, |m| m.sends));
        // What NDIS pauses is judged by the pause (MPS-3).
        if no_pause && out > 0 {
            self.violate(
                "PWR-6",
                format!(
                    "{out} sends are out when OID_PNP_SET_POWER to a sleeping state is complete"
                ),
            );
        }
        if !up && self.engine().is_virtual() {
            self.judge_odd_send(miniport);
            // PWR-5: it is asked, and refuses.
            if !cfg!(test) {
                let _ = self.oid(miniport, &OidCall::query(OID_GEN_VENDOR_ID, 4));
            }
        }
        self.disturb();
        if up {
            self.ndis(|n| n.judge.links += 1);
            self.link_owed_by(miniport);
        }
        let unbound = self.ndis(|n| {
            let m = n.miniports.get(&miniport).filter(|m| !m.bound)?;
            Some(m.uppers.clone())
        });
        match unbound {
            Some(uppers) if up => self.bind_uppers(miniport, &uppers),
            // It was not paused for the sleep.
            None if up && !self.restart_miniport(miniport) => self.resume_uppers(miniport),
            _ => {}
        }
        status
    }

    /// Tells a binding that the adapter below leaves D0 or is back.
    pub fn set_binding_power(&self, binding: u64, up: bool) -> i32 {
        let event = |code, state: NDIS_DEVICE_POWER_STATE| {
            self.pnp_event(binding, code, &state.0.to_le_bytes())
        };
        self.disturb();
        if up {
            self.mark(binding, false);
            self.ndis(|n| n.judge.links += 1);
            self.ndis(|n| n.judge.waking += 1);
            let status = event(NetEventSetPower, NdisDeviceStateD0);
            self.ndis(|n| n.judge.waking -= 1);
            self.restart_binding(binding);
            return status;
        }
        // What is asked meanwhile may be refused: the driver knows before its answer counts.
        self.ndis(|n| n.judge.waking += 1);
        let answer = event(NetEventQueryPower, NdisDeviceStateD3);
        let status = if answer == 0 {
            self.pause_binding(binding);
            let status = event(NetEventSetPower, NdisDeviceStateD3);
            self.mark(binding, true);
            status
        } else {
            answer
        };
        self.ndis(|n| n.judge.waking -= 1);
        if answer != 0 {
            return answer;
        }
        self.disturb();
        status
    }

    fn mark(&self, binding: u64, asleep: bool) {
        let told = self.crossings();
        self.ndis(|n| {
            if let Some(b) = n.bindings.get_mut(&binding) {
                (b.asleep, b.sleep_told) = (asleep, told);
            }
        });
    }

    fn nic_gone(&self, nic: usize) {
        let now = self.now();
        self.disturb();
        self.ndis(|n| {
            n.nics[nic].gone = true;
            n.nics[nic].cut(now);
        });
    }

    /// A virtual miniport is removed by surprise.
    fn miniport_gone(&self, miniport: u64) {
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.removed = true;
            }
        });
        self.device_event(miniport, ndis_sys::NdisDevicePnPEventSurpriseRemoved.0, &[]);
        self.ask_removed(miniport);
    }

    /// DPE-1: a request that still comes after the device is gone ends with NOT_ACCEPTED.
    fn ask_removed(&self, miniport: u64) {
        let awake = self.ndis(|n| {
            n.miniports
                .get(&miniport)
                .is_some_and(|m| !m.asleep && !m.oid_busy)
        });
        if !awake {
            return;
        }
        let call = super::OidCall::query(ndis_sys::OID_GEN_VENDOR_ID, 4);
        let status = self.oid(miniport, &call).status;
        if status != ndis_sys::NDIS_STATUS_NOT_ACCEPTED.0 {
            self.violate(
                "DPE-1",
                format!(
                    "a request after SurpriseRemoved ended with {status:#x}, not with NOT_ACCEPTED"
                ),
            );
        }
    }

    /// The adapter vanishes, as [`Host::surprise_remove`] with every virtual miniport that is on
    /// it alone.
    pub fn surprise_remove_adapter(&self, nic: usize, binding: u64) {
        self.nic_gone(nic);
        for name in self.upper_bindings(binding) {
            // A device with another adapter below it stays.
            let others = self.bindings_of(&name).iter().any(|&b| b != binding);
            let Some(miniport) = self.miniport(&name).filter(|_| !others) else {
                continue;
            };
            self.miniport_gone(miniport);
        }
        self.unbind(binding);
    }

    /// The adapter vanishes: what it holds fails, the virtual miniport is told, the binding goes.
    pub fn surprise_remove(&self, nic: usize, binding: u64, miniport: Option<u64>) {
        self.nic_gone(nic);
        if let Some(miniport) = miniport {
            self.miniport_gone(miniport);
        }
        self.unbind(binding);
    }
}

//! LACP between the team's members and the machines of the crate `lacp`, which are
//! 802.1AX's: what happens to members goes in, PDUs and masks come out.
//!
//! | Of the team | Of LACP |
//! |---|---|
//! | A member joins or is gone | A port is added or removed |
//! | Its link is up, delays observed | `port_enabled` |
//! | It is not full duplex | `LACP_Enabled` is FALSE |
//! | It is about to leave | The port is withdrawn: out of its aggregator, still speaking |
//! | MemberIndex, MemberPriority | Port number, port priority |
//! | The core wants to know what has arrived | Marker generator |
//! | The receive machine is in EXPIRED | The member counts as dead: left at once |
//!
//! Members that have no partner serve as in active-backup, unless `Strict` is set. The
//! machines use one of them at a time, but let two seconds pass before another one
//! takes over; the choice of active-backup does not, and is made instead.

use super::members::{Member, Table, bit};
use super::table::State;
use super::{Memory, Todo};
use crate::settings::TeamSettings;
use ::lacp::table::Receive;
use ::lacp::{
    Activity, Error, Fallback, MAX_PORTS, MacAddress, Output, Port, PortConfig, PortId, System,
    SystemConfig, SystemId, Timeout,
};
use ethernet::Mac;
use im_control::EventKind;
use im_core::data::teamed::{Action, MAX_MEMBERS, Members, Slot, Time};
use ndis::Result;

const _: () = assert!(MAX_PORTS == MAX_MEMBERS);

/// More than an adapter takes from being handed a frame to sending it, most of the time.
const RATE_GUARD: lacp::time::Time = 10 * lacp::time::MILLISECOND;

/// A team's system, its ports in memory of the team.
pub type TeamSystem<M> = System<<M as Memory>::Array<Option<Port>>>;

/// What was told of a port last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    partner: MacAddress,
    churn: u8,
    looped: u16,
}

/// The team's side of LACP; nothing in other modes.
pub(super) struct Glue<M: Memory> {
    system: Option<TeamSystem<M>>,
    /// Memory for it, until the team's address is known.
    slots: Option<M::Array<Option<Port>>>,
    markers: Markers,
    told: [Told; MAX_PORTS],
    active: Option<u8>,
}

/// Members whose arrivals the core waits for.
#[derive(Clone, Copy, Debug, Default)]
struct Markers {
    /// All of them.
    wanted: Members,
    /// Those of them with a marker on its way.
    pending: Members,
    /// Those of them where more was sent after that marker.
    again: Members,
    /// When one can be sent that the rate does not allow now.
    retry: Option<Time>,
}

/// Masks for the plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    pub(super) distribute: Members,
    pub(super) collect: Members,
    /// Their partner has not been heard for too long.
    pub(super) expired: Members,
    /// Nobody has a partner and that is no reason to stand still: these can serve, one
    /// at a time, as in active-backup.
    pub(super) fallback: Option<Members>,
    /// One member serves by itself: without a partner, or with one that wants no more.
    pub(super) one: bool,
}

const fn address(mac: Mac) -> MacAddress {
    MacAddress(mac.0)
}

impl<M: Memory> Glue<M> {
    /// Without LACP.
    pub(super) const fn off() -> Self {
        Self {
            system: None,
            slots: None,
            markers: Markers {
                wanted: 0,
                pending: 0,
                again: 0,
                retry: None,
            },
            told: [const {
                Told {
                    partner: MacAddress([0; 6]),
                    churn: 0,
                    looped: 0,
                }
            }; MAX_PORTS],
            active: None,
        }
    }

    /// With LACP; the only moment at which memory is taken.
    pub(super) fn try_new(memory: &M) -> Result<Self> {
        Ok(Self {
            slots: Some(memory.array(MAX_PORTS, |_| None)?),
            ..Self::off()
        })
    }

    /// The machines.
    pub(super) fn system(&self) -> Option<&TeamSystem<M>> {
        self.system.as_ref()
    }

    /// The team's address is known.
    pub(super) fn start(&mut self, settings: &TeamSettings, mac: Mac) {
        let id = SystemId {
            priority: settings.system_priority,
            address: address(mac),
        };
        let config = SystemConfig {
            activity: if settings.lacp_active {
                Activity::Active
            } else {
                Activity::Passive
            },
            timeout: if settings.lacp_fast {
                Timeout::Short
            } else {
                Timeout::Long
            },
            min_links: settings.min_links,
            fallback: if settings.strict {
                Fallback::Strict
            } else {
                Fallback::Individual
            },
            rate_guard: RATE_GUARD,
            ..SystemConfig::new(id)
        };
        if config.check().is_ok()
            && let Some(slots) = self.slots.take()
        {
            self.system = System::with_slots(config, slots).ok();
        }
    }

    /// Runs something on the machines and does what they want done.
    fn run<T>(
        &mut self,
        todo: Todo<'_>,
        act: impl FnOnce(&mut TeamSystem<M>, &mut dyn FnMut(Output)) -> T,
    ) -> Option<T> {
        let system = self.system.as_mut()?;
        let markers = &mut self.markers;
        let mut sink = |output: Output| match output {
            Output::Send { port, .. } => {
                if let Some(frame) = output.frame() {
                    todo(Action::Send(port, &frame));
                }
            }
            Output::Marker { port, .. } => {
                let end = bit(port);
                markers.pending &= !end;
                if markers.again & end != 0 {
                    // Asked for once more since: another one tells.
                    markers.again &= !end;
                } else if markers.wanted & end != 0 {
                    markers.wanted &= !end;
                    todo(Action::MarkerBack(port));
                }
            }
            _ => {}
        };
        Some(act(system, &mut sink))
    }

    /// Brings the ports in line with the members, and the time.
    pub(super) fn settle(&mut self, members: &Table<M>, key: u16, now: Time, todo: Todo<'_>) {
        if self.system.is_none() {
            return;
        }
        self.run(todo, |system, sink| system.tick(now, sink));
        for slot in 0..MAX_PORTS as Slot {
            match members.get(slot) {
                Some(member) => self.settle_port(slot, member, key, now, todo),
                None => {
                    if self.port(slot).is_some() {
                        let _gone =
                            self.run(todo, |system, sink| system.remove_port(now, slot, sink));
                    }
                }
            }
        }
        self.send_markers(now, todo);
        self.tell(todo);
    }

    fn port(&self, slot: Slot) -> Option<&Port> {
        self.system.as_ref()?.port(slot)
    }

    /// What the machines refuse is the member's address: it stays without a port, and
    /// carries nothing.
    fn settle_port(&mut self, slot: Slot, member: &Member, key: u16, now: Time, todo: Todo<'_>) {
        let id = PortId {
            priority: member.settings.priority,
            number: member.number,
        };
        let wanted = PortConfig {
            lacp_enabled: member.facts.full_duplex,
            ..PortConfig::new(id, key, address(member.facts.mac))
        };
        let link = match member.state {
            State::Ready | State::DownDelay => true,
            State::Leaving => member.facts.up,
            State::Down | State::UpDelay | State::Probing => false,
        };
        let leaves = member.state == State::Leaving;
        let done = self.run(todo, |system, sink| {
            match system.port(slot).map(|port| *port.config()) {
                None => system.add_port(now, slot, wanted, sink)?,
                Some(config) if config != wanted => {
                    let same = PortConfig {
                        lacp_enabled: config.lacp_enabled,
                        ..wanted
                    };
                    if same != config {
                        system.configure_port(now, slot, same, sink)?;
                    }
                    system.set_lacp_enabled(now, slot, wanted.lacp_enabled, sink)?;
                }
                Some(_) => {}
            }
            system.set_withdrawn(now, slot, leaves, sink)?;
            if system
                .port(slot)
                .is_some_and(|port| port.is_enabled() != link)
            {
                system.set_link(now, slot, link, sink)?;
            }
            Ok::<(), Error>(())
        });
        if let Some(Err(_)) = done
            && self.port(slot).is_some()
        {
            // An address that cannot be: nothing more is said from the old one.
            let _gone = self.run(todo, |system, sink| system.remove_port(now, slot, sink));
        }
    }

    /// A frame of the slow protocols, or one that pretends to be.
    pub(super) fn receive(&mut self, slot: Slot, frame: &[u8], now: Time, todo: Todo<'_>) {
        self.run(todo, |system, sink| system.receive(now, slot, frame, sink));
    }

    /// The core waits until what was sent on a member has arrived.
    pub(super) fn want_marker(&mut self, slot: Slot, now: Time, todo: Todo<'_>) {
        let partner = self
            .port(slot)
            .is_some_and(|port| port.is_enabled() && port.has_partner());
        if !partner {
            self.markers.wanted &= !bit(slot);
            todo(Action::MarkerBack(slot));
            return;
        }
        self.markers.wanted |= bit(slot);
        self.markers.again |= self.markers.pending & bit(slot);
        self.send_markers(now, todo);
    }

    fn send_markers(&mut self, now: Time, todo: Todo<'_>) {
        self.markers.retry = None;
        for slot in 0..MAX_PORTS as Slot {
            let Markers {
                wanted, pending, ..
            } = self.markers;
            if wanted & !pending & bit(slot) == 0 {
                continue;
            }
            self.markers.pending |= bit(slot);
            let asked = self.run(todo, |system, sink| system.request_marker(now, slot, sink));
            match asked {
                // One that is on its way already comes back and counts for this one.
                Some(Ok(_) | Err(Error::MarkerPending)) => {}
                Some(Err(Error::MarkerLimit)) => {
                    self.markers.pending &= !bit(slot);
                    let free = self.port(slot).map(Port::marker_free_at);
                    self.markers.retry = self.markers.retry.into_iter().chain(free).min();
                }
                Some(Err(_)) | None => {
                    self.markers.pending &= !bit(slot);
                    self.markers.wanted &= !bit(slot);
                    todo(Action::MarkerBack(slot));
                }
            }
        }
    }

    /// Tells what has changed since it was told last.
    fn tell(&mut self, todo: Todo<'_>) {
        let Some(system) = &self.system else { return };
        for (slot, told) in (0..).zip(&mut self.told) {
            let Some(port) = system.port(slot) else {
                *told = Told::default();
                continue;
            };
            let partner = port.partner();
            let known = port.has_partner();
            let now = Told {
                partner: if known {
                    partner.system.address
                } else {
                    MacAddress::default()
                },
                churn: port.churn(),
                looped: if port.is_looped() {
                    partner.port.number
                } else {
                    0
                },
            };
            let changes = [
                (
                    told.partner != now.partner,
                    EventKind::LacpPartner,
                    Mac(now.partner.0).number(),
                ),
                (
                    told.churn != now.churn,
                    EventKind::LacpChurn,
                    u64::from(now.churn),
                ),
                (
                    told.looped != now.looped,
                    EventKind::LacpLoop,
                    u64::from(now.looped),
                ),
            ];
            for (_, kind, value) in changes.into_iter().filter(|(changed, ..)| *changed) {
                todo(Action::Tell(Some(slot), kind, value));
            }
            *told = now;
        }
        let active = system.active();
        if self.active != active {
            self.active = active;
            let value = active.map_or(0, |active| u64::from(active) + 1);
            todo(Action::Tell(None, EventKind::LacpAggregator, value));
        }
    }

    pub(super) fn masks(&self) -> Masks {
        let Some(system) = &self.system else {
            return Masks::default();
        };
        let mask = |is: &dyn Fn(&Port) -> bool| {
            let ports = system.ports().filter(|port| is(port));
            ports.fold(0, |mask, port| mask | bit(port.index()))
        };
        let active = system.active().and_then(|active| system.aggregator(active));
        let partner = active.is_some_and(|aggregator| !aggregator.partner_system.address.is_null());
        let falls_back = system.config().fallback == Fallback::Individual && !partner;
        let fallback = falls_back.then(|| {
            mask(&|port| {
                let known = matches!(
                    port.receive_state(),
                    Receive::Defaulted | Receive::LacpDisabled
                );
                known && port.is_enabled() && !port.is_looped() && !port.is_withdrawn()
            })
        });
        Masks {
            distribute: system.distributing(),
            collect: system.collecting(),
            expired: mask(&|port| port.receive_state() == Receive::Expired),
            fallback,
            one: falls_back || active.is_some_and(|aggregator| aggregator.individual),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let system = self.system.as_ref()?;
        let times = [system.next_deadline(), self.markers.retry];
        times.into_iter().flatten().min()
    }
}

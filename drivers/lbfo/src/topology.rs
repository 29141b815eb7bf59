//! How im-core asks the decisions of this crate.
//!
//! What im-core knows becomes their arguments here, and their answers become what
//! im-core carries out. [`MemberSettings`] and [`Team`] are made once, at
//! PASSIVE_LEVEL, and never change; the data path reads them on any processor.

use crate::brain::{self, Brain};
use crate::settings::{LinkSpeed, MemberSettings, Mode, Monitor, TeamSettings};
use crate::{address, merge, show};
use ethernet::flow::{self, Flow, FlowHash, Policy};
use ethernet::{Mac, OutOfBand};
use im_control::{LacpCounter, LacpRecord, MemberRefusal, TeamModeCode};
use im_core::data::teamed::{
    Action, Bond, Described, Happened, Plan, Ranking, Slot, Spread, Teamed, Time,
};
use im_core::facts::MAX_MAC;
use im_core::merge::{Able, Ask, Merged, Wish, together};
use im_core::oid_many;
use im_core::oid_table::{self, Below, Rule};
use im_core::settings::{Refused, Values};
use im_core::status_table::{self, StatusRule};
use im_core::{Driver, Facts, Identity, Notice, Shown, Topology};
use ndis::memory::{Pool, PoolBox, Tag as PoolTag};
use ndis::oid::Facts as Asked;
use ndis::string::wide;
use ndis::sys::{
    NDIS_OID, NDIS_PACKET_TYPE_DIRECTED, NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
    NDIS_STATUS, NdisMedium802_3, NdisPhysicalMediumNative802_11, NdisPhysicalMediumWirelessLan,
};
use ndis::{Error, Result};

/// The N:1 topology.
#[derive(Debug)]
pub enum Lbfo {}

/// The driver's one static: handles, table of bindings, events.
static DRIVER: Driver<Lbfo> = Driver::new();

/// Where the slow protocols of IEEE 802.3 go, LACP among them.
const SLOW_PROTOCOLS: Mac = Mac([0x01, 0x80, 0xC2, 0, 0, 0x02]);

/// Buckets that hashes are cut into.
const BUCKETS: u32 = im_core::data::teamed::BUCKETS as u32;

/// What is known about a team.
#[derive(Clone, Debug)]
pub struct Team {
    /// Its settings.
    pub settings: TeamSettings,
    /// Its address.
    pub mac: Mac,
    /// How flows are told apart.
    hash: FlowHash,
}

impl Team {
    /// A team with this address.
    pub fn new(settings: TeamSettings, mac: Mac) -> Self {
        let seed = match settings.hash_seed {
            0 => mac.number(),
            seed => u64::from(seed),
        };
        let hash = FlowHash {
            policy: settings.hash_policy,
            symmetric: settings.hash_symmetric,
            seed,
        };
        Self {
            settings,
            mac,
            hash,
        }
    }

    /// The bucket of a frame by its headers: its first bytes, and the tag beside it.
    fn bucket_of_headers(&self, head: &[u8], beside: usize) -> u8 {
        let tag = OutOfBand(beside).tag();
        let tag = (!tag.vlan.is_none()).then_some(tag);
        // What is no frame has no flow either: any bucket will do.
        let value = Flow::parse(head, tag).map_or(0, |flow| self.hash.of(&flow));
        flow::share(value, BUCKETS) as u8
    }

    /// The bucket of a hash that came beside a list: Toeplitz, which cares for
    /// nothing but its key, so that the team's seed has to come in here.
    fn bucket_of_hash(&self, hash: u32) -> u8 {
        let mixed = (u64::from(hash) ^ self.hash.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        flow::share((mixed >> 32) as u32, BUCKETS) as u8
    }
}

/// An adapter's address; the bind saw to it that there is one.
fn own_mac(facts: &Facts) -> Mac {
    Mac::from_slice(&facts.mac).unwrap_or(Mac::ZERO)
}

impl Topology for Lbfo {
    const IDENTITY: Identity = Identity {
        service: &wide(b"ImLbfo"),
        device: &wide(b"\\Device\\lbfo"),
        link: &wide(b"\\DosDevices\\lbfo"),
        major: 0,
        minor: 1,
        tag: PoolTag::new(*b"ImLb"),
    };

    const UPPERS_PER_LOWER: usize = 1;

    const LOWERS_PER_UPPER: usize = im_core::data::teamed::MAX_MEMBERS;

    type Adapter = MemberSettings;
    type Port = Team;
    type Data = Teamed;

    fn driver() -> &'static Driver<Self> {
        &DRIVER
    }

    fn notice(notice: Notice) {
        #[cfg(windows)]
        crate::kernel::say(notice);
        #[cfg(not(windows))]
        let _ = notice;
    }

    fn accepts(facts: &Facts) -> Result<()> {
        // A Wi-Fi station has one address, which it associated with: it can neither
        // send from the team's nor be told to hear it.
        let ethernet = facts.medium == NdisMedium802_3
            && facts.physical != NdisPhysicalMediumNative802_11
            && facts.physical != NdisPhysicalMediumWirelessLan
            && usize::from(facts.mac_length) == Mac::ZERO.0.len()
            && own_mac(facts).is_station();
        if ethernet {
            Ok(())
        } else {
            Err(Error::UnsupportedMedium)
        }
    }

    fn adapter(
        _facts: &Facts,
        values: &dyn Values,
    ) -> core::result::Result<MemberSettings, Refused> {
        MemberSettings::read(values)
    }

    fn port(
        _adapter: &MemberSettings,
        facts: &Facts,
        _position: u32,
        values: &dyn Values,
    ) -> core::result::Result<Team, Refused> {
        let settings = TeamSettings::read(values)?;
        // The fold has the first member's.
        let mac = address::resolve(settings.mac, values.device_name(), own_mac(facts))?;
        Ok(Team::new(settings, mac))
    }

    fn fold<'a>(members: &mut dyn Iterator<Item = (&'a MemberSettings, Facts)>) -> Option<Facts>
    where
        MemberSettings: 'a,
    {
        // A member without a number comes after those that have one. What the link's
        // speed is, im-core knows from the plan; the largest possible is the sum.
        let mut numbered = members.map(|(settings, facts)| match settings.index {
            0 => (u8::MAX, facts),
            index => (index, facts),
        });
        merge::fold(LinkSpeed::Sum, &mut numbered)
    }

    fn is_alike(team: &Facts, adapter: &Facts) -> core::result::Result<(), MemberRefusal> {
        merge::is_alike(team, adapter)
    }

    fn accepts_member(
        port: &Team,
        shown: &Shown,
        adapter: &Facts,
    ) -> core::result::Result<(), MemberRefusal> {
        merge::accepts(shown, adapter)?;
        let hears = adapter.filters & NDIS_PACKET_TYPE_PROMISCUOUS != 0;
        if own_mac(adapter) != port.mac && !hears {
            return Err(MemberRefusal::Address); // LBF-5
        }
        Ok(())
    }

    fn slot(adapter: &MemberSettings) -> Option<Slot> {
        adapter.index.checked_sub(1)
    }

    fn key(_port: &Team) -> Option<u64> {
        None
    }

    fn shown(_adapter: &MemberSettings, facts: &Facts, port: &Team) -> Shown {
        let mut shown = Shown::one_to_one(facts);
        shown.mac = [0; MAX_MAC];
        for (to, from) in shown.mac.iter_mut().zip(port.mac.0) {
            *to = from; // LBF-5
        }
        shown
    }

    fn merge<'a>(
        _adapter: &MemberSettings,
        facts: &Facts,
        wishes: &mut dyn Iterator<Item = Wish<'a, Team>>,
        groups: &mut [Mac],
    ) -> Merged
    where
        Team: 'a,
    {
        let able = Able {
            mac: own_mac(facts),
            filters: facts.filters,
        };
        let asks = wishes.flat_map(|wish| {
            let settings = &wish.port.settings;
            let stack = Ask {
                mac: wish.mac,
                filter: wish.filter,
                groups: wish.groups,
            };
            // The team listens before the stack does, and to what that does not.
            let lacp = (settings.mode == Mode::Lacp).then_some(Ask {
                mac: wish.mac,
                filter: NDIS_PACKET_TYPE_MULTICAST,
                groups: &[SLOW_PROTOCOLS],
            });
            // Answers to probes.
            let monitor = (settings.monitor != Monitor::Off).then_some(Ask {
                mac: wish.mac,
                filter: NDIS_PACKET_TYPE_DIRECTED,
                groups: &[],
            });
            [Some(stack), lacp, monitor].into_iter().flatten()
        });
        together(able, asks, groups)
    }

    fn own_oids() -> &'static [NDIS_OID] {
        oid_many::OWN_OF_TEAM
    }

    fn request_rule(asked: Asked, below: Below) -> Rule {
        oid_table::many_to_one(asked, below)
    }

    fn status_rule(code: NDIS_STATUS, below: Below) -> StatusRule {
        status_table::many_to_one(code, below)
    }
}

impl Bond for Lbfo {
    type Brain = Brain<Pool>;

    fn brain(port: &Team, pool: Pool) -> Result<PoolBox<Self::Brain>> {
        PoolBox::try_new(pool, Brain::try_new(&pool, &port.settings)?)
    }

    fn happened(
        brain: &mut Self::Brain,
        _port: &Team,
        now: Time,
        what: Happened<'_, MemberSettings>,
        todo: &mut dyn FnMut(Action<'_>),
    ) {
        brain.happened(now, what, todo);
    }

    fn plan(brain: &Self::Brain) -> Plan {
        brain.plan()
    }

    fn deadline(brain: &Self::Brain) -> Option<Time> {
        brain.deadline()
    }

    fn rank(brain: &Self::Brain, ranking: &mut Ranking) {
        brain.rank(ranking);
    }

    fn spread(port: &Team) -> Spread {
        match port.settings.mode {
            Mode::ActiveBackup => Spread::One,
            Mode::Hash | Mode::Lacp => Spread::Buckets,
            Mode::RoundRobin => Spread::Turns,
            Mode::Broadcast => Spread::All,
            Mode::Dynamic => Spread::Flowlets(port.settings.flowlet_gap.saturating_mul(10)),
        }
    }

    fn bucket(port: &Team, head: &[u8], beside: usize, hash: Option<u32>) -> u8 {
        match hash {
            Some(hash) if Self::uses_hash_info(port) => port.bucket_of_hash(hash),
            _ => port.bucket_of_headers(head, beside),
        }
    }

    fn uses_hash_info(port: &Team) -> bool {
        // It is of addresses and ports, and one way.
        let settings = &port.settings;
        settings.hash_info && settings.hash_policy == Policy::Layer34 && !settings.hash_symmetric
    }

    fn wants_frame(port: &Team, head: &[u8]) -> bool {
        brain::wants_frame(&port.settings, head)
    }

    fn keeps_duplicates(port: &Team) -> bool {
        port.settings.keep_duplicates
    }

    fn mode(port: &Team) -> TeamModeCode {
        match port.settings.mode {
            Mode::ActiveBackup => TeamModeCode::ActiveBackup,
            Mode::Hash => TeamModeCode::Hash,
            Mode::Lacp => TeamModeCode::Lacp,
            Mode::RoundRobin => TeamModeCode::RoundRobin,
            Mode::Broadcast => TeamModeCode::Broadcast,
            Mode::Dynamic => TeamModeCode::Dynamic,
        }
    }

    fn describe(brain: &Self::Brain, slot: Slot) -> Option<Described> {
        brain
            .member(slot)
            .map(|member| show::member(member, brain.active() == Some(slot)))
    }

    fn aggregator(brain: &Self::Brain) -> Option<u8> {
        brain.lacp()?.active()
    }

    fn lacp(brain: &Self::Brain, slot: Slot) -> Option<LacpRecord> {
        brain.lacp()?.port(slot).map(show::port)
    }

    fn lacp_counter(brain: &Self::Brain, slot: Slot, counter: LacpCounter) -> Option<u64> {
        let port = brain.lacp()?.port(slot)?;
        Some(port.counters().get(show::counter(counter)))
    }
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;

//! What a scenario found out, as data: filled in by the child, judged and shown
//! by the parent, and part of the `--json` document.

use serde::{Deserialize, Serialize};

/// Results of one run. A part that a scenario does not have stays empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Scenario's name.
    pub scenario: String,
    /// How often it was run.
    pub cycles: u64,
    /// Nanoseconds of the host's clock (virtual in deterministic runs).
    pub virtual_ns: u64,
    /// Milliseconds of real time from the child's start to the first frame that came through.
    pub first_frame_ms: Option<u64>,
    /// Echo requests.
    pub ping: Vec<Ping>,
    /// TCP transfers.
    pub tcp: Vec<Tcp>,
    /// UDP floods, judged by the oracle.
    pub udp: Vec<Udp>,
    /// Disturbances and life cycle, in order.
    pub steps: Vec<Step>,
    /// Who heard whom, and who should have.
    pub matrices: Vec<Matrix>,
    /// Teams under load: who carried what, and how fast.
    pub teams: Vec<TeamRun>,
    /// What became of frames when a member of a team left or came.
    pub changes: Vec<TeamChange>,
    /// What the driver shows of its teams.
    pub shown: Vec<TeamShown>,
    /// Each OID of the lower adapters.
    pub oids: Vec<Oid>,
    /// What the software NICs really did.
    pub nics: Vec<NicMix>,
    /// Cost of the hop through the driver.
    pub hops: Vec<lab_host::ndis::HopCost>,
    /// Counters by owner: adapters, the driver's own, the host's.
    pub counters: Vec<Counter>,
    /// Digest of every host call with time, processor and arguments: equal runs have equal ones.
    pub trace: Option<String>,
    /// What was still allocated, registered or lent at the end.
    pub leaks: Vec<Leak>,
}

/// Echo requests one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Between whom, `above -> below`.
    pub path: String,
    /// Requests sent.
    pub sent: u64,
    /// Right answers.
    pub answered: u64,
}

/// One TCP transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Between whom.
    pub path: String,
    /// Bytes that were to arrive.
    pub wanted: u64,
    /// Bytes that arrived.
    pub arrived: u64,
    /// Position of the first wrong byte.
    pub first_wrong: Option<u64>,
    /// Nanoseconds of the host's clock.
    pub ns: u64,
}

/// One UDP flood. Every frame carries flow, number and hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udp {
    /// Between whom.
    pub path: String,
    /// Frames sent.
    pub sent: u64,
    /// Different frames that arrived intact.
    pub received: u64,
    /// Frames that never arrived though nothing was allowed to drop them.
    pub lost: u64,
    /// Frames that arrived more than once.
    pub duplicated: u64,
    /// Frames overtaken by a later one of their flow.
    pub reordered: u64,
    /// Frames whose content had changed.
    pub damaged: u64,
    /// Frames dropped where a drop is allowed, with the reason counted by who dropped them.
    pub allowed_drops: u64,
    /// Whether overtaking is allowed on this path.
    pub reordering_allowed: bool,
}

/// One step of the tour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `pause and restart`, `link flap`, …
    pub name: String,
    /// Whether it went as it must.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// Who heard whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// Under which circumstances.
    pub title: String,
    /// What the letters of a cell mean.
    pub legend: String,
    /// Names of the columns.
    pub listeners: Vec<String>,
    /// A row for each speaker and each kind of tag.
    pub rows: Vec<MatrixRow>,
    /// Probes that were heard where they should not be, or not where they should.
    pub differ: u64,
}

/// What was heard of one speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixRow {
    /// Who spoke.
    pub speaker: String,
    /// How the frames were tagged.
    pub tagged: String,
    /// What each listener heard.
    pub heard: Vec<String>,
    /// What each should have heard.
    pub expected: Vec<String>,
}

/// A team under a load of many flows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamRun {
    /// How it spreads frames.
    pub mode: String,
    /// Link speed of each member in Mbit/s.
    pub speeds: Vec<u64>,
    /// Flows.
    pub flows: u64,
    /// Frames of these.
    pub frames: u64,
    /// Flows that went over each member; one that went over two counts on both.
    pub member_flows: Vec<u64>,
    /// Frames that each member carried.
    pub member_frames: Vec<u64>,
    /// Flows that each member has by the same hash on paper; none where the hash does
    /// not decide.
    pub paper_flows: Option<Vec<u64>>,
    /// Flows that went over another member than on paper.
    pub strayed: u64,
    /// How far from its share of the flows a member may be by chance.
    pub bound: f64,
    /// How far the farthest is.
    pub farthest: f64,
    /// What arrived in ratio to what all links together can carry in that time.
    pub goodput: f64,
    /// The same as it must be: of the hash on paper, of one member, of all.
    pub expected: f64,
    /// The least that is accepted.
    pub least: f64,
    /// Virtual nanoseconds from the first frame sent to the last that arrived.
    pub ns: u64,
    /// Frames overtaken by a later one of their flow.
    pub reordered: u64,
    /// Frames that arrived more than once, each time counted.
    pub duplicated: u64,
    /// Frames that did not arrive.
    pub lost: u64,
    /// Whether all that is as it must be.
    pub ok: bool,
}

/// A member leaves or comes back under a load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamChange {
    /// How the team spreads frames.
    pub mode: String,
    /// Members at first.
    pub members: u64,
    /// What happened, to which member.
    pub what: String,
    /// Batches from then until a frame of the flows concerned went by the new member: 1 is
    /// the next one.
    pub batches: u64,
    /// Virtual nanoseconds until then.
    pub ns: u64,
    /// Frames that the member had at that moment.
    pub outstanding: u64,
    /// Frames that were lost.
    pub lost: u64,
    /// Frames handed to the member in batches that were begun after the driver had been
    /// told.
    pub late: u64,
    /// Frames overtaken by a later one of their flow.
    pub reordered: u64,
    /// Frames that arrived more than once.
    pub duplicated: u64,
    /// Whether all that is as it must be.
    pub ok: bool,
    /// What is not.
    pub note: String,
}

/// A team as the driver's control device shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamShown {
    /// When it was asked.
    pub when: String,
    /// Device name of its miniport.
    pub name: String,
    /// How it spreads frames.
    pub mode: String,
    /// Bits per second of the link that it shows; 0: none.
    pub speed: u64,
    /// Its address.
    pub mac: String,
    /// Buckets whose frames are held.
    pub held: u32,
    /// LACP's active aggregator, if there is one.
    pub aggregator: Option<u32>,
    /// Its members.
    pub members: Vec<MemberShown>,
    /// Slot of each bucket's member.
    pub buckets: Vec<Option<u32>>,
}

/// A member as the driver's control device shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberShown {
    /// Its place.
    pub slot: u32,
    /// Its number.
    pub number: u32,
    /// Interface index of its adapter.
    pub if_index: u32,
    /// What is true of it, in words.
    pub flags: Vec<String>,
    /// Bits per second of its link.
    pub speed: u64,
    /// Its own address.
    pub mac: String,
    /// Frames handed to it.
    pub sent: u64,
    /// Frames from it that went up.
    pub received: u64,
    /// Lists of it, or for it, that were dropped.
    pub dropped: u64,
    /// Lists that it has.
    pub outstanding: u64,
    /// Buckets that it carries.
    pub buckets: u32,
    /// LACP on it.
    pub lacp: Option<LacpShown>,
}

/// LACP on a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LacpShown {
    /// States of the machines, by machine.
    pub states: Vec<(String, String)>,
    /// System priority, system, key, port priority, port and state of the actor.
    pub actor: LacpEnd,
    /// The same of the partner.
    pub partner: LacpEnd,
    /// Counters that are not zero.
    pub counters: Vec<(String, u64)>,
}

/// One end of a link under LACP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LacpEnd {
    /// System priority.
    pub system_priority: u16,
    /// System address.
    pub system: String,
    /// Key.
    pub key: u16,
    /// Port priority.
    pub port_priority: u16,
    /// Port number.
    pub port: u16,
    /// The state octet.
    pub state: u8,
}

/// What the driver did with an OID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OidFate {
    /// The adapter below saw it.
    Forwarded,
    /// The driver answered it itself.
    Answered,
    /// The driver refused it.
    Refused,
}

/// One OID request compared above and below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oid {
    /// Adapter.
    pub adapter: String,
    /// Name or number.
    pub name: String,
    /// `query`, `set`, `method`.
    pub kind: String,
    /// What happened to it.
    pub fate: OidFate,
    /// Status the upper edge got.
    pub status: String,
    /// Whether status and answer are what they must be.
    pub ok: bool,
    /// What differs, or why a difference is right.
    pub note: String,
}

/// What a software NIC did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NicMix {
    /// Adapter.
    pub adapter: String,
    /// Lists sent through it.
    pub sends: u64,
    /// Of these completed before the call returned.
    pub inline: u64,
    /// Completed later.
    pub pended: u64,
    /// Completed out of order.
    pub out_of_order: u64,
    /// Completed on another processor.
    pub other_processor: u64,
    /// Lists indicated.
    pub receives: u64,
    /// Of these with RESOURCES.
    pub resources: u64,
}

/// A counter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Whose.
    pub owner: String,
    /// Which.
    pub name: String,
    /// Value.
    pub value: u64,
}

/// Something left over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// `pool`, `NET_BUFFER_LIST`, `handle`, …
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Tag, allocating call, owner.
    pub detail: String,
}

impl Ping {
    /// All answered.
    pub fn ok(&self) -> bool {
        self.sent > 0 && self.answered == self.sent
    }
}

impl Tcp {
    /// All arrived, unchanged.
    pub fn ok(&self) -> bool {
        self.wanted > 0 && self.arrived == self.wanted && self.first_wrong.is_none()
    }
}

impl Udp {
    /// Nothing lost, doubled, damaged or (where it matters) overtaken, and the numbers add up.
    pub fn ok(&self) -> bool {
        self.sent > 0
            && self.received + self.allowed_drops > 0
            && self.lost == 0
            && self.duplicated == 0
            && self.damaged == 0
            && (self.reordering_allowed || self.reordered == 0)
            && self.received + self.allowed_drops == self.sent
    }

    /// Adds the numbers of another flood: the sum over many runs.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.damaged += other.damaged;
        self.allowed_drops += other.allowed_drops;
    }
}

impl Summary {
    /// What went wrong in terms of traffic, steps, OIDs and leaks, a line each.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for ping in self.ping.iter().filter(|ping| !ping.ok()) {
            failures.push(format!(
                "ping {}: {} of {} answered",
                ping.path, ping.answered, ping.sent
            ));
        }
        for tcp in self.tcp.iter().filter(|tcp| !tcp.ok()) {
            failures.push(match tcp.first_wrong {
                Some(at) => format!("TCP {}: content differs from byte {at}", tcp.path),
                None => format!(
                    "TCP {}: {} of {} bytes arrived",
                    tcp.path, tcp.arrived, tcp.wanted
                ),
            });
        }
        for udp in self.udp.iter().filter(|udp| !udp.ok()) {
            failures.push(format!(
                "UDP {}: {} sent, {} received, {} lost, {} doubled, {} damaged, {} overtaken",
                udp.path,
                udp.sent,
                udp.received,
                udp.lost,
                udp.duplicated,
                udp.damaged,
                udp.reordered
            ));
        }
        for step in self.steps.iter().filter(|step| !step.ok) {
            failures.push(format!("{}: {}", step.name, step.detail));
        }
        for run in self.teams.iter().filter(|run| !run.ok) {
            failures.push(format!(
                "{} with {} members: goodput {:.3} (least {:.3}), {} flows strayed, farthest {:.0} \
                 (bound {:.0}), {} overtaken, {} doubled, {} lost",
                run.mode,
                run.speeds.len(),
                run.goodput,
                run.least,
                run.strayed,
                run.farthest,
                run.bound,
                run.reordered,
                run.duplicated,
                run.lost
            ));
        }
        for change in self.changes.iter().filter(|change| !change.ok) {
            failures.push(format!(
                "{} with {} members, {}: {}",
                change.mode, change.members, change.what, change.note
            ));
        }
        for oid in self.oids.iter().filter(|oid| !oid.ok) {
            failures.push(format!(
                "{} {} on {}: {}",
                oid.kind, oid.name, oid.adapter, oid.note
            ));
        }
        for leak in &self.leaks {
            failures.push(format!(
                "leak: {} {} ({})",
                leak.count, leak.kind, leak.detail
            ));
        }
        failures
    }

    /// Whether anything was tried at all: a run that did nothing proves nothing.
    pub fn is_empty(&self) -> bool {
        self.ping.is_empty() && self.tcp.is_empty() && self.udp.is_empty() && self.steps.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp() -> Udp {
        Udp {
            path: "a".into(),
            sent: 10,
            received: 10,
            ..Udp::default()
        }
    }

    #[test]
    fn counting_is_not_enough() {
        assert!(udp().ok());
        for bad in [
            Udp { lost: 1, ..udp() },
            Udp {
                duplicated: 1,
                ..udp()
            },
            Udp {
                damaged: 1,
                ..udp()
            },
            Udp {
                reordered: 1,
                ..udp()
            },
            Udp {
                received: 9,
                ..udp()
            },
            Udp {
                sent: 0,
                received: 0,
                ..udp()
            },
        ] {
            assert!(!bad.ok(), "{bad:?}");
            let summary = Summary {
                udp: vec![bad],
                ..Summary::default()
            };
            assert_eq!(summary.failures().len(), 1);
        }
        let overtaken = Udp {
            reordered: 3,
            reordering_allowed: true,
            ..udp()
        };
        assert!(overtaken.ok());
        let dropped = Udp {
            received: 8,
            allowed_drops: 2,
            ..udp()
        };
        assert!(dropped.ok());
    }

    #[test]
    fn nothing_sent_is_a_failure() {
        assert!(!Ping::default().ok());
        assert!(!Tcp::default().ok());
        assert!(Summary::default().is_empty());
    }

    #[test]
    fn each_kind_of_failure_is_named() {
        let summary = Summary {
            ping: vec![Ping {
                path: "a -> b".into(),
                sent: 100,
                answered: 99,
            }],
            tcp: vec![Tcp {
                path: "a".into(),
                wanted: 5,
                arrived: 5,
                first_wrong: Some(3),
                ns: 1,
            }],
            steps: vec![Step {
                name: "unload".into(),
                ok: false,
                detail: "hung".into(),
            }],
            oids: vec![Oid {
                adapter: "nic0".into(),
                name: "OID_GEN_LINK_STATE".into(),
                kind: "query".into(),
                fate: OidFate::Answered,
                status: "NDIS_STATUS_SUCCESS".into(),
                ok: false,
                note: "differs".into(),
            }],
            leaks: vec![Leak {
                kind: "pool".into(),
                count: 2,
                detail: "tag Pthr".into(),
            }],
            ..Summary::default()
        };
        let text = summary.failures().join("\n");
        for part in [
            "99 of 100",
            "byte 3",
            "unload: hung",
            "OID_GEN_LINK_STATE",
            "2 pool",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_child_may_leave_parts_out() {
        let summary: Summary = serde_json::from_str(r#"{"scenario":"tour"}"#).expect("parses");
        assert_eq!(summary.scenario, "tour");
    }
}

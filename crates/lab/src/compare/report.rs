//! What a comparison found out, as data: made by the children, joined by the parent,
//! written as JSON and shown as a page. Every number of the page is one of these.

use serde::{Deserialize, Serialize};

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of this format.
    pub format: u32,
    /// Seed of every choice.
    pub seed: String,
    /// What everybody was sent.
    pub mix: Mix,
    /// What was done to everybody, in order.
    pub script: Vec<Act>,
    /// A column for each.
    pub drivers: Vec<Column>,
}

/// The traffic mix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix {
    /// Flows each way.
    pub flows: u64,
    /// Frames in a burst.
    pub burst: u64,
    /// Microseconds from burst to burst of a flow.
    pub interval_us: u64,
    /// Adapters of the machine.
    pub adapters: u64,
    /// Their names.
    pub names: Vec<String>,
    /// Megabits per second of each.
    pub link_speed_mbps: u64,
}

/// One act of the script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Its name.
    pub name: String,
    /// What is done.
    pub what: String,
    /// When it begins, microseconds after traffic began.
    pub at_us: u64,
    /// When it is undone, if it is.
    pub undone_us: Option<u64>,
    /// When the next begins.
    pub until_us: u64,
}

/// One driver in one topology.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Heading.
    pub label: String,
    /// Driver and its version.
    pub driver: String,
    /// What was found.
    pub life: Life,
    /// What a frame costs.
    pub cost: Vec<Cost>,
}

/// What one child found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// How many of what.
    pub shape: Shape,
    /// Who decides where a frame goes.
    pub decides: Decides,
    /// How chains travel.
    pub chains: Vec<Chains>,
    /// What each act of the script did.
    pub acts: Vec<Effect>,
    /// What the unbind put at risk.
    pub unbind: AtRisk,
    /// Who hears whom.
    pub hears: Matrix,
    /// What the switch learned.
    pub switch: Learned,
    /// Frames that arrived in each slice of time.
    pub series: Series,
    /// Frames sent and arrived over all of it.
    pub total: Total,
    /// Digest of every host call: equal runs have equal ones.
    pub trace: String,
    /// What went wrong: empty, or the comparison says so.
    pub failures: Vec<String>,
}

/// Counts of the topology, as the host has them once everything runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Bindings to adapters.
    pub bindings: u64,
    /// Virtual miniports that run.
    pub miniports: u64,
    /// Most miniports above one binding.
    pub miniports_per_binding: u64,
    /// Most bindings below one miniport.
    pub bindings_per_miniport: u64,
    /// Adapters in promiscuous mode.
    pub promiscuous: u64,
    /// Counted from below, as this workspace does.
    pub ours: String,
    /// Counted from above, as Microsoft's documents do.
    pub microsoft: String,
}

/// Who decides, found by changing one part of a frame at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decides {
    /// In a sentence, made of the rows.
    pub down: String,
    /// The same for the way up.
    pub up: String,
    /// Each part of a frame, each way.
    pub rows: Vec<Decision>,
}

/// Whether a part of a frame decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// `down` (send) or `up` (receive).
    pub way: String,
    /// Part of the frame.
    pub part: String,
    /// Frames that differ in it alone and reached the driver.
    pub tried: u64,
    /// Different places they came out at, nowhere among them.
    pub places: u64,
    /// Whether it decides: more than one place.
    pub decides: bool,
}

/// How chains of lists cross the driver under the mix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chains {
    /// `down` (send) or `up` (receive).
    pub way: String,
    /// Calls into the driver.
    pub calls_in: u64,
    /// Calls out of it at the other edge.
    pub calls_out: u64,
    /// Out for each call in.
    pub ratio: f64,
}

/// What an act did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The act.
    pub name: String,
    /// Frames sent while it lasted, and until the next.
    pub sent: u64,
    /// Of these, frames that never arrived.
    pub lost: u64,
    /// Frames that arrived behind a later one of their flow.
    pub reordered: u64,
    /// Frames that arrived twice.
    pub duplicated: u64,
    /// Flows that lost a frame.
    pub flows_hit: u64,
    /// The longest that any flow was silent, microseconds.
    pub silence_us: u64,
    /// How long the act's call took, microseconds.
    pub took_us: u64,
    /// Lists at the adapter or below when it began: sent and not completed.
    pub sends_out: u64,
    /// Lists above when it began: indicated and not returned.
    pub receives_out: u64,
    /// Frames that came out at each adapter's port of the switch.
    pub ports: Vec<u64>,
    /// Life cycle calls in their order.
    pub order: Vec<Call>,
}

/// A life cycle call of the host's trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Microseconds after the act began.
    pub after_us: u64,
    /// The function, and the event it is about.
    pub name: String,
    /// The adapter or miniport.
    pub about: String,
    /// Which edge: `upper` (virtual miniport) or `lower` (binding).
    pub edge: String,
}

/// What an unbind puts at risk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRisk {
    /// Virtual miniports that ended with the binding.
    pub miniports_gone: u64,
    /// Virtual miniports before.
    pub miniports_before: u64,
    /// Flows of which nothing arrived any more.
    pub flows_ended: u64,
    /// Flows before.
    pub flows_before: u64,
    /// Lists that were out below the binding when it began.
    pub sends_out: u64,
    /// Lists that were out above it.
    pub receives_out: u64,
    /// Requests of the driver that were under way.
    pub requests_out: u64,
    /// Frames lost, until the next act.
    pub lost: u64,
}

/// Who hears whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// Everybody who hears.
    pub listeners: Vec<String>,
    /// A row for each speaker.
    pub rows: Vec<Row>,
}

/// What was heard of one speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Who speaks.
    pub speaker: String,
    /// How often each listener heard each kind of frame, in the order of the listeners.
    pub heard: Vec<Cell>,
}

/// What one heard of another: how many times each frame came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// A frame to the listener's own address.
    pub unicast: u64,
    /// A broadcast.
    pub broadcast: u64,
    /// A frame to a third one's address.
    pub others: u64,
}

/// What the switch learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Addresses that are no station's beyond the switch.
    pub addresses: u64,
    /// How often an address moved from port to port.
    pub moves: u64,
    /// Each, where it was seen.
    pub seen: Vec<SeenMac>,
}

/// An address at a port of the switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenMac {
    /// The adapter at the port.
    pub port: String,
    /// The VLAN of the frames; 0: none.
    pub vlan: u16,
    /// The address.
    pub mac: String,
    /// Frames.
    pub frames: u64,
}

/// Frames that arrived, in slices of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Length of a slice.
    pub slice_us: u64,
    /// At the far end.
    pub down: Vec<u64>,
    /// Above the driver.
    pub up: Vec<u64>,
}

/// Sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Frames sent.
    pub sent: u64,
    /// Frames that arrived.
    pub received: u64,
    /// Frames lost in any act.
    pub lost: u64,
    /// Frames behind a later one.
    pub reordered: u64,
    /// Frames twice.
    pub duplicated: u64,
    /// Frames changed, or where they do not belong.
    pub wrong: u64,
}

/// What a frame costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// `down` (send) or `up` (receive).
    pub way: String,
    /// Lists in a chain.
    pub batch: u64,
    /// Nanoseconds for each frame, there and back, through the driver.
    pub through_ns: f64,
    /// The same path without a driver.
    pub without_ns: f64,
    /// The first over the second.
    pub ratio: f64,
}

/// Rounds to so many decimals: what is shown is what is in the document.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}

/// One count in ratio to another, with two decimals.
#[expect(
    clippy::cast_precision_loss,
    reason = "calls of a few virtual milliseconds"
)]
pub fn ratio(part: u64, whole: u64) -> f64 {
    rounded(part as f64 / whole.max(1) as f64, 2)
}

//! One child of `lab bench-ports`: a driver with some number of ports, measured a pass at a
//! time when the parent says so.

use std::fs::File;
use std::io::{Read as _, Write as _};

use lab_host::Host;
use lab_host::ndis::{BenchPass, BenchPort};
use lab_net::{Endpoint, Frame};

use super::stage::{Files, Stage, device, take};
use super::{step, tour};
use crate::bench::{Answer, Order};
use crate::process::{FileUse, RunJob};
use crate::summary::Summary;
use crate::topology::Place;
use crate::topology::endpoints::Endpoints;
use crate::trouble::Trouble;

/// Name of the scenario.
pub const NAME: &str = "bench-ports";
/// Room of each list's context area: as much as any driver here asks for.
pub(super) const CONTEXT: u16 = 256;

/// The two pipes to the parent.
pub struct Orders {
    orders: File,
    answers: File,
}

impl Orders {
    /// Out of what was handed over.
    pub fn take(files: &mut Files) -> Result<Self, Trouble> {
        let missing = || {
            Trouble::input(format!("the scenario `{NAME}` is one of several processes"))
                .hint("`lab bench-ports --one DIR --many DIR` starts them all")
        };
        Ok(Self {
            orders: File::from(take(files, &FileUse::Stop).ok_or_else(missing)?),
            answers: File::from(take(files, &FileUse::Ready).ok_or_else(missing)?),
        })
    }

    /// The next order; none: it is over.
    pub(super) fn next(&mut self) -> Option<Order> {
        let mut bytes = [0; Order::BYTES];
        self.orders.read_exact(&mut bytes).ok()?;
        Some(Order::from_bytes(bytes))
    }

    /// False when nobody listens any more.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        self.answers.write_all(&answer.to_bytes()).is_ok()
    }
}

/// Stands above a port so that a protocol is bound to it; takes and says nothing.
pub(super) struct Nobody;

impl Endpoint for Nobody {
    fn on_frame(&mut self, _now: u64, _frame: &[u8]) {}

    fn poll(&mut self, _now: u64, _out: &mut dyn FnMut(Frame) -> bool) {}

    fn next_poll(&mut self, _now: u64) -> Option<u64> {
        None
    }
}

/// The scenario.
pub fn run(
    host: &Host,
    job: &RunJob,
    mut files: Files,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    let mut orders = Orders::take(&mut files)?;
    let above_all = |endpoints: &mut Endpoints| {
        for port in &job.topology.miniports {
            endpoints.attach(&Place::Miniport(port.name.clone()), None, Nobody);
        }
    };
    let stage = Stage::with(host, job, &job.topology, job.seed, files, above_all)?;
    host.run(NAME, |host| measure(host, &stage, &mut orders, summary));
    stage.finish(host, summary);
    stage.captured()
}

fn measure(host: &Host, stage: &Stage, orders: &mut Orders, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    let ports: Option<Vec<BenchPort>> = stage
        .topology
        .miniports
        .iter()
        .map(|m| {
            Some(BenchPort {
                miniport: host.miniport(&device(&m.name))?,
                vlan: m.vlan(),
                // A port with a VLAN has its adapter's address.
                mac: stage.topology.adapters.first()?.mac.0,
            })
        })
        .collect();
    let (Some(ports), Some(&binding)) = (ports, bindings.first()) else {
        step(summary, "ports", false, "not all of them are there");
        return;
    };
    // What starting up has under way ends first.
    host.sleep(50_000_000);
    let (mut passes, mut failed) = (0_u64, None);
    {
        let mut bench = host.bench_ports(binding, ports, CONTEXT);
        let count = bench.ports();
        let mut go_on = orders.answer(Answer::ready(count));
        while go_on && let Some(order) = orders.next() {
            let pass = BenchPass {
                receive: order.receive,
                batch: order.batch as usize,
                busy: order.busy as usize,
                through: order.through,
            };
            let answer = bench.pass(&pass).map_or_else(
                |why| {
                    failed.get_or_insert(format!("{pass:?}: {why}"));
                    Answer::FAILED
                },
                Answer::nanoseconds,
            );
            passes += 1;
            go_on = orders.answer(answer);
        }
    }
    step(
        summary,
        "passes",
        failed.is_none(),
        failed.unwrap_or_else(|| format!("{passes} over 4,096 lists each")),
    );
    tour::bring_down(host, &bindings, summary);
}

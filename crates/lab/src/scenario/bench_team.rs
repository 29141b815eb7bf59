//! One child of `lab bench-team`: a team, measured a pass at a time when the parent says so.

use lab_host::Host;
use lab_host::ndis::BenchPass;

use super::bench_ports::{CONTEXT, Nobody, Orders};
use super::stage::{Files, Stage, device};
use super::{step, tour};
use crate::bench::Answer;
use crate::process::RunJob;
use crate::summary::Summary;
use crate::topology::Place;
use crate::topology::endpoints::Endpoints;
use crate::trouble::Trouble;

/// Name of the scenario.
pub const NAME: &str = "bench-team";

/// The scenario.
pub fn run(
    host: &Host,
    job: &RunJob,
    mut files: Files,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    let mut orders = Orders::take(&mut files)?;
    let above = |endpoints: &mut Endpoints| {
        for team in &job.topology.teams {
            endpoints.attach(&Place::Miniport(team.name.clone()), None, Nobody);
        }
    };
    let stage = Stage::with(host, job, &job.topology, job.seed, files, above)?;
    host.run(NAME, |host| measure(host, &stage, &mut orders, summary));
    stage.finish(host, summary);
    stage.captured()
}

fn measure(host: &Host, stage: &Stage, orders: &mut Orders, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    let team = stage.topology.teams.first().map(|team| device(&team.name));
    let found = team.as_deref().and_then(|name| host.miniport(name));
    let mac = found.and_then(|miniport| Some(host.miniport_facts(miniport)?.mac));
    let (Some(miniport), Some(mac)) = (found, mac) else {
        step(summary, "the team", false, "it is not there");
        return;
    };
    // What starting up has under way ends first.
    host.sleep(50_000_000);
    let (mut passes, mut failed) = (0_u64, None);
    {
        let broadcast = stage.topology.miniports.first().is_some_and(|team| {
            let mode = team.properties.get("Mode");
            mode.and_then(crate::topology::ConfigValue::number) == Some(4)
        });
        let bench = host.bench_team(&bindings, miniport, mac, CONTEXT);
        let members = bench.members();
        let mut bench = bench.copies(if broadcast { members } else { 1 });
        let mut go_on = orders.answer(Answer::ready(members));
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

//! The topology's timeline: ports come, change and go while the generators send. Frames
//! of the port concerned may be lost meanwhile, of no other port.

use lab_host::Host;

use super::super::stage::Stage;
use super::super::{progress, step};
use super::ports::Ports;
use crate::summary::Summary;
use crate::topology::{Action, Place, When};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// What was sent so long before an event may still be under way.
const GRACE: u64 = 100 * MS;

/// Frames that the generators have sent, all together.
fn sent(stage: &Stage) -> u64 {
    stage.endpoints.generated().map(|(_, frames)| frames).sum()
}

/// Frames that are missing and that nothing excuses.
fn lost(stage: &Stage) -> u64 {
    stage.endpoints.ledger.verdict().lost
}

/// Runs the events, and lets the generators end.
pub fn run(host: &Host, stage: &Stage, bindings: &[u64], summary: &mut Summary) {
    let mut ports = Ports::new(host, stage, bindings);
    let started = host.now();
    stage.endpoints.start_generators(started);
    stage.kick(host);
    let total: u64 = stage.topology.generators.iter().map(|g| g.frames).sum();
    let events = &stage.topology.timeline;
    for (done, event) in events.iter().enumerate() {
        let due = host.wait_until("for the timeline", MS / 50, 60 * SECOND, |host| {
            stage.endpoints.generators_done()
                || match event.when {
                    When::At(us) => host.now() >= started + us * 1_000,
                    When::After(frames) => sent(stage) >= frames,
                }
        });
        let at = sent(stage);
        let outcome = perform(host, stage, &mut ports, &event.action);
        let on_time = due && at < total;
        step(
            summary,
            &format!("timeline: {}", event.action),
            outcome.is_ok() && on_time,
            match outcome {
                Ok(()) if on_time => format!("after {at} of {total} frames"),
                Ok(()) => "the generators were done before it".to_owned(),
                Err(why) => why,
            },
        );
        progress(host, "timeline", done as u64 + 1, events.len() as u64);
    }
    stage.kick(host);
    let end = host.now() + 60 * SECOND;
    loop {
        let done = host.wait_until("for the floods", MS / 4, 20 * MS, |_| {
            generators_of_listed_done(stage, &ports) && lost(stage) == 0
        });
        progress(host, "floods, frames", sent(stage), total);
        if done || host.now() > end {
            break;
        }
    }
    stage.endpoints.stop_generators();
    let verdict = stage.endpoints.ledger.verdict();
    step(
        summary,
        "floods beside the timeline",
        verdict.is_clean() && verdict.sent > 0,
        format!(
            "{} of {} frames arrived, {} lost, {} dropped by the port concerned",
            verdict.received,
            verdict.sent,
            verdict.lost,
            verdict.excused_total()
        ),
    );
}

/// One event, with a window for the flows of its port.
fn perform(
    host: &Host,
    stage: &Stage,
    ports: &mut Ports<'_>,
    action: &Action,
) -> Result<(), String> {
    let ledger = &stage.endpoints.ledger;
    let name = action.to_string();
    match action.port() {
        Some(port) => {
            let flows = stage.endpoints.flows_of(&stage.topology, port);
            ledger.open_window_of(&flows, port, host.now(), GRACE);
        }
        None => ledger.open_window(&name, host.now(), GRACE),
    }
    ports.act(action)?;
    if !ports.settled(action) {
        return Err("the port did not become what it should be".into());
    }
    // What is gone stays gone until it is added again, what sleeps until it wakes.
    let over = match action {
        Action::Remove { .. }
        | Action::Power { up: false, .. }
        | Action::Link { up: false, .. } => false,
        Action::Change { .. } => action.port().is_some_and(|port| ports.is_up(port)),
        _ => true,
    };
    if over {
        // What came while the port was not there is through by then.
        host.sleep(MS);
        let key = action.port().unwrap_or(&name);
        while ledger.close_window(key, host.now()) {}
    }
    Ok(())
}

/// Whether those generators are done that can send.
fn generators_of_listed_done(stage: &Stage, ports: &Ports<'_>) -> bool {
    let generated: Vec<(&str, u64)> = stage.endpoints.generated().collect();
    stage.topology.generators.iter().all(|generator| {
        let can = match &generator.on {
            Place::Miniport(port) => ports.is_up(port),
            _ => true,
        };
        let done = generated
            .iter()
            .any(|(name, frames)| *name == generator.name && *frames >= generator.frames);
        !can || done
    })
}

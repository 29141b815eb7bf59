//! What the confined child does with a driver: load it and run the scenario.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lab_host::report::{Event, Sink};
use lab_host::{Host, RunEnd};

use crate::compare;
use crate::crash::handler;
use crate::host::{Witness, config, load_trouble};
use crate::process::{FileUse, Reporter, RunJob};
use crate::scenario;
use crate::see::{self, Seeing};
use crate::summary::{Step, Summary};
use crate::trouble::Trouble;

/// The scenario that needs no topology: `DriverEntry` and unload, nothing bound.
const LOAD: &str = "load";

/// Names of all scenarios, the default first.
pub fn scenarios() -> impl Iterator<Item = &'static str> {
    scenario::NAMES.into_iter().chain([LOAD])
}

/// Whether there is a scenario of this name; if not, what may have been meant.
pub fn check_scenario(name: &str) -> Result<(), Trouble> {
    if scenarios().any(|known| known == name) {
        return Ok(());
    }
    let near = nearest(name, scenarios())
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default();
    let all: Vec<_> = scenarios().collect();
    Err(Trouble::input(format!("there is no scenario `{name}`"))
        .hint(format!("{near}--scenario takes one of {}", all.join(", "))))
}

/// The known word that is most like one that is not known, if any is.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(known, word), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Runs the job. The results go out as events.
pub fn drive(
    job: &RunJob,
    mut files: Vec<(FileUse, OwnedFd)>,
    reporter: &Arc<Reporter>,
) -> Result<(), Trouble> {
    let at = files
        .iter()
        .position(|(usage, _)| *usage == FileUse::Image)
        .ok_or_else(|| Trouble::host("no image was handed over"))?;
    let mut image = Vec::new();
    File::from(files.remove(at).1)
        .read_to_end(&mut image)
        .map_err(|error| Trouble::host(format!("cannot read the image: {error}")))?;
    // The handler is there, and brings traps to the host.
    lab_host::signals::announce();
    let fuzz = files
        .iter()
        .position(|(usage, _)| matches!(usage, FileUse::Fuzz(_)));
    if let Some(at) = fuzz
        && let (FileUse::Fuzz(search), out) = files.remove(at)
    {
        return crate::fuzz::search(&search, out, &image, job, reporter);
    }
    let mut seeing = Seeing::take(&mut files)?;
    let sink: Arc<dyn Sink> = Arc::clone(reporter) as _;
    let host = Host::new(config(job), sink)
        .map_err(|error| Trouble::host(format!("cannot make the host: {error}")))?;
    let loaded = host.load(&image).map_err(|error| load_trouble(&error))?;
    handler::set_image(loaded.base, loaded.size);
    // Leaked on purpose: the handler may ask it for as long as the process lives.
    let host: &'static Host = Box::leak(host);
    handler::set_faults(Box::new(Witness::new(host)))
        .map_err(|_| Trouble::host("a driver was loaded before in this process"))?;
    seeing.begin(host);
    if let Some(plan) = seeing.plan.take() {
        see::play(host, &plan, job)?;
    } else if job.scenario.as_deref() == Some(LOAD) {
        load(host, job)?;
    } else if compare::life::is_mine(job.scenario.as_deref()) {
        compare::life::run(host, job)?;
    } else {
        scenario::run(host, job, files)?;
    }
    seeing.end(host)
}

/// `load`: `DriverEntry`, then unload if it succeeded.
fn load(host: &Host, job: &RunJob) -> Result<(), Trouble> {
    let mut summary = Summary {
        scenario: LOAD.into(),
        cycles: job.cycles,
        ..Summary::default()
    };
    for cycle in 0..job.cycles {
        if cycle > 0 {
            host.reset(job.seed.wrapping_add(cycle))
                .map_err(|error| Trouble::host(format!("cannot start over: {error}")))?;
        }
        let mut status = None;
        let end = host.run(LOAD, |host| {
            let entry = host.driver_entry(&job.service);
            status = Some(entry);
            if entry >= 0 {
                host.uninstall();
                host.unload();
            }
        });
        // Otherwise the driver was stopped, and that was reported.
        let Some(status) = status.filter(|_| end == RunEnd::Done) else {
            return Ok(());
        };
        if cycle == 0 || status < 0 {
            summary.steps.push(Step {
                name: "DriverEntry".into(),
                ok: status >= 0,
                detail: format!("status {status:#010x}"),
            });
        }
        summary.virtual_ns += host.now();
        host.sink().event(Event::Progress {
            what: "DriverEntry and unload".into(),
            done: cycle + 1,
            total: job.cycles,
        });
        if status < 0 {
            break;
        }
    }
    let value = serde_json::to_value(summary)
        .map_err(|error| Trouble::host(format!("the summary: {error}")))?;
    host.sink().event(Event::Summary { value });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scenario_gets_a_suggestion_and_the_list() {
        for name in scenarios() {
            assert_eq!(check_scenario(name), Ok(()));
        }
        let text = check_scenario("laod").expect_err("unknown").to_string();
        assert!(text.contains("did you mean `load`?"), "{text}");
        let text = check_scenario("xyz").expect_err("unknown").to_string();
        assert!(!text.contains("did you mean"), "{text}");
        assert!(text.contains("takes one of tour"), "{text}");
    }
}

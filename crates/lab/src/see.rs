//! What a run leaves for those who want to see it: the child's end of `lab trace` and
//! `lab coverage`, and the files that the parent hands over for it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use lab_host::Host;
use lab_host::report::Event;
use lab_host::trace::{Block, Options};
use lab_verify::{Outcome, Plan};

use crate::fuzz::Search;
use crate::process::{FileUse, RunJob, memory_file};
use crate::summary::{Step, Summary};
use crate::trouble::Trouble;

/// What a run is to leave, with the files that it leaves it in.
#[derive(Debug, Default)]
pub struct See {
    /// Every crossing.
    pub trace: Option<(File, Options)>,
    /// Which basic blocks were reached.
    pub coverage: Option<File>,
    /// A plan instead of a scenario.
    pub plan: Option<Plan>,
    /// A search instead of a scenario, and where it writes.
    pub fuzz: Option<(File, Search)>,
}

impl See {
    /// What the child gets.
    ///
    /// # Errors
    /// When a descriptor cannot be had.
    pub fn files(&self) -> Result<Vec<(FileUse, OwnedFd)>, Trouble> {
        let trouble = |error| Trouble::host(format!("cannot hand a file over: {error}"));
        let mut files = Vec::new();
        if let Some((file, options)) = &self.trace {
            let usage = FileUse::Trace {
                snap: options.snap,
                limit: options.limit,
            };
            files.push((usage, file.try_clone().map_err(trouble)?.into()));
        }
        if let Some(file) = &self.coverage {
            files.push((FileUse::Coverage, file.try_clone().map_err(trouble)?.into()));
        }
        if let Some((file, search)) = &self.fuzz {
            let file = file.try_clone().map_err(trouble)?;
            files.push((crate::fuzz::usage(search), file.into()));
        }
        if let Some(plan) = &self.plan {
            let text = plan.to_toml();
            let file = memory_file(c"lab-plan", text.as_bytes(), true).map_err(trouble)?;
            files.push((FileUse::Plan, file.into()));
        }
        Ok(files)
    }
}

/// The same in the child.
#[derive(Debug, Default)]
pub struct Seeing {
    trace: Option<(File, Options)>,
    coverage: Option<File>,
    /// A plan instead of a scenario.
    pub plan: Option<Plan>,
}

impl Seeing {
    /// Takes what is for it out of the job's files.
    ///
    /// # Errors
    /// When the plan cannot be read.
    pub fn take(files: &mut Vec<(FileUse, OwnedFd)>) -> Result<Self, Trouble> {
        let mut seeing = Self::default();
        let mut rest = Vec::new();
        for (usage, fd) in files.drain(..) {
            match usage {
                FileUse::Trace { snap, limit } => {
                    seeing.trace = Some((fd.into(), Options { snap, limit }));
                }
                FileUse::Coverage => seeing.coverage = Some(fd.into()),
                FileUse::Plan => {
                    let mut text = String::new();
                    File::from(fd)
                        .read_to_string(&mut text)
                        .map_err(|error| Trouble::host(format!("cannot read the plan: {error}")))?;
                    let plan = toml::from_str(&text)
                        .map_err(|error| Trouble::input(format!("the plan: {error}")))?;
                    seeing.plan = Some(plan);
                }
                other => rest.push((other, fd)),
            }
        }
        *files = rest;
        Ok(seeing)
    }

    /// Begins to see.
    pub fn begin(&mut self, host: &Host) {
        if let Some((file, options)) = self.trace.take() {
            host.trace_to(Box::new(file), options);
        }
        if self.coverage.is_some() {
            host.cover();
        }
    }

    /// Writes what was seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self, host: &Host) -> Result<(), Trouble> {
        host.trace_flush();
        if let Some(mut file) = self.coverage {
            let blocks: Vec<(Block, bool)> = host.coverage();
            let trouble = |error: &dyn std::fmt::Display| {
                Trouble::host(format!("the coverage cannot be written: {error}"))
            };
            let text = serde_json::to_vec(&blocks).map_err(|error| trouble(&error))?;
            file.write_all(&text).map_err(|error| trouble(&error))?;
        }
        Ok(())
    }
}

/// Plays a plan; its results go out as those of a scenario do.
///
/// # Errors
/// When the image cannot be restored.
pub fn play(host: &Host, plan: &Plan, job: &RunJob) -> Result<(), Trouble> {
    let outcome = lab_verify::play(host, plan, &job.service)
        .map_err(|error| Trouble::host(format!("cannot start over: {error}")))?;
    let value = serde_json::to_value(summary(plan, &outcome))
        .map_err(|error| Trouble::host(format!("the summary: {error}")))?;
    host.sink().event(Event::Summary { value });
    Ok(())
}

fn summary(plan: &Plan, outcome: &Outcome) -> Summary {
    let ids: Vec<String> = outcome.ids().into_iter().collect();
    let detail = if ids.is_empty() {
        format!("{} crossings", outcome.crossings)
    } else {
        ids.join(", ")
    };
    Summary {
        scenario: plan.name.clone(),
        cycles: 1,
        virtual_ns: outcome.virtual_ns,
        steps: vec![Step {
            name: format!("plan {}", plan.name),
            ok: outcome.is_clean(),
            detail,
        }],
        trace: Some(format!("{:#018x}", outcome.trace)),
        ..Summary::default()
    }
}

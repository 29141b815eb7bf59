//! `lab trace`: runs a driver and shows what happened, as a timeline, sequence diagrams,
//! captures and a table. `lab coverage`: which lines of it were reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

use clap::Parser as _;
use lab_host::trace::{Block, Options};
use lab_see::mermaid::Follow;
use lab_see::story::MiniportPlace;
use lab_see::{Coverage, Map, Places, Story, capture, mermaid, perfetto, table};
use lab_verify::{Plan, Shape};
use serde::Serialize;

use crate::cli::{Cli, Command, CoverageArgs, Run, TraceArgs};
use crate::exit::Verdict;
use crate::package::{Package, Role};
use crate::see::See;
use crate::topology::{Miniport as Miniports, Topology};
use crate::trouble::Trouble;

/// `lab trace`.
pub fn run(options: &TraceArgs) -> Verdict {
    said(trace(options))
}

/// `lab coverage`.
pub fn coverage(options: &CoverageArgs) -> Verdict {
    said(cover(options))
}

fn said(result: Result<Verdict, Trouble>) -> Verdict {
    result.unwrap_or_else(|trouble| {
        eprintln!("{trouble}");
        trouble.verdict()
    })
}

/// `lab run` with a package and further arguments.
pub(crate) fn run_of(package: &Path, more: &[String]) -> Result<Run, Trouble> {
    let mut line = vec!["lab".into(), "run".into(), "--package".into()];
    line.push(package.as_os_str().to_owned());
    line.extend(more.iter().map(Into::into));
    match Cli::try_parse_from(line).map(|cli| cli.command) {
        Ok(Command::Run(run)) => Ok(run),
        Ok(_) => Err(Trouble::host("the command line of a run is another")),
        Err(error) => Err(Trouble::input(error.to_string())),
    }
}

pub(crate) fn read_plan(path: &Path) -> Result<Plan, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| {
        Trouble::input(format!("cannot read the plan: {error}")).at(path.display())
    })?;
    toml::from_str(&text).map_err(|error| {
        Trouble::input(format!("the plan has a mistake: {error}")).at(path.display())
    })
}

/// The shape of the package's topology, as plans have it.
pub(crate) fn shape_of(run: &Run) -> Result<Shape, Trouble> {
    let package = Package::open(&run.package)?;
    let topology: Topology = crate::run::topology(run, &package)?;
    Ok(crate::verify::shape(&topology))
}

fn folder(path: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(path).map_err(|error| {
        Trouble::input(format!("cannot make the folder: {error}"))
            .at(path.display())
            .hint("--out takes a folder that you may write to")
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    fs::write(path, bytes)
        .map_err(|error| Trouble::input(format!("cannot write: {error}")).at(path.display()))?;
    println!("  {} ({} bytes)", path.display(), bytes.len());
    Ok(())
}

fn scratch() -> Result<File, Trouble> {
    tempfile::tempfile().map_err(|error| Trouble::host(format!("no temporary file: {error}")))
}

fn rewound(mut file: &File) -> Result<&File, Trouble> {
    file.rewind()
        .map_err(|error| Trouble::host(format!("a temporary file cannot be read: {error}")))?;
    Ok(file)
}

fn trace(options: &TraceArgs) -> Result<Verdict, Trouble> {
    let plan = options.plan.as_deref().map(read_plan).transpose()?;
    let mut more = Vec::new();
    if let Some(scenario) = &options.scenario {
        more.extend(["--scenario".to_owned(), scenario.clone()]);
    }
    if let Some(seed) = options.seed {
        more.extend(["--seed".to_owned(), seed.to_string()]);
    }
    if let Some(file) = &options.topology {
        more.extend(["--topology".to_owned(), file.display().to_string()]);
    }
    let run = run_of(&options.package, &more)?;
    let places = places(&run, plan.as_ref())?;
    let file = scratch()?;
    let see = See {
        trace: Some((
            file.try_clone()
                .map_err(|error| Trouble::host(format!("no descriptor: {error}")))?,
            Options {
                snap: options.snap,
                limit: options.limit,
            },
        )),
        plan,
        ..See::default()
    };
    folder(&options.out)?;
    let verdict = crate::run::run_seen(&run, &see);
    if verdict == Verdict::BadInput {
        return Ok(verdict);
    }
    let trace = lab_see::Trace::read(BufReader::new(rewound(&file)?))
        .map_err(|error| Trouble::host(error.to_string()))?;
    if trace.events.is_empty() {
        return Err(Trouble::host(
            "nothing was traced: no call crossed between host and driver",
        ));
    }
    let story = Story::new(&trace, &places);
    println!(
        "{} events{}; written:",
        trace.events.len(),
        if trace.full {
            ", then the trace was full (--limit)"
        } else {
            ""
        }
    );
    let out = &options.out;
    write(&out.join("timeline.pftrace"), &perfetto::timeline(&trace))?;
    write(&out.join("table.txt"), table::table(&trace).as_bytes())?;
    let follows = if options.follow.is_empty() {
        mermaid::choose(&trace, &story)
    } else {
        let named = options.follow.iter();
        named
            .map(|what| find(&trace, what))
            .collect::<Result<Vec<_>, _>>()?
    };
    for follow in follows {
        let name = match follow {
            Follow::List(id) => format!("nbl-{id}.mmd"),
            Follow::Request(id) => format!("oid-{id}.mmd"),
        };
        let text = mermaid::sequence(&trace, &story, follow).ok_or_else(|| {
            Trouble::input(format!("the trace has nothing of {follow:?}"))
                .hint("table.txt names every list and request")
        })?;
        write(&out.join(name), text.as_bytes())?;
    }
    let captures = capture::captures(&trace, &story, &places)
        .map_err(|error| Trouble::host(error.to_string()))?;
    for capture in captures {
        write(
            &out.join(format!("{}.pcapng", capture.name)),
            &capture.bytes,
        )?;
    }
    Ok(verdict)
}

/// What `--follow` names: `nbl:7`, `oid:3`, or an object identifier, `oid:0x00010106`.
fn find(trace: &lab_see::Trace, what: &str) -> Result<Follow, Trouble> {
    let bad = || {
        Trouble::input(format!("there is no `{what}` to follow"))
            .hint("--follow takes nbl:N or oid:N with a number of table.txt, or oid:0x… with an object identifier")
    };
    let (kind, number) = what.split_once(':').ok_or_else(bad)?;
    match (kind, number.strip_prefix("0x")) {
        ("nbl", None) => number.parse().map(Follow::List).map_err(|_| bad()),
        ("oid", None) => number.parse().map(Follow::Request).map_err(|_| bad()),
        ("oid", Some(hex)) => {
            let wanted = u32::from_str_radix(hex, 16).map_err(|_| bad())?;
            let mut calls = trace.events.iter().filter_map(lab_see::Event::call);
            calls
                .find_map(|call| call.oid.as_ref().filter(|oid| oid.oid == wanted))
                .map(|oid| Follow::Request(oid.id))
                .ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

/// What the topology, or the plan's shape, says of the network around the driver.
fn places(run: &Run, plan: Option<&Plan>) -> Result<Places, Trouble> {
    let mut places = Places::default();
    if let Some(plan) = plan {
        for (index, adapter) in plan.shape.adapters.iter().enumerate() {
            let name = lab_verify::play::adapter(index);
            places.adapters.insert(name.clone(), None);
            for &upper in &adapter.upper {
                let device = lab_verify::play::device(upper);
                let place = places
                    .miniports
                    .entry(lab_see::model::short(&device).to_owned())
                    .or_default();
                place.adapters.push(name.clone());
                place.vlan = plan.shape.miniports.get(upper).and_then(|m| m.vlan);
            }
        }
        return Ok(places);
    }
    let package = Package::open(&run.package)?;
    let topology: Topology = crate::run::topology(run, &package)?;
    for adapter in &topology.adapters {
        places
            .adapters
            .insert(adapter.name.clone(), adapter.wire.clone());
    }
    for binding in &topology.bindings {
        for upper in &binding.upper {
            let device = crate::scenario::stage::device(upper);
            let place: &mut MiniportPlace = places
                .miniports
                .entry(lab_see::model::short(&device).to_owned())
                .or_default();
            place.adapters.push(binding.adapter.clone());
            let miniport = topology.miniports.iter().find(|m| m.name == *upper);
            place.vlan = miniport.map(Miniports::vlan).filter(|&vlan| vlan != 0);
        }
    }
    Ok(places)
}

/// Coverage of each scenario, and of all together.
#[derive(Serialize)]
struct Report {
    format: u32,
    driver: String,
    total: Coverage,
    scenarios: BTreeMap<String, Coverage>,
}

fn cover(options: &CoverageArgs) -> Result<Verdict, Trouble> {
    let package = Package::open(&options.package)?;
    let image = package.required(Role::Image)?;
    let pdb = package.optional(Role::Pdb)?.ok_or_else(|| {
        Trouble::input("the package has no PDB").hint("coverage by line needs one")
    })?;
    folder(&options.out)?;
    let mut runs: Vec<(String, Vec<String>, Option<Plan>)> = Vec::new();
    for scenario in &options.scenarios {
        let arguments = vec!["--scenario".to_owned(), scenario.clone()];
        runs.push((scenario.clone(), arguments, None));
    }
    for path in &options.plans {
        let plan = read_plan(path)?;
        runs.push((path.display().to_string(), Vec::new(), Some(plan)));
    }
    if runs.is_empty() {
        runs.push(("default".to_owned(), Vec::new(), None));
    }
    let mut worst = Verdict::Clean;
    let mut map: Option<Map> = None;
    let mut all: BTreeSet<u32> = BTreeSet::new();
    let mut scenarios = BTreeMap::new();
    for (name, arguments, plan) in runs {
        let run = run_of(&options.package, &arguments)?;
        let file = scratch()?;
        let see = See {
            coverage: Some(
                file.try_clone()
                    .map_err(|error| Trouble::host(format!("no descriptor: {error}")))?,
            ),
            plan,
            ..See::default()
        };
        let verdict = crate::run::run_seen(&run, &see);
        if verdict != Verdict::Clean {
            worst = verdict;
        }
        let blocks = blocks(&file, &name)?;
        let own: Vec<(Block, bool)> = blocks.into_iter().filter(|(b, _)| b.image == 0).collect();
        if map.is_none() {
            let known: Vec<Block> = own.iter().map(|(block, _)| *block).collect();
            let made = Map::new(&image.bytes, pdb.bytes.clone(), &known)
                .map_err(|error| Trouble::input(error.to_string()))?;
            map = Some(made);
        }
        let reached: BTreeSet<u32> = own
            .iter()
            .filter(|(_, hit)| *hit)
            .map(|(b, _)| b.start)
            .collect();
        if let Some(map) = &map {
            scenarios.insert(name, map.coverage(&reached));
        }
        all.extend(reached);
    }
    let Some(map) = map else {
        return Err(Trouble::host("nothing was run"));
    };
    let total = map.coverage(&all);
    println!("{}", total.text());
    for (name, coverage) in &scenarios {
        let (lines, functions) = coverage.totals();
        println!("{name}: lines {lines}, functions {functions}");
        let file = options
            .out
            .join(format!("coverage-{}.info", file_name(name)));
        write(&file, coverage.lcov(&file_name(name)).as_bytes())?;
    }
    write(
        &options.out.join("coverage.info"),
        total.lcov("all").as_bytes(),
    )?;
    write(&options.out.join("coverage.txt"), total.text().as_bytes())?;
    let report = Report {
        format: 1,
        driver: package.manifest().driver.clone(),
        total,
        scenarios,
    };
    let text = serde_json::to_vec_pretty(&report)
        .map_err(|error| Trouble::host(format!("the report: {error}")))?;
    write(&options.out.join("coverage.json"), &text)?;
    Ok(worst)
}

fn file_name(name: &str) -> String {
    let safe = name.chars();
    safe.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

fn blocks(file: &File, name: &str) -> Result<Vec<(Block, bool)>, Trouble> {
    let mut text = String::new();
    rewound(file)?
        .read_to_string(&mut text)
        .map_err(|error| Trouble::host(format!("a temporary file cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|_| {
        Trouble::host(format!("`{name}` ended before its coverage was written"))
            .hint("what a driver reached that crashed or hung is not known; the real-time engine has no coverage")
    })
}

//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use lab_verify::fuzz::Target;

use crate::{
    exit,
    process::Probe,
    topology::{self, NdisVersion, Topology},
};

/// Seed of a run that names none: the same for everybody, so that runs compare.
pub const DEFAULT_SEED: u64 = 0x5eed;

/// Load a packaged NDIS 6 intermediate driver on plain Linux, pass real traffic
/// through it, and say what it did wrong.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_long_help = LONG_HELP,
    after_help = exit::HELP
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const LONG_HELP: &str = "\
How it works:
  `lab run` reads the package's manifest.json, checks the hash of the driver
  image it names, and starts itself a second time as a confined child process
  (no files, no sockets, no programs, limited memory and CPU). The child maps
  the image, binds its imports to a user-mode NDIS, builds the topology's
  adapters and wires around it and runs the scenario. A crash, a bug check or a
  hang of the driver ends the child; the parent turns it into a report.

Examples:
  lab run --package target/package/passthrough
  lab run --package DIR --seed 0x5eed --cycles 1000
  lab run --package DIR --pcap trace.pcapng --json > result.json
  sudo lab run --package DIR --tap
  lab imports driver.sys

Exit codes:
  0    clean: traffic passed, no rule broken, nothing leaked
  1    rules broken, objects leaked, or traffic lost or damaged
  2    wrong usage or bad input (package, image, topology)
  3    the driver crashed, bug-checked or hung
  4    the lab itself failed
  130  interrupted by Ctrl-C (128 + signal number)";

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a packaged driver in its topology and judge it
    Run(Run),
    /// Judge a driver by every rule, every fault and many schedules
    Verify(Verify),
    /// Play what `verify` found again, exactly as it was
    Replay(Replay),
    /// List what a driver image imports and what the lab lacks of it
    Imports(Imports),
    /// List the rules and who watches over each
    Rules(Rules),
    /// Measure what a frame costs with 1 to 4,094 ports, in ratio to a driver with one
    BenchPorts(BenchPorts),
    /// Measure what a frame costs through teams, in ratio to a driver with one miniport
    BenchTeam(BenchTeam),
    /// Run drivers of different topologies through one script, side by side, on one page
    Compare(Compare),
    /// Check the answer to an exercise of the course; without a name lists them all
    Exercise(Exercise),
    /// Run a driver and show what happened: timeline, sequence diagrams, captures, table
    Trace(TraceArgs),
    /// Search for what breaks a driver: random frames, requests, configurations, orders
    Fuzz(FuzzArgs),
    /// Run a driver and say which of its lines were reached
    Coverage(CoverageArgs),
    /// Try the child's confinement; prints messages as JSON lines
    #[command(name = "__probe", hide = true)]
    Probe {
        /// Which probe.
        probe: Probe,
    },
}

/// `lab run`.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct Run {
    /// Package directory: what `cargo xtask package <driver>` makes
    #[arg(long, value_name = "DIR")]
    pub package: PathBuf,
    /// Package of a second driver, which binds to virtual miniports of the first: those that
    /// are the adapter of a binding in the topology (scenario `stacked`)
    #[arg(long, value_name = "DIR")]
    pub above: Option<PathBuf>,
    /// Where an image of the topology is: a .sys, or the directory of a package [default: the
    /// `file` of its `[[image]]`]
    #[arg(long = "image", value_name = "NAME=PATH", value_parser = named_path)]
    pub images: Vec<(String, PathBuf)>,
    /// Topology file [default: the one in the package]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Seed of every choice in a deterministic run: a number, 0x…, or `random`
    /// [default: the topology's, else 0x5eed]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,
    /// Put Linux network namespaces at both ends instead of the built-in TCP/IP
    /// stack, and Open vSwitch between them where there are VLANs; needs root or
    /// user namespaces; implies --engine realtime
    #[arg(long)]
    pub tap: bool,
    /// Who stands at the other end with --tap: Open vSwitch is the one there is, and is taken
    /// wherever a switch is needed
    #[arg(long, value_enum, requires = "tap")]
    pub partner: Option<Partner>,
    /// Record every frame on every wire (pcapng)
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// One JSON document on stdout; text for people goes to stderr
    #[arg(long)]
    pub json: bool,
    /// Show more: -v host information and confinement, -vv every host call
    #[arg(short, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How the driver is run [default: the topology's; realtime with --tap]
    #[arg(long, value_enum)]
    pub engine: Option<Engine>,
    /// Scenario by name [default: the whole tour]
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Repeat the scenario, each time with a seed derived from --seed; for `churn` the number
    /// of schedules
    #[arg(long, visible_alias = "schedules", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub cycles: u64,
    /// NDIS version the lab claims to be, 6.0 to 6.89 [default: the topology's]
    #[arg(long, value_name = "VERSION", value_parser = ndis_version)]
    pub ndis_version: Option<NdisVersion>,
    /// Seconds without any sign of life after which the driver hangs
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub watchdog: Duration,
}

/// Who stands at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Partner {
    /// Open vSwitch with its userspace datapath
    Ovs,
}

/// Which engine runs the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// One OS thread, virtual time, every choice from the seed
    Deterministic,
    /// OS threads and the real clock; for TAP devices and measurements
    Realtime,
}

impl From<Engine> for topology::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Deterministic => Self::Deterministic,
            Engine::Realtime => Self::RealTime,
        }
    }
}

/// `lab verify`.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_CODES)]
pub struct Verify {
    /// Package directory, or a .sys file
    #[arg(value_name = "PACKAGE or FILE.sys")]
    pub target: PathBuf,
    /// Topology file [default: the one in the package; without one, one miniport on one adapter]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Service of a bare image's protocol edge [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Only this suite (plans, faults, vanish, races, schedules, short); may be given again
    #[arg(long = "suite", value_name = "NAME")]
    pub suites: Vec<String>,
    /// Seed of every choice: a number, 0x…, or `random` [default: 0x5eed]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,
    /// Scenarios in all, shared out over configurations and suites; more for a long run
    #[arg(long, visible_alias = "budget", value_name = "N", default_value_t = 30_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub scenarios: u64,
    /// Child processes at a time
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub jobs: u8,
    /// Folder for the shortest scenario of each failure
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// One JSON document on stdout; text for people goes to stderr
    #[arg(long)]
    pub json: bool,
    /// Seconds without any sign of life after which the driver hangs
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub watchdog: Duration,
}

const VERIFY_CODES: &str = "\
Exit codes:
  0    clean: no rule broken, and every fault site reached or explained
  1    rules broken, or a fault site that nothing reaches and nothing explains
  2    wrong usage or bad input
  3    the driver crashed or hung in a play
  4    the lab itself failed
  130  interrupted by Ctrl-C (128 + signal number)";

/// `lab replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  the play is clean\n  1  rules are broken\n  2  wrong usage or bad input\n  3  the driver crashes or hangs\n  4  the play does not repeat, or the lab failed"
)]
pub struct Replay {
    /// Number of a play, or a scenario file
    #[arg(value_name = "NUMBER or FILE.toml")]
    pub what: String,
    /// Package directory, or a .sys file
    #[arg(value_name = "PACKAGE or FILE.sys")]
    pub target: Option<PathBuf>,
    /// Packages among which the one is found that a number is of
    #[arg(long, value_name = "DIR")]
    pub among: Vec<PathBuf>,
    /// Topology file [default: the one in the package]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Service of a bare image's protocol edge [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// How often it is played; all plays must be the same, crossing by crossing
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub times: u32,
    /// Lines of the trace that are shown, the last ones; 0 for none
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub trace: usize,
    /// Print the plan as a scenario file
    #[arg(long)]
    pub plan: bool,
    /// One JSON document on stdout; text for people goes to stderr
    #[arg(long)]
    pub json: bool,
}

/// `lab trace`.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct TraceArgs {
    /// Package directory: what `cargo xtask package <driver>` makes
    #[arg(value_name = "PACKAGE")]
    pub package: PathBuf,
    /// Scenario by name [default: the topology's]
    #[arg(long, value_name = "NAME", conflicts_with = "plan")]
    pub scenario: Option<String>,
    /// Scenario file, such as `lab verify` writes for what it found
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Topology file [default: the one in the package]
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    pub topology: Option<PathBuf>,
    /// Seed of every choice
    #[arg(long, value_name = "N", value_parser = seed, conflicts_with = "plan")]
    pub seed: Option<u64>,
    /// What to draw a sequence diagram of: nbl:N, oid:N (numbers of the table), or oid:0x… (an
    /// object identifier); may be given several times [default: one list, one request]
    #[arg(long, value_name = "WHAT")]
    pub follow: Vec<String>,
    /// Where everything is written
    #[arg(long, value_name = "DIR", default_value = "target/trace")]
    pub out: PathBuf,
    /// Calls between host and driver after which the trace is full
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Octets of each frame that are kept
    #[arg(long, value_name = "N", default_value_t = 65_535)]
    pub snap: u32,
}

/// `lab fuzz`.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct FuzzArgs {
    /// Package directory: what `cargo xtask package <driver>` makes
    #[arg(value_name = "PACKAGE")]
    pub package: PathBuf,
    /// What is made at random: frames, oids, control, configuration, orders; may be given
    /// several times [default: each in turn]
    #[arg(long = "target", value_name = "TARGET", value_parser = fuzz_target)]
    pub targets: Vec<Target>,
    /// Decides everything: the same seed tries the same plans in the same order
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Seconds for each target [default: 5, or no limit with --plays]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time: Option<Duration>,
    /// Plans for each target; 0 for as many as there is time for
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub plays: u64,
    /// Scenario file whose adapters and miniports are around the driver [default: those of the
    /// package's topology]
    #[arg(long, value_name = "FILE")]
    pub shape: Option<PathBuf>,
    /// Where what was found is written, a scenario file each
    #[arg(long, value_name = "DIR", default_value = "target/fuzz")]
    pub out: PathBuf,
}

fn fuzz_target(text: &str) -> Result<Target, String> {
    Target::named(text).ok_or_else(|| {
        let all: Vec<_> = Target::ALL.iter().map(|target| target.name()).collect();
        format!("one of {}", all.join(", "))
    })
}

/// `lab coverage`.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP)]
pub struct CoverageArgs {
    /// Package directory: what `cargo xtask package <driver>` makes
    #[arg(value_name = "PACKAGE")]
    pub package: PathBuf,
    /// Scenarios by name, each run once; may be given several times [default: the topology's]
    #[arg(long = "scenario", value_name = "NAME")]
    pub scenarios: Vec<String>,
    /// Scenario files, played like them
    #[arg(long = "plan", value_name = "FILE")]
    pub plans: Vec<PathBuf>,
    /// Where coverage.txt, coverage.json and coverage.info (lcov) go
    #[arg(long, value_name = "DIR", default_value = "target/coverage")]
    pub out: PathBuf,
}

/// `lab imports`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  everything imported is provided\n  1  something is not\n  2  not an image the lab can load"
)]
pub struct Imports {
    /// A driver image
    #[arg(value_name = "FILE.sys")]
    pub image: PathBuf,
    /// JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `lab rules`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  listed; with --prove every misdeed is caught by the id of its rule, and nothing else is\n  1  one is not\n  2  wrong usage or bad input\n  4  the lab itself failed"
)]
pub struct Rules {
    /// JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// The page of the documentation on stdout
    #[arg(long, conflicts_with_all = ["json", "prove"])]
    pub markdown: bool,
    /// Run every misdeed of this image: what `cargo xtask build misdeed` makes
    #[arg(long, value_name = "IMAGE")]
    pub prove: Option<PathBuf>,
}

/// `lab bench-ports`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  measured, whatever the figures are\n  2  wrong usage or bad input\n  4  the lab itself or a driver in it failed"
)]
pub struct BenchPorts {
    /// Package of the driver with one port that the others are compared with
    #[arg(long, value_name = "DIR")]
    pub one: PathBuf,
    /// Package of the driver with many ports
    #[arg(long, value_name = "DIR")]
    pub many: PathBuf,
    /// Numbers of ports
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 16, 256, 4094],
        value_parser = ports)]
    pub ports: Vec<usize>,
    /// Passes of each kind; figures are medians of them
    #[arg(long, value_name = "N", default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: u32,
    /// Seed of every order of lists and ports
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// `lab compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  compared, whatever the figures are\n  1  a driver lost frames that the script does not explain, or left something behind\n  2  wrong usage or bad input\n  4  the lab itself or a driver in it failed"
)]
pub struct Compare {
    /// Package of a driver with one virtual miniport on an adapter
    #[arg(long, value_name = "DIR")]
    pub one: Option<PathBuf>,
    /// Package of a driver with many virtual miniports on an adapter
    #[arg(long, value_name = "DIR")]
    pub many: Option<PathBuf>,
    /// Package of a driver with one virtual miniport on many adapters
    #[arg(long, value_name = "DIR")]
    pub team: Option<PathBuf>,
    /// Where compare.html and compare.json go
    #[arg(long, value_name = "DIR", overrides_with = "out")]
    pub out: PathBuf,
    /// Seed of every choice
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Passes of each measurement; figures are medians of them
    #[arg(long, value_name = "N", default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: u32,
}

/// `lab exercise`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  solved\n  1  not yet\n  2  wrong usage or bad input, such as an answer that cannot be read\n  4  the lab itself failed"
)]
pub struct Exercise {
    /// Name of the exercise, such as mux-1
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where the packages of the drivers are, in folders of their names
    #[arg(
        long,
        value_name = "DIR",
        default_value = "target/package",
        overrides_with = "packages"
    )]
    pub packages: PathBuf,
    /// Folder with your answer [default: docs/exercises/NAME]
    #[arg(long, value_name = "DIR")]
    pub answer: Option<PathBuf>,
    /// Seed of every choice
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Show everything that the run found out, as JSON
    #[arg(long)]
    pub json: bool,
}

/// `lab bench-team`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  measured, whatever the figures are\n  2  wrong usage or bad input\n  4  the lab itself or a driver in it failed"
)]
pub struct BenchTeam {
    /// Package of the driver with one miniport that teams are compared with
    #[arg(long, value_name = "DIR")]
    pub one: PathBuf,
    /// Package of the driver that makes teams
    #[arg(long, value_name = "DIR")]
    pub team: PathBuf,
    /// Numbers of members
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 32],
        value_parser = members)]
    pub members: Vec<usize>,
    /// Passes of each kind; figures are medians of them
    #[arg(long, value_name = "N", default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: u32,
    /// Seed of every order of lists
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

fn members(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=32) => Ok(count),
        _ => Err("1 to 32 members".into()),
    }
}

fn ports(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=4094) => Ok(count),
        _ => Err("1 to 4094 ports, a VLAN each".into()),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    if text == "random" {
        // The hasher's keys are the operating system's randomness.
        use std::hash::{BuildHasher, RandomState};
        return Ok(RandomState::new().hash_one(std::process::id()));
    }
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(&hex.replace('_', ""), 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}: a seed is a number up to 64 bits, 0x… or `random`"))
}

/// `NAME=PATH`.
fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err("a name and a path are wanted, as in nic=target/c-drivers/c-nic".to_owned()),
    }
}

fn ndis_version(text: &str) -> Result<NdisVersion, String> {
    let parsed = text
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match parsed {
        Some((major @ 6, minor)) if minor <= 89 => Ok(NdisVersion { major, minor }),
        _ => Err("the lab is NDIS 6.0 to 6.89, for example 6.87".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1e6 => Ok(Duration::from_secs_f64(value)),
        _ => Err("a positive number of seconds".into()),
    }
}

impl Run {
    /// Puts what the command line says into the topology's settings, and returns the seed.
    pub fn settle(&self, topology: &mut Topology) -> Result<u64, String> {
        let lab = &mut topology.lab;
        if let Some(version) = self.ndis_version {
            lab.ndis_version = version;
        }
        match (self.engine, self.tap) {
            (Some(Engine::Deterministic), true) => {
                return Err(
                    "--tap needs --engine realtime: Linux's own clock drives what comes through a TAP device"
                        .into(),
                );
            }
            (Some(engine), _) => lab.engine = engine.into(),
            (None, true) => lab.engine = topology::Engine::RealTime,
            (None, false) => {}
        }
        if self.tap {
            for host in &mut topology.hosts {
                host.stack = topology::Stack::Linux;
            }
            // Linux keeps its own time: what has been sent is complete.
            for adapter in &mut topology.adapters {
                adapter.paced = false;
            }
            // Linux has no tags of its own in its frames, and is to see none.
            for miniport in &mut topology.miniports {
                miniport.fold_tags = false;
            }
        }
        let seed = self.seed.or(lab.seed).unwrap_or(DEFAULT_SEED);
        lab.seed = Some(seed);
        Ok(seed)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run_args(arguments: &[&str]) -> Result<Run, clap::Error> {
        let all = ["lab", "run", "--package", "p"].iter().chain(arguments);
        match Cli::try_parse_from(all)?.command {
            Command::Run(run) => Ok(run),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn long_help_lists_the_same_exit_codes() {
        assert!(LONG_HELP.ends_with(exit::HELP));
    }

    fn topology(lab: &str) -> Topology {
        let text = format!(
            "{lab}\n[[adapter]]\nname = \"n\"\nwire = \"w\"\n[[wire]]\nname = \"w\"\n\
             [[miniport]]\nname = \"v\"\n[[binding]]\nadapter = \"n\"\nupper = [\"v\"]\n"
        );
        Topology::parse("t.toml".as_ref(), &text).expect("a sound topology")
    }

    #[test]
    fn the_command_line_wins_over_the_topology_and_that_over_the_default() {
        let mut settled = topology("");
        assert_eq!(
            run_args(&[]).expect("parses").settle(&mut settled),
            Ok(DEFAULT_SEED)
        );
        assert_eq!(
            settled.lab.ndis_version,
            NdisVersion {
                major: 6,
                minor: 87
            }
        );

        let lab = "[lab]\nseed = 3\nndis_version = \"6.85\"\nengine = \"real-time\"";
        let mut settled = topology(lab);
        assert_eq!(run_args(&[]).expect("parses").settle(&mut settled), Ok(3));
        assert_eq!(
            settled.lab.ndis_version,
            NdisVersion {
                major: 6,
                minor: 85
            }
        );
        assert_eq!(settled.lab.engine, topology::Engine::RealTime);

        let run = run_args(&[
            "--seed",
            "4",
            "--ndis-version",
            "6.84",
            "--engine",
            "deterministic",
        ])
        .expect("parses");
        assert_eq!(run.settle(&mut settled), Ok(4));
        assert_eq!(settled.lab.seed, Some(4));
        assert_eq!(
            settled.lab.ndis_version,
            NdisVersion {
                major: 6,
                minor: 84
            }
        );
        assert_eq!(settled.lab.engine, topology::Engine::Deterministic);
    }

    #[test]
    fn seeds_are_decimal_hex_or_random() {
        let seed = |text| run_args(&["--seed", text]).map(|run| run.seed);
        assert_eq!(seed("17").expect("parses"), Some(17));
        assert_eq!(seed("0xDead_beef").expect("parses"), Some(0xdead_beef));
        assert_ne!(
            seed("random").expect("parses"),
            seed("random").expect("parses")
        );
        let error = seed("x").expect_err("no number").to_string();
        assert!(error.contains("a seed is a number"), "{error}");
    }

    #[test]
    fn ndis_versions_outside_six_are_refused() {
        for bad in ["5.1", "6.90", "7.0", "6", "x.y", ""] {
            let error = run_args(&["--ndis-version", bad])
                .expect_err(bad)
                .to_string();
            assert!(error.contains("6.0 to 6.89"), "{error}");
        }
    }

    #[test]
    fn tap_means_realtime() {
        let mut settled = topology("");
        run_args(&["--tap"])
            .expect("parses")
            .settle(&mut settled)
            .expect("settles");
        assert_eq!(settled.lab.engine, topology::Engine::RealTime);
        let run = run_args(&["--tap", "--engine", "deterministic"]).expect("parses");
        assert!(run.settle(&mut settled).is_err());
    }

    #[test]
    fn zero_cycles_are_none() {
        assert!(run_args(&["--cycles", "0"]).is_err());
    }
}

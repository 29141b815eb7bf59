//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::build::Profile;
use crate::chain::Arch;
use crate::deploy::{DeployArgs, UndeployArgs};

/// Sets up, builds, packages, runs and tests the NDIS intermediate drivers.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "First steps:\n  cargo xtask lab passthrough     pass traffic through the packaged driver, here and now\n  \
                  cargo xtask lab mux             the same with many virtual adapters on one\n  \
                  cargo xtask lab lbfo            the same with one on many, which balances and fails over\n  \
                  cargo xtask lab compare         the same traffic through all three, on one page\n  \
                  cargo xtask lab verify mux      every rule, every fault, many schedules\n  \
                  cargo xtask test                all tests\n  cargo xtask doctor              what is here and what is missing\n\n\
                  Environment:\n  WDKContentRoot      a Windows Driver Kit; without one the project's own headers serve\n  \
                  LIBCLANG_PATH       folder of the libclang to use\n  CARGO_TARGET_DIR    where everything that is built goes\n  \
                  XTASK_CACHE_DIR     where fetched things are kept (default: ~/.cache/ndis-im-xtask)\n  \
                  XTASK_PFX_PASSWORD  password of the file of `package --sign pfx FILE`\n  \
                  XTASK_SIGNTOOL      the signtool.exe of `package --tools windows`\n  \
                  XTASK_INF2CAT       the Inf2Cat.exe of `package --tools windows`\n  \
                  XTASK_CLANG         the clang to compile drivers in C with\n  \
                  XTASK_STD           force one way to core and alloc: installed, rustup, sysroot, debian-src, debian-pair\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted; `lab` ends with the lab's own."
)]
pub struct Cli {
    /// Use no network: what is not cached is missing.
    #[arg(long, global = true)]
    pub offline: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find or fetch what building a driver takes; needs no root.
    ///
    /// `package`, `lab` and `test` do the same on their own. What is fetched goes to the
    /// user's cache and serves offline afterwards.
    Setup(SetupArgs),
    /// Show what was found, where it comes from, and the command that mends each gap.
    Doctor {
        /// Machine-readable output.
        #[arg(long)]
        json: bool,
    },
    /// Build a driver's notify object alone and print its path.
    #[command(hide = true)]
    NotifyObject(DriverArgs),
    /// Build all that tests of the notify objects take and print its folder.
    #[command(hide = true)]
    NotifyTests,
    /// Build a driver image (a step of `package`).
    #[command(hide = true)]
    Build(DriverArgs),
    /// Build a driver and make its package: image, symbols, INFs, manifest.
    Package(PackageArgs),
    /// Judge a package from its files alone: manifest, signatures, catalogs, INFs.
    Verify(VerifyArgs),
    /// Take a package to a Windows machine over ssh, with a way back (docs/deploy.md).
    Deploy(DeployArgs),
    /// Remove a driver from a Windows machine, and compare it with the time before.
    Undeploy(UndeployArgs),
    /// Compile the drivers in C of tests/c-drivers, with SSE and without, and package them.
    CDrivers {
        /// Processor architecture.
        #[arg(long, value_enum, default_value = "x64")]
        arch: Arch,
    },
    /// Judge the INFs of a package, or of any folder with INFs, by the linter's rules.
    ///
    /// `package` does the same before it writes the manifest. Ends with 1 if there is an error.
    Lint {
        /// The package's folder.
        package: PathBuf,
        /// Print the findings, and what was read of the INFs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the kit for drivers in C: headers made of ndis-sys, and import libraries.
    Headers {
        /// The kit's folder [default: target/chain/c-kit].
        #[arg(long)]
        out: Option<PathBuf>,
        /// Processor architecture of the libraries.
        #[arg(long, value_enum, default_value = "x64")]
        arch: Arch,
    },
    /// Load the packaged driver into the lab and run it; all further arguments are the lab's.
    ///
    /// `cargo xtask lab <driver> --help` shows them. Packages the driver first if
    /// anything has changed.
    ///
    /// `cargo xtask lab lbfo --tap --partner ovs` has Linux above the team and Open
    /// vSwitch's bond at the other end of its cables. `cargo xtask lab mux-on-lbfo` runs one
    /// driver on another, as does `lbfo-on-mux`. `cargo xtask lab compare` puts one
    /// mix of traffic and one script of events through all drivers and writes a page and
    /// its JSON into target/compare. `cargo xtask lab exercise` lists the exercises of
    /// docs/course.md, and with a name it checks a solution.
    ///
    /// `cargo xtask lab verify <driver or .sys>` judges a driver by every rule, fault and
    /// schedule, `lab replay <number or file>` shows what it found again, `lab rules` lists
    /// the rules, `lab trace <driver>` records a run, `lab imports <.sys>` says what an image
    /// needs.
    Lab {
        /// Name of a folder in drivers/, or `mux-on-lbfo`, `lbfo-on-mux`, or a command:
        /// `compare`, `exercise`, `verify`, `replay`, `rules`, `trace`, `coverage`, `fuzz`, `imports`.
        driver: String,
        /// Arguments of `lab run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure what the packaged driver costs per frame, beside the same path without it.
    ///
    /// The lab's scenario `bench`: bare bindings of the driver's imports, nothing
    /// subtracted. For mux `lab bench-ports`, which has 1 to 4,094 ports and passthrough in
    /// one run; for lbfo `lab bench-team`, which has each mode with 1 to 32 members and
    /// passthrough. For a fair figure leave the machine alone meanwhile.
    Bench {
        /// Name of a folder in drivers/ [default: all, one after the other].
        driver: Option<String>,
        /// Further arguments of `lab run`, `lab bench-ports` or `lab bench-team`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run all tests: unit, ABI, artifact and scenario; ends with a count of each.
    Test {
        /// Leave the slow tests of the artifact out (builds in second folders).
        #[arg(long)]
        fast: bool,
    },
    /// Rewrite the table in docs/contract.md: which rule is obeyed, checked and tested where.
    Contract,
    /// What the project's CI runs: format, lints, licences, partners, tests.
    Ci,
}

/// What to set up.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Install the programs that some tests talk to: Debian packages, which takes root, and
    /// readers of traces from PyPI and npm, into the cache.
    #[arg(long)]
    pub partners: bool,
    /// Processor architectures of the drivers to be built: `x64`, `arm64`, or both with a comma.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "x64")]
    pub arch: Vec<Arch>,
}

/// What to package.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// Name of a folder in drivers/.
    #[arg(required_unless_present = "all")]
    pub driver: Option<String>,
    /// Every driver, each in its own folder.
    #[arg(long, conflicts_with_all = ["driver", "out"])]
    pub all: bool,
    /// Processor architectures: `x64`, `arm64`, or both with a comma, in one package.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "x64")]
    pub arch: Vec<Arch>,
    /// Build profile.
    #[arg(long, value_enum, default_value = "release")]
    pub profile: Profile,
    /// The package's folder [default: target/package/<driver>].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print manifests and sizes as JSON instead of folders and sizes as text.
    #[arg(long)]
    pub json: bool,
    /// Who signs it.
    #[command(flatten)]
    pub sign: SignArgs,
}

/// By whom a package is signed, and when.
#[derive(Debug, Default, Args)]
pub struct SignArgs {
    /// `none`, `test` (a certificate of this machine), or `pfx FILE` (a certificate of
    /// yours; its password is taken from XTASK_PFX_PASSWORD, or asked for).
    #[arg(
        long,
        value_name = "none|test|pfx FILE",
        value_delimiter = '\n',
        default_value = "none"
    )]
    pub sign: Vec<String>,
    /// The file, in another place than behind `--sign pfx`.
    #[arg(long, value_name = "FILE")]
    pub pfx: Option<PathBuf>,
    /// Have an authority stamp the signatures' time (RFC 3161); the address begins with
    /// http://.
    #[arg(long, value_name = "URL")]
    pub timestamp: Option<String>,
    /// The time in the signatures, in seconds since 1970 [default: SOURCE_DATE_EPOCH, or the
    /// commit's].
    #[arg(long, value_name = "SECONDS")]
    pub time: Option<u64>,
    /// What makes catalogs and signatures.
    #[arg(long, value_enum, default_value = "native")]
    pub tools: Tools,
}

/// What makes catalogs and signatures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Tools {
    /// This program, on any system.
    #[default]
    Native,
    /// Inf2Cat and signtool of the Windows kits, by the clock of this machine.
    Windows,
}

/// Which package, and whom to trust.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The package's folder.
    pub dir: PathBuf,
    /// Machine-readable output.
    #[arg(long)]
    pub json: bool,
    /// A root certificate to trust, DER or PEM, in place of the package's own.
    #[arg(long, value_name = "CER")]
    pub root: Vec<PathBuf>,
}

/// `--sign pfx FILE` are two words for one option: joined here by a line break, because
/// otherwise `--sign test mux` would take the driver's name for a file's.
pub fn join_pfx(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut args = args.into_iter().peekable();
    while let Some(mut arg) = args.next() {
        let before = joined.last().and_then(|last| last.to_str());
        let is_pfx = arg == "--sign=pfx" || arg == "pfx" && before == Some("--sign");
        if is_pfx
            && let Some(file) =
                args.next_if(|next| !next.to_str().is_some_and(|text| text.starts_with('-')))
        {
            arg.push("\n");
            arg.push(file);
        }
        joined.push(arg);
    }
    joined
}

/// Which driver, built how.
#[derive(Debug, Args)]
pub struct DriverArgs {
    /// Name of a folder in drivers/.
    pub driver: String,
    /// Processor architecture.
    #[arg(long, value_enum, default_value = "x64")]
    pub arch: Arch,
    /// Build profile.
    #[arg(long, value_enum, default_value = "release")]
    pub profile: Profile,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn package(args: &[&str]) -> Result<PackageArgs, clap::Error> {
        let all = ["xtask", "package"].iter().chain(args);
        match Cli::try_parse_from(all)?.command {
            Command::Package(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_driver_or_all_of_them() {
        assert_eq!(package(&["mux"]).unwrap().driver.as_deref(), Some("mux"));
        assert!(package(&["--all"]).unwrap().all);
        assert!(package(&[]).is_err());
        assert!(package(&["mux", "--all"]).is_err());
        assert!(package(&["--all", "--out", "x"]).is_err());
        let both = package(&["mux", "--arch", "arm64,x64,x64"]).unwrap().arch;
        assert_eq!(Arch::in_order(&both), [Arch::X64, Arch::Arm64]);
    }

    #[test]
    fn pfx_takes_a_file_and_the_others_do_not() {
        let sign = |args: &str| {
            let words = ["xtask", "package"].into_iter().chain(args.split(' '));
            let words = join_pfx(words.map(OsString::from));
            match Cli::try_parse_from(words).unwrap().command {
                Command::Package(args) => (args.driver.unwrap(), args.sign.sign),
                other => panic!("{other:?}"),
            }
        };
        let is = |args: &str, words: &[&str]| {
            let (driver, sign) = sign(args);
            assert_eq!(driver, "mux", "{args}");
            assert_eq!(sign, words, "{args}");
        };
        is("mux", &["none"]);
        is("--sign test mux", &["test"]);
        is("--sign pfx a.pfx mux", &["pfx", "a.pfx"]);
        is("mux --sign=pfx a.pfx", &["pfx", "a.pfx"]);
        is("mux --sign pfx --pfx a.pfx", &["pfx"]);
    }

    #[test]
    fn arguments_of_the_lab_are_not_ours() {
        let cli = Cli::try_parse_from(["xtask", "lab", "mux", "--seed", "1", "--help"]).unwrap();
        match cli.command {
            Command::Lab { driver, args } => {
                assert_eq!(driver, "mux");
                assert_eq!(args, ["--seed", "1", "--help"]);
            }
            other => panic!("{other:?}"),
        }
    }
}

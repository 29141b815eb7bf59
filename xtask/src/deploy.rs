//! `cargo xtask deploy` and `undeploy`: the package that lies there goes to a machine, or to
//! those of an inventory. What it means stands in the crate `deploy`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::deploy::package::Package;
use ::deploy::plan::Plan;
use ::deploy::run::{self, Options, Outcome};
use ::deploy::ssh::Host;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use fs_err as fs;
use serde::Deserialize;

use crate::context::Context;
use crate::proc::Cmd;
use crate::ui::say;
use crate::{drivers, partners};

/// Which machine, and how.
#[derive(Debug, Args)]
pub struct Machine {
    /// Name of a folder in drivers/.
    pub driver: String,
    /// The machine: `student@labpc`, as ssh takes it.
    #[arg(long, required_unless_present = "inventory")]
    pub to: Option<String>,
    /// Many machines: an inventory of Ansible, which does the fan-out.
    #[arg(long, conflicts_with = "to")]
    pub inventory: Option<PathBuf>,
    /// With --inventory: so many machines at a time.
    #[arg(long, default_value_t = 5, requires = "inventory")]
    pub serial: u32,
    /// With --inventory: these of them, as Ansible takes it.
    #[arg(long, requires = "inventory")]
    pub limit: Option<String>,
    /// Print every command and connect to nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// End with one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Configuration of ssh, instead of the user's.
    #[arg(long)]
    pub ssh_config: Option<PathBuf>,
    /// Further options of ssh and scp, `Name=value`.
    #[arg(long)]
    pub ssh_option: Vec<String>,
}

/// What to deploy.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    machine: Machine,
    /// The package's folder [default: target/package/<driver>].
    #[arg(long)]
    package: Option<PathBuf>,
    /// A plan (docs/notify-object.md).
    #[arg(long, conflicts_with = "adapter")]
    plan: Option<PathBuf>,
    /// The plainest plan for this adapter: GUID, MAC address, or `pci:BUS:DEVICE.FUNCTION`.
    #[arg(long)]
    adapter: Vec<String>,
    /// With --adapter: override a refusal, such as `only-adapter`.
    #[arg(long, requires = "adapter")]
    accept: Vec<String>,
    /// Seconds within which the machine has to be reached again [default: the plan's, or 120].
    #[arg(long)]
    confirm_within: Option<u32>,
    /// Restart the machine if Windows asks for it, and go on.
    #[arg(long)]
    restart: bool,
}

/// What to remove.
#[derive(Debug, Args)]
pub struct UndeployArgs {
    #[command(flatten)]
    machine: Machine,
}

/// What the scripts have to know of a driver, from its data for INFs.
pub fn driver(cx: &Context, name: &str) -> Result<::deploy::Driver> {
    #[derive(Deserialize)]
    struct Data {
        id_prefix: String,
        protocol: Protocol,
        miniport: Edge,
    }
    #[derive(Deserialize)]
    struct Protocol {
        id: String,
        service: String,
    }
    #[derive(Deserialize)]
    struct Edge {
        service: String,
    }
    let path = cx.root.join("inf").join(format!("{name}.toml"));
    let data: Data =
        toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    Ok(::deploy::Driver {
        name: name.to_owned(),
        component: format!("{}_{}", data.id_prefix, data.protocol.id),
        protocol_service: data.protocol.service,
        miniport_service: data.miniport.service,
    })
}

/// Deploys; returns the exit code.
pub fn deploy(cx: &Context, args: &DeployArgs) -> Result<i32> {
    let machine = &args.machine;
    let name = drivers::find(cx, &machine.driver)?.name;
    let plan = match &args.plan {
        Some(path) => Some(Plan::parse(&fs::read_to_string(path)?, &name)?),
        None if args.adapter.is_empty() => None,
        None => Some(Plan::for_adapters(&name, &args.adapter, &args.accept)),
    };
    let dir = match &args.package {
        Some(dir) => dir.clone(),
        None => run::default_package(&cx.target, &name),
    };
    if machine.inventory.is_some() {
        let mut more = vec!["--package".to_owned(), absolute(&dir)?];
        for (option, values) in [("--adapter", &args.adapter), ("--accept", &args.accept)] {
            more.extend(values.iter().flat_map(|v| [option.to_owned(), v.clone()]));
        }
        if let Some(plan) = &args.plan {
            more.extend(["--plan".to_owned(), absolute(plan)?]);
        }
        if let Some(seconds) = args.confirm_within {
            more.extend(["--confirm-within".to_owned(), seconds.to_string()]);
        }
        if args.restart {
            more.push("--restart".to_owned());
        }
        return fan_out(cx, machine, "deploy", more);
    }
    if machine.dry_run {
        let driver = driver(cx, &name)?;
        print!(
            "{}",
            run::dry_run(&driver, &host(machine)?, false, plan.is_some())
        );
        return Ok(0);
    }
    let package = Package::read(&dir)?;
    if package.driver != name {
        bail!("{} is a package of {}", dir.display(), package.driver);
    }
    let within = args
        .confirm_within
        .or_else(|| plan.as_ref().and_then(Plan::confirm_within));
    let options = options(machine, within.unwrap_or(120), args.restart)?;
    let outcome = run::deploy(&package, plan.as_ref(), &options, &mut |line| say(line))?;
    Ok(report(&outcome, machine.json))
}

/// Removes; returns the exit code.
pub fn undeploy(cx: &Context, args: &UndeployArgs) -> Result<i32> {
    let machine = &args.machine;
    let name = drivers::find(cx, &machine.driver)?.name;
    if machine.inventory.is_some() {
        return fan_out(cx, machine, "undeploy", Vec::new());
    }
    let driver = driver(cx, &name)?;
    if machine.dry_run {
        print!("{}", run::dry_run(&driver, &host(machine)?, true, false));
        return Ok(0);
    }
    let options = options(machine, 120, false)?;
    let outcome = run::undeploy(&driver, &options, &mut |line| say(line))?;
    Ok(report(&outcome, machine.json))
}

fn host(machine: &Machine) -> Result<Host> {
    Ok(Host {
        target: machine.to.clone().context("--to names the machine")?,
        config: machine.ssh_config.clone(),
        options: machine.ssh_option.clone(),
    })
}

fn options(machine: &Machine, confirm_within: u32, restart: bool) -> Result<Options> {
    // The steps may take their time, a restart too; after that the machine has rolled back.
    let patience = Duration::from_secs(u64::from(confirm_within) + 900);
    Ok(Options {
        host: host(machine)?,
        confirm_within,
        restart,
        poll: Duration::from_secs(2),
        patience,
    })
}

fn report(outcome: &Outcome, json: bool) -> i32 {
    for difference in &outcome.differences {
        say(&format!("differs: {difference}"));
    }
    say(&outcome.text);
    if json {
        // In one line, which is the last: that is what the playbook shows.
        let text = serde_json::to_string(outcome).unwrap_or_default();
        println!("{text}");
    }
    outcome.end as i32
}

/// Many machines: the playbook runs this program once for each.
fn fan_out(cx: &Context, machine: &Machine, action: &str, mut more: Vec<String>) -> Result<i32> {
    let inventory = machine.inventory.as_ref().context("no inventory")?;
    let Some(ansible) = partners::find("ansible-playbook") else {
        bail!("there is no ansible-playbook; on Debian: apt-get install ansible-core");
    };
    if let Some(config) = &machine.ssh_config {
        more.extend(["--ssh-config".to_owned(), absolute(config)?]);
    }
    for option in &machine.ssh_option {
        more.extend(["--ssh-option".to_owned(), option.clone()]);
    }
    if machine.dry_run {
        more.push("--dry-run".to_owned());
    }
    let scripts = ::deploy::scripts(&driver(cx, &machine.driver)?);
    let playbook = scripts.iter().find(|(name, _)| name == "far/playbook.yml");
    let (_, playbook) = playbook.context("no playbook")?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("playbook.yml");
    fs::write(&path, playbook)?;
    let variables = serde_json::json!({
        "program": std::env::current_exe()?,
        "action_name": action,
        "driver": machine.driver,
        "batch": machine.serial,
        "arguments": more,
    });
    let mut cmd = Cmd::new(ansible);
    cmd.arg("-i").arg(inventory);
    if let Some(limit) = &machine.limit {
        cmd.args(["--limit", limit]);
    }
    cmd.arg("-e").arg(variables.to_string()).arg(&path);
    cmd.env("ANSIBLE_NOCOWS", "1");
    Ok(cmd.into_inner().status()?.code().unwrap_or(1))
}

fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path)?;
    path.to_str()
        .map(ToOwned::to_owned)
        .context("a path that is no text")
}

//! Programs of others that some tests talk to. They are Debian packages; a test whose
//! partner is missing is skipped by name.

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::proc::{Cmd, which};
use crate::ui::say;

pub mod readers;

/// A program and what it is for.
#[derive(Debug)]
pub struct Partner {
    /// The program that tests look for.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// What tests do with it.
    pub purpose: &'static str,
}

/// All of them.
pub const PARTNERS: [Partner; 15] = [
    Partner {
        program: "ip",
        package: "iproute2",
        purpose: "network namespaces and TAP devices at both ends of a driver",
    },
    Partner {
        program: "ping",
        package: "iputils-ping",
        purpose: "ICMP echo through a driver",
    },
    Partner {
        program: "iperf3",
        package: "iperf3",
        purpose: "TCP and UDP load through a driver",
    },
    Partner {
        program: "tshark",
        package: "tshark",
        purpose: "a second opinion on the lab's capture files",
    },
    Partner {
        program: "ovs-vsctl",
        package: "openvswitch-switch",
        purpose: "a switch with LACP and VLANs",
    },
    Partner {
        program: "chromium",
        package: "chromium",
        purpose: "opens the page that compares the drivers, without a screen",
    },
    Partner {
        program: "node",
        package: "nodejs",
        purpose: "runs Mermaid's own parser on sequence diagrams",
    },
    Partner {
        program: "npm",
        package: "npm",
        purpose: "installs that parser into the project's cache",
    },
    Partner {
        program: "python3",
        package: "python3-venv",
        purpose: "decodes timelines with Perfetto's own classes",
    },
    Partner {
        program: "sshd",
        package: "openssh-server",
        purpose: "an ssh server of the tests' own on loopback, for deploying",
    },
    Partner {
        program: "ssh",
        package: "openssh-client",
        purpose: "deploys to that server",
    },
    Partner {
        program: "ansible-playbook",
        package: "ansible-core",
        purpose: "checks and runs the playbook that deploys to many machines",
    },
    Partner {
        program: "osslsigncode",
        package: "osslsigncode",
        purpose: "judges signatures and catalogs",
    },
    Partner {
        program: "openssl",
        package: "openssl",
        purpose: "makes certificates and time stamps for the tests of signing",
    },
    // Its loader for 64-bit programs alone: no 32-bit libraries, no browser, no runtime.
    Partner {
        program: "wine",
        package: "wine",
        purpose: "loads and drives the notify objects, and reads the INFs",
    },
];

/// The command that installs them.
pub const INSTALL: &str = "cargo xtask setup --partners";

/// Where a program is; daemons' tools are in folders that users' `PATH` may lack.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    which(program).or_else(|| {
        let dirs = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
        dirs.iter()
            .map(|d| std::path::Path::new(d).join(program))
            .find(|p| p.is_file())
    })
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    #[cfg(unix)]
    {
        Cmd::new("id")
            .arg("-u")
            .read()
            .is_ok_and(|id| id.trim() == "0")
    }
    #[cfg(not(unix))]
    {
        false
    }
}

/// Installs what is missing; says what and why first.
pub fn install(cx: &Context) -> Result<()> {
    packages()?;
    readers::install(cx)
}

fn packages() -> Result<()> {
    let missing: Vec<_> = PARTNERS
        .iter()
        .filter(|p| find(p.program).is_none())
        .collect();
    if missing.is_empty() {
        say("all partners of the tests are installed");
        return Ok(());
    }
    if which("apt-get").is_none() {
        let names: Vec<_> = missing.iter().map(|p| p.program).collect();
        bail!(
            "there is no apt-get here; install by other means: {}",
            names.join(", ")
        );
    }
    say("the following Debian packages will be installed for the tests:");
    for partner in &missing {
        say(&format!("  {:<20} {}", partner.package, partner.purpose));
    }
    let packages: Vec<_> = missing.iter().map(|p| p.package).collect();
    if !is_root() {
        bail!(
            "that takes root: sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    let apt = || {
        let mut cmd = Cmd::new("apt-get");
        cmd.env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y"]);
        cmd
    };
    apt()
        .arg("update")
        .run()
        .context("the package lists could not be fetched: is there a network?")?;
    apt()
        .args(["install", "--no-install-recommends"])
        .args(&packages)
        .run()?;
    for partner in missing {
        if find(partner.program).is_none() {
            bail!(
                "{} was installed, but {} is not found",
                partner.package,
                partner.program
            );
        }
    }
    Ok(())
}

//! The connection: the system's own OpenSSH client, so that keys, agents, jump hosts and
//! known hosts are what the user has set up for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How to reach a machine.
#[derive(Debug, Clone)]
pub struct Host {
    /// `student@labpc`, as `ssh` takes it.
    pub target: String,
    /// A configuration file instead of the user's.
    pub config: Option<PathBuf>,
    /// Further `-o` options.
    pub options: Vec<String>,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It makes no sense to try again: unknown host, no key, wrong host key.
    Refused(String),
    /// The connection could not be made or broke.
    Lost(String),
    /// The far command ended with this code, and said this.
    Failed(i32, String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(text) => write!(f, "{text}"),
            Self::Lost(text) => write!(f, "the connection was lost: {text}"),
            Self::Failed(code, text) => write!(f, "exit code {code}: {text}"),
        }
    }
}

/// PowerShell over ssh, the same line whether `cmd.exe` or PowerShell is the shell of the
/// machine's OpenSSH server.
const POWERSHELL: &str = "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File";

impl Host {
    /// The options of every connection. A keepalive finds out that the machine has changed
    /// its network under the connection.
    fn common(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        if let Some(config) = &self.config {
            args.extend(["-F".into(), config.into()]);
        }
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
        ]
        .into_iter()
        .map(ToOwned::to_owned)
        .chain(self.options.iter().cloned())
        {
            args.extend(["-o".into(), option.into()]);
        }
        args
    }

    /// The line that runs a script of the uploaded folder.
    pub fn script_line(folder: &str, script: &str, args: &[String]) -> String {
        let mut line = format!("{POWERSHELL} {folder}/{script}");
        for arg in args {
            line += " ";
            line += arg;
        }
        line
    }

    /// Runs a line on the machine; returns what it wrote.
    pub fn run(&self, line: &str) -> Result<String, Fault> {
        let mut cmd = Command::new("ssh");
        cmd.args(self.common())
            .arg("-T")
            .arg("--")
            .arg(&self.target)
            .arg(line);
        output(cmd)
    }

    /// Copies a folder into the account's home folder.
    pub fn copy(&self, folder: &Path) -> Result<(), Fault> {
        let mut cmd = Command::new("scp");
        cmd.args(self.common()).args(["-r", "--"]).arg(folder);
        cmd.arg(format!("{}:.", self.target));
        output(cmd).map(drop)
    }

    /// The command line of [`Self::copy`], for `--dry-run`.
    pub fn copy_line(&self, folder: &str) -> String {
        format!("scp -r -- {folder} {}:.", self.target)
    }

    /// The command line of [`Self::run`], for `--dry-run`.
    pub fn run_line(&self, line: &str) -> String {
        format!("ssh -T -- {} '{line}'", self.target)
    }
}

fn output(mut cmd: Command) -> Result<String, Fault> {
    let program = cmd.get_program().to_string_lossy().into_owned();
    let out = cmd
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Fault::Refused(format!("{program} could not be started: {e}")))?;
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    match out.status.code() {
        Some(0) => Ok(text),
        // scp has no code of its own for a connection that broke.
        Some(255) => Err(classify(said)),
        Some(_) if program == "scp" => Err(classify(said)),
        Some(code) => Err(Fault::Failed(code, format!("{text}{said}"))),
        None => Err(Fault::Lost(format!("{program} was ended: {said}"))),
    }
}

/// OpenSSH tells with 255 and a text only.
fn classify(said: String) -> Fault {
    let refusals = [
        (
            "Could not resolve hostname",
            "check the name, or give an address",
        ),
        (
            "Permission denied",
            "put your key into administrators_authorized_keys on the machine (docs/deploy.md)",
        ),
        (
            "Host key verification failed",
            "connect once by hand and compare the fingerprint: ssh <target>",
        ),
        (
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
            "is it another machine? if it was installed anew: ssh-keygen -R <host>",
        ),
        ("Bad configuration option", "look at the ssh configuration"),
    ];
    for (text, remedy) in refusals {
        if said.contains(text) {
            return Fault::Refused(format!("{said}\n  {remedy}"));
        }
    }
    Fault::Lost(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_trying_again_can_mend() {
        let lost = "kex_exchange_identification: Connection closed by remote host";
        assert!(matches!(classify(lost.to_owned()), Fault::Lost(_)));
        let unknown = "ssh: Could not resolve hostname labpx: Name or service not known";
        assert!(
            matches!(classify(unknown.to_owned()), Fault::Refused(t) if t.contains("check the name"))
        );
    }
}

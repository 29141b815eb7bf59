//! Exit codes of the `lab` command. They are part of its interface: scripts and
//! `cargo xtask lab` rely on them, and `lab --help` lists them.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything passed: no rule broken, nothing leaked.
    Clean,
    /// Rules were broken, something leaked, or traffic was lost.
    Violations,
    /// The command line, the package, the image or the topology is at fault.
    BadInput,
    /// The driver crashed, bug-checked or hung.
    DriverFailed,
    /// The lab itself failed; the driver is not to blame.
    HostError,
    /// Ctrl-C or SIGTERM; the number is the signal's.
    Interrupted(i32),
}

impl Verdict {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Violations => 1,
            Self::BadInput => 2,
            Self::DriverFailed => 3,
            Self::HostError => 4,
            // The shell's convention: 128 + signal, 130 for Ctrl-C.
            Self::Interrupted(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict.code())
    }
}

/// What `--help` says about exit codes.
pub const HELP: &str = "\
Exit codes:
  0    clean: traffic passed, no rule broken, nothing leaked
  1    rules broken, objects leaked, or traffic lost or damaged
  2    wrong usage or bad input (package, image, topology)
  3    the driver crashed, bug-checked or hung
  4    the lab itself failed
  130  interrupted by Ctrl-C (128 + signal number)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let all = [
            (Verdict::Clean, 0),
            (Verdict::Violations, 1),
            (Verdict::BadInput, 2),
            (Verdict::DriverFailed, 3),
            (Verdict::HostError, 4),
            (Verdict::Interrupted(2), 130),
        ];
        for (verdict, code) in all {
            assert_eq!(verdict.code(), code);
            assert!(
                HELP.lines().any(|line| {
                    line.split_whitespace().next() == Some(code.to_string().as_str())
                }),
                "{code} is not in --help"
            );
        }
    }
}

//! Starting other programs, with errors that say what was run and what it said.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

/// A command to be run once.
#[derive(Debug)]
pub struct Cmd {
    inner: Command,
    name: String,
    /// An argument that no message may show.
    secret: Option<String>,
}

impl Cmd {
    /// A command that runs `program`, looked up in `PATH` unless it is a path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let name = Path::new(program)
            .file_name()
            .unwrap_or(program)
            .to_string_lossy()
            .into_owned();
        Self {
            inner: Command::new(program),
            name,
            secret: None,
        }
    }

    /// Adds one argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&mut self, args: I) -> &mut Self {
        self.inner.args(args);
        self
    }

    /// Adds an argument that messages show as `***`.
    pub fn secret(&mut self, secret: &str) -> &mut Self {
        self.secret = Some(secret.to_owned());
        self.arg(secret)
    }

    /// Sets a variable of the child's environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(name, value);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(name);
        self
    }

    /// Sets the child's working directory.
    pub fn dir(&mut self, dir: &Path) -> &mut Self {
        self.inner.current_dir(dir);
        self
    }

    /// The command line, for messages.
    pub fn line(&self) -> String {
        let args = self.inner.get_args().map(OsStr::to_string_lossy);
        let line = std::iter::once(self.name.clone().into())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ");
        self.hide(line)
    }

    fn hide(&self, text: String) -> String {
        match &self.secret {
            Some(secret) => text.replace(secret.as_str(), "***"),
            None => text,
        }
    }

    /// The start of the command line, for messages in which the rest does not matter.
    fn short_line(&self) -> String {
        const WIDTH: usize = 60;
        let line = self.line();
        match line.char_indices().nth(WIDTH) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// Runs it with its output shown as it comes; an exit code other than 0 is an error.
    pub fn run(&mut self) -> Result<()> {
        match self.code()? {
            0 => Ok(()),
            code => bail!(
                "`{}` failed (exit code {code}); what it said stands above",
                self.line()
            ),
        }
    }

    /// Runs it with its output shown as it comes and returns its exit code.
    pub fn code(&mut self) -> Result<i32> {
        let status = self.inner.status().map_err(|e| self.start_error(&e))?;
        status.code().map_or_else(
            || {
                Err(anyhow!(
                    "`{}` was ended by a signal ({status})",
                    self.line()
                ))
            },
            Ok,
        )
    }

    /// Runs it and returns what it wrote to stdout; on failure the error has its stderr.
    pub fn read(&mut self) -> Result<String> {
        let out = self
            .inner
            .stdin(Stdio::null())
            .output()
            .map_err(|e| self.start_error(&e))?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            bail!("`{}` failed: {}", self.short_line(), complaint(&said));
        }
        String::from_utf8(out.stdout).with_context(|| format!("`{}` wrote no UTF-8", self.line()))
    }

    /// Runs it and returns everything it wrote; on failure that is in the error, whole.
    /// For programs that say on stdout what is wrong.
    pub fn told(&mut self) -> Result<String> {
        let out = self
            .inner
            .stdin(Stdio::null())
            .output()
            .map_err(|e| self.start_error(&e))?;
        let said = [&out.stdout, &out.stderr].map(|text| String::from_utf8_lossy(text));
        let said = self.hide(said.concat().trim().to_owned());
        if !out.status.success() {
            let said = if said.is_empty() { "nothing" } else { &said };
            bail!(
                "`{}` failed ({}); it said:\n{said}",
                self.line(),
                out.status
            );
        }
        Ok(said)
    }

    /// The plain command, for what this type does not cover.
    pub fn into_inner(self) -> Command {
        self.inner
    }

    fn start_error(&self, error: &std::io::Error) -> anyhow::Error {
        if error.kind() == std::io::ErrorKind::NotFound {
            anyhow!(
                "`{}` is not installed or not in PATH (`cargo xtask doctor` lists what is needed)",
                self.name
            )
        } else {
            anyhow!("`{}` could not be started: {error}", self.line())
        }
    }
}

/// What matters of a program's complaint: its first line that says "error", or its last.
fn complaint(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let is_error = |l: &&str| {
        ["error", "ERROR", "E:"]
            .iter()
            .any(|start| l.starts_with(start))
    };
    lines
        .clone()
        .find(is_error)
        .or_else(|| lines.next_back())
        .unwrap_or("it said nothing")
}

/// Where `program` is found in `PATH`.
pub fn which(program: &str) -> Option<std::path::PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let name: OsString = if cfg!(windows) {
        format!("{program}.exe").into()
    } else {
        program.into()
    };
    std::env::split_paths(&paths)
        .map(|dir| dir.join(&name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn everything_but_a_secret_is_told() {
        let mut cmd = Cmd::new("sh");
        cmd.args(["-c", "echo out of $0; echo err >&2; exit 2"])
            .secret("hush");
        let why = cmd.told().unwrap_err().to_string();
        assert!(!why.contains("hush"), "{why}");
        for part in ["$0; echo", " ***`", "exit status: 2", "out of ***\nerr"] {
            assert!(why.contains(part), "{part:?} is not in {why}");
        }
    }

    #[test]
    fn complaints() {
        assert_eq!(
            complaint("W: x\nE: no such package\nbye\n"),
            "E: no such package"
        );
        assert_eq!(complaint("something\n\nlast words\n"), "last words");
        assert_eq!(complaint(""), "it said nothing");
    }
}

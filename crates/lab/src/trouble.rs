//! An error as the user reads it: what is wrong, where, what to do next.
//!
//! Library modules have error enums of their own; this type is what they become
//! at the edge of the command, and what the confined child sends to its parent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Verdict;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// What the user gave: exit code 2.
    Input,
    /// The lab or the machine it runs on: exit code 4.
    Host,
}

/// What went wrong, where, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Whose fault.
    pub blame: Blame,
    /// One sentence, without the place.
    pub what: String,
    /// File, line, key, address.
    pub place: Option<String>,
    /// The next step for the user.
    pub hint: Option<String>,
}

impl Trouble {
    /// The user's input is at fault.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(Blame::Input, what.into())
    }

    /// The lab or its machine is at fault.
    pub fn host(what: impl Into<String>) -> Self {
        Self::new(Blame::Host, what.into())
    }

    fn new(blame: Blame, what: String) -> Self {
        Self {
            blame,
            what,
            place: None,
            hint: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code's verdict.
    pub fn verdict(&self) -> Verdict {
        match self.blame {
            Blame::Input => Verdict::BadInput,
            Blame::Host => Verdict::HostError,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.blame {
            Blame::Input => "error",
            Blame::Host => "lab failure",
        };
        write!(f, "{whose}: {}", self.what)?;
        if let Some(place) = &self.place {
            write!(f, "\n  --> {place}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  help: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_where_and_what_next() {
        let trouble = Trouble::input("no manifest")
            .at("dir/manifest.json")
            .hint("build it");
        assert_eq!(
            trouble.to_string(),
            "error: no manifest\n  --> dir/manifest.json\n  help: build it"
        );
        assert_eq!(trouble.verdict(), Verdict::BadInput);
        assert_eq!(
            Trouble::host("x").to_string(),
            "lab failure: x",
            "nothing is invented"
        );
    }
}

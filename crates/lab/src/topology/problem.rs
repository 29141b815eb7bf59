//! What is wrong with a topology file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One mistake in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Where it is.
    pub at: At,
    /// What is wrong.
    pub what: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What may stand there.
    pub allowed: Vec<String>,
}

impl Problem {
    pub(super) fn new(at: At, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            suggestion: None,
            allowed: Vec::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.at.line, self.at.column, self.what)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        if !self.allowed.is_empty() {
            write!(f, " (allowed: {})", self.allowed.join(", "))?;
        }
        Ok(())
    }
}

/// A file with mistakes. Displayed as one line for each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BadTopology {
    /// The file.
    pub file: PathBuf,
    /// The mistakes, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for BadTopology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{problem}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for BadTopology {}

/// Where the lines of a text begin.
pub(super) struct Lines {
    text: String,
}

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }

    /// The place of an offset; one beyond the text is its end.
    pub(super) fn at(&self, offset: usize) -> At {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        At {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }
}

/// Collects the mistakes of one file.
pub(super) struct Report {
    lines: Lines,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        Self {
            lines: Lines::new(text),
            problems: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.lines.at(span.start).line
    }

    pub(super) fn add(&mut self, span: &Range<usize>, what: impl Into<String>) {
        let problem = Problem::new(self.lines.at(span.start), what);
        self.problems.push(problem);
    }

    /// Something that is none of `allowed`; says which of them is similar.
    pub(super) fn unknown<'a>(
        &mut self,
        span: &Range<usize>,
        what: impl Into<String>,
        given: &str,
        allowed: impl IntoIterator<Item = &'a str>,
    ) {
        let allowed: Vec<String> = allowed.into_iter().map(str::to_owned).collect();
        let suggestion = similar(given, &allowed).map(str::to_owned);
        let problem = Problem {
            suggestion,
            allowed,
            ..Problem::new(self.lines.at(span.start), what)
        };
        self.problems.push(problem);
    }

    pub(super) fn into_error(mut self, file: &Path) -> BadTopology {
        self.problems.sort_by_key(|problem| problem.at);
        BadTopology {
            file: file.to_owned(),
            problems: self.problems,
        }
    }
}

/// The one that was probably meant: at most a third of the letters differ.
fn similar<'a>(given: &str, allowed: &'a [String]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let distance = |known: &String| strsim::damerau_levenshtein(&given, &known.to_lowercase());
    let best = allowed.iter().min_by_key(|known| distance(known))?;
    let letters = given.chars().count().max(best.chars().count());
    (distance(best) <= (letters / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let lines = Lines::new("ab\nä€c\n");
        let at = |offset| {
            let at = lines.at(offset);
            (at.line, at.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(5), (2, 2));
        assert_eq!(at(6), (2, 2), "within a character");
        assert_eq!(at(8), (2, 3));
        assert_eq!(at(9), (2, 4));
        assert_eq!(at(10), (3, 1));
        assert_eq!(at(99), (3, 1));
    }

    #[test]
    fn only_what_is_similar_is_suggested() {
        let allowed: Vec<String> = ["mtu", "mac", "link_speed_mbps"].map(str::to_owned).into();
        assert_eq!(similar("mtuu", &allowed), Some("mtu"));
        assert_eq!(similar("MTU", &allowed), Some("mtu"));
        assert_eq!(similar("link_speed", &allowed), Some("link_speed_mbps"));
        assert_eq!(similar("colour", &allowed), None);
        assert_eq!(similar("x", &[]), None);
    }
}

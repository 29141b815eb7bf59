//! What can be wrong, told so that a person knows what, where and what next.

use std::path::PathBuf;

/// Why something was not signed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A structure is not what its format says.
    #[error("{what}: {why}")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be signed as a PE image.
    #[error("not a PE image that can be signed: {0}")]
    Pe(String),
    /// A certificate or its key does not serve.
    #[error("{0}")]
    Certificate(String),
    /// A PFX file does not serve.
    #[error("{path}: {why}", path = path.display())]
    Pfx {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// No time stamp came.
    #[error("no time stamp from {url}: {why}")]
    TimeStamp {
        /// The authority's address.
        url: String,
        /// Why.
        why: String,
    },
    /// The files of a package do not fit each other.
    #[error("{0}")]
    Package(String),
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Names the structure that could not be read or written.
    pub(crate) fn malformed(what: &'static str) -> impl Fn(der::Error) -> Self {
        move |why| Self::Malformed {
            what,
            why: why.to_string(),
        }
    }

    /// Names the file.
    pub(crate) fn io(path: &std::path::Path) -> impl Fn(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

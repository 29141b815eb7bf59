//! Shows what a driver did.
//!
//! From a trace of the host ([`lab_host::trace`]) come a timeline for Perfetto, sequence
//! diagrams for Mermaid, captures with comments, and a table; from an image and its PDB the
//! places where a host's coverage marks stand, and reports about those that were reached.
//!
//! Pure: bytes in, bytes out. There are no processes, files or command line here, and no driver
//! is known by name.

pub mod capture;
pub mod coverage;
pub mod mermaid;
pub mod model;
pub mod perfetto;
pub mod story;
pub mod table;

pub use coverage::{Coverage, Map};
pub use model::{Event, Trace};
pub use story::{Places, Story};

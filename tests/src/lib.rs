//! Tests that look at the workspace as a whole live in this crate's `tests/`.

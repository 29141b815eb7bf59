//! im-core

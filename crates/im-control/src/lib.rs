//! im-control

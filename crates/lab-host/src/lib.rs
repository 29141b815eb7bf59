//! The NDIS host: loads a compiled driver into this process and plays Windows for it.

pub mod report;

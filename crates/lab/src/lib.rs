//! The lab: loads a packaged NDIS intermediate driver on Linux, passes traffic
//! through it and says what it did wrong. This crate is the command around the
//! host (`lab-host`) and the network at its ends (`lab-net`): command line,
//! packages, the confined child process, reports.

pub mod bench;
pub mod cli;
pub mod compare;
pub mod crash;
pub mod drive;
pub mod exercise;
pub mod exit;
pub mod fuzz;
pub mod host;
pub mod imports;
pub mod package;
pub mod partners;
pub mod process;
pub mod render;
pub mod replay;
pub mod rules_command;
pub mod run;
pub mod scenario;
pub mod see;
pub mod summary;
pub mod topology;
pub mod trace;
pub mod trouble;
pub mod verify;

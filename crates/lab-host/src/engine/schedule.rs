//! How a deterministic run interleaves: data, so that a scenario file can say it.

use serde::{Deserialize, Serialize};

/// Where tasks may be switched, and how often they are. Nothing here is a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Schedule {
    /// One switch in so many host calls, on average.
    pub switch_every: u64,
    /// One switch in so many locked instructions of the driver, on average; 0 = none.
    #[serde(skip_serializing_if = "is_zero")]
    pub locked_every: u64,
    /// Processors in use, of those that the host was made with; 0 = all.
    #[serde(skip_serializing_if = "is_zero_u32")]
    pub processors: u32,
    /// Single instructions before which there is a switch.
    #[serde(rename = "step", skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Switches at these points alone (host calls and, with `locked_every`, locked
    /// instructions, counted together from 1), besides those of `steps`; ascending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<u64>>,
}

/// A switch before the k-th instruction that a callback of the driver executes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// Which callback, `ProtocolReceiveNetBufferLists`.
    pub callback: String,
    /// Which call of it, from 1.
    pub call: u64,
    /// Which instruction of that call, from 1; those of functions that it calls count, those of
    /// callbacks inside it do not.
    pub instruction: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            switch_every: 4,
            locked_every: 0,
            processors: 0,
            steps: Vec::new(),
            only: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero_u32(n: &u32) -> bool {
    *n == 0
}

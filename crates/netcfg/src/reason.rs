//! Reasons against a plan.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// What kind of reason it is; its name on the outside is in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is no plan.
    PlanSyntax,
    /// It is for another driver, or of another format.
    PlanDriver,
    /// Miniports and adapters do not go together in that way.
    PlanTopology,
    /// A name or a value is not allowed.
    PlanValue,
    /// No adapter is of that name.
    AdapterUnknown,
    /// Several are.
    AdapterAmbiguous,
    /// It is named twice.
    AdapterTwice,
    /// It is one of the driver's own miniports.
    OwnMiniport,
    /// Wi-Fi.
    Wifi,
    /// Not Ethernet.
    NotEthernet,
    /// Hyper-V's.
    HyperV,
    /// Software.
    VirtualAdapter,
    /// Its device has a problem.
    NotWorking,
    /// A bridge, a team, a virtual switch or another driver of ours has it.
    InUse,
    /// No adapter of the machine would be left.
    OnlyAdapter,
    /// A call to the system failed.
    Failed,
}

impl Code {
    /// Whether a plan may say that it is to be done all the same.
    pub fn can_be_accepted(self) -> bool {
        matches!(
            self,
            Self::HyperV
                | Self::VirtualAdapter
                | Self::NotWorking
                | Self::InUse
                | Self::OnlyAdapter
        )
    }
}

/// A reason, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which.
    pub code: Code,
    /// In words.
    pub text: String,
}

impl Reason {
    /// A reason in words.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

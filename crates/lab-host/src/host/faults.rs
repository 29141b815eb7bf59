//! Calls that are made to fail.

use super::Host;

/// Which fallible call is made to fail.
#[derive(Default)]
pub(super) struct Faults {
    /// Numbers of the fallible calls that fail, counted from 1.
    fail: Vec<u64>,
    count: u64,
    /// Names of fallible calls in order, as far as they were reached.
    sites: Vec<&'static str>,
}

impl Host {
    /// Fails the n-th fallible call from now on (1 = the next).
    pub fn fail_nth(&self, nth: Option<u64>) {
        self.fail_these(nth.as_slice());
    }

    /// Fails the fallible calls with these numbers from now on (1 = the next).
    pub fn fail_these(&self, numbers: &[u64]) {
        *self.faults.lock().expect("faults") = Faults {
            fail: numbers.to_vec(),
            ..Faults::default()
        };
    }

    /// Names of the fallible calls that were reached since [`Host::fail_nth`].
    pub fn fault_sites(&self) -> Vec<&'static str> {
        self.faults.lock().expect("faults").sites.clone()
    }

    /// Whether the fallible call `name` is to fail this time.
    pub(crate) fn fails(&self, name: &'static str) -> bool {
        let mut faults = self.faults.lock().expect("faults");
        faults.count += 1;
        if faults.sites.len() < 100_000 {
            faults.sites.push(name);
        }
        faults.fail.contains(&faults.count)
    }
}

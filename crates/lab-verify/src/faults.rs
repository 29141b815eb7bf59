//! Every call that can fail is made to fail: each site's first, second, … hit in turn, then
//! pairs.
//!
//! What is known is found in the image itself: each of its instructions that reaches a fallible
//! import. What is hit is seen at run time by return addresses; the two meet in a [`Book`].

use std::collections::{BTreeMap, BTreeSet};

use lab_host::code::{Code, How};
use lab_host::{FALLIBLE, FaultHit, Image};
use serde::{Deserialize, Serialize};

use crate::plan::{Fault, Plan};

/// A place in the image that calls a function which can fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Site {
    /// The instruction, relative to the image.
    pub at: u32,
    /// The function that is called.
    pub call: String,
}

/// Sites of an image, and which of them plays have reached.
#[derive(Clone, Debug, Default)]
pub struct Book {
    base: u64,
    /// By the address behind the call: what a hit says.
    returns: BTreeMap<u64, Site>,
    /// Jumps to a function at the end of another: a hit says where that one's caller goes on.
    tails: Vec<(Site, u64)>,
    hit: BTreeSet<Site>,
    /// Hits that no instruction explains.
    pub strange: BTreeSet<(String, u32)>,
}

impl Book {
    /// The book of an image.
    pub fn of(image: &Image) -> Self {
        Self::with(image, &Code::of(image))
    }

    /// The book of an image that was disassembled.
    pub fn with(image: &Image, code: &Code) -> Self {
        let mut book = Self {
            base: image.base,
            ..Self::default()
        };
        for call in &code.calls {
            let name = call.import.rsplit('!').next().unwrap_or_default();
            if !FALLIBLE.contains(&name) {
                continue;
            }
            let site = Site {
                at: (call.at - image.base) as u32,
                call: name.to_owned(),
            };
            match call.how {
                How::Tail => {
                    let function = code.function_of(call.at).unwrap_or(call.at);
                    book.tails.push((site, function));
                }
                _ => drop(book.returns.insert(call.next, site)),
            }
        }
        book
    }

    /// Sites that are known.
    pub fn known(&self) -> BTreeSet<Site> {
        let tails = self.tails.iter().map(|(site, _)| site.clone());
        self.returns.values().cloned().chain(tails).collect()
    }

    /// Known sites that were hit.
    pub fn hit(&self) -> &BTreeSet<Site> {
        &self.hit
    }

    /// Known sites that were not.
    pub fn missed(&self) -> Vec<Site> {
        self.known().difference(&self.hit).cloned().collect()
    }

    /// The site of a hit.
    pub fn site(&self, hit: &FaultHit) -> Option<&Site> {
        let fits = |site: &&Site| site.call == hit.name;
        self.returns.get(&hit.site).filter(fits).or_else(|| {
            let mut tails = self.tails.iter().map(|(site, _)| site).filter(fits);
            // Whose tail it is cannot be told of several.
            tails.next().filter(|_| tails.next().is_none())
        })
    }

    /// Takes the hits of a play.
    pub fn take(&mut self, hits: &[FaultHit]) {
        for hit in hits {
            if let Some(site) = self.site(hit).cloned() {
                self.hit.insert(site);
                continue;
            }
            let mut many = false;
            for (site, _) in &self.tails {
                if site.call == hit.name {
                    many = true;
                    self.hit.insert(site.clone());
                }
            }
            if !many {
                let at = hit.site.wrapping_sub(self.base) as u32;
                self.strange.insert((hit.name.to_owned(), at));
            }
        }
    }

    /// Adds what another book of the same image has seen.
    pub fn add(&mut self, hit: impl IntoIterator<Item = Site>) {
        self.hit.extend(hit);
    }

    /// The faults that a plan offers, given the hits of a play without any: each site's first
    /// `deep` hits, then its second, fourth, … as many as there are.
    pub fn faults(&self, hits: &[FaultHit], deep: u64) -> Vec<Fault> {
        let mut seen: BTreeMap<FaultHit, u64> = BTreeMap::new();
        let mut all = Vec::new();
        for hit in hits {
            let nth = seen.entry(*hit).or_default();
            *nth += 1;
            if *nth <= deep || nth.is_power_of_two() {
                all.push(Fault {
                    call: Some(hit.name.to_owned()),
                    site: Some(hit.site.wrapping_sub(self.base) as u32),
                    nth: *nth,
                });
            }
        }
        all
    }
}

/// A plan with these calls failing.
pub fn failing(plan: &Plan, faults: &[Fault]) -> Plan {
    let mut plan = plan.clone();
    for fault in faults {
        let call = fault.call.as_deref().unwrap_or("call");
        plan.name = format!("{}, {call} fails ({})", plan.name, fault.nth);
    }
    plan.knobs.faults = faults.to_vec();
    plan
}

//! The past of objects: who had a list when, and by which call it went there. Findings show
//! it of every object that their message names by its address.

use std::collections::{BTreeMap, VecDeque};

use super::ledger::{Owner, Path};
use crate::arena::PageState;
use crate::handle::is_handle;
use crate::host::Host;
use crate::report::ObjectRecord;

/// Steps kept of each list.
const STEPS: usize = 8;
/// Objects shown with a finding.
const OBJECTS: usize = 4;

/// Who had a list from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// One of those the ledger knows.
    Owner(Owner),
    /// It is where it came from.
    Home,
    /// It is freed.
    Nobody,
}

/// One hand-over.
#[derive(Clone, Copy, Debug)]
struct Step {
    time: u64,
    to: Holder,
    by: &'static str,
}

/// The last hand-overs of each list.
#[derive(Default)]
pub(crate) struct History(BTreeMap<u64, VecDeque<Step>>);

impl History {
    /// A new life begins: what was at this address before is another list.
    pub(crate) fn begin(&mut self, list: u64) {
        self.0.remove(&list);
    }

    /// A list goes to somebody.
    pub(crate) fn note(&mut self, list: u64, time: u64, to: Holder, by: &'static str) {
        let steps = self.0.entry(list).or_default();
        if steps.len() == STEPS {
            steps.pop_front();
        }
        steps.push_back(Step { time, to, by });
    }

    /// Whether there was such a list.
    fn knows(&self, list: u64) -> bool {
        self.0.contains_key(&list)
    }

    /// The call by which a list went where it is.
    pub(crate) fn last(&self, list: u64) -> Option<(Holder, &'static str)> {
        let step = self.0.get(&list)?.back()?;
        Some((step.to, step.by))
    }

    fn lines(&self, list: u64) -> Vec<String> {
        let steps = self.0.get(&list).into_iter().flatten();
        steps
            .map(|step| {
                let who = match step.to {
                    Holder::Owner(Owner::Driver) => "the driver".to_owned(),
                    Holder::Owner(Owner::Below(binding)) => {
                        format!("the adapter below binding {binding:#x}")
                    }
                    Holder::Owner(Owner::Above(miniport)) => {
                        format!("the protocol above miniport {miniport:#x}")
                    }
                    Holder::Home => "where it came from".to_owned(),
                    Holder::Nobody => "nobody: freed".to_owned(),
                };
                format!("{} ns: {who}, by {}", step.time, step.by)
            })
            .collect()
    }
}

/// The addresses that a message names, in its order, each once.
fn named(message: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for part in message.split("0x").skip(1) {
        let digits = part
            .find(|c: char| !c.is_ascii_hexdigit())
            .map_or(part, |end| &part[..end]);
        if let Ok(address) = u64::from_str_radix(digits, 16)
            && address >= 0x1_0000
            && !all.contains(&address)
        {
            all.push(address);
        }
    }
    all
}

impl Host {
    /// What is known of the objects that a message names.
    pub(crate) fn objects_in(&self, message: &str) -> Vec<ObjectRecord> {
        named(message)
            .into_iter()
            .filter_map(|address| self.history_of(address))
            .take(OBJECTS)
            .collect()
    }

    /// What is known of the object at an address: a NET_BUFFER_LIST, one of its NET_BUFFERs or
    /// MDLs, the data it describes, other memory, or a handle.
    pub fn history_of(&self, address: u64) -> Option<ObjectRecord> {
        if let Some((list, what, history)) = self.list_at(address) {
            return Some(ObjectRecord {
                address,
                what: if list == address {
                    what
                } else {
                    format!("{}, part of {what} {list:#x}", self.describe(address))
                },
                history,
            });
        }
        let known = is_handle(address) || self.arena.contains(address);
        known.then(|| ObjectRecord {
            address,
            what: if is_handle(address) {
                self.handle_words(address)
            } else {
                self.describe(address)
            },
            history: Vec::new(),
        })
    }

    fn handle_words(&self, handle: u64) -> String {
        let Ok(n) = self.ndis.try_lock() else {
            return "a handle".into();
        };
        match n.handles.kind(handle) {
            Ok(kind) => format!("{kind:?} handle"),
            Err(error) => format!("handle; {error}"),
        }
    }

    /// The list that memory at an address belongs to, what it is, and its past. Takes no lock
    /// that the caller may hold.
    fn list_at(&self, address: u64) -> Option<(u64, String, Vec<String>)> {
        let block = {
            let heap = self.heap.try_lock().ok()?;
            let found = heap.find(address).or_else(|| heap.find_freed(address));
            found.map(|a| a.address)?
        };
        let n = self.ndis.try_lock().ok()?;
        let mdl = n.ledger.out_with(block);
        let list = mdl.or_else(|| n.ledger.parts.get(&block).copied());
        let list = list.unwrap_or(block);
        let record = n.ledger.lists.get(&list);
        if record.is_none() && !n.ledger.history.knows(list) {
            return None;
        }
        let what = match record.map(|r| r.path) {
            Some(Path::Own) => "NET_BUFFER_LIST of the driver".to_owned(),
            Some(Path::Send { upper, miniport }) => format!(
                "NET_BUFFER_LIST sent by {} on miniport {miniport:#x}",
                n.uppers.get(upper).map_or("?", |u| u.config.name.as_str())
            ),
            Some(Path::Receive { nic, binding, lent }) => format!(
                "NET_BUFFER_LIST {} by {} on binding {binding:#x}",
                if lent { "lent" } else { "indicated" },
                n.nics.get(nic).map_or("?", |x| x.config.name.as_str())
            ),
            None => "NET_BUFFER_LIST that is not under way".to_owned(),
        };
        Some((list, what, n.ledger.history.lines(list)))
    }

    /// The rule that the driver breaks by touching an address that faults, and in words what
    /// lies there.
    pub fn fault_rule(&self, address: u64) -> (&'static str, String) {
        if let Some(rule) = self.named_fault(address) {
            return rule;
        }
        if address < 0x1_0000 {
            return ("MEM-3", format!("a NULL pointer is used ({address:#x})"));
        }
        let at = self.describe(address);
        let text = format!("{address:#x} is touched: {at}");
        if let Some(rule) = self.rule_of_structure(address) {
            return (rule, text);
        }
        match self.arena.page_state(address) {
            Some(PageState::Away) => (self.touch_rule(address), text),
            Some(PageState::Freed) => ("MEM-2", text),
            Some(PageState::Live) if at.contains("RCV-15") => ("RCV-15", text),
            Some(PageState::Free) if at.contains("past the start") => ("HOST-OVERRUN", text),
            _ => ("HOST-WILD", text),
        }
    }

    /// Which rule forbids to touch what NDIS gave a driver for the time of a call, after the
    /// call, or to read beyond its end.
    fn rule_of_structure(&self, address: u64) -> Option<&'static str> {
        let heap = self.heap.try_lock().ok()?;
        if let Some(freed) = heap.find_freed(address) {
            return match freed.by {
                "NDIS_BIND_PARAMETERS" => Some("BND-9"),
                "NET_PNP_EVENT_NOTIFICATION" => Some("PNP-3"),
                "NDIS_OID_REQUEST" | "OID buffer" => Some("OID-2"),
                _ => None,
            };
        }
        let near = heap.find_near(address)?;
        let beyond = address >= near.address + near.len;
        match near.by {
            "NDIS_BIND_PARAMETERS" if beyond => Some("BND-10"),
            "NET_PNP_EVENT_NOTIFICATION" if beyond => Some("PNP-10"),
            "OID buffer" if beyond => Some("OID-11"),
            "NDIS_RESTART_ATTRIBUTES" if beyond => Some("MPS-8"),
            _ => None,
        }
    }

    /// Faults that a rule of its own is about: by the callback that runs, by what lay there.
    fn named_fault(&self, address: u64) -> Option<(&'static str, String)> {
        let inside = self.vp().local().and_then(|local| {
            let frames = local.frames.try_borrow().ok()?;
            frames.iter().rev().find(|f| f.callback).map(|f| f.name)
        });
        if address < 0x1_0000 && inside == Some("MiniportDevicePnPEventNotify") {
            let text = "the buffer of a device event is used, and there is none";
            return Some(("DPE-2", text.into()));
        }
        let number = super::configuration::NO_STRING;
        if (number..number + 0x1_0000).contains(&address) {
            let text = "a configuration value that is a number is used as a string";
            return Some(("CFG-3", text.into()));
        }
        let heap = self.heap.try_lock().ok()?;
        if let Some(freed) = heap.find_freed(address)
            && freed.by.starts_with("NdisRead")
        {
            let text = format!(
                "a value of {} is used after its configuration was closed",
                freed.by
            );
            return Some(("CFG-2", text));
        }
        let beyond = heap.find(address).is_none() && heap.find_freed(address).is_none();
        let near = heap.find_near(address).filter(|a| {
            // BND-10 is about those.
            beyond && a.by.starts_with("NDIS_") && a.by != "NDIS_BIND_PARAMETERS"
        })?;
        let text = format!(
            "byte {} of {} is used, which has {} in this revision",
            address.wrapping_sub(near.address),
            near.by,
            near.len
        );
        Some(("VER-4", text))
    }

    /// Which rule forbids to touch memory that was handed over.
    fn touch_rule(&self, address: u64) -> &'static str {
        let block = self.heap.try_lock().ok().and_then(|heap| {
            let found = heap.find(address).or_else(|| heap.find_near(address));
            found.map(|a| a.address)
        });
        let (Some(block), Ok(n)) = (block, self.ndis.try_lock()) else {
            return "SND-3";
        };
        let list = n.ledger.parts.get(&block).copied().unwrap_or(block);
        match n.ledger.history.last(list) {
            Some((_, "NdisMIndicateReceiveNetBufferLists")) => "RCV-7",
            Some((_, "NdisReturnNetBufferLists")) => "RCV-1",
            Some((_, "ProtocolReceiveNetBufferLists returned")) => "RCV-2",
            _ => "SND-3",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_a_message_are_found_once_each() {
        assert_eq!(
            named("list 0x100000001000 on 0xffffb00000000010, list 0x100000001000, code 0x7c"),
            [0x1000_0000_1000, 0xFFFF_B000_0000_0010]
        );
    }

    #[test]
    fn a_history_keeps_the_last_steps() {
        let mut history = History::default();
        for time in 0..20 {
            history.note(1, time, Holder::Home, "x");
        }
        let lines = history.lines(1);
        assert_eq!(lines.len(), STEPS);
        assert_eq!(lines[STEPS - 1], "19 ns: where it came from, by x");
        history.begin(1);
        assert!(!history.knows(1));
    }
}

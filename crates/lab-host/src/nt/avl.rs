//! Generic tables (`RtlXxxGenericTableAvl`).
//!
//! Which elements a table has, and in which order, is the host's record, by the table's
//! address: a sorted list that is searched with the driver's comparison. The driver sees what
//! the functions give it, and the fields of the table that are documented to be read.

use crate::api::api;
use crate::host::Host;

// RTL_AVL_TABLE.
const ORDERED: u64 = 32;
const WHICH: u64 = 40;
const COUNT: u64 = 44;
const DEPTH: u64 = 48;
const RESTART: u64 = 56;
const DELETES: u64 = 64;
const COMPARE: u64 = 72;
const ALLOCATE: u64 = 80;
const FREE: u64 = 88;
const SIZE: usize = 104;
/// `RTL_BALANCED_LINKS` in front of each element's data.
const LINKS: u64 = 32;
const LESS: i32 = 0;
const EQUAL: i32 = 2;
const EMPTY_TREE: i32 = 0;
const FOUND_NODE: i32 = 1;
const INSERT_LEFT: i32 = 2;
const STATUS_NO_MATCH: i32 = 0xC000_0272_u32 as i32;

/// Where an element is, or where it belongs.
fn search(host: &Host, table: u64, key: u64) -> Result<usize, usize> {
    let routine: u64 = host.get(table + COMPARE, "Table");
    let nodes = nodes(host, table);
    let (mut low, mut high) = (0, nodes.len());
    while low < high {
        let middle = low.midpoint(high);
        let args = [table, key, nodes[middle] + LINKS];
        match host.call("AVL_COMPARE_ROUTINE", table, routine, &args) as i32 {
            EQUAL => return Ok(middle),
            LESS => high = middle,
            _ => low = middle + 1,
        }
    }
    Err(low)
}

fn nodes(host: &Host, table: u64) -> Vec<u64> {
    let nt = host.nt.lock().expect("nt");
    nt.tables.get(&table).cloned().unwrap_or_default()
}

/// Changes the record of a table and shows it in the table.
fn change(host: &Host, table: u64, f: impl FnOnce(&mut Vec<u64>)) {
    let (count, root) = {
        let mut nt = host.nt.lock().expect("nt");
        let nodes = nt.tables.entry(table).or_default();
        f(nodes);
        (
            nodes.len(),
            nodes.get(nodes.len() / 2).copied().unwrap_or(0),
        )
    };
    host.put(table + 16, root, "Table");
    host.put(table + COUNT, count as u32, "Table");
    host.put(table + DEPTH, usize::BITS - count.leading_zeros(), "Table");
    if count == 0 {
        host.nt.lock().expect("nt").tables.remove(&table);
    }
}

fn insert(host: &Host, table: u64, at: usize, data: u64, size: u32, is_new: u64) -> u64 {
    let routine: u64 = host.get(table + ALLOCATE, "Table");
    let wanted = LINKS + u64::from(size);
    let node = host.call("AVL_ALLOCATE_ROUTINE", table, routine, &[table, wanted]);
    if is_new != 0 {
        host.put(is_new, u8::from(node != 0), "NewElement");
    }
    if node == 0 {
        return 0;
    }
    host.put(node, [0_u64; 4], "AllocateRoutine");
    let bytes = host.get_bytes(data, size as usize, "Buffer");
    if let Err(wild) = host.arena.write_bytes(node + LINKS, &bytes) {
        host.fatal(
            "HOST-WILD",
            &format!("AllocateRoutine returned {:#x}", wild.address),
        );
    }
    change(host, table, |nodes| nodes.insert(at.min(nodes.len()), node));
    node + LINKS
}

fn element(host: &Host, table: u64, at: Option<usize>) -> u64 {
    at.and_then(|at| nodes(host, table).get(at).copied())
        .map_or(0, |node| node + LINKS)
}

/// The next element after the one that `restart` names, which is 0 at the beginning.
fn next(host: &Host, table: u64, restart: u64) -> Option<u64> {
    let nodes = nodes(host, table);
    if restart == 0 {
        return nodes.first().copied();
    }
    let at = nodes.iter().position(|&n| n == restart)?;
    nodes.get(at + 1).copied()
}

api! { exports:
    /// Makes an empty table.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInitializeGenericTableAvl(host, table: u64, compare: u64, allocate: u64, free: u64, context: u64) {
        host.put(table, [0_u8; SIZE], "Table");
        host.put(table + COMPARE, [compare, allocate, free, context], "Table");
        host.nt.lock().expect("nt").tables.remove(&table);
    }

    /// Inserts a copy of an element, or finds the one that equals it.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInsertElementGenericTableAvl(host, table: u64, data: u64, size: u32, is_new: u64) -> u64 {
        match search(host, table, data) {
            Ok(at) => {
                if is_new != 0 {
                    host.put(is_new, 0_u8, "NewElement");
                }
                element(host, table, Some(at))
            }
            Err(at) => insert(host, table, at, data, size, is_new),
        }
    }

    /// Inserts where a search has ended.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlInsertElementGenericTableFullAvl(host, table: u64, data: u64, size: u32, is_new: u64,
        _parent: u64, result: i32) -> u64 {
        match search(host, table, data) {
            Ok(at) if result == FOUND_NODE => {
                if is_new != 0 {
                    host.put(is_new, 0_u8, "NewElement");
                }
                element(host, table, Some(at))
            }
            Ok(at) | Err(at) => insert(host, table, at, data, size, is_new),
        }
    }

    /// Deletes the element that equals one; whether there was any.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlDeleteElementGenericTableAvl(host, table: u64, data: u64) -> u8 {
        let Ok(at) = search(host, table, data) else {
            return 0;
        };
        let node = nodes(host, table)[at];
        let restart: u64 = host.get(table + RESTART, "Table");
        if restart == node {
            let before = at.checked_sub(1).map_or(0, |at| nodes(host, table)[at]);
            host.put(table + RESTART, before, "Table");
        }
        change(host, table, |nodes| { nodes.remove(at); });
        let deletes: u32 = host.get(table + DELETES, "Table");
        host.put(table + DELETES, deletes.wrapping_add(1), "Table");
        host.put(table + ORDERED, 0_u64, "Table");
        host.put(table + WHICH, 0_u32, "Table");
        let routine: u64 = host.get(table + FREE, "Table");
        host.call("AVL_FREE_ROUTINE", table, routine, &[table, node]);
        1
    }

    /// The element that equals one, or null.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlLookupElementGenericTableAvl(host, table: u64, data: u64) -> u64 {
        element(host, table, search(host, table, data).ok())
    }

    /// The same, and where the search ended.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlLookupElementGenericTableFullAvl(host, table: u64, data: u64, parent: u64, result: u64) -> u64 {
        let found = search(host, table, data);
        let list = nodes(host, table);
        let (how, node) = match found {
            _ if list.is_empty() => (EMPTY_TREE, 0),
            Ok(at) => (FOUND_NODE, list[at]),
            Err(0) => (INSERT_LEFT, list[0]),
            Err(at) => (INSERT_LEFT + 1, list[at - 1]),
        };
        host.put(parent, node, "NodeOrParent");
        host.put(result, how, "SearchResult");
        element(host, table, found.ok())
    }

    /// The next element in order; the first if `restart` is set.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlEnumerateGenericTableAvl(host, table: u64, restart: u8) -> u64 {
        let from: u64 = if restart == 0 { host.get(table + RESTART, "Table") } else { 0 };
        let Some(node) = next(host, table, from) else {
            return 0;
        };
        host.put(table + RESTART, node, "Table");
        node + LINKS
    }

    /// The next element in order, from where the caller remembers.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlEnumerateGenericTableWithoutSplayingAvl(host, table: u64, key: u64) -> u64 {
        let from: u64 = host.get(key, "RestartKey");
        let Some(node) = next(host, table, from) else {
            return 0;
        };
        host.put(key, node, "RestartKey");
        node + LINKS
    }

    /// The next element that matches, as a directory is listed.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlEnumerateGenericTableLikeADirectory(host, table: u64, matches: u64, match_data: u64,
        flag: u32, key: u64, deletes: u64, buffer: u64) -> u64 {
        let from: u64 = host.get(key, "RestartKey");
        let seen: u32 = host.get(deletes, "DeleteCount");
        let now: u32 = host.get(table + DELETES, "Table");
        let list = nodes(host, table);
        let known = if seen == now || from == 0 { list.iter().position(|&n| n == from) } else { None };
        // `flag` asks for the one after, not for the one itself.
        let first = match known {
            Some(at) => at + usize::from(flag != 0),
            None if from == 0 && buffer == 0 => 0,
            None if buffer != 0 => match search(host, table, buffer) {
                Ok(at) => at + usize::from(flag != 0),
                Err(at) => at,
            },
            None => 0,
        };
        host.put(deletes, now, "DeleteCount");
        for &node in list.iter().skip(first) {
            let verdict = if matches == 0 {
                0
            } else {
                host.call("AVL_MATCH_FUNCTION", table, matches, &[table, node + LINKS, match_data]) as i32
            };
            if verdict == 0 {
                host.put(key, node, "RestartKey");
                return node + LINKS;
            }
            if verdict != STATUS_NO_MATCH {
                break;
            }
        }
        0
    }

    /// The element of a number in order, or null.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlGetElementGenericTableAvl(host, table: u64, index: u32) -> u64 {
        element(host, table, Some(index as usize))
    }

    /// How many elements there are.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlNumberGenericTableElementsAvl(host, table: u64) -> u32 {
        host.get(table + COUNT, "Table")
    }

    /// Whether there are none.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn RtlIsGenericTableEmptyAvl(host, table: u64) -> u8 {
        u8::from(host.get::<u32>(table + COUNT, "Table") == 0)
    }
}

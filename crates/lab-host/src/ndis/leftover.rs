//! What an adapter leaves behind when it is halted or fails to initialise: NET_BUFFERs
//! (NBL-8), MDLs (NBL-9), work items (MEM-5), timers (TMR-1, TMR-3). What is reported is freed
//! for the driver, so that it is reported once.

use crate::host::Host;

/// Who frees what was reported.
const HOST: &str = "the host, after its loss was reported";

impl Host {
    /// The adapter whose `MiniportInitializeEx` is open on this thread, or 0.
    pub(crate) fn initializing_adapter(&self) -> u64 {
        let frames = self.local().frames.borrow();
        let frame = frames.iter().rfind(|f| f.name == "MiniportInitializeEx");
        frame.map_or(0, |f| f.subject)
    }

    /// An adapter is gone: by `MiniportHaltEx`, or as `after` says.
    pub(super) fn adapter_left(&self, adapter: u64, after: &str) {
        self.buffers_left(adapter, after);
        self.mdls_left(adapter, after);
        self.items_left(adapter, after);
        self.timers_left(adapter);
    }

    fn buffers_left(&self, adapter: u64, after: &str) {
        let left: Vec<u64> = self.ndis(|n| {
            let of = |pool: u64| n.buffer_pools.get(&pool).map_or(0, |p| p.owner);
            let mine = n.singles.iter();
            mine.filter(|(_, s)| s.adapter == adapter || of(s.pool) == adapter)
                .map(|(&buffer, _)| buffer)
                .collect()
        });
        for buffer in left {
            self.violate(
                "NBL-8",
                format!("NET_BUFFER {buffer:#x} of the adapter is left after {after}"),
            );
            self.ndis(|n| {
                if let Some(s) = n.singles.remove(&buffer)
                    && let Some(pool) = n.buffer_pools.get_mut(&s.pool)
                {
                    pool.buffers -= 1;
                }
            });
            crate::nt::free_pool(self, buffer, None, HOST);
        }
    }

    fn mdls_left(&self, adapter: u64, after: &str) {
        let left: Vec<u64> = self.ndis(|n| {
            let mine = n.mdls.iter().filter(|(_, owner)| **owner == adapter);
            mine.map(|(&mdl, _)| mdl).collect()
        });
        for mdl in left {
            self.violate(
                "NBL-9",
                format!("MDL {mdl:#x} of the adapter is left after {after}"),
            );
            self.ndis(|n| n.mdls.remove(&mdl));
            crate::nt::free_pool(self, mdl, None, HOST);
        }
    }

    fn items_left(&self, adapter: u64, after: &str) {
        let left: Vec<u64> = self.ndis(|n| {
            let mine = n.work_items.iter();
            mine.filter(|(_, w)| w.adapter == adapter && !w.queued)
                .map(|(&item, _)| item)
                .collect()
        });
        for item in left {
            self.violate(
                "MEM-5",
                format!(
                    "work item {item:#x}, made while the adapter initialised, is left after {after}"
                ),
            );
            self.ndis(|n| {
                n.work_items.remove(&item);
                n.handles.close(item);
            });
        }
    }
}

//! Handles as drivers see them: opaque numbers in an address range where nothing is
//! ever mapped, with a kind and a generation, so that stale or mixed-up use is seen.

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// From `NdisMRegisterMiniportDriver`.
    MiniportDriver = 1,
    /// From `NdisRegisterProtocolDriver`.
    ProtocolDriver,
    /// A virtual miniport, as `MiniportInitializeEx` gets it.
    Miniport,
    /// A binding, from `NdisOpenAdapterEx`.
    Binding,
    /// Context of one bind.
    Bind,
    /// Context of one unbind.
    Unbind,
    /// From `NdisOpenConfigurationEx`.
    Configuration,
    /// NET_BUFFER_LIST pool.
    NblPool,
    /// NET_BUFFER pool.
    NbPool,
    /// I/O work item.
    WorkItem,
    /// Timer object.
    Timer,
    /// Read-write lock.
    RwLock,
    /// From `NdisRegisterDeviceEx`.
    Device,
    /// Generic object.
    Generic,
    /// A protocol of the host, above: `SourceHandle` of the lists it sends.
    Upper,
    /// A NIC of the host, below: `SourceHandle` of the lists it indicates.
    Nic,
    /// What stands in the place of a binding handle until its open is complete.
    Opening,
    /// An interface provider.
    Provider,
}

/// Why a handle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// Not a handle at all.
    #[error("is not a handle of this host")]
    Foreign,
    /// Once a handle; its object is gone.
    #[error("is stale: its {0:?} is gone")]
    Stale(Kind),
    /// A live handle of another kind.
    #[error("is a {found:?} handle, a {wanted:?} handle is wanted")]
    WrongKind {
        /// What it is.
        found: Kind,
        /// What it should be.
        wanted: Kind,
    },
}

const BASE: u64 = 0xFFFF_B000_0000_0000;
const MASK: u64 = 0xFFFF_F000_0000_0000;

/// Whether a value looks like a handle of the host.
pub const fn is_handle(value: u64) -> bool {
    value & MASK == BASE
}

/// Hands out and checks handles.
#[derive(Default)]
pub struct Handles {
    slots: Vec<(Kind, u16, bool)>,
    free: Vec<u32>,
}

impl Handles {
    /// A new handle.
    pub fn open(&mut self, kind: Kind) -> u64 {
        let slot = if let Some(slot) = self.free.pop() {
            let entry = &mut self.slots[slot as usize];
            *entry = (kind, entry.1.wrapping_add(1), true);
            slot
        } else {
            self.slots.push((kind, 1, true));
            self.slots.len() as u32 - 1
        };
        let generation = self.slots[slot as usize].1;
        // Low bits stay clear, as in a pointer; drivers may use them as tags.
        BASE | (kind as u64) << 37 | u64::from(slot) << 16 | u64::from(generation & 0xFFF) << 4
    }

    /// Checks a handle.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn check(&self, handle: u64, wanted: Kind) -> Result<(), HandleError> {
        let found = self.kind(handle)?;
        if found == wanted {
            Ok(())
        } else {
            Err(HandleError::WrongKind { found, wanted })
        }
    }

    /// Kind of a live handle.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn kind(&self, handle: u64) -> Result<Kind, HandleError> {
        if !is_handle(handle) {
            return Err(HandleError::Foreign);
        }
        let &(kind, generation, live) = self
            .slots
            .get(Self::slot(handle))
            .ok_or(HandleError::Foreign)?;
        if handle & 0xFFF0 != u64::from(generation & 0xFFF) << 4 || !live {
            return Err(HandleError::Stale(kind));
        }
        Ok(kind)
    }

    /// Number of a handle's slot; those of live handles are all different.
    pub const fn slot(handle: u64) -> usize {
        ((handle >> 16) & 0x1F_FFFF) as usize
    }

    /// Ends a handle.
    pub fn close(&mut self, handle: u64) {
        let slot = Self::slot(handle);
        if let Some(entry) = self.slots.get_mut(slot)
            && entry.2
        {
            entry.2 = false;
            self.free.push(slot as u32);
        }
    }

    /// Live handles of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.slots.iter().filter(|s| s.2 && s.0 == kind).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_foreign_and_mixed_handles_are_told_apart() {
        let mut handles = Handles::default();
        let pool = handles.open(Kind::NblPool);
        let timer = handles.open(Kind::Timer);
        assert_eq!(handles.check(pool, Kind::NblPool), Ok(()));
        assert_eq!(
            handles.check(timer, Kind::NblPool),
            Err(HandleError::WrongKind {
                found: Kind::Timer,
                wanted: Kind::NblPool
            })
        );
        handles.close(pool);
        assert!(matches!(
            handles.check(pool, Kind::NblPool),
            Err(HandleError::Stale(Kind::NblPool))
        ));
        let again = handles.open(Kind::NblPool);
        assert_ne!(again, pool);
        assert_eq!(handles.kind(0x1234), Err(HandleError::Foreign));
    }
}

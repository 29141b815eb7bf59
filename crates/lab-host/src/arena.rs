//! The arena: all memory a driver can see, in one memory file mapped twice.
//!
//! * The *driver's view* lies at a fixed address, so that a seed decides every
//!   pointer the driver handles. Its pages change protection when memory is
//!   freed or handed over: a touch on the wrong side faults at the instruction.
//! * The *host's view* lies anywhere and is always writable. Host code reaches
//!   driver memory only through [`Arena::host`], which checks the address; a wild
//!   pointer from the driver is an `Err`, never a crash of the host.
//!
//! Layout: image, then a page pair per virtual processor, then stacks, then pool.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// Where the first arena of a process is mapped (16 TiB: far from what Linux places by itself).
const BASE: u64 = 0x1000_0000_0000;
/// Distance between arenas, when tests run several in one process.
const STRIDE: u64 = 0x1_0000_0000;
const SLOTS: u64 = 16;

const IMAGE_OFFSET: u64 = 0;
/// Room for images.
pub const IMAGE_SIZE: u64 = 31 << 20;
const STUB_OFFSET: u64 = IMAGE_SIZE;
/// Room for import stubs.
pub const STUB_SIZE: u64 = 512 << 10;
const VARIABLE_OFFSET: u64 = STUB_OFFSET + STUB_SIZE;
/// Room for the variables that system images export.
pub const VARIABLE_SIZE: u64 = 64 << 10;
const SHARED_OFFSET: u64 = VARIABLE_OFFSET + VARIABLE_SIZE;
const SCRATCH_OFFSET: u64 = SHARED_OFFSET + (64 << 10);
/// Room for instructions that are carried out somewhere else than where they stand.
pub const SCRATCH_SIZE: u64 = 384 << 10;
const VP_OFFSET: u64 = 32 << 20;
const THREAD_OFFSET: u64 = 48 << 20;
const DISPLACED_OFFSET: u64 = 56 << 20;
/// Room for instructions of images that have a breakpoint in their place.
pub const DISPLACED_SIZE: u64 = 8 << 20;
/// Most virtual processors.
pub const MAX_VPS: u64 = 64;
const STACK_OFFSET: u64 = 64 << 20;
/// Bytes of one stack, its guard page included. A kernel stack is 24 KiB; the
/// host's own frames, which run on the same stack, need the rest.
pub const STACK_SIZE: u64 = 256 << 10;
/// Number of stacks: threads, DPCs and work items under way at once.
pub const STACKS: u64 = 512;
const POOL_OFFSET: u64 = STACK_OFFSET + STACK_SIZE * STACKS;
const SIZE: u64 = 1 << 30;
/// Pages of pool.
pub const POOL_PAGES: u64 = (SIZE - POOL_OFFSET) / PAGE;

/// What a pool page is for the driver right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PageState {
    /// Never allocated, or a guard page.
    Free = 0,
    /// The driver may touch it.
    Live = 1,
    /// Freed.
    Freed = 2,
    /// Live, but handed over to NDIS: the driver may not touch it.
    Away = 3,
}

impl PageState {
    const fn from_raw(raw: u8) -> Self {
        match raw {
            1 => Self::Live,
            2 => Self::Freed,
            3 => Self::Away,
            _ => Self::Free,
        }
    }
}

/// A driver address that does not point to `len` bytes the driver owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address {address:#x} ({len} bytes) is not memory of the driver")]
pub struct Wild {
    /// The address.
    pub address: u64,
    /// How many bytes were wanted.
    pub len: u64,
}

/// Access of the driver to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// No access.
    None,
    /// Read only.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
    /// All three; only for foreign images with such a section.
    ReadWriteExecute,
}

impl Protection {
    const fn bits(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
            Self::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        }
    }
}

/// Whether an address lies where arenas are.
pub(crate) const fn is_any(address: u64) -> bool {
    address >= BASE && address < BASE + SLOTS * STRIDE
}

/// See the module's text.
pub struct Arena {
    base: u64,
    host: *mut u8,
    pages: Vec<AtomicU8>,
}

// SAFETY: the raw pointer is a mapping that lives as long as the arena; access to
// the bytes behind it is ordered by whoever owns them (the driver's own memory rules).
unsafe impl Send for Arena {}
// SAFETY: as above; the arena itself has no unsynchronised state.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps a new arena.
    ///
    /// # Errors
    /// When the memory file or an address range cannot be had.
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain system call with a static name.
        let fd = unsafe { libc::memfd_create(c"arena".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let result = Self::map(fd);
        // SAFETY: `fd` is ours; the mappings keep the file alive.
        unsafe { libc::close(fd) };
        result
    }

    fn map(fd: i32) -> io::Result<Self> {
        // SAFETY: `fd` is the memory file just made.
        if unsafe { libc::ftruncate(fd, SIZE as libc::off_t) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let size = SIZE as usize;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let host = unsafe { libc::mmap(ptr::null_mut(), size, rw, flags, fd, 0) };
        if host == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        for slot in 0..SLOTS {
            let base = BASE + slot * STRIDE;
            // SAFETY: NOREPLACE never covers an existing mapping.
            let driver = unsafe {
                libc::mmap(
                    base as *mut libc::c_void,
                    size,
                    libc::PROT_NONE,
                    flags | libc::MAP_FIXED_NOREPLACE,
                    fd,
                    0,
                )
            };
            if driver as u64 == base {
                let pages = (0..POOL_PAGES).map(|_| AtomicU8::new(0)).collect();
                let arena = Self {
                    base,
                    host: host.cast(),
                    pages,
                };
                arena.prepare_fixed()?;
                return Ok(arena);
            }
            if driver != libc::MAP_FAILED {
                // SAFETY: an old kernel ignored NOREPLACE and mapped elsewhere: ours to undo.
                unsafe { libc::munmap(driver, size) };
            }
        }
        // SAFETY: `host` is the mapping made above.
        unsafe { libc::munmap(host, size) };
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "no address range is free for the driver's memory",
        ))
    }

    /// Opens the stacks (all but their guard pages) and the processors' pages.
    fn prepare_fixed(&self) -> io::Result<()> {
        for i in 0..STACKS {
            let (low, size) = self.stack(i);
            self.protect(low + PAGE, size - PAGE, Protection::ReadWrite)?;
        }
        self.protect(self.thread(0), STACKS * PAGE, Protection::ReadWrite)?;
        self.protect(self.variables(), VARIABLE_SIZE, Protection::ReadWrite)?;
        Ok(())
    }

    /// First address of the driver's view.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Where images go.
    pub const fn image(&self) -> u64 {
        self.base + IMAGE_OFFSET
    }

    /// Where import stubs go.
    pub const fn stubs(&self) -> u64 {
        self.base + STUB_OFFSET
    }

    /// Where the variables are that system images export.
    pub const fn variables(&self) -> u64 {
        self.base + VARIABLE_OFFSET
    }

    /// The page that stands for `KUSER_SHARED_DATA`.
    pub const fn shared_data(&self) -> u64 {
        self.base + SHARED_OFFSET
    }

    /// Where instructions are carried out that cannot be where they stand.
    pub const fn scratch(&self) -> u64 {
        self.base + SCRATCH_OFFSET
    }

    /// The `KTHREAD` of the task on stack `index`.
    pub const fn thread(&self, index: u64) -> u64 {
        self.base + THREAD_OFFSET + index * PAGE
    }

    /// Whether `address` is the `KTHREAD` of a task.
    pub const fn is_thread(&self, address: u64) -> bool {
        address >= self.thread(0) && address < self.thread(STACKS)
    }

    /// Where displaced instructions go.
    pub const fn displaced(&self) -> u64 {
        self.base + DISPLACED_OFFSET
    }

    /// Whether `address` is among the displaced instructions.
    pub const fn in_displaced(&self, address: u64) -> bool {
        address >= self.displaced() && address < self.displaced() + DISPLACED_SIZE
    }

    /// Whether `address` is among the import stubs.
    pub const fn in_stubs(&self, address: u64) -> bool {
        address >= self.stubs() && address < self.stubs() + STUB_SIZE
    }

    /// First byte of pool.
    pub const fn pool(&self) -> u64 {
        self.base + POOL_OFFSET
    }

    /// Lowest address (a guard page) and size of stack `index`.
    pub const fn stack(&self, index: u64) -> (u64, u64) {
        (self.base + STACK_OFFSET + index * STACK_SIZE, STACK_SIZE)
    }

    /// Index of the stack that holds `address`.
    pub const fn stack_of(&self, address: u64) -> Option<u64> {
        let start = self.base + STACK_OFFSET;
        if address >= start && address < start + STACK_SIZE * STACKS {
            Some((address - start) / STACK_SIZE)
        } else {
            None
        }
    }

    /// The page pair of virtual processor `index`: the first holds the host's own
    /// pointer (see `vp`), the second is laid out as the driver's KPCR.
    pub const fn processor_pages(&self, index: u64) -> u64 {
        self.base + VP_OFFSET + index * 2 * PAGE
    }

    /// Whether `address` lies in the driver's view at all.
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.base && address < self.base + SIZE
    }

    /// Changes the driver's access to whole pages.
    ///
    /// # Errors
    /// What `mprotect` says.
    pub fn protect(&self, address: u64, len: u64, protection: Protection) -> io::Result<()> {
        debug_assert!(self.contains(address) && address.is_multiple_of(PAGE));
        // SAFETY: the range lies in the driver's view, whose protection the arena owns.
        let rc = unsafe {
            libc::mprotect(
                address as *mut libc::c_void,
                len.next_multiple_of(PAGE) as usize,
                protection.bits(),
            )
        };
        if rc == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Makes each of the first pages of the pool a mapping of its own. Where pages open and close
    /// one by one, most of the time goes into mappings that are split and merged again; pages
    /// whose neighbours are of another kind are not merged. The kind chosen says how a file is
    /// read ahead, which means nothing to a file in memory.
    pub fn keep_apart(&self, pages: u64) {
        for page in (1..pages.min(POOL_PAGES)).step_by(2) {
            let at = (self.pool() + page * PAGE) as *mut libc::c_void;
            // SAFETY: the page lies in the driver's view; this advice changes no byte of it.
            // Where it is not taken, everything works as before, only slower.
            unsafe { libc::madvise(at, PAGE as usize, libc::MADV_RANDOM) };
        }
    }

    /// State of the pool page that holds `address`; `None` outside the pool.
    pub fn page_state(&self, address: u64) -> Option<PageState> {
        let page = address.checked_sub(self.pool())? / PAGE;
        let page = self.pages.get(usize::try_from(page).ok()?)?;
        Some(PageState::from_raw(page.load(Ordering::Relaxed)))
    }

    /// Sets the state of the pool pages of a range.
    pub fn set_page_state(&self, address: u64, len: u64, state: PageState) {
        let first = (address - self.pool()) / PAGE;
        for page in first..first + len.div_ceil(PAGE) {
            self.pages[page as usize].store(state as u8, Ordering::Relaxed);
        }
    }

    /// The host's pointer to `len` bytes at a driver address.
    ///
    /// # Errors
    /// [`Wild`] when that is not memory the driver could mean: outside the arena,
    /// freed or never allocated pool, a processor page.
    pub fn host(&self, address: u64, len: u64) -> Result<*mut u8, Wild> {
        let wild = Wild { address, len };
        let end = address.checked_add(len.max(1)).ok_or(wild)?;
        if !self.contains(address) || end > self.base + SIZE {
            return Err(wild);
        }
        if address >= self.pool() {
            for at in [address, end - 1] {
                match self.page_state(at) {
                    Some(PageState::Live | PageState::Away) => {}
                    _ => return Err(wild),
                }
            }
        } else if address >= self.base + VP_OFFSET
            && address < self.base + STACK_OFFSET
            && !(address >= self.thread(0) && end <= self.thread(STACKS))
        {
            return Err(wild);
        }
        // SAFETY: the offset lies inside the host's mapping, checked above.
        Ok(unsafe { self.host.add((address - self.base) as usize) })
    }

    /// The host's pointer, for addresses that the host itself chose.
    pub fn trusted(&self, address: u64) -> *mut u8 {
        assert!(self.contains(address), "the host's own address");
        // SAFETY: the offset lies inside the host's mapping, checked above.
        unsafe { self.host.add((address - self.base) as usize) }
    }

    /// Copies a value out of driver memory.
    ///
    /// # Errors
    /// [`Wild`], see [`Arena::host`].
    pub fn read<T: Copy>(&self, address: u64) -> Result<T, Wild> {
        let from = self.host(address, size_of::<T>() as u64)?;
        // SAFETY: the range is mapped; `T` is plain data of the ABI (any bytes are a value).
        Ok(unsafe { from.cast::<T>().read_unaligned() })
    }

    /// Writes a value into driver memory.
    ///
    /// # Errors
    /// [`Wild`], see [`Arena::host`].
    pub fn write<T: Copy>(&self, address: u64, value: T) -> Result<(), Wild> {
        let to = self.host(address, size_of::<T>() as u64)?;
        // SAFETY: the range is mapped and, for the host, always writable.
        unsafe { to.cast::<T>().write_unaligned(value) };
        Ok(())
    }

    /// Copies bytes out of driver memory.
    ///
    /// # Errors
    /// [`Wild`], see [`Arena::host`].
    pub fn read_bytes(&self, address: u64, into: &mut [u8]) -> Result<(), Wild> {
        let from = self.host(address, into.len() as u64)?;
        // SAFETY: both ranges are valid for `into.len()` bytes and do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies bytes into driver memory.
    ///
    /// # Errors
    /// [`Wild`], see [`Arena::host`].
    pub fn write_bytes(&self, address: u64, from: &[u8]) -> Result<(), Wild> {
        let to = self.host(address, from.len() as u64)?;
        // SAFETY: both ranges are valid for `from.len()` bytes and do not overlap.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    /// Fills a range that the host owns.
    pub fn fill(&self, address: u64, len: u64, byte: u8) {
        let to = self.trusted(address);
        assert!(address + len <= self.base + SIZE);
        // SAFETY: the range lies inside the host's mapping, checked above.
        unsafe { ptr::write_bytes(to, byte, len as usize) };
    }

    /// Gives the memory of a range back to the system; it reads as zero afterwards.
    pub fn discard(&self, address: u64, len: u64) {
        let to = self.trusted(address);
        // SAFETY: the range lies inside the host's mapping of our own memory file.
        unsafe { libc::madvise(to.cast(), len as usize, libc::MADV_REMOVE) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: both mappings were made by `map` and nothing uses them any more.
        unsafe {
            libc::munmap(self.base as *mut libc::c_void, SIZE as usize);
            libc::munmap(self.host.cast(), SIZE as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_views_show_the_same_bytes() {
        let arena = Arena::new().expect("arena");
        let at = arena.pool() + 3 * PAGE;
        arena.set_page_state(at, PAGE, PageState::Live);
        arena
            .protect(at, PAGE, Protection::ReadWrite)
            .expect("protect");
        arena
            .write(at + 8, 0x1122_3344_5566_7788_u64)
            .expect("write");
        // SAFETY: the page was opened for the driver's view just now.
        let seen = unsafe { ((at + 8) as *const u64).read() };
        assert_eq!(seen, 0x1122_3344_5566_7788);
    }

    #[test]
    fn wild_addresses_are_refused() {
        let arena = Arena::new().expect("arena");
        let live = arena.pool();
        arena.set_page_state(live, PAGE, PageState::Live);
        for (address, len) in [
            (0, 8),
            (u64::MAX - 3, 8),
            (arena.base() - 1, 8),
            (live + PAGE - 4, 8),
            (live + 5 * PAGE, 1),
            (arena.processor_pages(0), 8),
        ] {
            assert_eq!(
                arena.host(address, len).map(|_| ()),
                Err(Wild { address, len }),
                "{address:#x}"
            );
        }
        assert!(arena.host(live + PAGE - 8, 8).is_ok());
        arena.set_page_state(live, PAGE, PageState::Freed);
        assert!(arena.host(live, 1).is_err());
    }
}

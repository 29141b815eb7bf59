//! What the forked helper does.
//!
//! The helper is the child of a process that may have threads, so that between
//! fork and `_exit` only async-signal-safe calls are made: plain system calls on
//! memory that [`Plan::new`] prepared before. No allocation, no lock, no panic,
//! no standard library beyond copies.

use std::ffi::{CStr, CString};
use std::fmt;
use std::io::{self, Write};
use std::mem::{size_of, zeroed};
use std::net::Ipv6Addr;
use std::os::fd::RawFd;

use super::Port;

/// Descriptors that the helper may send: namespace, counters, TAP, user
/// namespace.
pub(super) const DESCRIPTORS: usize = 4;

/// Frames that the device's queue towards the lab holds.
const QUEUE: libc::c_int = 4096;

macro_rules! steps {
    ($($step:ident = $text:literal,)+) => {
        /// What was being done when it failed.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Step {
            $(
                #[doc = $text]
                $step,
            )+
        }

        impl Step {
            const ALL: &[Self] = &[$(Self::$step),+];
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$step => $text,)+
                })
            }
        }
    };
}

steps! {
    Plan = "checking the port",
    Fork = "starting the helper",
    Enter = "entering the namespace",
    Receive = "hearing from the helper",
    Unshare = "making a namespace",
    MapUser = "mapping the user into the namespace",
    OpenTun = "opening /dev/net/tun",
    CreateTap = "creating the TAP device",
    Socket = "opening a control socket",
    SetMac = "setting the MAC address",
    SetMtu = "setting the MTU",
    SetQueue = "setting the queue length",
    SetIpv6 = "setting up IPv6",
    SetAddress = "setting the IP address",
    SetUp = "bringing the interface up",
    OpenNamespace = "opening the namespace",
    Send = "sending the descriptors",
}

/// What the helper says at its end.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All done.
    Done,
    /// A step failed.
    Failed(Step, io::Error),
}

impl Outcome {
    /// Octets of the message: step (0: done), error number.
    pub(super) const SIZE: usize = 8;

    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let (step, rest) = message.split_first_chunk::<4>()?;
        let error = i32::from_ne_bytes(*rest.first_chunk::<4>()?);
        match u32::from_ne_bytes(*step) {
            0 => Some(Self::Done),
            step => {
                let step = *Step::ALL.get(step as usize - 1)?;
                Some(Self::Failed(step, io::Error::from_raw_os_error(error)))
            }
        }
    }
}

/// Everything the helper needs, in the form the system calls take.
pub(super) struct Plan {
    request: libc::ifreq,
    mac: libc::sockaddr,
    mtu: libc::c_int,
    ipv4: Option<(libc::sockaddr, libc::sockaddr)>,
    ipv6: Option<(Ipv6Addr, u8)>,
    accept_dad: CString,
    disable_ipv6: CString,
    /// The namespaces to enter instead of making new ones.
    inside: Option<Inside>,
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
}

type Fallible<T> = Result<T, Step>;

/// A network namespace, and the user namespace that owns it if it is not the own one.
struct Inside {
    user: Option<RawFd>,
    net: RawFd,
}

impl Inside {
    /// Enters both; false: no user namespace is made.
    fn enter(&self) -> Fallible<bool> {
        let user = self.user.map(|fd| (fd, libc::CLONE_NEWUSER));
        for (fd, kind) in user.into_iter().chain([(self.net, libc::CLONE_NEWNET)]) {
            // SAFETY: setns takes two integers and changes this single-threaded process only.
            if unsafe { libc::setns(fd, kind) } != 0 {
                return Err(Step::Enter);
            }
        }
        Ok(false)
    }
}

fn ipv4_sockaddr(octets: [u8; 4]) -> libc::sockaddr {
    // The layout of sockaddr_in: port, then address, then padding.
    let mut data = [0; 14];
    for (to, from) in data[2..6].iter_mut().zip(octets) {
        *to = from as libc::c_char;
    }
    libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: data,
    }
}

impl Plan {
    pub(super) fn new(port: &Port) -> io::Result<Self> {
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
        // SAFETY: all zeroes is a valid ifreq: integers, arrays and a union of such.
        let mut request: libc::ifreq = unsafe { zeroed() };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let name = port.name.as_bytes();
        if name.is_empty()
            || name.len() >= request.ifr_name.len()
            || !name.iter().all(|byte| fits(*byte))
        {
            return Err(bad(
                "an interface's name is 1 to 15 letters, digits or one of - _ .",
            ));
        }
        if name.iter().all(|byte| *byte == b'.') {
            return Err(bad("an interface cannot be named . or .."));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        let mut data = [0; 14];
        for (to, from) in data.iter_mut().zip(port.mac.0) {
            *to = from as libc::c_char;
        }
        let prefix_fits = port.ipv4.is_none_or(|(_, prefix)| prefix <= 32)
            && port.ipv6.is_none_or(|(_, prefix)| prefix <= 128);
        if !prefix_fits {
            return Err(bad("the prefix is longer than the address"));
        }
        let mask = |prefix: u8| {
            u32::MAX
                .checked_shl(32 - u32::from(prefix))
                .unwrap_or(0)
                .to_be_bytes()
        };
        let knob =
            |name: &str| CString::new(format!("/proc/sys/net/ipv6/conf/{}/{name}", port.name));
        // SAFETY: getuid and getgid cannot fail and touch no memory.
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        let map = |id: u32| {
            let mut text = Vec::new();
            // Writing to a vector cannot fail.
            let _ = write!(text, "0 {id} 1");
            text
        };
        Ok(Self {
            request,
            mac: libc::sockaddr {
                sa_family: libc::ARPHRD_ETHER,
                sa_data: data,
            },
            mtu: port.mtu.into(),
            ipv4: port.ipv4.map(|(address, prefix)| {
                (ipv4_sockaddr(address.octets()), ipv4_sockaddr(mask(prefix)))
            }),
            ipv6: port.ipv6,
            accept_dad: knob("accept_dad")?,
            disable_ipv6: knob("disable_ipv6")?,
            inside: None,
            uid_map: map(uid),
            gid_map: map(gid),
        })
    }

    /// The same in a namespace that is there already. The descriptors have to stay open
    /// until the helper has ended.
    pub(super) fn inside(mut self, user: Option<RawFd>, net: RawFd) -> Self {
        self.inside = Some(Inside { user, net });
        self
    }

    /// Runs in the helper: does everything, sends the outcome, exits.
    pub(super) fn carry_out(&self, socket: RawFd) -> ! {
        let mut descriptors = [-1; DESCRIPTORS];
        let result = self.try_carry_out(&mut descriptors);
        let (step, error) = match result {
            Ok(()) => (0, 0),
            Err(step) => (step as u32 + 1, errno()),
        };
        let used = descriptors.iter().take_while(|fd| **fd >= 0).count();
        let used = if step == 0 { used } else { 0 };
        let sent = send(socket, step, error, &descriptors[..used]);
        // SAFETY: _exit ends the helper at once; no destructor or exit handler of
        // the process it was forked from runs.
        unsafe { libc::_exit(i32::from(!sent)) }
    }

    fn try_carry_out(&self, descriptors: &mut [RawFd; DESCRIPTORS]) -> Fallible<()> {
        let with_user = match &self.inside {
            Some(inside) => inside.enter()?,
            None => self.unshare()?,
        };
        descriptors[2] = self.create_tap()?;
        self.configure()?;
        descriptors[0] = open(c"/proc/self/ns/net", libc::O_RDONLY).ok_or(Step::OpenNamespace)?;
        descriptors[1] = open(c"/proc/self/net/dev", libc::O_RDONLY).ok_or(Step::OpenNamespace)?;
        if with_user {
            descriptors[3] =
                open(c"/proc/self/ns/user", libc::O_RDONLY).ok_or(Step::OpenNamespace)?;
        }
        Ok(())
    }

    /// Enters a new network namespace. Returns whether a user namespace had to be
    /// made for the right to do so.
    fn unshare(&self) -> Fallible<bool> {
        // SAFETY: unshare takes flags and changes this single-threaded process only.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
            return Ok(false);
        }
        if errno() != libc::EPERM {
            return Err(Step::Unshare);
        }
        // SAFETY: as above.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) } != 0 {
            return Err(Step::Unshare);
        }
        // user_namespaces(7): without privilege setgroups has to be denied before
        // the group map may be written.
        let written = write(c"/proc/self/setgroups", b"deny")
            && write(c"/proc/self/uid_map", &self.uid_map)
            && write(c"/proc/self/gid_map", &self.gid_map);
        if written {
            Ok(true)
        } else {
            Err(Step::MapUser)
        }
    }

    fn create_tap(&self) -> Fallible<RawFd> {
        let tun = open(c"/dev/net/tun", libc::O_RDWR | libc::O_NONBLOCK).ok_or(Step::OpenTun)?;
        let mut request = self.request;
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        control(tun, libc::TUNSETIFF, &mut request, Step::CreateTap)?;
        Ok(tun)
    }

    fn configure(&self) -> Fallible<()> {
        let socket = socket(libc::AF_INET)?;
        let mut request = self.request;
        request.ifr_ifru.ifru_hwaddr = self.mac;
        control(socket, libc::SIOCSIFHWADDR, &mut request, Step::SetMac)?;
        request.ifr_ifru.ifru_mtu = self.mtu;
        control(socket, libc::SIOCSIFMTU, &mut request, Step::SetMtu)?;
        request.ifr_ifru.ifru_metric = QUEUE;
        // A longer queue is a convenience that only the machine's root may have:
        // in a user namespace the kernel's default of 1000 frames stays.
        if let Err(step) = control(socket, libc::SIOCSIFTXQLEN, &mut request, Step::SetQueue)
            && errno() != libc::EPERM
        {
            return Err(step);
        }
        if self.ipv6.is_some() {
            // Duplicate address detection would keep the address tentative for a
            // second or two; the lab knows that there is no duplicate.
            if !write(&self.accept_dad, b"0") {
                return Err(Step::SetIpv6);
            }
        } else if !write(&self.disable_ipv6, b"1") && errno() != libc::ENOENT {
            return Err(Step::SetIpv6); // ENOENT: a kernel without IPv6.
        }
        if let Some((address, netmask)) = self.ipv4 {
            request.ifr_ifru.ifru_addr = address;
            control(socket, libc::SIOCSIFADDR, &mut request, Step::SetAddress)?;
            request.ifr_ifru.ifru_netmask = netmask;
            control(socket, libc::SIOCSIFNETMASK, &mut request, Step::SetAddress)?;
        }
        let up = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        request.ifr_ifru.ifru_flags = up;
        control(socket, libc::SIOCSIFFLAGS, &mut request, Step::SetUp)?;
        if let Some((address, prefix)) = self.ipv6 {
            control(socket, libc::SIOCGIFINDEX, &mut request, Step::SetAddress)?;
            let mut request = libc::in6_ifreq {
                ifr6_addr: libc::in6_addr {
                    s6_addr: address.octets(),
                },
                ifr6_prefixlen: prefix.into(),
                // SAFETY: SIOCGIFINDEX has just written this member of the union.
                ifr6_ifindex: unsafe { request.ifr_ifru.ifru_ifindex },
            };
            let socket = self::socket(libc::AF_INET6)?;
            control(socket, libc::SIOCSIFADDR, &mut request, Step::SetAddress)?;
        }
        // The loopback interface, for commands that talk to themselves.
        // SAFETY: all zeroes is a valid ifreq: integers, arrays and a union of such.
        let mut loopback: libc::ifreq = unsafe { zeroed() };
        loopback.ifr_name[0] = b'l' as libc::c_char;
        loopback.ifr_name[1] = b'o' as libc::c_char;
        loopback.ifr_ifru.ifru_flags = up;
        control(socket, libc::SIOCSIFFLAGS, &mut loopback, Step::SetUp)
    }
}

fn errno() -> i32 {
    // SAFETY: errno's location is valid for as long as the thread lives.
    unsafe { *libc::__errno_location() }
}

fn open(path: &CStr, flags: libc::c_int) -> Option<RawFd> {
    // SAFETY: the path is a C string; no mode is needed without O_CREAT.
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
    (fd >= 0).then_some(fd)
}

fn socket(family: libc::c_int) -> Fallible<RawFd> {
    // SAFETY: socket takes three integers.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 { Err(Step::Socket) } else { Ok(fd) }
}

fn write(path: &CStr, text: &[u8]) -> bool {
    let Some(fd) = open(path, libc::O_WRONLY) else {
        return false;
    };
    // SAFETY: the slice is valid for its length during the call.
    let written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    let error = errno();
    // SAFETY: the descriptor was opened above and is used by nobody else; errno is
    // put back for the caller's report.
    unsafe {
        libc::close(fd);
        *libc::__errno_location() = error;
    }
    written == text.len() as isize
}

fn control<T>(fd: RawFd, request: libc::Ioctl, argument: &mut T, step: Step) -> Fallible<()> {
    // SAFETY: every request used here takes a pointer to the structure that its
    // caller passes (netdevice(7)), and that is valid during the call.
    if unsafe { libc::ioctl(fd, request, std::ptr::from_mut(argument)) } < 0 {
        return Err(step);
    }
    Ok(())
}

/// Room for the control message, aligned as its header is.
#[repr(C, align(8))]
struct ControlSpace([u8; 64]);

/// Sends the outcome and the descriptors with it.
fn send(socket: RawFd, step: u32, error: i32, descriptors: &[RawFd]) -> bool {
    let mut message = [0; Outcome::SIZE];
    message[..4].copy_from_slice(&step.to_ne_bytes());
    message[4..].copy_from_slice(&error.to_ne_bytes());
    let mut slice = libc::iovec {
        iov_base: message.as_mut_ptr().cast(),
        iov_len: message.len(),
    };
    let mut space = ControlSpace([0; 64]);
    // SAFETY: all zeroes is a valid msghdr: null pointers and lengths of zero.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    if !descriptors.is_empty() {
        let length = size_of_val(descriptors) as u32;
        header.msg_control = space.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE only computes; four descriptors need 32 octets of 64.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(length) } as _;
        const { assert!(size_of::<libc::cmsghdr>() + DESCRIPTORS * size_of::<RawFd>() <= 64) };
        // SAFETY: the control space is aligned, large enough for one message of
        // `length` octets (asserted above) and set in the header.
        unsafe {
            let control = libc::CMSG_FIRSTHDR(&raw const header);
            (*control).cmsg_level = libc::SOL_SOCKET;
            (*control).cmsg_type = libc::SCM_RIGHTS;
            (*control).cmsg_len = libc::CMSG_LEN(length) as _;
            std::ptr::copy_nonoverlapping(
                descriptors.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(control),
                length as usize,
            );
        }
    }
    // SAFETY: the header points to live locals only.
    unsafe {
        libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) == Outcome::SIZE as isize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_back() {
        let encode = |step: u32, error: i32| [step.to_ne_bytes(), error.to_ne_bytes()].concat();
        assert!(matches!(
            Outcome::decode(&encode(0, 0)),
            Some(Outcome::Done)
        ));
        for (index, step) in Step::ALL.iter().enumerate() {
            assert_eq!(*step as usize, index);
            match Outcome::decode(&encode(*step as u32 + 1, libc::EPERM)) {
                Some(Outcome::Failed(read, error)) => {
                    assert_eq!(read, *step);
                    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(Outcome::decode(&encode(99, 0)).is_none());
        assert!(Outcome::decode(&[]).is_none());
    }
}

//! Frames between a driver and the lab, by a device of the driver, as programs do that stand in
//! for a wire or for a protocol: IRP_MJ_READ takes one frame from the driver, IRP_MJ_WRITE gives
//! it one, both with buffered I/O.
//!
//! A miniport that is an image has no hardware; the far end of its wire reads and writes its
//! device, `\Device\<adapter>.tap`, and says by [`IOCTL_MEDIA`] whether the cable is in: what
//! the driver tap-windows6 has. A protocol that is an image has `\Device\<service>-<adapter>`.
//!
//! Each open device has two tasks at PASSIVE_LEVEL: one that reads, of which there is always a
//! request in the driver, and one that writes and hands over what was read.

use std::collections::VecDeque;

use lab_net::Endpoint;

use super::device::ControlError;
use super::tag::Tag;
use crate::engine::Job;
use crate::host::Host;
use crate::nt::DeviceFile;
use crate::vp::TaskId;

/// Says by a ULONG whether the far end of the wire is there.
const IOCTL_MEDIA: u32 = 0x22 << 16 | 6 << 2;
/// Bytes of the longest frame that is read.
const ROOM: usize = 2048;
/// Frames that are written before what was read meanwhile is looked at.
const BATCH: usize = 32;
/// How often a task looks on an engine whose wakes may come before its wait.
const LOOK: u64 = 1_000_000;

/// Who is at the other end.
enum End {
    /// The wire of an adapter.
    Wire(usize),
    /// What stands above a protocol, which this index is the edge of.
    Above(usize, Box<dyn Endpoint>),
}

/// A device by which frames go.
pub(crate) struct Port {
    name: String,
    end: End,
    /// The device while it is open.
    open: Option<DeviceFile>,
    closing: bool,
    /// Tasks that are not over.
    tasks: u32,
    /// The one that writes.
    writer: Option<TaskId>,
    read: VecDeque<Vec<u8>>,
}

impl Port {
    fn new(name: String, end: End) -> Self {
        Self {
            name,
            end,
            open: None,
            closing: false,
            tasks: 0,
            writer: None,
            read: VecDeque::new(),
        }
    }
}

impl Host {
    /// The far end of an adapter's wire reads and writes the device of the driver that the
    /// adapter is.
    pub fn frames_to_wire(&self, device: &str, nic: usize, far: Box<dyn Endpoint>) -> usize {
        self.ndis(|n| {
            n.nics[nic].set_far(far);
            n.ports.push(Port::new(device.to_owned(), End::Wire(nic)));
            n.ports.len() - 1
        })
    }

    /// What stands above a protocol that is an image reads and writes its device.
    pub fn frames_to_endpoint(
        &self,
        device: &str,
        upper: usize,
        endpoint: Box<dyn Endpoint>,
    ) -> usize {
        self.ndis(|n| {
            let end = End::Above(upper, endpoint);
            n.ports.push(Port::new(device.to_owned(), end));
            n.ports.len() - 1
        })
    }

    /// Opens the device and lets frames flow.
    ///
    /// # Errors
    /// [`ControlError`]: there is no such device yet, or it refuses.
    pub fn open_frames(&self, port: usize) -> Result<(), ControlError> {
        let (name, wire) = self.ndis(|n| {
            let p = &n.ports[port];
            (p.name.clone(), matches!(p.end, End::Wire(_)))
        });
        let open = self.open_device(&name)?;
        self.ndis(|n| {
            let p = &mut n.ports[port];
            p.open = Some(open);
            p.closing = false;
            p.tasks = 2;
            p.read.clear();
        });
        self.spawn(Job::thread("program reads", move |host| {
            host.read_frames(port);
        }));
        self.spawn(Job::thread("program writes", move |host| {
            host.write_frames(port);
        }));
        if wire {
            self.plug_frames(port, true)?;
        }
        Ok(())
    }

    /// Ends the flow and closes the device, which may be removed already.
    pub fn close_frames(&self, port: usize) {
        let Some(file) = self.ndis(|n| {
            n.ports[port].closing = true;
            n.ports[port].open
        }) else {
            return;
        };
        self.kick_port(port);
        // Ends the read that waits in the driver.
        self.clean_up_file(file);
        self.wait_until("for a program to end", LOOK, u64::MAX / 2, |host| {
            host.ndis(|n| n.ports[port].tasks == 0)
        });
        self.ndis(|n| n.ports[port].open = None);
        self.end_file(file);
    }

    /// Whether the device of a port is open.
    pub fn frames_are_open(&self, port: usize) -> bool {
        self.ndis(|n| n.ports[port].open.is_some())
    }

    /// Plugs the cable in, or pulls it.
    fn plug_frames(&self, port: usize, plugged: bool) -> Result<(), ControlError> {
        let Some(file) = self.ndis(|n| n.ports[port].open) else {
            return Ok(());
        };
        let word = u32::from(plugged).to_le_bytes();
        let reply = self.control_file(&file, IOCTL_MEDIA, &word, 0);
        if reply.status < 0 {
            return Err(ControlError::Open(reply.status));
        }
        Ok(())
    }

    /// The cable of an adapter that is an image; false if this is none.
    pub(crate) fn plug_image(&self, nic: usize, plugged: bool) -> bool {
        let Some(port) = self.port_of_wire(nic) else {
            return false;
        };
        if let Err(error) = self.plug_frames(port, plugged) {
            self.log(1, "lab", format!("the cable cannot be moved: {error}"));
        }
        true
    }

    fn port_of_wire(&self, nic: usize) -> Option<usize> {
        self.ndis(|n| {
            let mine = |p: &Port| matches!(p.end, End::Wire(own) if own == nic);
            n.ports.iter().position(mine)
        })
    }

    /// Frames of the wire wait for an adapter that is an image; false if this is none.
    pub(crate) fn kick_wire(&self, nic: usize) -> bool {
        let port = self.port_of_wire(nic);
        if let Some(port) = port {
            self.kick_port(port);
        }
        port.is_some()
    }

    /// What stands above a protocol that is an image may have frames; false if this is none.
    pub(crate) fn kick_above(&self, upper: usize) -> bool {
        let port = self.ndis(|n| {
            let mine = |p: &Port| matches!(&p.end, End::Above(own, _) if *own == upper);
            n.ports.iter().position(mine)
        });
        if let Some(port) = port {
            self.kick_port(port);
        }
        port.is_some()
    }

    fn kick_port(&self, port: usize) {
        if let Some(task) = self.ndis(|n| n.ports[port].writer) {
            self.engine().wake(task);
        }
    }

    fn read_frames(&self, port: usize) {
        while let Some(file) = self.ndis(|n| {
            let p = &n.ports[port];
            p.open.filter(|_| !p.closing)
        }) {
            match self.read_file(&file, ROOM) {
                reply if reply.status >= 0 => {
                    self.ndis(|n| n.ports[port].read.push_back(reply.output));
                    self.kick_port(port);
                }
                // Cancelled: the device is closed or gone.
                _ => break,
            }
        }
        self.ndis(|n| n.ports[port].tasks -= 1);
    }

    fn write_frames(&self, port: usize) {
        let me = self.local().id;
        self.ndis(|n| n.ports[port].writer = Some(me));
        while let Some(file) = self.ndis(|n| {
            let p = &n.ports[port];
            p.open.filter(|_| !p.closing)
        }) {
            let handed = self.hand_over_read(port);
            let frames = self.frames_for(port);
            let idle = !handed && frames.is_empty();
            for frame in frames {
                // One that the driver refuses is lost, as on any wire.
                let _written = self.write_file(&file, &frame);
            }
            if idle {
                let due = self.next_frame(port);
                let look = (!self.engine().is_virtual()).then(|| self.now() + LOOK);
                let until = [due, look].into_iter().flatten().min();
                *self.local().waiting.borrow_mut() = Some("for frames".to_owned());
                self.engine().wait(until);
                *self.local().waiting.borrow_mut() = None;
            }
        }
        self.ndis(|n| {
            n.ports[port].writer = None;
            n.ports[port].tasks -= 1;
        });
    }

    /// Hands what was read to the other end; whether there was something.
    fn hand_over_read(&self, port: usize) -> bool {
        let now = self.now();
        let (some, wire) = self.ndis(|n| {
            let read = std::mem::take(&mut n.ports[port].read);
            let some = !read.is_empty();
            match &mut n.ports[port].end {
                End::Above(_, endpoint) => {
                    for frame in read {
                        endpoint.on_frame(now, &frame);
                    }
                    (some, None)
                }
                &mut End::Wire(nic) => {
                    for frame in read {
                        n.nics[nic].take_frame(now, frame, Tag::default());
                    }
                    (some, Some(nic))
                }
            }
        });
        if let Some(nic) = wire.filter(|_| some) {
            self.wire_down(nic);
        }
        some
    }

    /// Frames that the other end has for the driver.
    fn frames_for(&self, port: usize) -> Vec<Vec<u8>> {
        let now = self.now();
        let (frames, wire) = self.ndis(|n| match &mut n.ports[port].end {
            End::Above(_, endpoint) => {
                let mut frames = Vec::new();
                endpoint.poll(now, &mut |frame| {
                    frames.push(frame);
                    frames.len() < BATCH
                });
                (frames, None)
            }
            &mut End::Wire(nic) => (n.nics[nic].take_received(BATCH), Some(nic)),
        });
        if let Some(nic) = wire.filter(|_| !frames.is_empty()) {
            // There is room for more.
            self.far_poll(nic);
        }
        frames
    }

    /// When the other end wants to be asked again.
    fn next_frame(&self, port: usize) -> Option<u64> {
        let now = self.now();
        self.ndis(|n| match &mut n.ports[port].end {
            End::Above(_, endpoint) => endpoint.next_poll(now).map(|at| at.max(now + 1_000)),
            // Its wire kicks.
            End::Wire(_) => None,
        })
    }
}

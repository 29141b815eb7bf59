//! Device objects, symbolic links, files, and requests of programs to them.

use super::irp::{
    Answer, IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE, PendingRequest, Request,
};
use super::object::{ObjectKind, STATUS_INSUFFICIENT_RESOURCES};
use crate::api::api;
use crate::engine::Job;
use crate::host::Host;
use crate::ndis::{ControlError, ControlReply};

const TAG: u32 = u32::from_le_bytes(*b"Devi");
/// `sizeof(DEVICE_OBJECT)`, and of what lies behind the extension.
const DEVICE_SIZE: u64 = 336;
const EXTENSION_SIZE: u64 = 112;
const FILE_SIZE: u64 = 216;
// DEVICE_OBJECT.
const REFERENCES: u64 = 4;
const DRIVER: u64 = 8;
const NEXT: u64 = 16;
const FLAGS: u64 = 48;
const EXTENSION: u64 = 64;
const TYPE: u64 = 72;
const OBJECT_EXTENSION: u64 = 312;
// DRIVER_OBJECT.
const FIRST_DEVICE: u64 = 8;
const MAJORS: u64 = 112;
const DO_EXCLUSIVE: u32 = 0x08;
const DO_DEVICE_INITIALIZING: u32 = 0x80;
const IRP_MJ_CREATE: u8 = 0;
const IRP_MJ_CLOSE: u8 = 2;
const IRP_MJ_CLEANUP: u8 = 18;
const STATUS_OBJECT_NAME_COLLISION: i32 = 0xC000_0035_u32 as i32;
const STATUS_OBJECT_NAME_NOT_FOUND: i32 = 0xC000_0034_u32 as i32;
const STATUS_NO_SUCH_DEVICE: i32 = 0xC000_000E_u32 as i32;
const STATUS_ACCESS_DENIED: i32 = 0xC000_0022_u32 as i32;
/// Virtual time after which a request that pends is given up.
const PATIENCE: u64 = 10_000_000_000;

/// A device object of `IoCreateDevice`.
pub(super) struct Device {
    pub(super) name: String,
    pub(super) driver: u64,
    files: u32,
    deleted: bool,
}

/// A device that a program has opened.
#[derive(Clone, Copy, Debug)]
pub struct DeviceFile {
    device: u64,
    file: u64,
}

/// The dispatch routine of a device for a kind of request; 0 if there is none.
pub(super) fn handler(host: &Host, device: u64, major: u8) -> u64 {
    if let Some(majors) = host.majors_of(device) {
        return majors.get(usize::from(major)).copied().unwrap_or(0);
    }
    let driver: u64 = host.get(device + DRIVER, "DeviceObject");
    host.get(driver + MAJORS + 8 * u64::from(major), "DriverObject")
}

/// A name as the object manager keeps it: links of programs all have one prefix.
fn canonical(name: &str) -> String {
    let lower = name.to_lowercase();
    for prefix in [
        "\\dosdevices\\global\\",
        "\\dosdevices\\",
        "\\global??\\",
        "\\\\.\\",
        "\\\\?\\",
    ] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            return format!("\\??\\{rest}");
        }
    }
    lower
}

impl Host {
    /// Names of the devices of `IoCreateDevice`, those without a name left out.
    pub fn device_objects(&self) -> Vec<String> {
        let nt = self.nt.lock().expect("nt");
        let names = nt.devices.values().map(|d| d.name.clone());
        names.filter(|n| !n.is_empty()).collect()
    }

    /// Symbolic links: name and target.
    pub fn symbolic_links(&self) -> Vec<(String, String)> {
        let nt = self.nt.lock().expect("nt");
        nt.links
            .iter()
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect()
    }

    fn find_device(&self, name: &str) -> Option<u64> {
        let mut name = canonical(name);
        {
            let nt = self.nt.lock().expect("nt");
            for _ in 0..8 {
                match nt.links.get(&name) {
                    Some(target) => name = canonical(target),
                    None => break,
                }
            }
            let mut all = nt.devices.iter();
            let found = all.find(|(_, d)| !d.deleted && d.name.to_lowercase() == name);
            if let Some((&object, _)) = found {
                return Some(object);
            }
        }
        self.ndis_device(&name)
    }

    /// Opens a device by its name or by a symbolic link (`\\.\Name`), as a program does.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn open_device(&self, name: &str) -> Result<DeviceFile, ControlError> {
        let device = self.find_device(name).ok_or(ControlError::NoDevice)?;
        self.open_object(device)
    }

    pub(crate) fn open_object(&self, device: u64) -> Result<DeviceFile, ControlError> {
        let flags: u32 = self.get(device + FLAGS, "DeviceObject");
        let references: i32 = self.get(device + REFERENCES, "DeviceObject");
        if flags & DO_DEVICE_INITIALIZING != 0 {
            return Err(ControlError::Open(STATUS_NO_SUCH_DEVICE));
        }
        if flags & DO_EXCLUSIVE != 0 && references > 0 {
            return Err(ControlError::Open(STATUS_ACCESS_DENIED));
        }
        let create = handler(self, device, IRP_MJ_CREATE);
        if create == 0 {
            return Err(ControlError::NoHandler(IRP_MJ_CREATE));
        }
        let file = self.allocate(FILE_SIZE, u32::from_le_bytes(*b"File"), "FILE_OBJECT");
        self.put(file, [5_u16, FILE_SIZE as u16], "FILE_OBJECT");
        self.put(file + 8, device, "FILE_OBJECT");
        self.objects(|o| o.insert(file, ObjectKind::File, "", true));
        self.put(device + REFERENCES, references + 1, "DeviceObject");
        let known = {
            let mut nt = self.nt.lock().expect("nt");
            nt.devices.get_mut(&device).map(|d| d.files += 1).is_some()
        };
        if !known {
            self.count_opens(device, true);
        }
        let opened = DeviceFile { device, file };
        let request = Request {
            major: IRP_MJ_CREATE,
            file,
            ..Request::default()
        };
        let answer = self.ask(&opened, &request);
        if answer.result.status < 0 {
            self.forget_file(opened);
            return Err(ControlError::Open(answer.result.status));
        }
        Ok(opened)
    }

    fn ask(&self, file: &DeviceFile, request: &Request<'_>) -> Answer {
        let handler = handler(self, file.device, request.major);
        let pending = self.start_request(file.device, handler, request);
        // A read may wait for ever.
        let patience = if request.major == IRP_MJ_READ {
            u64::MAX / 2
        } else {
            PATIENCE
        };
        self.end_request(pending, patience)
    }

    /// Gives the last reference to a file back, and the device if it was deleted meanwhile.
    fn forget_file(&self, file: DeviceFile) {
        let DeviceFile { device, file } = file;
        self.drop_reference(file);
        let references: i32 = self.get(device + REFERENCES, "DeviceObject");
        self.put(device + REFERENCES, references - 1, "DeviceObject");
        let gone = {
            let mut nt = self.nt.lock().expect("nt");
            let gone = nt.devices.get_mut(&device).map(|d| {
                d.files -= 1;
                d.deleted && d.files == 0
            });
            if gone == Some(true) {
                nt.devices.remove(&device);
            }
            gone
        };
        match gone {
            Some(true) => self.release(device),
            Some(false) => {}
            None => self.count_opens(device, false),
        }
    }

    /// Asks an open device with a control code, whose method says how buffers go.
    pub fn control_file(
        &self,
        file: &DeviceFile,
        code: u32,
        input: &[u8],
        output: usize,
    ) -> ControlReply {
        let request = Request {
            major: IRP_MJ_DEVICE_CONTROL,
            code,
            input,
            output,
            file: file.file,
            offset: 0,
        };
        reply(self.ask(file, &request))
    }

    /// Starts a control request without waiting for it.
    pub fn start_control(
        &self,
        file: &DeviceFile,
        code: u32,
        input: &[u8],
        output: usize,
    ) -> PendingRequest {
        let request = Request {
            major: IRP_MJ_DEVICE_CONTROL,
            code,
            input,
            output,
            file: file.file,
            offset: 0,
        };
        let handler = handler(self, file.device, request.major);
        self.start_request(file.device, handler, &request)
    }

    /// Starts a read without waiting for it.
    pub fn start_read(&self, file: &DeviceFile, len: usize) -> PendingRequest {
        let request = Request {
            major: IRP_MJ_READ,
            output: len,
            file: file.file,
            ..Request::default()
        };
        let handler = handler(self, file.device, request.major);
        self.start_request(file.device, handler, &request)
    }

    /// Waits for a request; it counts as lost after `limit` nanoseconds.
    pub fn finish_request(&self, request: PendingRequest, limit: u64) -> ControlReply {
        reply(self.end_request(request, limit))
    }

    /// Reads from an open device.
    pub fn read_file(&self, file: &DeviceFile, len: usize) -> ControlReply {
        let request = Request {
            major: IRP_MJ_READ,
            output: len,
            file: file.file,
            ..Request::default()
        };
        reply(self.ask(file, &request))
    }

    /// Writes to an open device.
    pub fn write_file(&self, file: &DeviceFile, bytes: &[u8]) -> ControlReply {
        let request = Request {
            major: IRP_MJ_WRITE,
            input: bytes,
            file: file.file,
            ..Request::default()
        };
        reply(self.ask(file, &request))
    }

    /// Closes an open device: clean-up, then close.
    pub fn close_file(&self, file: DeviceFile) {
        self.clean_up_file(file);
        self.end_file(file);
    }

    /// The program has closed its last handle: what it has under way is cancelled.
    pub(crate) fn clean_up_file(&self, file: DeviceFile) {
        self.ask_if_handled(file, IRP_MJ_CLEANUP);
    }

    /// The file is gone.
    pub(crate) fn end_file(&self, file: DeviceFile) {
        self.ask_if_handled(file, IRP_MJ_CLOSE);
        self.forget_file(file);
    }

    fn ask_if_handled(&self, file: DeviceFile, major: u8) {
        if handler(self, file.device, major) != 0 {
            let request = Request {
                major,
                file: file.file,
                ..Request::default()
            };
            self.ask(&file, &request);
        }
    }

    /// A device of `IoCreateDevice`, if there is any.
    pub(crate) fn first_device(&self) -> Option<u64> {
        let nt = self.nt.lock().expect("nt");
        let mut all = nt.devices.iter();
        all.find(|(_, d)| !d.deleted).map(|(&object, _)| object)
    }

    /// `DriverEntry` is over: the devices that it made can be opened.
    pub(crate) fn devices_are_ready(&self, driver: u64) {
        let mine: Vec<u64> = {
            let nt = self.nt.lock().expect("nt");
            let all = nt.devices.iter();
            all.filter(|(_, d)| d.driver == driver)
                .map(|(&o, _)| o)
                .collect()
        };
        for object in mine {
            let flags: u32 = self.get(object + FLAGS, "DeviceObject");
            self.put(
                object + FLAGS,
                flags & !DO_DEVICE_INITIALIZING,
                "DeviceObject",
            );
        }
    }

    /// What a driver that is gone left in the NT part, with the rule that it breaks.
    pub(crate) fn left_in_nt(&self, driver: u64, alone: bool) -> Vec<(&'static str, String)> {
        let mut left = Vec::new();
        let nt = self.nt.lock().expect("nt");
        for d in nt
            .devices
            .values()
            .filter(|d| d.driver == driver && !d.deleted)
        {
            left.push(("UNI-2", format!("the device object {} is left", d.name)));
        }
        if alone {
            for name in nt.links.keys() {
                left.push(("UNI-2", format!("the symbolic link {name} is left")));
            }
            if !nt.timers.is_empty() {
                left.push((
                    "TMR-1",
                    format!("{} kernel timers are armed", nt.timers.len()),
                ));
            }
            if !nt.dpcs.is_empty() {
                left.push(("UNL-4", format!("{} DPCs are queued", nt.dpcs.len())));
            }
            if !nt.threads.is_empty() {
                left.push(("UNL-4", format!("{} system threads run", nt.threads.len())));
            }
            if !nt.process_routines.is_empty() {
                left.push(("UNL-4", "a process notify routine is registered".into()));
            }
            if !nt.resources.is_empty() {
                left.push((
                    "UNL-4",
                    format!("{} ERESOURCEs are not deleted", nt.resources.len()),
                ));
            }
            if nt.work_items > 0 {
                left.push((
                    "MEM-5",
                    format!("{} I/O work items are left", nt.work_items),
                ));
            }
        }
        left
    }
}

fn reply(answer: Answer) -> ControlReply {
    ControlReply {
        status: answer.result.status,
        information: answer.result.information,
        output: answer.output,
    }
}

api! { exports:
    /// Makes a device object.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn IoCreateDevice(host, driver: u64, extension: u32, name: u64, of: u32, characteristics: u32,
        exclusive: u8, out: u64) -> i32 {
        let text = if name == 0 { String::new() } else { host.get_string(name, "DeviceName") };
        if !text.is_empty() && host.find_device(&text).is_some() {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        if host.fails("IoCreateDevice") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let body = (DEVICE_SIZE + u64::from(extension)).next_multiple_of(16);
        let taken = host.heap().allocate(&host.arena, body + EXTENSION_SIZE, TAG, "device object", true);
        let Some(object) = taken else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        host.put(object, [3_u16, (DEVICE_SIZE + u64::from(extension)) as u16], "DeviceObject");
        host.put(object + DRIVER, driver, "DeviceObject");
        let first: u64 = host.get(driver + FIRST_DEVICE, "DriverObject");
        host.put(object + NEXT, first, "DeviceObject");
        host.put(driver + FIRST_DEVICE, object, "DriverObject");
        let flags = DO_DEVICE_INITIALIZING | if exclusive != 0 { DO_EXCLUSIVE } else { 0 };
        host.put(object + FLAGS, [flags, characteristics], "DeviceObject");
        if extension > 0 {
            host.put(object + EXTENSION, object + DEVICE_SIZE, "DeviceObject");
        }
        host.put(object + TYPE, of, "DeviceObject");
        // StackSize.
        host.put(object + TYPE + 4, 1_u8, "DeviceObject");
        host.put(object + OBJECT_EXTENSION, object + body, "DeviceObject");
        let device = Device { name: text, driver, files: 0, deleted: false };
        host.nt.lock().expect("nt").devices.insert(object, device);
        host.put(out, object, "DeviceObject");
        0
    }

    /// Deletes it; it is gone when nobody has it open.
    "ntoskrnl.exe" 0..=1 "IRQ-11"
    fn IoDeleteDevice(host, object: u64) {
        let open = {
            let mut nt = host.nt.lock().expect("nt");
            nt.devices.get_mut(&object).filter(|d| !d.deleted).map(|d| {
                d.deleted = true;
                d.files > 0
            })
        };
        let Some(open) = open else {
            host.fatal("HOST-OBJECT", &format!("IoDeleteDevice on {object:#x}: {}", host.describe(object)));
        };
        let driver: u64 = host.get(object + DRIVER, "DeviceObject");
        let next: u64 = host.get(object + NEXT, "DeviceObject");
        let mut link = driver + FIRST_DEVICE;
        loop {
            let at: u64 = host.get(link, "DriverObject");
            if at == object {
                host.put(link, next, "DriverObject");
                break;
            }
            if at == 0 {
                break;
            }
            link = at + NEXT;
        }
        if !open {
            host.nt.lock().expect("nt").devices.remove(&object);
            host.release(object);
        }
    }

    /// Makes a symbolic link.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoCreateSymbolicLink(host, link: u64, target: u64) -> i32 {
        let (link, target) = (host.get_string(link, "SymbolicLinkName"), host.get_string(target, "DeviceName"));
        if host.fails("IoCreateSymbolicLink") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let mut nt = host.nt.lock().expect("nt");
        match nt.links.entry(canonical(&link)) {
            std::collections::btree_map::Entry::Occupied(_) => STATUS_OBJECT_NAME_COLLISION,
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(target);
                0
            }
        }
    }

    /// Makes a symbolic link that programs of any rights may use.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoCreateUnprotectedSymbolicLink(host, link: u64, target: u64) -> i32 {
        let (link, target) = (host.get_string(link, "SymbolicLinkName"), host.get_string(target, "DeviceName"));
        if host.fails("IoCreateUnprotectedSymbolicLink") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let before = host.nt.lock().expect("nt").links.insert(canonical(&link), target);
        if before.is_some() { STATUS_OBJECT_NAME_COLLISION } else { 0 }
    }

    /// Deletes one.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoDeleteSymbolicLink(host, link: u64) -> i32 {
        let link = host.get_string(link, "SymbolicLinkName");
        let gone = host.nt.lock().expect("nt").links.remove(&canonical(&link));
        if gone.is_some() { 0 } else { STATUS_OBJECT_NAME_NOT_FOUND }
    }

    /// Opens a device by name; pointers to its top object and to a file object.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoGetDeviceObjectPointer(host, name: u64, _access: u32, file: u64, device: u64) -> i32 {
        let name = host.get_string(name, "ObjectName");
        if host.fails("IoGetDeviceObjectPointer") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        match host.open_device(&name) {
            Ok(opened) => {
                // The one reference that the open made is the driver's.
                host.objects(|o| o.taken.take(opened.file, super::reference::DEFAULT));
                host.put(file, opened.file, "FileObject");
                host.put(device, opened.device, "DeviceObject");
                0
            }
            Err(ControlError::Open(status)) => status,
            Err(_) => STATUS_OBJECT_NAME_NOT_FOUND,
        }
    }

    /// Makes a work item of a device or driver object.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoAllocateWorkItem(host, object: u64) -> u64 {
        if host.fails("IoAllocateWorkItem") {
            return 0;
        }
        // The routine gets the object; that it is queued is noted beside it.
        let item = host.allocate(32, u32::from_le_bytes(*b"Work"), "IoAllocateWorkItem");
        host.put(item, object, "IoObject");
        host.nt.lock().expect("nt").work_items += 1;
        item
    }

    /// Frees it.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoFreeWorkItem(host, item: u64) {
        if host.get::<u64>(item + 8, "IoWorkItem") != 0 {
            host.violate("MEM-6", "an I/O work item is freed while it is queued".into());
        }
        host.nt.lock().expect("nt").work_items -= 1;
        host.release(item);
    }

    /// Queues it; its routine gets the object and the context.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoQueueWorkItem(host, item: u64, routine: u64, _queue: i32, context: u64) {
        queue_work(host, item, routine, context, false);
    }

    /// Queues it; its routine gets the object, the context and the work item.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn IoQueueWorkItemEx(host, item: u64, routine: u64, _queue: i32, context: u64) {
        queue_work(host, item, routine, context, true);
    }
}

fn queue_work(host: &Host, item: u64, routine: u64, context: u64, with_item: bool) {
    let [object, queued]: [u64; 2] = host.get(item, "IoWorkItem");
    if queued != 0 {
        host.violate(
            "MEM-6",
            "an I/O work item is queued while it is queued".into(),
        );
        return;
    }
    host.put(item + 8, 1_u64, "IoWorkItem");
    let delay = host.engine().random(20_000);
    host.spawn_after(
        delay,
        Job::thread("I/O work item", move |host| {
            // It may be freed or queued again by its routine.
            host.put(item + 8, 0_u64, "IoWorkItem");
            let extra = if with_item { item } else { 0 };
            host.call(
                "IO_WORKITEM_ROUTINE",
                object,
                routine,
                &[object, context, extra],
            );
        }),
    );
}

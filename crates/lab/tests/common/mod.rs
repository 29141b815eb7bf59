//! Tiny drivers made of bytes: enough of a PE image to be loaded, with the
//! misdeed as machine code. They test the lab, not drivers.

#![allow(dead_code, reason = "each test uses its part")]

use std::{fs, path::Path, process::Command};

use lab::package::sha256;

pub const TOPOLOGY: &str = r#"
[[adapter]]
name = "nic0"
wire = "w0"
[[wire]]
name = "w0"
[[miniport]]
name = "vm0"
[[binding]]
adapter = "nic0"
upper = ["vm0"]
"#;

/// Address of the code section in the image.
pub const TEXT: u32 = 0x1000;
const IDATA: u32 = 0x2000;
const RELOC: u32 = 0x3000;
/// Address of the first import slot.
pub const IAT: u32 = IDATA + 0x80;
const FILE_ALIGNMENT: usize = 0x200;

/// An image to be written.
pub struct Image {
    pub machine: u16,
    pub subsystem: u16,
    pub code: Vec<u8>,
    /// Names imported from ntoskrnl.exe or ndis.sys, one DLL per image.
    pub dll: &'static str,
    pub imports: Vec<&'static str>,
}

impl Image {
    /// An x64 driver with this code as its DriverEntry.
    pub fn driver(code: &[u8]) -> Self {
        Self {
            machine: 0x8664,
            subsystem: 1,
            code: code.to_vec(),
            dll: "ntoskrnl.exe",
            imports: Vec::new(),
        }
    }

    /// `call [slot of the n-th import]`, to be placed at `at` bytes into the code.
    pub fn call_import(number: u32, at: u32) -> [u8; 6] {
        let next = TEXT + at + 6;
        let [a, b, c, d] = (IAT + number * 8).wrapping_sub(next).to_le_bytes();
        [0xff, 0x15, a, b, c, d]
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let sections = [
            (*b".text\0\0\0", TEXT, 0x6000_0020_u32, self.code.clone()),
            (*b".idata\0\0", IDATA, 0x4000_0040, self.idata()),
            // One block with one entry of no effect: relocatable, nothing to relocate.
            (
                *b".reloc\0\0",
                RELOC,
                0x4200_0040,
                [TEXT.to_le_bytes(), 12u32.to_le_bytes(), [0; 4]].concat(),
            ),
        ];
        let mut file = vec![0; 0x40];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x40;
        let put16 = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
        let put32 = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
        let put64 = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
        file.extend(b"PE\0\0");
        put16(&mut file, self.machine);
        put16(&mut file, 3);
        for _ in 0..3 {
            put32(&mut file, 0);
        }
        put16(&mut file, 240);
        put16(&mut file, 0x22);
        // Optional header, PE32+.
        put16(&mut file, 0x20b);
        put16(&mut file, 14);
        for value in [0x200, 0x400, 0, TEXT, TEXT] {
            put32(&mut file, value);
        }
        put64(&mut file, 0x1_4000_0000);
        put32(&mut file, 0x1000);
        put32(&mut file, FILE_ALIGNMENT as u32);
        for value in [10, 0, 0, 0, 10, 0] {
            put16(&mut file, value);
        }
        put32(&mut file, 0);
        put32(&mut file, 0x4000);
        put32(&mut file, 0x400);
        put32(&mut file, 0);
        put16(&mut file, self.subsystem);
        put16(&mut file, 0x100);
        for value in [0x10_0000_u64, 0x1000, 0x10_0000, 0x1000] {
            put64(&mut file, value);
        }
        put32(&mut file, 0);
        put32(&mut file, 16);
        for directory in 0..16 {
            let (rva, size) = match directory {
                1 => (IDATA, 40),
                5 => (RELOC, 12),
                _ => (0, 0),
            };
            put32(&mut file, rva);
            put32(&mut file, size);
        }
        let mut raw = 0x400;
        for (name, rva, characteristics, data) in &sections {
            file.extend(name);
            put32(&mut file, data.len() as u32);
            put32(&mut file, *rva);
            let size = data.len().next_multiple_of(FILE_ALIGNMENT);
            put32(&mut file, size as u32);
            put32(&mut file, raw);
            raw += size as u32;
            for _ in 0..3 {
                put32(&mut file, 0);
            }
            put32(&mut file, *characteristics);
        }
        file.resize(0x400, 0);
        for (_, _, _, data) in &sections {
            file.extend(data);
            file.resize(file.len().next_multiple_of(FILE_ALIGNMENT), 0);
        }
        file
    }

    fn idata(&self) -> Vec<u8> {
        let mut data = vec![0; 0x200];
        let (lookup, names) = (IDATA + 0x100, 0x180);
        let mut put = |at: usize, bytes: &[u8]| {
            if data.len() < at + bytes.len() {
                data.resize(at + bytes.len(), 0);
            }
            data[at..at + bytes.len()].copy_from_slice(bytes);
        };
        if self.imports.is_empty() {
            return data;
        }
        put(0, &lookup.to_le_bytes());
        put(12, &(IDATA + 0x40).to_le_bytes());
        put(16, &IAT.to_le_bytes());
        put(0x40, self.dll.as_bytes());
        let mut at = names;
        for (index, name) in self.imports.iter().enumerate() {
            let entry = u64::from(IDATA + at as u32).to_le_bytes();
            put(0x80 + index * 8, &entry);
            put(0x100 + index * 8, &entry);
            put(at + 2, name.as_bytes());
            put(at + 2 + name.len(), &[0]);
            at += (name.len() + 3).next_multiple_of(2);
        }
        data
    }
}

/// A package of an image.
pub fn package(image: &[u8], topology: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    let files = [
        ("image", "driver.sys", image),
        ("topology", "lab.toml", topology.as_bytes()),
    ];
    let entries: Vec<_> = files
        .iter()
        .map(|(role, path, bytes)| {
            fs::write(dir.path().join(path), bytes).expect("write");
            serde_json::json!({
                "role": role, "path": path, "sha256": sha256(bytes), "size": bytes.len()
            })
        })
        .collect();
    let manifest = serde_json::json!({
        "format": 2, "driver": "sample", "version": "0.1.0.0",
        "architectures": [{"arch": "x64"}], "files": entries
    });
    fs::write(dir.path().join("manifest.json"), manifest.to_string()).expect("write");
    dir
}

/// What a run said.
pub struct Said {
    pub code: Option<i32>,
    /// Text for people, both streams.
    pub text: String,
    /// The JSON document.
    pub json: serde_json::Value,
}

/// `lab run` on a package, with `--json`.
pub fn run(package: &Path, more: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["run", "--json", "--package"])
        .arg(package)
        .args(more)
        .output()
        .expect("lab starts");
    Said {
        code: output.status.code(),
        text: String::from_utf8_lossy(&output.stderr).into_owned(),
        json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
    }
}

//! Loads a driver image and runs it through its life with one NIC and one protocol.
use std::sync::Arc;

use lab_host::ndis::{BindRequest, InstanceStart, NicConfig, UpperConfig, Value};
use lab_host::report::{Event, Sink};
use lab_host::{Config, Host};

struct Print;
impl Sink for Print {
    fn event(&self, event: Event) {
        match event {
            Event::Log { source, text, .. } => println!("[{source}] {text}"),
            Event::Finding(f) => {
                println!("FINDING {} {:?}: {}", f.rule, f.severity, f.message);
                for c in f.calls.iter().rev().take(6).rev() {
                    println!(
                        "    {} cpu{} irql{} {:?} {} {:x?}",
                        c.time, c.cpu, c.irql, c.kind, c.name, c.args
                    );
                }
            }
            Event::Crash(c) => {
                println!("CRASH {:?} {}", c.kind, c.message);
                for c in c.calls.iter() {
                    println!(
                        "    {} cpu{} irql{} {:?} {} {:x?}",
                        c.time, c.cpu, c.irql, c.kind, c.name, c.args
                    );
                }
            }
            other => println!("{other:?}"),
        }
    }
}

fn main() {
    let path = std::env::args().nth(1).expect("path of a .sys");
    let service = std::env::args()
        .nth(2)
        .unwrap_or_else(|| "ImPassthrough".into());
    let seed = std::env::args()
        .nth(3)
        .map_or(1, |s| s.parse().expect("seed"));
    let bytes = std::fs::read(path).expect("read");
    let host = Host::new(
        Config {
            seed,
            ..Config::default()
        },
        Arc::new(Print),
    )
    .expect("host");
    let image = match host.load(&bytes) {
        Ok(image) => image,
        Err(e) => {
            println!("{e}");
            return;
        }
    };
    println!(
        "base {:#x} entry {:#x} imports {}",
        image.base,
        image.entry,
        image.imports.len()
    );
    struct Quiet;
    impl lab_net::Endpoint for Quiet {
        fn on_frame(&mut self, _: u64, _: &[u8]) {}
        fn poll(&mut self, _: u64, _: &mut dyn FnMut(Vec<u8>) -> bool) {}
        fn next_poll(&mut self, _: u64) -> Option<u64> {
            None
        }
    }
    let end = host.run("smoke", |host| {
        let nic = host.add_nic(NicConfig::default(), Box::new(Quiet));
        host.add_device("\\DEVICE\\VM0", InstanceStart::Either, vec![]);
        host.add_upper(UpperConfig::default(), Box::new(Quiet));
        let status = host.driver_entry(&service);
        println!("DriverEntry: {status:#x}");
        if status != 0 {
            return;
        }
        let bound = host.bind(BindRequest {
            nic,
            values: vec![(
                "UpperBindings".into(),
                Value::Strings(vec!["\\DEVICE\\VM0".into()]),
            )],
        });
        println!("bind: {bound:x?}");
        if let Ok(binding) = bound {
            host.restart_binding(binding);
            let up = host.wait_until("for the miniport", 10_000, 1_000_000_000, |h| {
                h.upper_running(0)
            });
            println!(
                "up: {up} {:?}",
                host.miniport("\\DEVICE\\VM0")
                    .and_then(|m| host.miniport_facts(m))
            );
            host.unbind(binding);
        }
        host.uninstall();
        host.unload();
    });
    println!(
        "end {end:?}, findings {}, crossings {}, hash {:x}, stack {}",
        host.findings().len(),
        host.crossings(),
        host.trace_hash(),
        host.deepest_stack()
    );
}

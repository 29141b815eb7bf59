//! Traces a short life of a driver, unconfined: `see FILE.sys FILE.pdb SERVICE OUT [PLAN.toml]`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::OnceLock;

use lab_host::Host;
use lab_host::trace::Options;
use lab_see::story::MiniportPlace;
use lab_see::{Map, Places, Story, Trace, capture, mermaid, perfetto, table};
use lab_verify::{Action, Plan, Player, Shape};

static HOST: OnceLock<&'static Host> = OnceLock::new();

extern "C" fn trap(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext to a SA_SIGINFO handler.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let ours = HOST
        .get()
        .is_some_and(|host| host.trapped(&mut context.uc_mcontext));
    if !ours {
        std::process::abort();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let image = fs::read(args.next().ok_or("an image")?)?;
    let pdb = fs::read(args.next().ok_or("a PDB")?)?;
    let service = args.next().ok_or("a service")?;
    let out = PathBuf::from(args.next().ok_or("a folder")?);
    let plan: Plan = match args.next() {
        Some(file) => toml::from_str(&fs::read_to_string(file)?)?,
        None => Plan::life(
            "life",
            Shape::default(),
            vec![
                Action::Send { upper: 0, lists: 8 },
                Action::Receive {
                    adapter: 0,
                    upper: 0,
                    lists: 8,
                    resources: None,
                },
                Action::Settle,
                Action::PauseUpper { upper: 0 },
                Action::RestartUpper { upper: 0 },
                Action::Oid {
                    upper: 0,
                    kind: lab_verify::Request::Query,
                    oid: 0x0002_0106,
                    input: Vec::new(),
                    output: 128,
                    direct: false,
                    cancel_after: None,
                },
            ],
        ),
    };
    fs::create_dir_all(&out)?;
    let player = Player::new(&image, &service, true)?;
    let _ = HOST.set(player.host);
    // SAFETY: a handler with the matching signature, for a signal that only marks raise.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
    }
    assert!(player.host.cover());
    let raw = out.join("trace.raw");
    assert!(
        player
            .host
            .trace_to(Box::new(File::create(&raw)?), Options::default())
    );
    let outcome = player.play(&plan)?;
    println!(
        "{:?} {:?} {} crossings",
        outcome.ids(),
        outcome.end,
        outcome.crossings
    );
    player.host.trace_flush();
    let trace = Trace::read(std::io::BufReader::new(File::open(&raw)?))?;
    let mut places = Places::default();
    for (index, adapter) in plan.shape.adapters.iter().enumerate() {
        places
            .adapters
            .insert(format!("NIC{index}"), Some(format!("w{index}")));
        for &upper in &adapter.upper {
            let vlan = plan.shape.miniports.get(upper).and_then(|m| m.vlan);
            let place = places
                .miniports
                .entry(format!("VM{upper}"))
                .or_insert(MiniportPlace {
                    adapters: Vec::new(),
                    vlan,
                });
            place.adapters.push(format!("NIC{index}"));
        }
    }
    let story = Story::new(&trace, &places);
    fs::write(out.join("timeline.pftrace"), perfetto::timeline(&trace))?;
    fs::write(out.join("table.txt"), table::table(&trace))?;
    for follow in mermaid::choose(&trace, &story) {
        if let Some(text) = mermaid::sequence(&trace, &story, follow) {
            println!("{text}");
            fs::write(out.join(format!("{follow:?}.mmd")), text)?;
        }
    }
    for capture in capture::captures(&trace, &story, &places)? {
        println!("{}: {} frames", capture.name, capture.frames);
        fs::write(out.join(format!("{}.pcapng", capture.name)), capture.bytes)?;
    }
    let blocks = player.host.coverage();
    let began = std::time::Instant::now();
    let all: Vec<_> = blocks.iter().map(|(block, _)| *block).collect();
    let map = Map::new(&image, pdb, &all)?;
    println!("{} blocks mapped in {:?}", all.len(), began.elapsed());
    let reached: BTreeSet<u32> = blocks
        .iter()
        .filter(|(_, hit)| *hit)
        .map(|(block, _)| block.start)
        .collect();
    let coverage = map.coverage(&reached);
    println!(
        "{}",
        coverage
            .text()
            .lines()
            .take(40)
            .collect::<Vec<_>>()
            .join("\n")
    );
    fs::write(out.join("coverage.info"), coverage.lcov("life"))?;
    Ok(())
}

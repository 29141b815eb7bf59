//! How many short scenarios a minute: `speed FILE.sys SERVICE [SECONDS [PROCESSES]]`.
//!
//! A scenario is DriverEntry, bind, restart, eight lists each way through an adapter that pends,
//! one disturbing event, pause, unbind and unload, with every check and a schedule of its own.
//! One in eight has every allocation on pages of its own and takes what was handed over out of
//! the driver's reach. Each process is this program once more, so that no run disturbs another.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab_host::{Schedule, signals};
use lab_verify::{Action, Plan, Player, Shape};

/// One in so many scenarios is guarded.
const GUARDED: u64 = 8;

/// What disturbs the scenario with this number.
fn event(n: u64) -> Vec<Action> {
    match n % 6 {
        0 => vec![
            Action::PauseUpper { upper: 0 },
            Action::RestartUpper { upper: 0 },
        ],
        1 => vec![
            Action::PauseLower { adapter: 0 },
            Action::RestartLower { adapter: 0 },
        ],
        2 => vec![
            Action::Link {
                adapter: 0,
                up: false,
            },
            Action::Link {
                adapter: 0,
                up: true,
            },
        ],
        3 => vec![
            Action::PowerLower {
                adapter: 0,
                up: false,
            },
            Action::PowerLower {
                adapter: 0,
                up: true,
            },
        ],
        4 => vec![Action::Oid {
            upper: 0,
            kind: lab_verify::plan::Request::Query,
            oid: 0x0001_0107,
            input: Vec::new(),
            output: 4,
            direct: false,
            cancel_after: None,
        }],
        _ => vec![Action::Reset {
            adapter: 0,
            ns: 10_000,
        }],
    }
}

fn plan(n: u64) -> Plan {
    let send = Action::Send { upper: 0, lists: 8 };
    let receive = Action::Receive {
        adapter: 0,
        upper: 0,
        lists: 8,
        resources: None,
    };
    let mut actions = vec![Action::Together {
        actions: vec![send, receive],
    }];
    actions.extend(event(n));
    actions.extend([
        Action::PauseUpper { upper: 0 },
        Action::PauseLower { adapter: 0 },
    ]);
    let mut plan = Plan::life("speed", Shape::default(), actions);
    plan.seed = n;
    plan.shape.adapters[0].pend = 100;
    plan
}

fn cpu_seconds() -> f64 {
    // SAFETY: zeroed is a valid rusage, which the call fills in.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn work(image: &[u8], service: &str, first: u64, step: u64, limit: Duration) {
    signals::install().expect("a handler for traps");
    let player = Player::new(image, service, false).expect("a player");
    let began = Instant::now();
    let (mut n, mut played, mut wrong) = (first, 0_u64, 0_u64);
    let spent = cpu_seconds();
    while began.elapsed() < limit {
        player.host.set_guards(n % GUARDED == 0);
        player.host.set_schedule(&Schedule {
            switch_every: 2 + n % 7,
            // Locked instructions are points of switching in some.
            locked_every: if n % 4 == 1 { 3 } else { 0 },
            ..Schedule::default()
        });
        let outcome = player.play(&plan(n)).expect("a play");
        if !outcome.is_clean() {
            wrong += 1;
            eprintln!("scenario {n}: {:?}", outcome.ids());
        }
        played += 1;
        n += step;
    }
    println!("{played} {wrong} {}", cpu_seconds() - spent);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let file = args.get(1).ok_or("an image")?;
    let service = args.get(2).ok_or("a service")?;
    let seconds: u64 = args.get(3).map_or(Ok(10), |n| n.parse())?;
    let processes: u64 = args.get(4).map_or(Ok(2), |n| n.parse())?;
    if let Some(first) = args.get(5) {
        let image = std::fs::read(file)?;
        work(
            &image,
            service,
            first.parse()?,
            processes,
            Duration::from_secs(seconds),
        );
        return Ok(());
    }
    let began = Instant::now();
    let children: Vec<_> = (0..processes)
        .map(|first| {
            Command::new(std::env::current_exe().expect("this program"))
                .args([file, service, &seconds.to_string(), &processes.to_string()])
                .arg(first.to_string())
                .stdout(Stdio::piped())
                .spawn()
        })
        .collect::<Result<_, _>>()?;
    let (mut played, mut wrong, mut cpu) = (0_u64, 0_u64, 0.0_f64);
    for child in children {
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut words = text.split_whitespace();
        played += words.next().ok_or("a child died")?.parse::<u64>()?;
        wrong += words.next().ok_or("a child died")?.parse::<u64>()?;
        cpu += words.next().ok_or("a child died")?.parse::<f64>()?;
    }
    let wall = began.elapsed().as_secs_f64();
    println!(
        "{played} scenarios in {wall:.1} s on {processes} processes, {wrong} not clean: {:.0} a minute; {cpu:.1} s of processor time: {:.0} a minute on {processes} free cores",
        played as f64 * 60.0 / wall,
        played as f64 * 60.0 / cpu * processes as f64,
    );
    Ok(())
}

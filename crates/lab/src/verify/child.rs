//! The confined side: plays.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab_host::report::Event;
use lab_verify::Player;
use lab_verify::faults::Book;
use lab_verify::number::Number;
use lab_verify::play::{Trouble as PlayTrouble, host};
use lab_verify::suite::Runner;
use nix::time::{ClockId, clock_gettime};

use super::{Said, VerifyJob};
use crate::crash::handler;
use crate::host::{Witness, load_trouble};
use crate::process::{FileUse, Message, Reporter};
use crate::trouble::Trouble;

/// A sign of life at least so often.
const SIGN: Duration = Duration::from_millis(200);

fn trouble(error: PlayTrouble) -> Trouble {
    match error {
        PlayTrouble::Load(error) => load_trouble(&error),
        PlayTrouble::Host(error) => Trouble::host(format!("cannot make the host: {error}")),
    }
}

/// The image that was handed over.
pub fn image(files: &mut Vec<(FileUse, OwnedFd)>) -> Result<Vec<u8>, Trouble> {
    let at = files
        .iter()
        .position(|(usage, _)| *usage == FileUse::Image)
        .ok_or_else(|| Trouble::host("no image was handed over"))?;
    let mut image = Vec::new();
    File::from(files.remove(at).1)
        .read_to_end(&mut image)
        .map_err(|error| Trouble::host(format!("cannot read the image: {error}")))?;
    Ok(image)
}

/// A driver that plans are played on, whose faults do not end the process.
pub fn player(image: &[u8], service: &str, guarded: bool) -> Result<Player, Trouble> {
    lab_host::signals::announce(); // the crash handler brings traps, too
    let player = Player::new(image, service, guarded).map_err(trouble)?;
    handler::set_image(player.image.base, player.image.size);
    handler::set_faults(Box::new(Witness::lasting(player.host)))
        .map_err(|_| Trouble::host("a driver was loaded before in this process"))?;
    Ok(player)
}

/// The fault sites of an image.
pub fn book(image: &[u8]) -> Result<Book, Trouble> {
    lab_host::signals::announce();
    let sink = Arc::new(lab_verify::Quiet::default());
    let host = host(false, sink).map_err(|error| trouble(error.into()))?;
    let image = host.load(image).map_err(|error| load_trouble(&error))?;
    Ok(Book::of(&image))
}

/// Runs a suite; what it shows goes out as events.
pub fn run(
    job: &VerifyJob,
    mut files: Vec<(FileUse, OwnedFd)>,
    reporter: &Arc<Reporter>,
) -> Result<(), Trouble> {
    let mut last = Instant::now();
    let say = |said: Said| {
        let value = serde_json::to_value(said).unwrap_or_default();
        reporter.send(&Message::Event {
            event: Event::Summary { value },
        });
    };
    let image = image(&mut files)?;
    let player = player(&image, &job.service, job.guarded)?;
    let mut runner = Runner::new(&player, job.shape.clone(), job.effort);
    runner.tag = Number::tag(&job.service, &job.variant);
    runner.from = job.from;
    runner.part = job.part;
    runner.before = Box::new(|number, of, plan| {
        if job.announce {
            say(Said::Next {
                number,
                plan: Box::new(plan.clone()),
            });
        }
        if last.elapsed() >= SIGN {
            last = Instant::now();
            reporter.send(&Message::Event {
                event: Event::Progress {
                    what: job.suite.name().to_owned(),
                    done: number,
                    total: of,
                },
            });
        }
    });
    let mut report = runner
        .run(job.suite)
        .map_err(|error| Trouble::host(format!("cannot start over: {error}")))?;
    drop(runner);
    let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    report.cpu = cpu.map_or(Duration::ZERO, Duration::from);
    say(Said::Report(Box::new(report)));
    Ok(())
}

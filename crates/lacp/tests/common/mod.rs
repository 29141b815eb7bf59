//! Systems on cables in virtual time.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use lacp::table::{MACHINES, MachineId};
use lacp::time::{MILLISECOND, Time};
use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use lacp::{
    MacAddress, Output, PortConfig, PortId, PortIndex, Received, System, SystemConfig, SystemId,
};

/// So many cases, the same in every run: `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask
/// for others.
pub fn cases(number: u32) -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = number;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}

pub const fn mac(system: u8, port: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, system, port])
}

pub const fn id(system: u8) -> SystemId {
    SystemId {
        priority: 0x8000,
        address: mac(system, 0),
    }
}

/// Port number and slot differ, so that nobody takes one for the other.
pub const fn port(system: u8, slot: u8) -> PortConfig {
    PortConfig::new(
        PortId {
            priority: 0x80,
            number: 100 + slot as u16,
        },
        7,
        mac(system, slot + 1),
    )
}

pub fn config(system: u8) -> SystemConfig {
    SystemConfig::new(id(system))
}

/// One end of a cable.
pub type End = (usize, PortIndex);

/// What happens to frames on a cable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Of 100 frames so many are lost.
    pub loss: u8,
    /// Of 100 frames so many come twice.
    pub duplication: u8,
    /// The longest delay: frames with different ones overtake each other.
    pub delay: Time,
}

/// Systems, cables, and frames under way.
pub struct Net {
    pub now: Time,
    pub systems: Vec<System<Vec<Option<lacp::Port>>>>,
    cables: BTreeMap<End, End>,
    frames: BTreeMap<(Time, u64), (End, Vec<u8>)>,
    number: u64,
    pub weather: Weather,
    random: fastrand::Rng,
    pub outputs: Vec<(Time, usize, Output)>,
    pub covered: BTreeSet<(MachineId, &'static str)>,
}

impl Net {
    pub fn new(configs: &[SystemConfig], seed: u64) -> Self {
        let systems = configs
            .iter()
            .map(|config| System::with_slots(*config, vec![None; 32]).expect("sound settings"))
            .collect();
        Self {
            now: 0,
            systems,
            cables: BTreeMap::new(),
            frames: BTreeMap::new(),
            number: 0,
            weather: Weather::default(),
            random: fastrand::Rng::with_seed(seed),
            outputs: Vec::new(),
            covered: BTreeSet::new(),
        }
    }

    /// Two systems with so many cables, slot to slot, all links up.
    pub fn pair(configs: [SystemConfig; 2], cables: u8, seed: u64) -> Self {
        let mut net = Self::new(&configs, seed);
        for slot in 0..cables {
            for system in 0..2 {
                net.add(system, slot, port(system as u8, slot));
            }
        }
        for slot in 0..cables {
            net.plug((0, slot), (1, slot));
        }
        net
    }

    pub fn act<T>(
        &mut self,
        system: usize,
        act: impl FnOnce(&mut System<Vec<Option<lacp::Port>>>, Time, lacp::Sink<'_>) -> T,
    ) -> T {
        let mut outputs = Vec::new();
        let result = act(&mut self.systems[system], self.now, &mut |output| {
            outputs.push(output);
        });
        for output in outputs {
            if let Output::Transition {
                machine,
                transition,
                ..
            } = output
            {
                let name = machine
                    .transition(usize::from(transition))
                    .expect("a transition of the table");
                self.covered.insert((machine, name));
            }
            if let (Output::Send { port, .. }, Some(frame)) = (output, output.frame()) {
                self.transmit((system, port), &frame);
            }
            self.outputs.push((self.now, system, output));
        }
        result
    }

    fn transmit(&mut self, from: End, frame: &[u8]) {
        let Some(to) = self.cables.get(&from).copied() else {
            return;
        };
        if self.random.u8(0..100) < self.weather.loss {
            return;
        }
        let copies = 1 + u64::from(self.random.u8(0..100) < self.weather.duplication);
        for _ in 0..copies {
            // A tenth of a millisecond is the cable's own.
            let delay = MILLISECOND / 10 + self.random.u64(0..=self.weather.delay);
            self.number += 1;
            let key = (self.now + delay, self.number);
            self.frames.insert(key, (to, frame.to_vec()));
        }
    }

    pub fn add(&mut self, system: usize, slot: u8, config: PortConfig) {
        self.act(system, |it, now, out| it.add_port(now, slot, config, out))
            .expect("a free slot");
    }

    /// Connects two ports and brings their links up.
    pub fn plug(&mut self, a: End, b: End) {
        self.cables.insert(a, b);
        self.cables.insert(b, a);
        self.link(a, true);
        self.link(b, true);
    }

    /// Pulls the cable of a port: both ends see it.
    pub fn pull(&mut self, a: End) {
        let b = self.cables.remove(&a);
        self.link(a, false);
        if let Some(b) = b {
            self.cables.remove(&b);
            self.link(b, false);
        }
    }

    pub fn is_plugged(&self, end: End) -> bool {
        self.cables.contains_key(&end)
    }

    /// The cable stays, its frames vanish from now on in this direction.
    pub fn mute(&mut self, from: End) {
        self.cables.remove(&from);
    }

    /// Ends [`Net::mute`].
    pub fn unmute(&mut self, from: End, to: End) {
        self.cables.insert(from, to);
    }

    pub fn link(&mut self, end: End, up: bool) {
        self.act(end.0, |it, now, out| it.set_link(now, end.1, up, out))
            .expect("a port");
    }

    pub fn receive(&mut self, end: End, frame: &[u8]) -> Received {
        self.act(end.0, |it, now, out| it.receive(now, end.1, frame, out))
    }

    /// The next moment at which anything happens.
    pub fn next(&self) -> Option<Time> {
        let deadlines = self.systems.iter().filter_map(System::next_deadline);
        let frame = self.frames.keys().next().map(|(at, _)| *at);
        deadlines.chain(frame).min()
    }

    pub fn run_until(&mut self, end: Time) {
        while let Some(next) = self.next().filter(|next| *next <= end) {
            assert!(next >= self.now, "a deadline in the past stays for ever");
            self.now = next;
            while let Some(entry) = self.frames.first_entry().filter(|it| it.key().0 <= next) {
                let (to, frame) = entry.remove();
                self.receive(to, &frame);
            }
            for system in 0..self.systems.len() {
                let due = self.systems[system].next_deadline();
                if due.is_some_and(|due| due <= next) {
                    self.act(system, |it, now, out| it.tick(now, out));
                    let after = self.systems[system].next_deadline();
                    assert!(
                        after.is_none_or(|after| after > next),
                        "a tick leaves nothing due"
                    );
                }
            }
        }
        self.now = end;
    }

    pub fn run(&mut self, time: Time) {
        self.run_until(self.now + time);
    }

    pub fn distributing(&self, system: usize) -> u32 {
        self.systems[system].distributing()
    }

    pub fn at(&self, end: End) -> &lacp::Port {
        self.systems[end.0].port(end.1).expect("a port")
    }
}

/// All transitions of all tables.
pub fn transitions() -> BTreeSet<(MachineId, &'static str)> {
    MACHINES
        .into_iter()
        .flat_map(|machine| machine.transitions().map(move |name| (machine, name)))
        .collect()
}

//! The states of a member as data: what the code runs, the tests cover and the docs
//! print.

use core::fmt::{self, Write};

/// Where a member is, as far as its link goes; which of those in use carries what is
/// decided elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The cable is out, or the adapter sleeps or is paused.
    #[default]
    Down,
    /// The cable is in; it has to stay so for a while.
    UpDelay,
    /// The link is good, but the targets of the monitor do not answer (yet).
    Probing,
    /// It can be used.
    Ready,
    /// The cable is out; it may come back in a while.
    DownDelay,
    /// It is about to leave alive: what it holds is awaited.
    Leaving,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Down,
        Self::UpDelay,
        Self::Probing,
        Self::Ready,
        Self::DownDelay,
        Self::Leaving,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::UpDelay => "UP_DELAY",
            Self::Probing => "PROBING",
            Self::Ready => "READY",
            Self::DownDelay => "DOWN_DELAY",
            Self::Leaving => "LEAVING",
        }
    }

    /// Whether the member is in use: it carries what it carried before.
    pub const fn is_in_use(self) -> bool {
        matches!(self, Self::Ready | Self::DownDelay)
    }
}

/// What a transition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The cable is in and the adapter works (or not).
    LinkUp(bool),
    /// The delay that began with the state is over.
    DelayOver,
    /// No other member is in use: nobody is spared by a delay.
    NoneInUse,
    /// Another member is ready to take over (or none is, or the down delay is 0).
    Spare(bool),
    /// As many targets answer as have to, or there is no monitor (or too few do).
    Answers(bool),
    /// The member was told to leave (or is to be used again).
    Leaves(bool),
}

/// What is done with a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Starts the up delay.
    StartUpDelay,
    /// Starts the down delay.
    StartDownDelay,
    /// Stops the delay.
    StopDelay,
    /// The monitor forgets what it has heard and asks at once.
    AskAnew,
    /// The time counts from now on after which the member may take over.
    CountReady,
    /// The event `member-up`.
    TellUp,
    /// The event `member-down` with this reason.
    TellDown(Reason),
}

/// Why a member is not used any more: the value of the event `member-down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Its link is down, or it is gone.
    Link = 1,
    /// The targets of the monitor do not answer.
    Monitor = 2,
    /// It leaves.
    Leaves = 3,
    /// LACP has taken it out of the aggregator.
    Lacp = 4,
}

/// A transition.
#[derive(Debug)]
pub struct Transition {
    /// Its name.
    pub name: &'static str,
    /// Where it begins; none: in any state.
    pub from: Option<State>,
    /// All of them hold.
    pub when: &'static [Condition],
    /// Where it ends.
    pub to: State,
    /// What is done.
    pub effects: &'static [Effect],
}

const fn row(
    name: &'static str,
    from: Option<State>,
    when: &'static [Condition],
    to: State,
    effects: &'static [Effect],
) -> Transition {
    Transition {
        name,
        from,
        when,
        to,
        effects,
    }
}

use Condition::{Answers, DelayOver, Leaves, LinkUp, NoneInUse, Spare};
use Effect::{AskAnew, CountReady, StartDownDelay, StartUpDelay, StopDelay, TellDown, TellUp};

/// How many transitions there are.
pub const COUNT: usize = 16;

/// The transitions. The first that can be taken is taken, until none can.
pub static TRANSITIONS: [Transition; COUNT] = [
    row(
        "LEAVE_IN_USE",
        Some(State::Ready),
        &[Leaves(true)],
        State::Leaving,
        &[StopDelay, TellDown(Reason::Leaves)],
    ),
    row(
        "LEAVE_IN_DOWN_DELAY",
        Some(State::DownDelay),
        &[Leaves(true)],
        State::Leaving,
        &[StopDelay, TellDown(Reason::Leaves)],
    ),
    row(
        "LEAVE_UNUSED",
        None,
        &[Leaves(true)],
        State::Leaving,
        &[StopDelay],
    ),
    row(
        "STAY",
        Some(State::Leaving),
        &[Leaves(false)],
        State::Down,
        &[],
    ),
    row(
        "LINK_UP",
        Some(State::Down),
        &[LinkUp(true)],
        State::UpDelay,
        &[StartUpDelay, AskAnew],
    ),
    row(
        "UP_DELAY_CUT",
        Some(State::UpDelay),
        &[LinkUp(false)],
        State::Down,
        &[StopDelay],
    ),
    row(
        "UP_DELAY_OVER",
        Some(State::UpDelay),
        &[DelayOver],
        State::Probing,
        &[StopDelay],
    ),
    row(
        "UP_DELAY_SKIPPED",
        Some(State::UpDelay),
        &[NoneInUse],
        State::Probing,
        &[StopDelay],
    ),
    row(
        "PROBING_CUT",
        Some(State::Probing),
        &[LinkUp(false)],
        State::Down,
        &[],
    ),
    row(
        "ANSWERED",
        Some(State::Probing),
        &[Answers(true)],
        State::Ready,
        &[CountReady, TellUp],
    ),
    row(
        "LINK_LOST",
        Some(State::Ready),
        &[LinkUp(false), Spare(false)],
        State::Down,
        &[TellDown(Reason::Link)],
    ),
    row(
        "LINK_FLAPS",
        Some(State::Ready),
        &[LinkUp(false), Spare(true)],
        State::DownDelay,
        &[StartDownDelay],
    ),
    row(
        "SILENT",
        Some(State::Ready),
        &[Answers(false)],
        State::Probing,
        &[TellDown(Reason::Monitor)],
    ),
    row(
        "LINK_BACK",
        Some(State::DownDelay),
        &[LinkUp(true)],
        State::Ready,
        &[StopDelay],
    ),
    row(
        "DOWN_DELAY_OVER",
        Some(State::DownDelay),
        &[DelayOver],
        State::Down,
        &[StopDelay, TellDown(Reason::Link)],
    ),
    row(
        "DOWN_DELAY_SKIPPED",
        Some(State::DownDelay),
        &[Spare(false)],
        State::Down,
        &[StopDelay, TellDown(Reason::Link)],
    ),
];

impl Transition {
    /// Whether it can be taken.
    pub fn is_open(&self, state: State, holds: impl FnMut(&Condition) -> bool) -> bool {
        self.to != state
            && self.from.is_none_or(|from| from == state)
            && self.when.iter().all(holds)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkUp(true) => "the link is up",
            Self::LinkUp(false) => "the link is down",
            Self::DelayOver => "the delay is over",
            Self::NoneInUse => "no other member is in use",
            Self::Spare(true) => "another member is ready, and DownDelay is not 0",
            Self::Spare(false) => "no other member is ready, or DownDelay is 0",
            Self::Answers(true) => "the targets answer, or there is no monitor",
            Self::Answers(false) => "the targets do not answer",
            Self::Leaves(true) => "it is told to leave",
            Self::Leaves(false) => "it is down or joins again",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartUpDelay => "start UpDelay",
            Self::StartDownDelay => "start DownDelay",
            Self::StopDelay => "stop the delay",
            Self::AskAnew => "ask the targets anew",
            Self::CountReady => "FailbackDelay counts from now",
            Self::TellUp => "event member-up",
            Self::TellDown(Reason::Link) => "event member-down (link)",
            Self::TellDown(Reason::Monitor) => "event member-down (monitor)",
            Self::TellDown(Reason::Leaves) => "event member-down (leaves)",
            Self::TellDown(Reason::Lacp) => "event member-down (LACP)",
        })
    }
}

fn list<T: fmt::Display>(to: &mut dyn Write, items: &[T], between: &str) -> fmt::Result {
    for (number, item) in items.iter().enumerate() {
        let before = if number == 0 { "" } else { between };
        write!(to, "{before}{item}")?;
    }
    Ok(())
}

/// Prints the table as Markdown.
pub fn markdown(to: &mut dyn Write) -> fmt::Result {
    writeln!(to, "| Transition | From | When | To | Does |")?;
    writeln!(to, "|---|---|---|---|---|")?;
    for row in &TRANSITIONS {
        let from = row.from.map_or("any", State::name);
        write!(to, "| {} | {from} | ", row.name)?;
        list(to, row.when, " and ")?;
        write!(to, " | {} | ", row.to.name())?;
        list(to, row.effects, "; ")?;
        writeln!(to, " |")?;
    }
    Ok(())
}

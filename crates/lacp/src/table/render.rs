//! The tables as Markdown.

use core::fmt::{self, Write};

use super::{
    ACTOR_CHURN, From, GENERATOR, MUX, Machine, MachineId, PARTNER_CHURN, PERIODIC, RECEIVE,
    RESPONDER, RULES, SELECTION, TRANSMIT,
};

/// All machines in the order of the standard.
pub const MACHINES: [MachineId; 9] = [
    MachineId::Receive,
    MachineId::Periodic,
    MachineId::Selection,
    MachineId::Mux,
    MachineId::Transmit,
    MachineId::ActorChurn,
    MachineId::PartnerChurn,
    MachineId::Responder,
    MachineId::Generator,
];

impl MachineId {
    /// Prints the machine as Markdown.
    pub fn markdown(self, to: &mut dyn Write) -> fmt::Result {
        match self {
            Self::Receive => machine(&RECEIVE, to),
            Self::Periodic => machine(&PERIODIC, to),
            Self::Selection => {
                machine(&SELECTION, to)?;
                rules(to)
            }
            Self::Mux => machine(&MUX, to),
            Self::Transmit => machine(&TRANSMIT, to),
            Self::ActorChurn => machine(&ACTOR_CHURN, to),
            Self::PartnerChurn => machine(&PARTNER_CHURN, to),
            Self::Responder => machine(&RESPONDER, to),
            Self::Generator => machine(&GENERATOR, to),
        }
    }

    /// The names of its transitions, in the order of the table.
    pub fn transitions(self) -> impl Iterator<Item = &'static str> {
        (0..).map_while(move |number| self.transition(number))
    }

    /// The name of the transition with this number.
    pub fn transition(self, number: usize) -> Option<&'static str> {
        fn name<S>(machine: &Machine<S>, number: usize) -> Option<&'static str> {
            machine.transitions.get(number).map(|row| row.name)
        }
        match self {
            Self::Receive => name(&RECEIVE, number),
            Self::Periodic => name(&PERIODIC, number),
            Self::Selection => name(&SELECTION, number),
            Self::Mux => name(&MUX, number),
            Self::Transmit => name(&TRANSMIT, number),
            Self::ActorChurn => name(&ACTOR_CHURN, number),
            Self::PartnerChurn => name(&PARTNER_CHURN, number),
            Self::Responder => name(&RESPONDER, number),
            Self::Generator => name(&GENERATOR, number),
        }
    }

    /// The name of the state to which the transition with this number leads.
    pub fn target(self, number: usize) -> Option<&'static str> {
        fn name<S: Copy + Eq>(machine: &Machine<S>, number: usize) -> Option<&'static str> {
            let row = machine.transitions.get(number)?;
            Some(machine.name(row.to))
        }
        match self {
            Self::Receive => name(&RECEIVE, number),
            Self::Periodic => name(&PERIODIC, number),
            Self::Selection => name(&SELECTION, number),
            Self::Mux => name(&MUX, number),
            Self::Transmit => name(&TRANSMIT, number),
            Self::ActorChurn => name(&ACTOR_CHURN, number),
            Self::PartnerChurn => name(&PARTNER_CHURN, number),
            Self::Responder => name(&RESPONDER, number),
            Self::Generator => name(&GENERATOR, number),
        }
    }

    /// The standard's names of its states.
    pub fn states(self) -> impl Iterator<Item = &'static str> {
        fn name<S>(machine: &Machine<S>, number: usize) -> Option<&'static str> {
            machine.states.get(number).map(|row| row.name)
        }
        (0..).map_while(move |number| match self {
            Self::Receive => name(&RECEIVE, number),
            Self::Periodic => name(&PERIODIC, number),
            Self::Selection => name(&SELECTION, number),
            Self::Mux => name(&MUX, number),
            Self::Transmit => name(&TRANSMIT, number),
            Self::ActorChurn => name(&ACTOR_CHURN, number),
            Self::PartnerChurn => name(&PARTNER_CHURN, number),
            Self::Responder => name(&RESPONDER, number),
            Self::Generator => name(&GENERATOR, number),
        })
    }
}

/// Prints all machines as Markdown.
pub fn markdown(to: &mut dyn Write) -> fmt::Result {
    for id in MACHINES {
        id.markdown(to)?;
    }
    Ok(())
}

fn machine<S: Copy + Eq>(machine: &Machine<S>, to: &mut dyn Write) -> fmt::Result {
    writeln!(to, "## {} ({})\n", machine.id.name(), machine.clause)?;
    writeln!(to, "{}\n", machine.about)?;
    writeln!(to, "| State | On entry |\n|---|---|")?;
    for row in machine.states {
        write!(to, "| {} | ", row.name)?;
        list(to, row.entry, "<br>")?;
        writeln!(to, " |")?;
    }
    writeln!(
        to,
        "\n| Transition | From | When | To | Clause |\n|---|---|---|---|---|"
    )?;
    for row in machine.transitions {
        let from = match row.from {
            From::Any => "any",
            From::State(state) => machine.name(state),
        };
        write!(to, "| {} | {from} | ", row.name)?;
        list(to, row.when, " and ")?;
        writeln!(to, " | {} | {} |", machine.name(row.to), row.clause)?;
    }
    writeln!(to)
}

/// Items with something between them; of a list of conditions none means UCT, of
/// one of actions nothing.
fn list<T: fmt::Display>(to: &mut dyn Write, items: &[T], between: &str) -> fmt::Result {
    if items.is_empty() {
        return to.write_str(if between == "<br>" { "–" } else { "UCT" });
    }
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            to.write_str(between)?;
        }
        write!(to, "{item}")?;
    }
    Ok(())
}

fn rules(to: &mut dyn Write) -> fmt::Result {
    writeln!(to, "| Rule | Clause | What |\n|---|---|---|")?;
    for rule in RULES {
        writeln!(to, "| {} | {} | {} |", rule.name, rule.clause, rule.text)?;
    }
    writeln!(to)
}

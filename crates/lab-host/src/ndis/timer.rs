//! Timer objects. A timer's callback is a DPC; what is decided about it is decided under the
//! NDIS part's lock: whoever finds the timer armed there has it, the DPC or the one who sets
//! or cancels it. So the answer TRUE means that the callback will not run, and FALSE that it
//! ran, runs or is about to, on either engine.

use ndis_sys::{
    NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    NDIS_TIMER_CHARACTERISTICS,
};

use super::Ndis;
use crate::api::api;
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;
use crate::nt::system_time;
use crate::vp::PASSIVE;

/// A timer object.
pub(crate) struct Timer {
    /// Handle it was made with.
    pub(crate) owner: u64,
    function: u64,
    /// Context of the timer, for sets that name none.
    context: u64,
    armed: Option<Armed>,
    /// Tasks that run its callback.
    pub(super) running: Vec<u64>,
    /// Counts what it was armed for, so that a DPC of an earlier set knows.
    arms: u64,
}

/// What a timer is armed for.
#[derive(Clone, Copy)]
struct Armed {
    task: u64,
    due: u64,
    period: u64,
    context: u64,
}

/// Notes that a timer is armed, and starts its DPC at that time. Behind the lock: the DPC
/// finds itself noted, however early it starts.
fn arm(host: &Host, n: &mut Ndis, timer: u64, due: u64, period: u64, context: u64) {
    let Some(t) = n.timers.get_mut(&timer) else {
        return;
    };
    t.arms += 1;
    let arms = t.arms;
    let dpc = Job::dpc("timer", move |host: &Host| expire(host, timer, arms));
    let task = host.engine().spawn(Some(due), dpc);
    t.armed = Some(Armed {
        task,
        due,
        period,
        context,
    });
}

/// The DPC of a timer. A periodic one is armed again first, for the next whole period.
fn expire(host: &Host, timer: u64, arms: u64) {
    let me = host.local().id;
    let found = host.ndis(|n| {
        let t = n.timers.get_mut(&timer).filter(|t| t.arms == arms)?;
        let armed = t.armed.take()?;
        t.running.push(me);
        let function = t.function;
        if armed.period > 0 {
            let next = armed.due + armed.period;
            arm(host, n, timer, next, armed.period, armed.context);
        }
        Some((function, armed.context))
    });
    if let Some((function, context)) = found {
        host.call("NetTimerCallback", timer, function, &[0, context, 0, 0]);
        host.ndis(|n| {
            if let Some(t) = n.timers.get_mut(&timer) {
                t.running.retain(|&task| task != me);
            }
        });
    }
}

impl Host {
    /// TMR-1, TMR-3: timers of an adapter that is gone.
    pub(super) fn timers_left(&self, owner: u64) {
        let left: Vec<(u64, bool)> = self.ndis(|n| {
            let timers = n.timers.iter().filter(|(_, t)| t.owner == owner);
            timers.map(|(&h, t)| (h, t.armed.is_some())).collect()
        });
        for (timer, armed) in left {
            if armed {
                self.violate(
                    "TMR-1",
                    format!("timer {timer:#x} of the adapter is armed after MiniportHaltEx"),
                );
            } else {
                self.violate(
                    "TMR-3",
                    format!("timer {timer:#x} of the adapter is not freed after MiniportHaltEx"),
                );
            }
            disarm(self, timer);
            self.ndis(|n| {
                n.handles.close(timer);
                n.timers.remove(&timer)
            });
        }
    }
}

/// Takes from a timer what it is armed for; whether it was.
fn disarm(host: &Host, timer: u64) -> Option<Armed> {
    let armed = host.ndis(|n| {
        let t = n.timers.get_mut(&timer)?;
        t.arms += 1;
        t.armed.take()
    })?;
    // It finds another count if it starts before this.
    host.engine().cancel(armed.task);
    Some(armed)
}

api! { exports:
    /// Makes a timer.
    "ndis.sys" 0..=2 "IRQ-10"
    fn NdisAllocateTimerObject(host, owner: u64, characteristics: u64, out: u64) -> NDIS_STATUS {
        let c: NDIS_TIMER_CHARACTERISTICS = host.get(characteristics, "TimerCharacteristics");
        if c.AllocationTag == 0 {
            host.violate("MEM-1", "a timer without a tag".into());
        }
        let Some(function) = c.TimerFunction else {
            host.violate("TMR-1", "a timer without a function".into());
            return NDIS_STATUS_INVALID_PARAMETER;
        };
        if host.ndis(|n| n.handles.kind(owner)).is_err() {
            host.violate("TMR-1", format!("NdisAllocateTimerObject on {owner:#x}: {}", host.describe(owner)));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.fails("NdisAllocateTimerObject") {
            return NDIS_STATUS_RESOURCES;
        }
        let timer = host.ndis(|n| {
            let h = n.handles.open(Kind::Timer);
            n.timers.insert(h, Timer {
                owner,
                function: function as usize as u64,
                context: c.FunctionContext as u64,
                armed: None,
                running: Vec::new(),
                arms: 0,
            });
            h
        });
        host.put(out, timer, "pTimerObject");
        NDIS_STATUS_SUCCESS
    }

    /// Arms a timer, instead of what it was armed for; 100 ns units, negative is relative, else
    /// since 1601. TRUE if it was armed: that callback will not run.
    "ndis.sys" 0..=2 "IRQ-10"
    fn NdisSetTimerObject(host, timer: u64, due: i64, period_ms: u32, context: u64) -> u8 {
        if !host.check("TimerObject", timer, Kind::Timer) {
            return 0;
        }
        let left = if due < 0 {
            due.unsigned_abs()
        } else {
            due.unsigned_abs().saturating_sub(system_time(host))
        };
        let before = disarm(host, timer);
        let at = host.now().saturating_add(left.saturating_mul(100));
        let period = u64::from(period_ms) * 1_000_000;
        host.ndis(|n| {
            let own = n.timers.get(&timer).map_or(0, |t| t.context);
            let context = if context == 0 { own } else { context };
            arm(host, n, timer, at, period, context);
        });
        u8::from(before.is_some())
    }

    /// Disarms a timer; FALSE when its callback may be running.
    "ndis.sys" 0..=2 "IRQ-10"
    fn NdisCancelTimerObject(host, timer: u64) -> u8 {
        if !host.check("TimerObject", timer, Kind::Timer) {
            return 0;
        }
        let before = disarm(host, timer);
        if before.is_some_and(|armed| armed.period > 0) && host.vp().irql() > PASSIVE {
            host.violate("TMR-2", "a periodic timer is cancelled above PASSIVE_LEVEL".into());
        }
        u8::from(before.is_some())
    }

    /// Frees a timer.
    "ndis.sys" 0..=2 "IRQ-10"
    fn NdisFreeTimerObject(host, timer: u64) {
        if !host.check("TimerObject", timer, Kind::Timer) {
            return;
        }
        let before = disarm(host, timer);
        let me = host.local().id;
        let running = host.ndis(|n| n.timers.get(&timer).is_some_and(|t| t.running.iter().any(|&task| task != me)));
        host.ndis(|n| {
            n.handles.close(timer);
            n.timers.remove(&timer)
        });
        if running {
            host.violate("TMR-3", format!("timer {timer:#x} is freed while its callback runs"));
        }
        if before.is_some() {
            host.violate("TMR-3", "a timer is freed while it is armed".into());
        }
    }
}

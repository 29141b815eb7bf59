//! What parent and child of the benchmark say to each other, eight bytes at a time.

/// Do one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Receive path (else send).
    pub receive: bool,
    /// Through the driver (else the same path without it).
    pub through: bool,
    /// Lists in a chain.
    pub batch: u16,
    /// Ports with traffic.
    pub busy: u16,
}

impl Order {
    /// Its size.
    pub const BYTES: usize = 8;

    /// As it is sent.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let [a, b] = self.batch.to_le_bytes();
        let [c, d] = self.busy.to_le_bytes();
        [self.receive.into(), self.through.into(), a, b, c, d, 0, 0]
    }

    /// As it was sent.
    pub fn from_bytes([receive, through, a, b, c, d, _, _]: [u8; Self::BYTES]) -> Self {
        Self {
            receive: receive != 0,
            through: through != 0,
            batch: u16::from_le_bytes([a, b]),
            busy: u16::from_le_bytes([c, d]),
        }
    }
}

/// A number: the ports that are there at first, nanoseconds afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer(f64);

impl Answer {
    /// Its size.
    pub const BYTES: usize = 8;
    /// The pass went wrong; the child's summary says how.
    pub const FAILED: Self = Self(f64::NAN);

    /// So many ports run.
    pub fn ready(ports: usize) -> Self {
        Self(u32::try_from(ports).map_or(f64::NAN, f64::from))
    }

    /// What a list cost.
    pub const fn nanoseconds(time: f64) -> Self {
        Self(time)
    }

    /// As it is sent.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    /// As it was sent.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(f64::from_le_bytes(bytes))
    }

    /// The number of ports.
    pub fn count(self) -> Option<usize> {
        (self.0 >= 1.0 && self.0.fract() == 0.0).then_some(self.0 as usize)
    }

    /// The time, if there is one.
    pub fn time(self) -> Option<f64> {
        (self.0.is_finite() && self.0 > 0.0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_come_across() {
        let order = Order {
            receive: true,
            through: false,
            batch: 256,
            busy: 4094,
        };
        assert_eq!(Order::from_bytes(order.to_bytes()), order);
        let time = Answer::from_bytes(Answer::nanoseconds(12.5).to_bytes());
        assert_eq!((time.time(), time.count()), (Some(12.5), None));
        assert_eq!(Answer::ready(4094).count(), Some(4094));
        let failed = Answer::from_bytes(Answer::FAILED.to_bytes());
        assert_eq!((failed.time(), failed.count()), (None, None));
    }
}

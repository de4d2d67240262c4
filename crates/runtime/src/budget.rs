//! The memory that queues and caches may fill, divided by purpose.
//!
//! One number for the whole process, so that an operator has one thing to set and nothing grows
//! without a share of it. What is not counted is small or bounded elsewhere by number: tables of
//! peers and wants, the stacks of threads, the pages that the system caches.
//!
//! Invariants: the shares together are less than the total; each is enough for its purpose to go
//! on, however small the total.
//! Not here: where the number is set (`cairn-node`'s config), who waits for what.

use std::{fmt, fs};

const MIB: u64 = 1024 * 1024;

/// How much memory queues and caches may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    total: u64,
}

impl Budget {
    /// The least that a node works with (64 MiB).
    pub const LEN_MIN: u64 = 64 * MIB;

    /// Of this much (1 GiB) everything has as much as it can use.
    pub const LEN_MAX: u64 = 1024 * MIB;

    /// A budget of `total` bytes, at least [`Budget::LEN_MIN`].
    pub fn new(total: u64) -> Self {
        Self { total: total.max(Self::LEN_MIN) }
    }

    /// A quarter of the memory that this process may use, at most [`Budget::LEN_MAX`].
    ///
    /// The limit of a container counts as well as what the machine has.
    pub fn of_machine() -> Self {
        Self::new((memory_len() / 4).min(Self::LEN_MAX))
    }

    /// Bytes in all.
    pub fn total(self) -> u64 {
        self.total
    }

    /// What adds may have read and not written yet, in bytes: half of it.
    pub fn adds(self) -> usize {
        self.share(2)
    }

    /// What answers of the gateway may have read ahead of their clients: an eighth.
    pub fn gateway(self) -> usize {
        self.share(8)
    }

    /// What waits to be sent to peers: an eighth.
    pub fn sent(self) -> usize {
        self.share(8)
    }

    /// What is being received from peers and was not looked at: one part in 32, and at least the
    /// two longest messages.
    pub fn received(self) -> usize {
        self.share(32).max(8 * MIB as usize)
    }

    fn share(self, part: u64) -> usize {
        usize::try_from(self.total.min(Self::LEN_MAX) / part).unwrap_or(usize::MAX)
    }
}

impl Default for Budget {
    /// That of a machine with enough.
    fn default() -> Self {
        Self::new(Self::LEN_MAX)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.total / MIB)
    }
}

/// Bytes of memory that this process may use.
fn memory_len() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit.max(1)));
    // The second and the first version of control groups; "max" is no number, and no limit.
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
        .fold(machine, u64::min)
}

#[cfg(test)]
mod tests {
    use super::{Budget, MIB};

    #[test]
    fn shares_fit_into_the_total_and_are_never_too_small() {
        for total in [0, 64 * MIB, 100 * MIB, 256 * MIB, 1024 * MIB, u64::MAX] {
            let budget = Budget::new(total);
            let shares = [budget.adds(), budget.gateway(), budget.sent(), budget.received()];
            assert!(shares.iter().sum::<usize>() as u64 <= budget.total(), "{total}");
            assert!(budget.adds() as u64 >= 32 * MIB, "{total}");
            assert!(budget.received() as u64 >= 8 * MIB, "{total}");
            assert!(budget.sent() as u64 >= 8 * MIB, "{total}");
        }
        assert!(Budget::of_machine().total() >= Budget::LEN_MIN);
    }
}

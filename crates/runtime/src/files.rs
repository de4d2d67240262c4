//! How many files and connections the process may have open.
//!
//! Shells and service managers start programs with a low limit that they may raise themselves;
//! whoever runs out of it can neither accept a connection nor open a pack.
//!
//! Not here: who gets how many (the services, the network).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as are of use; a higher limit is left as it is. Source: the most connections that the
/// gateway, the API and the network keep together, twice.
const COUNT_WANTED: u64 = 65_536;

/// Raises the limit as far as it may be and is of use; returns what it is then.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let wanted = current.max(limit.maximum.unwrap_or(u64::MAX).min(COUNT_WANTED));
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    // Who is refused has what it had.
    if setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { current }
}

/// How many there may be now.
pub fn open_files_max() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{open_files_max, raise_open_files};

    #[test]
    fn the_limit_only_grows() {
        let before = open_files_max();
        let after = raise_open_files();
        assert!(after >= before && after == open_files_max(), "{before} {after}");
    }
}

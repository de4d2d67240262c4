//! Why a server gave no answer.
//!
//! Not here: answers that are refusals, which have a status.

use std::time::Duration;
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebError {
    /// Nothing was sent: the URL leads nowhere.
    #[error("the URL is not valid: {reason}")]
    Url {
        /// Why not.
        reason: String,
    },
    /// There is no connection, or none that can be trusted.
    #[error("{reason}")]
    Unreachable {
        /// Who, and why.
        reason: String,
    },
    /// The server redirects to where nobody goes.
    #[error("the server redirects {place}")]
    Redirect {
        /// Where to.
        place: String,
    },
    /// The server said nothing for as long as anybody waits.
    #[error("the server says nothing")]
    Silent {
        /// How long that was.
        waited: Duration,
    },
    /// The answer is longer than was asked for.
    #[error("the answer is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The connection ended within the answer, or what came was no HTTP.
    #[error("the answer broke off: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
}

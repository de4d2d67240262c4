//! The API over HTTP/1.1.
//!
//! Not here: what is called (`answer`), who may (`guard`).

mod body;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod guard;
mod metrics;
mod multipart;
mod query;
mod reply;
mod server;

pub use guard::authorization;
pub use server::{ServeError, serve};

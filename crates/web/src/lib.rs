//! The client of web servers: what `add URL` and references read, routers answer, and gateways
//! hold.
//!
//! Servers are strangers: they may send anything, for ever, or nothing. Every wait here has a
//! limit, connections are kept for the next request, and HTTP/2 is spoken where a server does.
//!
//! Spec: RFC 9110 (redirections in §15.4), RFC 9112, RFC 9113.
//! Invariants: only `http` and `https`, also after redirections, and never from the second to the
//! first; nothing is sent but the request: no cookies, no credentials, no referrer.
//! Not here: whether the bytes are the right ones, what the answers mean (whoever asks).

mod body;
mod client;
mod connect;
mod error;
mod redirect;

pub use body::{Answer, BODY_PATIENCE};
pub use client::{Ask, Client, Trust};
pub use error::WebError;
pub use redirect::resolve;

//! Commands over real repositories, in this process and over loopback.
//!
//! One crate, so that the node is linked once.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not functions of tests to the lint")]

#[path = "rpc/dag.rs"]
mod dag;
#[path = "rpc/in_process.rs"]
mod in_process;
#[path = "rpc/object.rs"]
mod object;
#[path = "rpc/over_http.rs"]
mod over_http;
#[path = "rpc/support.rs"]
mod support;

//! Kubo's RPC API and the table of commands

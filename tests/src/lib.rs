//! Drives the binary as its users do.

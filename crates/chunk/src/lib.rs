//! Cuts bytes into chunks

//! The one place that spawns, reads the clock and opens files

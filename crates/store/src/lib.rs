//! The repository on disk: packs, index, pins, keys, lock

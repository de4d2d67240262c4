//! Every target: a function with the properties of a decoder, and inputs to begin with.
//!
//! The pure crates' decoders are open to all, so their properties are here; those that other
//! crates keep private come with the crates, under their feature `fuzz`.
//! Not here: how inputs are made (`mutate.rs`).

mod content;
mod dag;

/// A decoder with its properties.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// How it is called in messages, and its corpus.
    pub name: &'static str,
    /// Panics if a property does not hold of these bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes of memory that a run may take whatever the length of its input.
    pub memory_max: usize,
}

/// Name, properties and seeds, as crates tell them of what they keep private.
type Told = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// Memory of a run beside what its input explains.
const MEMORY_MAX: usize = 64 * 1024;

/// Targets that take more, each by a named limit of its own code.
const MEMORY: &[(&str, usize)] = &[
    // Two buffers of parts (`BUFFER_LEN`).
    ("multipart", 1 << 20),
    // One block (`BLOCK_LEN_MAX`), expanded twice.
    ("record_data", 5 << 20),
    // A whole repository in memory, with windows of 4 MiB to read it.
    ("pack", 64 << 20),
    ("index", 64 << 20),
    // A block of a table and what it expands to (`BLOCK_LEN_MAX`).
    ("leveldb_table", 40 << 20),
    // The default config is made beside it.
    ("config", 1 << 20),
];

/// All of them.
#[must_use]
pub fn targets() -> Vec<Target> {
    let told: [&[Told]; 8] = [
        content::TARGETS,
        dag::TARGETS,
        cairn_store::FUZZ_TARGETS,
        cairn_network::FUZZ_TARGETS,
        cairn_node::FUZZ_TARGETS,
        cairn_rpc::FUZZ_TARGETS,
        cairn_gateway::FUZZ_TARGETS,
        cairn_migrate::FUZZ_TARGETS,
    ];
    let target = |&(name, run, seeds): &Told| {
        let row = MEMORY.iter().find(|row| row.0 == name);
        Target { name, run, seeds, memory_max: row.map_or(MEMORY_MAX, |row| row.1) }
    };
    told.into_iter().flatten().map(target).collect()
}

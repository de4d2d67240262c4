//! The swarm and Bitswap

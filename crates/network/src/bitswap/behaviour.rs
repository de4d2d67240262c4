//! stub
pub(crate) type Behaviour = libp2p::swarm::dummy::Behaviour;

//! SHA-256, one stream or many at once.

/// Length of a SHA-256 digest in bytes.
pub const SHA256_LEN: usize = 32;

/// One way of computing SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// One stream, in portable assembly.
    Single,
}

/// Digests one message.
pub fn sha256(data: &[u8]) -> [u8; SHA256_LEN] {
    let mut state = Sha256::default();
    state.update(data);
    state.finish()
}

/// Digests every message, in order, in as many lanes as the processor has.
pub fn sha256_many(messages: &[&[u8]]) -> Vec<[u8; SHA256_LEN]> {
    messages.iter().map(|message| sha256(message)).collect()
}

/// Digests every message by one given backend.
pub fn sha256_many_with(_backend: Backend, messages: &[&[u8]]) -> Vec<[u8; SHA256_LEN]> {
    sha256_many(messages)
}

/// SHA-256 over a stream of pieces.
#[derive(Clone)]
pub struct Sha256(ring::digest::Context);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha256").finish_non_exhaustive()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Sha256 {
    /// Takes the next piece of the message.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Ends the message and returns its digest.
    pub fn finish(self) -> [u8; SHA256_LEN] {
        let mut out = [0; SHA256_LEN];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

//! A git pack, written as it goes: every object whole, none as a difference to another.
//!
//! Source: git's `gitformat-pack` page, "pack-*.pack files have the following format".
//! Invariant: the count stands in front, so it has to be known.

use flate2::{Compress, Compression, FlushCompress, Status};
use sha1::{Digest as _, Sha1};

/// Bytes of room that a compressor is given at once.
const ROOM_LEN: usize = 64 * 1024;

/// Writes a pack piece by piece.
pub(super) struct PackWriter {
    sha1: Sha1,
    deflate: Compress,
}

/// What an object is, by its number in a pack.
pub(super) fn kind_of(name: &[u8]) -> Option<u8> {
    match name {
        b"commit" => Some(1),
        b"tree" => Some(2),
        b"blob" => Some(3),
        b"tag" => Some(4),
        _ => None,
    }
}

impl PackWriter {
    /// Begins a pack of so many objects.
    pub(super) fn new(count: u32) -> (Self, Vec<u8>) {
        let mut pack =
            Self { sha1: Sha1::new(), deflate: Compress::new(Compression::fast(), true) };
        let mut head = b"PACK\0\0\0\x02".to_vec();
        head.extend_from_slice(&count.to_be_bytes());
        pack.sha1.update(&head);
        (pack, head)
    }

    /// Begins an object of so many bytes, whose content follows by [`PackWriter::content`].
    pub(super) fn object(&mut self, kind: u8, len: u64, out: &mut Vec<u8>) {
        let from = out.len();
        let mut byte = kind << 4 | (len & 0x0f) as u8;
        let mut rest = len >> 4;
        while rest > 0 {
            out.push(byte | 0x80);
            byte = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        out.push(byte);
        self.deflate.reset();
        self.sha1.update(&out[from..]);
    }

    /// Adds some of an object's content, the last of it if `is_last`.
    pub(super) fn content(&mut self, mut data: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let from = out.len();
        let flush = if is_last { FlushCompress::Finish } else { FlushCompress::None };
        loop {
            out.reserve(ROOM_LEN);
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(data, out, flush);
            data = &data[(self.deflate.total_in() - before) as usize..];
            let is_done =
                if is_last { matches!(status, Ok(Status::StreamEnd)) } else { data.is_empty() };
            if is_done || status.is_err() {
                break;
            }
        }
        self.sha1.update(&out[from..]);
    }

    /// Ends the pack.
    pub(super) fn finish(self) -> Vec<u8> {
        self.sha1.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::{PackWriter, kind_of};
    use flate2::read::ZlibDecoder;
    use std::io::Read as _;

    #[test]
    fn content_comes_out_as_it_went_in() {
        let mut random = 1_u64;
        let mut noise = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as u8
        };
        for len in [0, 1, 15, 16, 300, 200_000] {
            let data: Vec<u8> = (0..len).map(|_| noise()).collect();
            let (mut pack, head) = PackWriter::new(1);
            assert_eq!(head, b"PACK\0\0\0\x02\0\0\0\x01");
            let mut out = Vec::new();
            pack.object(kind_of(b"blob").unwrap(), len as u64, &mut out);
            let head_len = out.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
            let (first, second) = data.split_at(len / 3);
            pack.content(first, false, &mut out);
            pack.content(second, true, &mut out);
            let mut read = Vec::new();
            ZlibDecoder::new(&out[head_len..]).read_to_end(&mut read).unwrap();
            assert!(read == data, "{len}");
            assert_eq!(pack.finish().len(), 20);
        }
    }
}

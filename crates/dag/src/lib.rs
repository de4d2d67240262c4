//! Codecs, links, paths and walks over blocks

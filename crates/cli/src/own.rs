//! Commands that only the command line can do.

pub(crate) mod car;
pub(crate) mod chroot;
pub(crate) mod daemon;
pub(crate) mod edit;
pub(crate) mod git;
pub(crate) mod greet;
pub(crate) mod init;
pub(crate) mod migrate;
pub(crate) mod repo_migrate;
pub(crate) mod reset;
pub(crate) mod restore;

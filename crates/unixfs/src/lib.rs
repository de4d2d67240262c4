//! Files, directories and symlinks as UnixFS DAGs

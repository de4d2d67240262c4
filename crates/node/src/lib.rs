//! Node: the one API that every surface uses

//! Changes the database of a Kubo repository, for records that its library cannot be told to
//! make.
//!
//! Written by a library that shares no code with the reader under test.

use rusty_leveldb::{DB, MemEnv, Options, env::Env};
use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    rc::Rc,
};

/// Puts `pairs` into the database in `dir`, which no process has open.
///
/// # Panics
///
/// If it cannot be read or written.
pub fn put(dir: &Path, pairs: &[(&str, &[u8])]) {
    let env: Rc<Box<dyn Env>> = Rc::new(Box::new(MemEnv::new()));
    let inside = Path::new("db");
    for entry in fs::read_dir(dir).expect("there is a database") {
        let entry = entry.expect("a folder can be read");
        let bytes = fs::read(entry.path()).expect("a file can be read");
        let file = env.open_writable_file(&inside.join(entry.file_name()));
        file.expect("memory can be written").write_all(&bytes).expect("memory can be written");
        fs::remove_file(entry.path()).expect("a file can be removed");
    }
    env.delete(&inside.join("LOCK")).expect("the lock is nobody's");
    let options = Options { env: Rc::clone(&env), ..Options::default() };
    let mut db = DB::open(inside, options).expect("it is a database");
    for (key, value) in pairs {
        db.put(key.as_bytes(), value).expect("it can be written");
    }
    db.close().expect("it can be closed");
    drop(db);
    for path in env.children(inside).expect("memory can be read") {
        let name = path.file_name().expect("a file has a name");
        let mut bytes = Vec::new();
        let file = env.open_sequential_file(&inside.join(name));
        file.expect("it is there").read_to_end(&mut bytes).expect("memory can be read");
        fs::write(dir.join(name), bytes).expect("a file can be written");
    }
}

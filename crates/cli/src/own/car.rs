//! `car`: CAR files on disk, without a repository.
//!
//! Not here: what is done with them (`cairn-car`), the arguments (`cairn-rpc`).

mod extract;
mod print;

use crate::{
    args::Globals,
    input,
    report::{Failure, say},
};
use cairn_block::Cid;
use cairn_car::{ArchiveError, CreateOptions, Selection, Split, Stop, Target};
use cairn_dag::Selector;
use cairn_node::{AddOptions, config::byte_len_of, local_entries};
use cairn_rpc::{CidText, Request};
use cairn_runtime::blocking;
use std::{
    collections::HashSet,
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Longest line of a file with CIDs, in bytes.
const LINE_LEN_MAX: u64 = 1024;

/// Most CIDs in such a file.
const CIDS_MAX: usize = 16 * 1024 * 1024;

/// Longest wait after an interruption for what was begun to be taken back.
const TIDY_TIMEOUT: Duration = Duration::from_secs(2);

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            // A reader of the output that has gone is no failure.
            ArchiveError::Io { op: "write", source, .. }
                if source.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                source.into()
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

pub(crate) async fn run(
    request: &Request,
    globals: &Globals,
    paths: Vec<PathBuf>,
) -> Result<ExitCode, Failure> {
    request.check_arguments().map_err(|error| Failure::Usage(error.message().to_owned()))?;
    let stop = Stop::default();
    let car = Car { request: request.clone(), json: globals.json, paths, stop: stop.clone() };
    let mut work = Box::pin(car.run());
    let interrupted = tokio::select! {
        result = &mut work => return result.map(|()| ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => Failure::Interrupted,
    };
    stop.now();
    drop(tokio::time::timeout(TIDY_TIMEOUT, work).await);
    Err(interrupted)
}

/// One call.
struct Car {
    request: Request,
    json: bool,
    paths: Vec<PathBuf>,
    stop: Stop,
}

impl Car {
    async fn run(self) -> Result<(), Failure> {
        match self.request.command().name() {
            "get-dag" => self.get_dag().await,
            "create" => self.create().await,
            // The others wait for the disk all the time.
            name => blocking(move || self.run_blocking(name)).await,
        }
    }

    fn run_blocking(&self, name: &str) -> Result<(), Failure> {
        match name {
            "ls" => self.list(),
            "roots" => {
                let (cids, roots) = (self.cids()?, cairn_car::roots(&self.file()?)?);
                let mut out = std::io::stdout().lock();
                roots.iter().try_for_each(|root| writeln!(out, "{}", cids.of(root)))?;
                Ok(())
            }
            "inspect" => {
                let found = cairn_car::inspect(&self.file()?, self.request.flag("full"))?;
                print::inspection(&found, self.cids()?, self.json)
            }
            "verify" => cairn_car::verify(&self.file()?).map(drop).map_err(Failure::from),
            "get-block" => self.get_block(),
            "filter" => self.filter(),
            "index" if self.request.flag("v1") => {
                Ok(cairn_car::to_v1(&self.file()?, &self.target()?)?)
            }
            "index" => Ok(cairn_car::with_index(&self.file()?, &self.target()?)?),
            "detach-index" => Ok(cairn_car::detach_index(&self.file()?, &self.target()?)?),
            "split" => self.split(),
            "merge" => {
                let paths: Vec<PathBuf> =
                    self.request.arguments().iter().map(PathBuf::from).collect();
                cairn_car::merge(&paths, &self.target()?)?;
                Ok(())
            }
            _ => extract::run(&self.file()?, &self.request),
        }
    }

    fn file(&self) -> Result<PathBuf, Failure> {
        Ok(PathBuf::from(self.request.first()?))
    }

    fn cids(&self) -> Result<CidText, Failure> {
        Ok(self.request.cid_text()?)
    }

    /// Where the result goes. Bytes are not for a terminal.
    fn target(&self) -> Result<Target, Failure> {
        match self.request.text("output").unwrap_or("-") {
            "-" if std::io::stdout().is_terminal() => {
                let text = "this would fill the terminal with bytes: say where to with --output";
                Err(Failure::Usage(text.to_owned()))
            }
            "-" => Ok(Target::stdout(&self.stop)),
            path => Ok(Target::file(path, &self.stop)),
        }
    }

    fn list(&self) -> Result<(), Failure> {
        let (cids, verbose) = (self.cids()?, self.request.flag("verbose"));
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        cairn_car::list(&self.file()?, |section| {
            print::section(&mut out, &section, cids, (verbose, self.json))
        })?;
        Ok(out.flush()?)
    }

    fn get_block(&self) -> Result<(), Failure> {
        let cid = cid_of(&self.request.arguments()[1])?;
        let target = self.target()?;
        let block = cairn_car::find_block(&self.file()?, &cid)?;
        let mut out = cairn_car::Output::create(&target)?;
        out.write(block.data())?;
        Ok(out.finish()?)
    }

    async fn get_dag(self) -> Result<(), Failure> {
        let (path, target) = (self.file()?, self.target()?);
        let root = match self.request.arguments().get(1) {
            Some(text) => cid_of(text)?,
            None => only_root(&path)?,
        };
        let selector = match self.request.text("selector") {
            Some(text) => {
                let selector = Selector::parse(text.as_bytes());
                Some(selector.map_err(|error| Failure::Usage(error.to_string()))?)
            }
            None => None,
        };
        let count = cairn_car::dag(&path, &root, selector, &target).await?;
        tell(format_args!("{count} blocks"));
        Ok(())
    }

    fn filter(&self) -> Result<(), Failure> {
        let mut selection =
            Selection { cids: HashSet::new(), inverse: self.request.flag("inverse") };
        for text in &self.request.arguments()[1..] {
            selection.cids.insert(cid_of(text)?);
        }
        if let Some(path) = self.request.text("cid-file") {
            read_cids(Path::new(path), &mut selection.cids)?;
        }
        if selection.cids.is_empty() && !selection.inverse {
            return Err(Failure::Usage("no CID is given: as argument or in --cid-file".to_owned()));
        }
        let count = cairn_car::filter(&self.file()?, &selection, &self.target()?)?;
        tell(format_args!("{count} blocks"));
        Ok(())
    }

    fn split(&self) -> Result<(), Failure> {
        let text = self.request.text("size").unwrap_or_default();
        let len_max = byte_len_of(text).filter(|len| *len > 0);
        let wrong = || Failure::Usage(format!("option \"size\" needs a length, not {text:?}"));
        let len_max = len_max.ok_or_else(wrong)?;
        let file = self.file()?;
        let prefix = match self.request.text("output") {
            Some(prefix) => PathBuf::from(prefix),
            None if file == Path::new("-") => PathBuf::from("piece"),
            None => file.with_extension(""),
        };
        let pieces = cairn_car::split(&file, &Split { len_max, prefix, stop: self.stop.clone() })?;
        let mut out = std::io::stdout().lock();
        for piece in pieces {
            writeln!(out, "{}", cairn_rpc::escape(&piece.display().to_string()))?;
        }
        Ok(())
    }

    async fn create(self) -> Result<(), Failure> {
        let build = cairn_rpc::build_options(&self.request, AddOptions::default())?;
        let walk = input::walk_options(&self.request);
        let root_count = if build.wrap { 1 } else { self.paths.len() };
        let paths = self.paths.clone();
        if paths.is_empty() {
            return Err(Failure::Usage("argument \"path\" is required".to_owned()));
        }
        let entries = Box::new(move || local_entries(paths.clone(), walk.clone()));
        let target = self.target()?;
        let options = CreateOptions { entries, root_count, build };
        let roots = cairn_car::create(&options, &target).await?;
        let cids = self.cids()?;
        for root in roots {
            let root = cids.of(&root);
            if target.is_file() {
                writeln!(std::io::stdout(), "{root}")?;
            } else {
                say(&root);
            }
        }
        Ok(())
    }
}

/// Says something where a person watches.
fn tell(text: std::fmt::Arguments<'_>) {
    if std::io::stderr().is_terminal() {
        say(&text.to_string());
    }
}

fn cid_of(text: &str) -> Result<Cid, Failure> {
    let bare = text.strip_prefix("/ipfs/").unwrap_or(text);
    bare.parse().map_err(|error| Failure::Failed(format!("invalid CID {text:?}: {error}")))
}

/// The root of a file that has one.
fn only_root(path: &Path) -> Result<Cid, Failure> {
    match &cairn_car::roots(path)?[..] {
        [root] => Ok(root.clone()),
        roots => {
            let text = format!("{} has {} roots: say which", path.display(), roots.len());
            Err(Failure::Failed(text))
        }
    }
}

/// Reads a file of CIDs, one a line.
fn read_cids(path: &Path, into: &mut HashSet<Cid>) -> Result<(), Failure> {
    let named =
        |text: &dyn std::fmt::Display| Failure::Failed(format!("{}: {text}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| named(&error))?;
    let mut input = std::io::BufReader::new(file);
    loop {
        let mut line = String::new();
        let read = std::io::Read::take(&mut input, LINE_LEN_MAX).read_line(&mut line);
        if read.map_err(|error| named(&error))? == 0 {
            return Ok(());
        }
        if !line.trim().is_empty() {
            into.insert(cid_of(line.trim()).map_err(|error| named(&error))?);
        }
        if into.len() > CIDS_MAX {
            return Err(named(&format!("more than {CIDS_MAX} CIDs")));
        }
    }
}

//! `get`: saves the tar stream, unpacked or as it is.

use super::{bar::Bar, wants_bar};
use crate::{Outputs, extract, report::Failure};
use bytes::{Buf as _, Bytes};
use cairn_rpc::{Output, Request, escape};
use cairn_runtime::blocking;
use futures::StreamExt as _;
use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::sync::mpsc;

/// Pieces that wait to be written.
const PIECES_MAX: usize = 8;

pub(super) async fn show(request: &Request, mut outputs: Outputs) -> Result<ExitCode, Failure> {
    let plan = Plan::of(request)?;
    let mut bar = None;
    let mut pieces = None;
    let mut work: Option<futures::future::BoxFuture<'static, Result<(), Failure>>> = None;
    let mut failure = None;
    while let Some(output) = outputs.next().await {
        match output {
            Ok(Output::Stream(head)) => {
                say_where(&plan)?;
                bar = wants_bar(request).then(|| Bar::new(head.len));
                let (sender, receiver) = mpsc::channel(PIECES_MAX);
                let plan = plan.clone();
                work = Some(Box::pin(blocking(move || plan.save(PieceReader::new(receiver)))));
                pieces = Some(sender);
            }
            Ok(Output::Data(bytes)) => {
                let (Some(sender), Some(work)) = (&pieces, &mut work) else { continue };
                let len = bytes.len() as u64;
                let stopped = tokio::select! {
                    result = work.as_mut() => Some(result),
                    sent = sender.send(Some(bytes)) => { drop(sent); None }
                };
                if let Some(result) = stopped {
                    result?;
                    return Ok(ExitCode::SUCCESS);
                }
                if let Some(bar) = &bar {
                    bar.add(len);
                }
            }
            Ok(_) => {}
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    if failure.is_none()
        && let Some(sender) = &pieces
    {
        // The mark of a whole stream; without it the writer takes back what it began.
        drop(sender.send(None).await);
    }
    drop(pieces);
    let saved = match work {
        Some(work) => work.await,
        None => Ok(()),
    };
    drop(bar);
    match failure {
        Some(error) => Err(error.into()),
        None => saved.map(|()| ExitCode::SUCCESS),
    }
}

fn say_where(plan: &Plan) -> Result<(), Failure> {
    let what = if plan.packed { "archive" } else { "file(s)" };
    let path = plan.path.display().to_string();
    writeln!(io::stdout(), "Saving {what} to {}", escape(&path))?;
    Ok(())
}

/// Where to save, and in which form.
#[derive(Debug, Clone)]
struct Plan {
    path: PathBuf,
    packed: bool,
}

impl Plan {
    fn of(request: &Request) -> Result<Self, Failure> {
        let archive = request.flag("archive");
        let compress = request.flag("compress");
        let argument = request.first()?;
        let last = argument.trim_end_matches('/').rsplit('/').next().unwrap_or("");
        if request.text("output").is_none() && matches!(last, "" | "." | "..") {
            let text = format!("cannot make a file name of {argument:?}: give one with --output");
            return Err(Failure::Usage(text));
        }
        let mut name = request.text("output").unwrap_or(last).to_owned();
        let ends = |name: &str, end: &str| name.to_ascii_lowercase().ends_with(end);
        if archive && !ends(&name, ".tar") && !ends(&name, ".tar.gz") {
            name.push_str(".tar");
        }
        if compress && !ends(&name, ".gz") {
            name.push_str(".gz");
        }
        Ok(Self { path: name.into(), packed: archive || compress })
    }

    fn save(&self, reader: PieceReader) -> Result<(), Failure> {
        if self.packed {
            return save_packed(&self.path, reader);
        }
        extract::extract(reader, &self.path).map_err(|error| Failure::Failed(error.to_string()))
    }
}

fn save_packed(path: &Path, mut reader: PieceReader) -> Result<(), Failure> {
    let named = |error: io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let mut file = File::create(path).map_err(named)?;
    let copied = io::copy(&mut reader, &mut file);
    copied.map(|_| ()).map_err(|error| {
        drop(std::fs::remove_file(path));
        named(error)
    })
}

/// The stream for a thread that may block.
struct PieceReader {
    pieces: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

impl PieceReader {
    fn new(pieces: mpsc::Receiver<Option<Bytes>>) -> Self {
        Self { pieces, current: Bytes::new(), ended: false }
    }
}

impl Read for PieceReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(bytes)) => self.current = bytes,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let len = self.current.len().min(out.len());
        self.current.copy_to_slice(&mut out[..len]);
        Ok(len)
    }
}

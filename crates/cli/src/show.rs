//! Answers as people see them: text on standard output, bars on standard error.
//!
//! Invariants: a bar appears only on a terminal; standard output that nobody reads any more ends
//! the program quietly; output waits for more only while more is there.
//! Not here: the texts themselves (`cairn_rpc`), unpacking (`extract`).

mod add;
mod backup;
pub(crate) mod bar;
mod get;

use crate::{Outputs, args::Globals, report::Failure};
use cairn_rpc::{Output, PinAddAnswer, Render, Request, Text, VerifyAnswer, answers_of, human_len};
use futures::{FutureExt as _, StreamExt as _};
use std::{
    io::{BufWriter, IsTerminal as _, StdoutLock, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Bytes of output that are collected before they are written.
const OUTPUT_LEN: usize = 64 * 1024;
/// Shortest content that gets a bar. Source: Kubo's `progressBarMinSize`.
const BAR_LEN_MIN: u64 = 8 * 1024 * 1024;

/// What is known about the input before the answer comes.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Files and directories that are sent.
    paths: Vec<PathBuf>,
}

impl Expected {
    pub(crate) fn of(_request: &Request, paths: &[PathBuf]) -> Self {
        Self { paths: paths.to_vec() }
    }
}

/// Decides what depends on the terminal and on the working directory, before the request is made.
pub(crate) fn prepare(request: &mut Request, json: bool) {
    if request.command().path == "repo backup"
        && let Ok(path) = request.first().map(std::path::absolute)
        && let Ok(Some(path)) = path.map(|path| path.to_str().map(str::to_owned))
    {
        request.set_argument(0, path);
    }
    if request.command().path == "add" && request.given_flag("progress").is_none() {
        let quiet = ["quiet", "quieter", "silent"].iter().any(|name| request.flag(name));
        if !quiet && std::io::stderr().is_terminal() {
            request.set("progress", "true");
        }
    }
    // Text is the same either way, and a million pins need not be held here to be printed.
    if request.command().path == "pin ls" && request.arguments().is_empty() && !json {
        request.set("stream", "true");
    }
}

/// Whether a bar is wanted: as asked for, else on a terminal.
fn wants_bar(request: &Request) -> bool {
    let asked = request.command().option("progress").and_then(|_| request.given_flag("progress"));
    asked.unwrap_or_else(|| std::io::stderr().is_terminal())
}

/// Shows an answer to its end.
pub(crate) async fn show(
    request: &Request,
    globals: &Globals,
    expected: Expected,
    outputs: Outputs,
) -> Result<ExitCode, Failure> {
    match request.command().path {
        "get" if !globals.json => return get::show(request, outputs).await,
        "add" if !globals.json && request.flag("progress") => {
            return add::show(request, expected, outputs).await;
        }
        "repo backup" if !globals.json && std::io::stderr().is_terminal() => {
            return backup::show(request, outputs).await;
        }
        _ => {}
    }
    let mut printer = Printer::new(request, globals);
    printer.run(outputs, wants_bar(request)).await
}

/// Writes answers to standard output.
struct Printer<'a> {
    out: BufWriter<StdoutLock<'static>>,
    render: Option<Box<dyn Render>>,
    /// Pieces of an answer that is rendered when it is whole.
    parts: Vec<u8>,
    request: &'a Request,
    failed: bool,
}

impl<'a> Printer<'a> {
    fn new(request: &'a Request, globals: &Globals) -> Self {
        let text = request.command().text.filter(|_| !globals.json);
        Self {
            out: BufWriter::with_capacity(OUTPUT_LEN, std::io::stdout().lock()),
            render: text.map(|text| text(request)),
            parts: Vec::new(),
            request,
            failed: false,
        }
    }

    async fn run(&mut self, mut outputs: Outputs, wants_bar: bool) -> Result<ExitCode, Failure> {
        let mut bar = None;
        loop {
            let next = if let Some(next) = outputs.next().now_or_never() {
                next
            } else {
                // Nothing more is there just now: what is written should be seen.
                self.out.flush()?;
                outputs.next().await
            };
            let output = match next {
                None => break,
                Some(Ok(output)) => output,
                Some(Err(error)) => {
                    self.out.flush()?;
                    return Err(error.into());
                }
            };
            match output {
                Output::Single(json) | Output::Event(json) => self.value(&json)?,
                Output::Part(json) if self.render.is_none() => self.out.write_all(&json)?,
                Output::Part(json) => self.parts.extend_from_slice(&json),
                Output::Stream(head) => {
                    let shown = wants_bar && !std::io::stdout().is_terminal();
                    let len = head.len.filter(|len| shown && *len >= BAR_LEN_MIN);
                    bar = len.map(|len| bar::Bar::new(Some(len)));
                }
                Output::Data(bytes) => {
                    self.out.write_all(&bytes)?;
                    if let Some(bar) = &bar {
                        bar.add(bytes.len() as u64);
                    }
                }
            }
        }
        self.finish()
    }

    fn value(&mut self, json: &[u8]) -> Result<(), Failure> {
        let Some(render) = &mut self.render else {
            self.out.write_all(json)?;
            if !json.ends_with(b"\n") {
                self.out.write_all(b"\n")?;
            }
            return Ok(());
        };
        let mut text = Text::default();
        let is_only_progress: fn(&[u8]) -> bool = match self.request.command().path {
            "pin add" => pin_progress,
            // Where nobody watches, the lines that count stand alone.
            "repo verify" if !std::io::stdout().is_terminal() => verify_progress,
            _ => |_| false,
        };
        for answer in answers_of(json) {
            if !is_only_progress(answer) {
                render.answer(answer, &mut text)?;
            }
        }
        self.text(&text)
    }

    fn text(&mut self, text: &Text) -> Result<(), Failure> {
        self.failed |= text.failed;
        self.out.write_all(text.out.as_bytes())?;
        if !text.talk.is_empty() {
            self.out.flush()?;
            std::io::stderr().write_all(text.talk.as_bytes()).unwrap_or(());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ExitCode, Failure> {
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() {
            self.value(&parts)?;
        }
        if let Some(mut render) = self.render.take() {
            let mut text = Text::default();
            render.finish(&mut text);
            self.text(&text)?;
        }
        self.out.flush()?;
        if self.failed { Err(Failure::Quiet) } else { Ok(ExitCode::SUCCESS) }
    }
}

/// Shows how far a pin is; whether the answer was only that.
fn pin_progress(json: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<PinAddAnswer>(json) else { return false };
    if !answer.pins.is_empty() {
        return false;
    }
    let (count, len) = (answer.progress, human_len(answer.bytes));
    write!(std::io::stderr(), "Fetched/Processed {count} nodes ({len})\r").unwrap_or(());
    true
}

/// Whether an answer only says how far a verification is.
fn verify_progress(json: &[u8]) -> bool {
    serde_json::from_slice::<VerifyAnswer>(json).is_ok_and(|answer| answer.msg.is_empty())
}

//! `add` with a bar: how many bytes of how many have been taken.

use super::{Expected, bar::Bar};
use crate::{Outputs, report::Failure};
use cairn_rpc::{AddAnswer, Output, Request, Text, answers_of};
use cairn_runtime::Tasks;
use futures::StreamExt as _;
use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Deepest directory that is counted.
const DEPTH_MAX: usize = 256;

pub(super) async fn show(
    request: &Request,
    expected: Expected,
    mut outputs: Outputs,
) -> Result<ExitCode, Failure> {
    let tasks = Tasks::default();
    let total = Arc::new(AtomicU64::new(0));
    let known = Arc::clone(&total);
    tasks.spawn_blocking("count input", move || {
        known.store(len_of(expected.paths), Ordering::Relaxed);
    });
    let Some(text) = request.command().text else { return Err(Failure::Quiet) };
    let mut render = text(request);
    let bar = Bar::new(None);
    let mut progress = Progress::default();
    while let Some(output) = outputs.next().await {
        let (Output::Single(json) | Output::Event(json)) = output? else { continue };
        let mut text = Text::default();
        for json in answers_of(&json) {
            let answer: AddAnswer =
                serde_json::from_slice(json).map_err(cairn_rpc::RpcError::from)?;
            bar.set(progress.take(&answer));
            render.answer(json, &mut text)?;
        }
        if let len @ 1.. = total.load(Ordering::Relaxed) {
            bar.set_len(len);
        }
        bar.suspend(|| print(&text))?;
    }
    drop(bar);
    let mut text = Text::default();
    render.finish(&mut text);
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &Text) -> Result<(), Failure> {
    if text.out.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.out.as_bytes())?;
    Ok(out.flush()?)
}

/// Bytes of the files before, and of the one on its way.
#[derive(Debug, Default)]
struct Progress {
    before: u64,
    name: String,
    current: u64,
}

impl Progress {
    /// Counts one answer in; returns the sum.
    fn take(&mut self, answer: &AddAnswer) -> u64 {
        if answer.hash.is_empty() {
            if answer.name != self.name {
                self.before += self.current;
                self.name.clone_from(&answer.name);
            }
            self.current = answer.bytes;
        }
        self.before + self.current
    }
}

/// Counts the bytes of files; what cannot be read is left out, since this is only for the bar.
fn len_of(paths: Vec<PathBuf>) -> u64 {
    let mut stack: Vec<(PathBuf, usize)> = paths.into_iter().map(|path| (path, 0)).collect();
    let mut sum = 0;
    while let Some((path, depth)) = stack.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_file() {
            sum += metadata.len();
        } else if metadata.is_dir() && depth < DEPTH_MAX {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            stack.extend(entries.map(|entry| (entry.path(), depth + 1)));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use cairn_rpc::AddAnswer;

    #[test]
    fn counts_over_files() {
        let mut progress = Progress::default();
        let mut take = |name: &str, bytes: u64, hash: &str| {
            let (name, hash) = (name.to_owned(), hash.to_owned());
            progress.take(&AddAnswer { name, bytes, hash, ..AddAnswer::default() })
        };
        assert_eq!(take("a", 10, ""), 10);
        assert_eq!(take("a", 25, ""), 25);
        assert_eq!(take("a", 0, "Qm"), 25);
        assert_eq!(take("b", 5, ""), 30);
    }
}

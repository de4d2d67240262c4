//! Runs one target and keeps what it finds: the process that `cargo xtask fuzz` starts.
//!
//! A run that ends the process, or never ends, leaves its input in the file `current`, which is
//! written before each run. Ends with 3 after a run that took too long.
//! Not here: building with counters, many targets, the table (`xtask/src/fuzz.rs`).

#![expect(clippy::print_stdout, reason = "a command line tool speaks on its standard output")]
#![expect(clippy::print_stderr, reason = "and tells its failures on the other one")]

use anyhow::{Context as _, Result, bail};
use cairn_fuzz::{
    Engine, Failure, Observer, Target, check, counter_count, fewest_of, shorten, targets,
};
use cairn_runtime::Clock;
use std::{
    fs::{self, File},
    ops::ControlFlow,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{self, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const USAGE: &str = "\
Usage: cairn-fuzz TARGET --work DIR --kept DIR [--runs N] [--seed S] [--seconds T] [--keep]
       cairn-fuzz TARGET --check FILE
       cairn-fuzz TARGET --shorten FILE
       cairn-fuzz --list";

/// Longest a run may keep the processor.
const RUN_TIME_MAX: Duration = Duration::from_secs(4);

/// Stack of the thread that runs targets, in bytes: tokio's.
const STACK_LEN: usize = 2 * 1024 * 1024;

/// How often that is looked at.
const WATCH_TIME: Duration = Duration::from_millis(500);

/// How often making an input shorter may start a process.
const SHORTEN_TRIES: usize = 1_000;

/// Runs between two looks at the clock.
const RUNS_PER_LOOK: u64 = 256;

/// How the names of files begin that stay in a corpus whatever they reach.
const REGRESSION: &str = "found-";

/// What the command line asks for.
#[derive(Default)]
struct Args {
    work: PathBuf,
    kept: PathBuf,
    runs: Option<u64>,
    seed: u64,
    seconds: Option<u64>,
    keep: bool,
    check: Option<PathBuf>,
    shorten: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Decoders run on threads of this size in the daemon, so recursion has to end within it.
    let work = thread::Builder::new().stack_size(STACK_LEN).spawn(move || run(&args));
    let result = work
        .context("no thread")
        .and_then(|work| work.join().unwrap_or_else(|_| bail!("a panic outside of a target")));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing failed.
fn run(args: &[String]) -> Result<bool> {
    let targets = targets();
    let (name, args) = args.split_first().context(USAGE)?;
    if name == "--list" {
        for target in targets {
            println!("{}", target.name);
        }
        return Ok(true);
    }
    let target = targets.iter().find(|target| target.name == name);
    let target = target.with_context(|| format!("no target {name}; --list names them"))?;
    let args = parse(args)?;
    if let Some(path) = &args.check {
        watch().store(1, Relaxed);
        let failure = check(target, &read(path)?);
        if let Some(failure) = &failure {
            eprintln!("{}: {}", failure.place, failure.text);
        }
        return Ok(failure.is_none());
    }
    match &args.shorten {
        Some(path) => shorten_by_processes(target, path).map(|()| true),
        None => search(target, &args),
    }
}

fn parse(args: &[String]) -> Result<Args> {
    let mut parsed = Args { seed: 1, ..Args::default() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--work" => parsed.work = value()?.into(),
            "--kept" => parsed.kept = value()?.into(),
            "--check" => parsed.check = Some(value()?.into()),
            "--shorten" => parsed.shorten = Some(value()?.into()),
            "--runs" => parsed.runs = Some(value()?.parse().context("--runs")?),
            "--seed" => parsed.seed = value()?.parse().context("--seed")?,
            "--seconds" => parsed.seconds = Some(value()?.parse().context("--seconds")?),
            "--keep" => parsed.keep = true,
            _ => bail!("{USAGE}"),
        }
    }
    Ok(parsed)
}

/// Runs the target and prints one line: runs, milliseconds, corpus, features, failures.
fn search(target: &Target, args: &Args) -> Result<bool> {
    let (corpus, failures) = (args.work.join("corpus"), args.work.join("failures"));
    for folder in [&corpus, &failures] {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
    }
    let mut inputs = (target.seeds)();
    let kept = inputs_in(&args.kept)?;
    let found = inputs_in(&corpus)?;
    inputs.extend(kept.iter().chain(&found).map(|(_, input)| input.clone()));
    let clock = Clock::system();
    let begin = clock.monotonic();
    let current = File::create(args.work.join("current")).context("could not make `current`")?;
    let observer = Files {
        clock: clock.clone(),
        until: args.seconds.map(|seconds| begin + Duration::from_secs(seconds)),
        corpus: corpus.clone(),
        failures,
        current,
        run: watch(),
    };
    let runs = args.runs.unwrap_or(if args.seconds.is_some() { u64::MAX } else { 1_000_000 });
    let outcome = Engine::new(target, observer).run(&inputs, runs, args.seed);
    let millis = (clock.monotonic() - begin).as_millis();
    for (path, _) in &found {
        fs::remove_file(path).with_context(|| format!("could not remove {}", path.display()))?;
    }
    for input in &outcome.corpus {
        write(&corpus, "", input)?;
    }
    if args.keep && counter_count() > 0 {
        keep(target, &args.kept, &kept, outcome.corpus.clone())?;
    }
    println!(
        "{}\t{millis}\t{}\t{}\t{}",
        outcome.runs,
        outcome.corpus.len(),
        outcome.feature_count,
        outcome.failures.len()
    );
    Ok(outcome.failures.is_empty())
}

/// Replaces what is in the repository, but for what a bug left there.
fn keep(
    target: &Target,
    folder: &Path,
    kept: &[(PathBuf, Vec<u8>)],
    inputs: Vec<Vec<u8>>,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    for (path, _) in kept {
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(REGRESSION)) {
            fs::remove_file(path)
                .with_context(|| format!("could not remove {}", path.display()))?;
        }
    }
    fewest_of(target, inputs).iter().try_for_each(|input| write(folder, "", input))
}

/// Tells when a run of this thread takes too long, and ends the process then.
///
/// Counts the time that the thread had a processor, so that a busy machine makes no difference;
/// where the system does not tell it, nothing is noticed. Returns the number to set at each run.
fn watch() -> Arc<AtomicU64> {
    let run = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&run);
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    let times = Path::new("/proc").join(thread).join("schedstat");
    drop(thread::spawn(move || {
        let (mut last, mut since) = (0, Duration::ZERO);
        loop {
            thread::park_timeout(WATCH_TIME);
            let (now, time) = (seen.load(Relaxed), processor_time(&times));
            if now != last {
                (last, since) = (now, time);
            } else if now > 0 && time.saturating_sub(since) > RUN_TIME_MAX {
                eprintln!("run {now} takes longer than {RUN_TIME_MAX:?}");
                process::exit(3);
            }
        }
    }));
    run
}

/// How long a thread had a processor, says the first word of its `schedstat`.
fn processor_time(times: &Path) -> Duration {
    let text = fs::read_to_string(times).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Writes down what happens.
struct Files {
    clock: Clock,
    until: Option<Instant>,
    corpus: PathBuf,
    failures: PathBuf,
    current: File,
    run: Arc<AtomicU64>,
}

impl Observer for Files {
    fn before(&mut self, run: u64, input: &[u8]) -> ControlFlow<()> {
        self.run.store(run + 1, Relaxed);
        // The length first, since the file keeps the end of a longer input. A failure to write
        // costs the input of a run that ends the process, nothing else.
        let mut bytes = (input.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(input);
        drop(self.current.write_all_at(&bytes, 0));
        let is_late = run.is_multiple_of(RUNS_PER_LOOK)
            && self.until.is_some_and(|until| self.clock.monotonic() >= until);
        if is_late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn found(&mut self, input: &[u8]) {
        if let Err(error) = write(&self.corpus, "", input) {
            eprintln!("{error:#}");
        }
    }

    fn failed(&mut self, failure: &Failure) {
        let Failure { place, text, input } = failure;
        eprintln!("{place}: {text}\n  {}", input.escape_ascii());
        if let Err(error) = write(&self.failures, "", input) {
            eprintln!("{error:#}");
        }
    }
}

/// Makes what ended a process shorter, by starting one for each try. The file begins as
/// `current` does, with the input's length; the result goes beside it, under its hash.
fn shorten_by_processes(target: &Target, path: &Path) -> Result<()> {
    let bytes = read(path)?;
    let (len, rest) = bytes.split_first_chunk().context("the file has no input")?;
    let input = rest.get(..u32::from_le_bytes(*len) as usize).context("the input is torn")?;
    let program = std::env::current_exe().context("this program has no path")?;
    let candidate_path = path.with_extension("try");
    let fails = |candidate: &[u8]| {
        let mut command = Command::new(&program);
        command.args([target.name, "--check"]).arg(&candidate_path);
        let status = fs::write(&candidate_path, candidate)
            .and_then(|()| command.stdout(Stdio::null()).stderr(Stdio::null()).status());
        status.is_ok_and(|status| status.code() != Some(0))
    };
    let tries = if fails(input) { SHORTEN_TRIES } else { 0 };
    let short = shorten(input, tries, fails);
    let folder = path.with_file_name("failures");
    fs::remove_file(&candidate_path).context("could not remove what was tried last")?;
    eprintln!("ended the process: {}", short.escape_ascii());
    write(&folder, "", &short)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

/// The files of a folder in the order of their names; none if there is no such folder.
fn inputs_in(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(|| format!("could not list {}", folder.display()))?.path());
    }
    paths.sort();
    paths.into_iter().map(|path| read(&path).map(|input| (path, input))).collect()
}

/// Writes an input under the beginning of its hash.
fn write(folder: &Path, prefix: &str, input: &[u8]) -> Result<()> {
    let digest = cairn_hash::sha256(input);
    let name = format!("{:016x}", u64::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 8])));
    let path = folder.join(format!("{prefix}{name}"));
    fs::write(&path, input).with_context(|| format!("could not write {}", path.display()))
}

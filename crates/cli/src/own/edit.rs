//! `config edit`: the configuration in the user's editor.

use crate::{args::Globals, ask, report::Failure};
use std::process::{Command, ExitCode};

pub(crate) async fn run(globals: &Globals) -> Result<ExitCode, Failure> {
    let path = ask::repo_path(globals)?.join("config");
    if !path.exists() {
        let text = format!("there is no configuration at {}: run `cairn init`", path.display());
        return Err(Failure::Failed(text));
    }
    #[expect(clippy::disallowed_methods, reason = "the editor is the user's setting, not ours")]
    let editor = std::env::var_os("EDITOR").filter(|editor| !editor.is_empty());
    let Some(editor) = editor else {
        return Err(Failure::Failed("ENV variable $EDITOR not set".to_owned()));
    };
    let shown = editor.display().to_string();
    // A shell reads the setting, since people write options into it; the path stays one word.
    let script = format!("{} \"$1\"", editor.to_string_lossy());
    let status = cairn_runtime::blocking(move || {
        Command::new("sh").args(["-c", &script, "sh"]).arg(path).status()
    });
    match status.await {
        Ok(status) if status.success() => Ok(ExitCode::SUCCESS),
        Ok(status) => Err(Failure::Failed(format!("{shown} ended with {status}"))),
        Err(error) => Err(Failure::Failed(format!("could not start {shown}: {error}"))),
    }
}

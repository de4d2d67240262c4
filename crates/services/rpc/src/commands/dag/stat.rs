//! `dag stat`: how many blocks DAGs have, and how long they are together.

use crate::{
    Call, RpcError,
    answer::is_default,
    command::{Argument, Command, Opt},
    text::{Render, Text, human_len},
};
use cairn_block::Cid;
use cairn_dag::{WalkOptions, walk};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, pin::pin};

/// Blocks between two answers that tell how far it is.
const PROGRESS_DISTANCE: u64 = 4096;

/// Most blocks that are remembered to tell what several DAGs share.
const SEEN_MAX: usize = 64 * 1024 * 1024;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag stat",
    tagline: "Count the blocks and bytes of DAGs",
    help: "Every block is fetched and counted once in each DAG. The summary tells what several\n\
           DAGs share.",
    arguments: &[Argument::text("root", "What to count").many().or_stdin()],
    options: &[Opt::flag("progress", "Show how far it is").or(&["p"])],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|_| Box::new(Table { last: None })),
    ..Command::BASE
};

/// The answer, or how far it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    #[serde(skip_serializing_if = "is_default")]
    unique_blocks: u64,
    #[serde(skip_serializing_if = "is_default")]
    total_size: u64,
    #[serde(skip_serializing_if = "is_default")]
    shared_size: u64,
    #[serde(skip_serializing_if = "is_default")]
    ratio: f32,
    dag_stats: Vec<DagStat>,
}

/// One DAG.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DagStat {
    cid: String,
    #[serde(skip_serializing_if = "is_default")]
    size: u64,
    #[serde(skip_serializing_if = "is_default")]
    num_blocks: u64,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let mut answer = Answer::default();
    // One walk visits each block once by itself.
    let mut seen = (call.request.arguments().len() > 1).then(HashSet::new);
    for argument in call.request.arguments() {
        let root = call.resolve(argument).await?.cid;
        let stat = DagStat { cid: cids.of(&root), ..DagStat::default() };
        answer.dag_stats.push(stat);
        count(&call, &root, &mut answer, &mut seen).await?;
    }
    let size: u64 = answer.dag_stats.iter().map(|stat| stat.size).sum();
    answer.shared_size = size - answer.total_size;
    if answer.total_size > 0 {
        answer.ratio = ratio(size, answer.total_size);
    }
    call.out.event(&answer).await
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u64, whole: u64) -> f32 {
    (part as f64 / whole as f64) as f32
}

/// Adds the last DAG of the answer to it.
async fn count(
    call: &Call,
    root: &Cid,
    answer: &mut Answer,
    seen: &mut Option<HashSet<Cid>>,
) -> Result<(), RpcError> {
    let progress = call.request.given_flag("progress").unwrap_or(true);
    let options = WalkOptions { unique: true, ..WalkOptions::default() };
    let mut visits = pin!(walk(call.blocks()?, std::slice::from_ref(root), options));
    while let Some(visit) = visits.next().await {
        let visit = visit.map_err(|error| RpcError::of(&error).about("error traversing DAG"))?;
        let len = visit.block.map_or(0, |block| block.data().len() as u64);
        let stat = answer.dag_stats.last_mut().expect("invariant: the DAG was added before");
        stat.size += len;
        stat.num_blocks += 1;
        let count = stat.num_blocks;
        let is_new = seen.as_mut().is_none_or(|seen| seen.insert(visit.cid));
        if is_new {
            answer.unique_blocks += 1;
            answer.total_size += len;
        }
        if seen.as_ref().is_some_and(|seen| seen.len() > SEEN_MAX) {
            return Err(RpcError::failed(format!("over {SEEN_MAX} different blocks")));
        }
        if progress && count.is_multiple_of(PROGRESS_DISTANCE) {
            call.out.event(answer).await?;
        }
    }
    Ok(())
}

/// Writes the last answer as a table and a summary.
struct Table {
    last: Option<Answer>,
}

impl Render for Table {
    fn answer(&mut self, json: &[u8], _: &mut Text) -> Result<(), RpcError> {
        self.last = Some(serde_json::from_slice(json)?);
        Ok(())
    }

    fn finish(&mut self, text: &mut Text) {
        let Some(answer) = self.last.take() else { return };
        let width = answer.dag_stats.first().map_or(0, |stat| stat.cid.len());
        text.line(format_args!("\n{:<width$}\t{:<15}\tSize", "CID", "Blocks"));
        for DagStat { cid, size, num_blocks } in &answer.dag_stats {
            text.line(format_args!("{cid}\t{num_blocks:<15}\t{size}"));
        }
        let Answer { unique_blocks, total_size, shared_size, ratio, .. } = answer;
        text.line("\nSummary");
        text.line(format_args!("Total Size: {total_size} ({})", human_len(total_size)));
        text.line(format_args!("Unique Blocks: {unique_blocks}"));
        text.line(format_args!("Shared Size: {shared_size} ({})", human_len(shared_size)));
        text.line(format_args!("Ratio: {ratio:.6}\n\n"));
    }
}

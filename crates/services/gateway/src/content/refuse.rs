//! Which status a failure to read content becomes, and the sentence that goes with it.
//!
//! The sentence names the path that was asked for and the block or link that failed.

use super::Ask;
use crate::refusal::Refusal;
use cairn_block::BlockError;
use cairn_dag::DagError;
use cairn_unixfs::UnixfsError;
use hyper::StatusCode;

/// The refusal for an error met on the way to content.
pub(crate) fn refuse(ask: &Ask<'_>, error: &UnixfsError) -> Refusal {
    let status = status_of(error);
    let missing_block = matches!(error, UnixfsError::Dag(inner) if inner.is_not_found());
    if ask.cached_only && missing_block {
        let sentence = format!("{} is not in the local store: {error}", ask.shown);
        return Refusal::new(StatusCode::PRECONDITION_FAILED, sentence);
    }
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::warn!(%error, "gateway.content");
    }
    Refusal::new(status, format!("failed to resolve {}: {error}", ask.shown))
}

fn status_of(error: &UnixfsError) -> StatusCode {
    match error {
        UnixfsError::NoLink { .. } | UnixfsError::NotADirectory { .. } => StatusCode::NOT_FOUND,
        UnixfsError::Malformed { .. }
        | UnixfsError::Len { .. }
        | UnixfsError::NotAFile { .. }
        | UnixfsError::Dag(
            DagError::Malformed { .. } | DagError::TooDeep { .. } | DagError::TooWide { .. },
        ) => StatusCode::UNPROCESSABLE_ENTITY,
        UnixfsError::Name { .. } | UnixfsError::Dag(DagError::Unsupported { .. }) => {
            StatusCode::NOT_IMPLEMENTED
        }
        UnixfsError::Dag(DagError::Block(error)) => match error {
            BlockError::NotFound { .. } => StatusCode::NOT_FOUND,
            BlockError::Unsupported { .. } | BlockError::TooLarge { .. } => {
                StatusCode::NOT_IMPLEMENTED
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

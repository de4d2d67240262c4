//! Why a command failed, as Kubo's clients expect to be told.
//!
//! Source: the codes and HTTP statuses are those of Kubo's RPC (`{"Message","Code","Type"}`).
//! Invariant: the message is a whole sentence part that names the object; causes are joined in.
//! Not here: exit codes (the `cairn` binary).

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The command could not do what was asked.
    Failed,
    /// The request itself is wrong: a bad argument or option.
    Request,
    /// There is no such command.
    NoCommand,
    /// A limit was reached; the same request may succeed later.
    Busy,
    /// The caller may not do this.
    Forbidden,
}

/// Why a command failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct RpcError {
    fault: Fault,
    message: String,
}

impl RpcError {
    /// The command could not do what was asked.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { fault: Fault::Failed, message: message.into() }
    }

    /// The request itself is wrong.
    pub fn request(message: impl Into<String>) -> Self {
        Self { fault: Fault::Request, message: message.into() }
    }

    /// There is no such command.
    pub fn no_command() -> Self {
        Self { fault: Fault::NoCommand, message: "404 page not found".to_owned() }
    }

    /// An option that this version knows and does not do.
    pub fn unsupported(what: &str) -> Self {
        Self::request(format!("not supported yet: {what}"))
    }

    /// The answer has nobody left to read it.
    pub(crate) fn gone() -> Self {
        Self::failed("the caller has gone")
    }

    /// Describes `error` with all its causes, each once.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::failed(chain(error))
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same failure with `object` named in front.
    #[must_use]
    pub fn about(mut self, object: &str) -> Self {
        self.message = format!("{object}: {}", self.message);
        self
    }

    /// The HTTP status that carries it.
    pub fn status(&self) -> u16 {
        match self.fault {
            Fault::Failed => 500,
            Fault::Request => 400,
            Fault::NoCommand => 404,
            Fault::Busy => 429,
            Fault::Forbidden => 403,
        }
    }

    /// The body that carries it.
    pub fn to_body(&self) -> ErrorBody {
        let code = match self.fault {
            Fault::Failed => 0,
            Fault::Request | Fault::NoCommand => 1,
            Fault::Busy => 3,
            Fault::Forbidden => 4,
        };
        ErrorBody { message: self.message.clone(), code, kind: "error".to_owned() }
    }

    /// Reads it back from an HTTP answer; `body` that is not JSON is the message itself.
    pub fn from_body(status: u16, body: &[u8]) -> Self {
        let fault = match status {
            400 => Fault::Request,
            403 => Fault::Forbidden,
            404 => Fault::NoCommand,
            429 => Fault::Busy,
            _ => Fault::Failed,
        };
        let message = serde_json::from_slice::<ErrorBody>(body)
            .map_or_else(|_| String::from_utf8_lossy(body).trim().to_owned(), |body| body.message);
        let message = if message.is_empty() { format!("HTTP status {status}") } else { message };
        Self { fault, message }
    }
}

/// Joins an error's text with its causes', leaving out what is said already.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

macro_rules! from_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for RpcError {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        })*
    };
}

from_errors!(
    std::io::Error,
    serde_json::Error,
    cairn_block::CidError,
    cairn_block::BlockError,
    cairn_hash::MultihashError,
    cairn_hash::DigestError,
);

/// A failure as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What happened.
    #[serde(rename = "Message")]
    pub message: String,
    /// Kubo's number for whose fault it is.
    #[serde(rename = "Code")]
    pub code: u32,
    /// Always `"error"`.
    #[serde(rename = "Type")]
    pub kind: String,
}

#[cfg(test)]
mod tests {
    use super::{Fault, RpcError};

    #[test]
    fn bodies_have_kubos_shape() {
        let rows = [
            (RpcError::failed("no"), 500, r#"{"Message":"no","Code":0,"Type":"error"}"#),
            (RpcError::request("bad"), 400, r#"{"Message":"bad","Code":1,"Type":"error"}"#),
        ];
        for (error, status, body) in rows {
            assert_eq!(error.status(), status);
            assert_eq!(serde_json::to_string(&error.to_body()).unwrap(), body);
            assert_eq!(RpcError::from_body(status, body.as_bytes()), error);
        }
    }

    #[test]
    fn plain_bodies_become_the_message() {
        let error = RpcError::from_body(403, b"403 - Forbidden\n");
        assert_eq!((error.fault(), error.message()), (Fault::Forbidden, "403 - Forbidden"));
        assert_eq!(RpcError::from_body(502, b"").message(), "HTTP status 502");
    }
}

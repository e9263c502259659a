//! What went wrong, in words that help: what was being done to which address, where it was asked
//! for, what the API said, and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::call::Service;
use super::resource::Location;

/// What became of a call that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The service understood and refused: nothing was done.
    Refused,
    /// There is no such object.
    NotFound,
    /// It clashes with another object or another owner.
    Conflict,
    /// The credentials lack a permission, or are not accepted.
    Denied,
    /// Too many requests.
    Throttled,
    /// Nothing was sent: no connection, no credentials, no configuration.
    NotSent,
    /// It was sent, and whether it took effect is not known.
    Unknown,
}

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// The API.
    pub service: Service,
    /// `POST /zones/…/dns_records` or `PutParameter`.
    pub operation: String,
    /// What became of it.
    pub failure: Failure,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The service's own code: `81058`, `ParameterAlreadyExists`, `Conflict`.
    pub code: Option<String>,
    /// What it said, secrets scrubbed.
    pub message: String,
    /// The id by which the service's support finds the request.
    pub request_id: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// When to try again, in milliseconds, where the service said so.
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service.title(), self.operation)?;
        match (self.failure, self.status) {
            (Failure::NotSent, _) => write!(f, " could not be sent: {}", self.message)?,
            (Failure::Unknown, None) => write!(f, ": the answer was lost: {}", self.message)?,
            (_, Some(status)) => write!(f, " answered {status}")?,
            (_, None) => write!(f, " failed")?,
        }
        if self.status.is_some() {
            if let Some(code) = &self.code {
                write!(f, " (code {code})")?;
            }
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}

/// How a run ends. The highest in the order 130, 3, 4, 5, 1, 2, 0 applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Done; for drift: none.
    Done,
    /// Changes (`plan --detailed-exitcode`) or drift.
    Found,
    /// An error; anything that could not be read.
    Error,
    /// Refused before anything was done.
    Refused,
    /// The state is locked by another run.
    Locked,
    /// Something was done and something is left.
    Partial,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Found => 2,
            Exit::Partial => 3,
            Exit::Locked => 4,
            Exit::Refused => 5,
            Exit::Interrupted => 130,
        }
    }

    /// The one of two that applies.
    #[must_use]
    pub fn and(self, other: Exit) -> Exit {
        fn weight(exit: Exit) -> u8 {
            match exit {
                Exit::Done => 0,
                Exit::Found => 1,
                Exit::Error => 2,
                Exit::Refused => 3,
                Exit::Locked => 4,
                Exit::Partial => 5,
                Exit::Interrupted => 6,
            }
        }
        if weight(other) > weight(self) { other } else { self }
    }
}

/// How bad a report is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// To be known.
    Note,
    /// It is taken, and does not work or is dangerous.
    Warning,
    /// It stops the run, or a part of it.
    Error,
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    /// How bad it is.
    pub level: Level,
    /// A short name: `two-owners`, `exposed`, `conflict`; also what `accept` quiets.
    pub code: Option<String>,
    /// What it is about.
    pub address: Option<Address>,
    /// What happened, starting in lower case: `creating tunnel.openhands failed`.
    pub message: String,
    /// What is behind it, outermost first.
    pub causes: Vec<String>,
    /// Where it was asked for.
    pub location: Option<Location>,
    /// The line at the location, values of secrets masked.
    pub source_line: Option<String>,
    /// How much of the line is marked, in characters.
    pub width: usize,
    /// What is said at the mark.
    pub label: Option<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Report {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Report {
            level: Level::Error,
            code: None,
            address: None,
            message: message.into(),
            causes: Vec::new(),
            location: None,
            source_line: None,
            width: 1,
            label: None,
            hints: Vec::new(),
        }
    }

    /// The code of reports of what could not be read.
    pub const UNREADABLE: &str = "unreadable";

    /// The code of notes of what is compared without what could not be read.
    pub const UNCHECKED: &str = "unchecked";

    /// The error that a resource could not be read, and why.
    pub fn unreadable(address: &Address, why: impl fmt::Display) -> Self {
        Report::error(format!("{address} could not be read"))
            .code(Report::UNREADABLE)
            .about(address)
            .cause(why)
    }

    /// Whether this says that something could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.code.as_deref() == Some(Report::UNREADABLE)
    }

    /// A warning with a code.
    pub fn warning(code: &str, message: impl Into<String>) -> Self {
        Report { level: Level::Warning, code: Some(code.to_owned()), ..Report::error(message) }
    }

    /// A note.
    pub fn note(message: impl Into<String>) -> Self {
        Report { level: Level::Note, ..Report::error(message) }
    }

    /// The same with a code.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// The same, about an address.
    #[must_use]
    pub fn about(mut self, address: &Address) -> Self {
        self.address = Some(address.clone());
        self
    }

    /// The same, at a place in a file.
    #[must_use]
    pub fn at(mut self, location: Option<Location>) -> Self {
        self.location = location;
        self
    }

    /// The same with something behind it.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with the causes and the advice of a failed call.
    #[must_use]
    pub fn call(mut self, error: &CallError) -> Self {
        self.causes.push(error.to_string());
        self.hints.extend(error.hint.clone());
        self
    }
}

/// Why a command ends without success: the exit code and everything there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The exit code.
    pub exit: Exit,
    /// What to tell.
    pub reports: Vec<Report>,
}

impl Stop {
    /// An error, exit 1.
    pub fn error(report: Report) -> Self {
        Stop { exit: Exit::Error, reports: vec![report] }
    }

    /// A refusal, exit 5.
    pub fn refused(report: Report) -> Self {
        Stop { exit: Exit::Refused, reports: vec![report] }
    }
}

impl From<Report> for Stop {
    fn from(report: Report) -> Self {
        Stop::error(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_exit_applies() {
        use Exit::*;
        let order = [Interrupted, Partial, Locked, Refused, Error, Found, Done];
        for (i, high) in order.iter().enumerate() {
            for low in &order[i..] {
                assert_eq!(high.and(*low), *high);
                assert_eq!(low.and(*high), *high);
            }
        }
        assert_eq!(order.map(Exit::code), [130, 3, 4, 5, 1, 2, 0]);
    }
}

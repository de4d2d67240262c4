//! A command with its arguments and options, checked against the table.
//!
//! Every surface makes a [`Request`] from strings, so that a wrong value is refused with the same
//! words whether it came from a URL or from the command line.
//!
//! Invariant: every option value held here parses as its [`Kind`].
//! Not here: where the strings come from (`http::query`, the `cairn` binary).

use crate::{
    RpcError,
    command::{Argument, ArgumentKind, Command, Kind},
    text::CidText,
};
use std::time::Duration;

/// Most arguments in one request. The command line splits longer lists.
pub const ARGUMENTS_MAX: usize = 65_536;

/// One call of one command.
#[derive(Debug, Clone)]
pub struct Request {
    command: &'static Command,
    arguments: Vec<String>,
    options: Vec<(&'static str, String)>,
}

impl Request {
    /// Checks the options' values; arguments are counted by [`Request::check_arguments`].
    ///
    /// Options that the command does not know are left out, as Kubo does: clients send them.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] naming the option or argument that is wrong.
    pub fn new(
        command: &'static Command,
        arguments: Vec<String>,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, RpcError> {
        let mut request = Self { command, arguments, options: Vec::new() };
        for (name, value) in options {
            let Some(option) = command.option(&name) else { continue };
            check_value(option.kind, option.long, &value)?;
            let again = request.options.iter().any(|(known, _)| *known == option.long);
            if again && option.kind != Kind::Texts {
                return Err(RpcError::request(format!("option {:?} is given twice", option.long)));
            }
            request.options.push((option.long, value));
        }
        Ok(request)
    }

    /// Checks that there are as many text arguments as the command takes.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] naming the argument that is missing or too much.
    pub fn check_arguments(&self) -> Result<(), RpcError> {
        let texts = || self.command.arguments.iter().filter(|a| a.kind == ArgumentKind::Text);
        let needed = texts().filter(|argument| argument.required).count();
        let given = self.arguments.len();
        if given < needed {
            let missing = texts().filter(|argument| argument.required).nth(given);
            let name = missing.map_or("", |argument| argument.name);
            return Err(RpcError::request(format!("argument {name:?} is required")));
        }
        let open = texts().any(|argument: &Argument| argument.many);
        if given > ARGUMENTS_MAX || (!open && given > texts().count()) {
            let path = self.command.path;
            return Err(RpcError::request(format!("too many arguments for {path:?}: {given}")));
        }
        Ok(())
    }

    /// The command called.
    pub fn command(&self) -> &'static Command {
        self.command
    }

    /// The text arguments, in order.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The first text argument.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] if there is none.
    pub fn first(&self) -> Result<&str, RpcError> {
        let first = self.arguments.first();
        first.map(String::as_str).ok_or_else(|| RpcError::request("an argument is required"))
    }

    /// The options that were given, by long name.
    pub fn given(&self) -> &[(&'static str, String)] {
        &self.options
    }

    /// Replaces an argument that is there.
    pub fn set_argument(&mut self, at: usize, value: String) {
        if let Some(argument) = self.arguments.get_mut(at) {
            *argument = value;
        }
    }

    /// Sets an option as if it had been given.
    pub fn set(&mut self, long: &'static str, value: &str) {
        self.options.retain(|(known, _)| *known != long);
        self.options.push((long, value.to_owned()));
    }

    /// The value given for the option, if any was.
    pub fn given_text(&self, long: &str) -> Option<&str> {
        debug_assert!(self.command.option(long).is_some(), "{long} is not in the table");
        self.options.iter().find(|(known, _)| *known == long).map(|(_, value)| value.as_str())
    }

    /// The option's value, or its default.
    pub fn text(&self, long: &str) -> Option<&str> {
        let default = || self.command.option(long).and_then(|option| option.default);
        self.given_text(long).or_else(default).filter(|value| !value.is_empty())
    }

    /// All values given for the option.
    pub fn texts(&self, long: &str) -> Vec<String> {
        let own = |(known, value): &(&str, String)| (*known == long).then(|| value.clone());
        self.options.iter().filter_map(own).collect()
    }

    /// The switch, or its default.
    pub fn flag(&self, long: &str) -> bool {
        let default = || self.command.option(long).and_then(|option| option.default);
        self.given_text(long).or_else(default).and_then(flag_of).unwrap_or(false)
    }

    /// The switch if it was given.
    pub fn given_flag(&self, long: &str) -> Option<bool> {
        self.given_text(long).and_then(flag_of)
    }

    /// The number, or its default.
    pub fn int(&self, long: &str) -> Option<i64> {
        self.text(long).and_then(int_of)
    }

    /// Whether only local data may be used.
    pub fn is_offline(&self) -> bool {
        self.flag("offline") || self.flag("local")
    }

    /// How CIDs are to be written.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] for a base that is not known.
    pub fn cid_text(&self) -> Result<CidText, RpcError> {
        CidText::new(self.text("cid-base"), self.given_flag("upgrade-cidv0-in-output"))
    }

    /// The longest time the command may take.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] for a text that is not a duration.
    pub fn timeout(&self) -> Result<Option<Duration>, RpcError> {
        let Some(text) = self.text("timeout") else { return Ok(None) };
        let wrong = || RpcError::request(format!("option \"timeout\": invalid duration {text:?}"));
        duration_of(text).map(Some).ok_or_else(wrong)
    }
}

fn check_value(kind: Kind, name: &str, value: &str) -> Result<(), RpcError> {
    let (fits, wanted) = match kind {
        Kind::Flag => (flag_of(value).is_some(), "true or false"),
        Kind::Int => (int_of(value).is_some(), "a whole number"),
        Kind::Uint => (int_of(value).is_some_and(|n| n >= 0), "a whole number, not negative"),
        Kind::Text | Kind::Texts => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(RpcError::request(format!("option {name:?} needs {wanted}, not {value:?}")))
}

/// Reads a switch as Go's `ParseBool` does; no value at all means yes.
fn flag_of(text: &str) -> Option<bool> {
    match text {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a number, decimal or with a Go prefix (`0x`, `0o`, `0`).
fn int_of(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let radix = |prefix: &str, radix| Some((digits.strip_prefix(prefix)?, radix));
    let octal = || Some((digits.strip_prefix('0').filter(|rest| !rest.is_empty())?, 8));
    let (digits, radix) =
        radix("0x", 16).or_else(|| radix("0o", 8)).or_else(octal).unwrap_or((digits, 10));
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    i64::from_str_radix(digits, radix).ok().filter(|_| plain).map(|number| sign * number)
}

/// Reads a Go duration: numbers with units, such as `1h10m`, `1.5s`, `300ms`.
pub fn duration_of(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Some(total);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        rest = &rest[end..];
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::{Request, duration_of, flag_of, int_of};
    use crate::commands;
    use std::time::Duration;

    #[test]
    fn reads_go_durations() {
        let rows = [
            ("0", Some(Duration::ZERO)),
            ("30s", Some(Duration::from_secs(30))),
            ("1h10m", Some(Duration::from_mins(70))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("250ms", Some(Duration::from_millis(250))),
            ("", None),
            ("10", None),
            ("s", None),
            ("1x", None),
            ("-1s", None),
            ("1..2s", None),
            ("999999999999999999999h", None),
        ];
        for (text, expected) in rows {
            assert_eq!(duration_of(text), expected, "{text:?}");
        }
    }

    #[test]
    fn reads_numbers_and_switches() {
        let rows = [
            ("12", Some(12)),
            ("-1", Some(-1)),
            ("0644", Some(0o644)),
            ("0x10", Some(16)),
            ("0", Some(0)),
        ];
        for (text, expected) in rows {
            assert_eq!(int_of(text), expected, "{text:?}");
        }
        for text in ["", "x", "1.5", "--1", "+-1", "9999999999999999999"] {
            assert_eq!(int_of(text), None, "{text:?}");
        }
        assert_eq!(flag_of("T"), Some(true));
        assert_eq!(flag_of("yes"), None);
    }

    #[test]
    fn refuses_wrong_values_by_name() {
        let cat = commands::find("cat").unwrap();
        let make = |name: &str, value: &str| {
            Request::new(cat, vec!["x".into()], [(name.to_owned(), value.to_owned())])
        };
        let refused = make("offset", "two").unwrap_err();
        assert!(refused.message().contains("\"offset\""), "{refused}");
        assert_eq!(make("o", "7").unwrap().int("offset"), Some(7), "short names count");
        assert!(make("never-heard-of", "1").unwrap().given().is_empty());
        let none = Request::new(cat, vec![], []).unwrap().check_arguments().unwrap_err();
        assert!(none.message().contains("ipfs-path"), "{none}");
    }
}

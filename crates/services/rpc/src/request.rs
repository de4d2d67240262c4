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
use cairn_runtime::duration_of;
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
        let texts = || self.command.arguments.iter().filter(|a| a.kind != ArgumentKind::File);
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

/// Reads a number as Go's `ParseInt` does: decimal, or with a prefix (`0x`, `0o`, `0b`, `0`), and
/// then with underscores between the digits, too.
fn int_of(text: &str) -> Option<i64> {
    let (sign, number) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (&text[..1], rest),
        None => ("", text),
    };
    let prefix = number.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (digits, radix) = match prefix.as_str() {
        "0x" => (&number[2..], 16),
        "0o" => (&number[2..], 8),
        "0b" => (&number[2..], 2),
        _ if number.starts_with('0') && number.len() > 1 => (&number[1..], 8),
        _ => (number, 10),
    };
    let mut plain = String::with_capacity(text.len());
    plain.push_str(if sign == "-" { sign } else { "" });
    // An underscore stands after the prefix or a digit, and before a digit.
    let mut may_part = radix != 10;
    for c in digits.chars() {
        match c {
            '_' if may_part => may_part = false,
            c if c.is_digit(radix) => {
                plain.push(c);
                may_part = radix != 10;
            }
            _ => return None,
        }
    }
    if digits.ends_with('_') {
        return None;
    }
    i64::from_str_radix(&plain, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::{Request, flag_of, int_of};
    use crate::commands;

    #[test]
    fn reads_numbers_and_switches() {
        let rows = [
            ("12", Some(12)),
            ("-1", Some(-1)),
            ("0644", Some(0o644)),
            ("0x10", Some(16)),
            ("0", Some(0)),
            ("+5", Some(5)),
            ("0b101", Some(5)),
            ("0XfF", Some(255)),
            ("0o17", Some(15)),
            ("0x_1_2", Some(0x12)),
            ("0_7", Some(7)),
            ("-0x8000000000000000", Some(i64::MIN)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775807", Some(i64::MAX)),
        ];
        for (text, expected) in rows {
            assert_eq!(int_of(text), expected, "{text:?}");
        }
        let refused = [
            "",
            "x",
            "1.5",
            "--1",
            "+-1",
            "9999999999999999999",
            "-",
            "0x",
            "0x_",
            "1_000",
            "08",
            "0x1__2",
            "0x1_",
            "_1",
            "0b2",
            "0x-1",
            "9223372036854775808",
            "\u{661}",
        ];
        for text in refused {
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

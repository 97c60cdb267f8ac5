//! Reading what strace wrote: every call of every thread, when it was entered and when it left.

use std::collections::HashMap;

/// One end of one system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub thread: u32,
    pub name: String,
    /// As strace prints them, with strings in hexadecimal.
    pub arguments: String,
    /// `None` on entering; what it returned (negative: it failed) on leaving. A call that never
    /// came back only enters.
    pub result: Option<i64>,
}

/// All calls of a log in order. Anything that cannot be read is an error: nothing may be missed.
pub(super) fn parse(log: &str) -> Result<Vec<Call>, String> {
    let mut calls = Vec::new();
    let mut unfinished = HashMap::new();
    for line in log.lines() {
        let parsed = parse_line(line, &mut unfinished, &mut calls);
        parsed.ok_or_else(|| format!("cannot read this line of strace: {}", shortened(line)))?;
    }
    Ok(calls)
}

fn parse_line<'a>(
    line: &'a str,
    unfinished: &mut HashMap<u32, (&'a str, &'a str)>,
    calls: &mut Vec<Call>,
) -> Option<()> {
    let (thread, rest) = line.split_once(' ')?;
    let (thread, rest) = (thread.parse::<u32>().ok()?, rest.trim_start());
    if rest.starts_with("+++ ") || rest.starts_with("--- ") {
        return Some(());
    }
    if let Some(resumed) = rest.strip_prefix("<... ") {
        let (name, tail) = resumed.split_once(" resumed>")?;
        let (entered, head) = unfinished.remove(&thread)?;
        let whole = format!("{head}{tail}");
        let (arguments, result) = ended(&whole)?;
        calls.push(Call { thread, name: name.into(), arguments: arguments.into(), result });
        return (entered == name).then_some(());
    }
    let (name, rest) = rest.split_once('(')?;
    let enter = |arguments: &str| Call {
        thread,
        name: name.into(),
        arguments: arguments.into(),
        result: None,
    };
    if let Some(head) = rest.strip_suffix("<unfinished ...>") {
        calls.push(enter(head.trim_end()));
        return unfinished.insert(thread, (name, head)).is_none().then_some(());
    }
    let (arguments, result) = ended(rest)?;
    calls.push(enter(arguments));
    calls.push(Call { result, ..enter(arguments) });
    Some(())
}

/// The arguments and the result of `arguments) = result …`.
fn ended(text: &str) -> Option<(&str, Option<i64>)> {
    let (arguments, result) = text.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?.trim_end();
    if result.starts_with('?') {
        return Some((arguments, None));
    }
    let end = result.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(result.len());
    Some((arguments, Some(result[..end].parse().ok()?)))
}

impl Call {
    /// The argument at a place, of a call that takes no structures.
    pub(super) fn argument(&self, place: usize) -> Result<&str, String> {
        let argument = self.arguments.split(", ").nth(place);
        argument.ok_or_else(|| format!("{} without argument {place}", self.name))
    }

    /// A string or buffer, which strace must not have cut short.
    pub(super) fn bytes(&self, place: usize) -> Result<Vec<u8>, String> {
        let text = self.argument(place)?;
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.and_then(unhex).ok_or_else(|| format!("{}: {} is cut", self.name, shortened(text)))
    }

    /// A path or name.
    pub(super) fn text(&self, place: usize) -> Result<String, String> {
        String::from_utf8(self.bytes(place)?).map_err(|error| error.to_string())
    }

    /// A file descriptor, or `None` for the working directory.
    pub(super) fn descriptor(&self, place: usize) -> Result<Option<i64>, String> {
        let text = self.argument(place)?;
        let number = text.split('<').next().unwrap_or_default();
        if number == "AT_FDCWD" {
            return Ok(None);
        }
        number.parse().map(Some).map_err(|_| format!("{}: {text} is no descriptor", self.name))
    }

    pub(super) fn number(&self, place: usize) -> Result<u64, String> {
        let text = self.argument(place)?;
        text.parse().map_err(|_| format!("{}: {text} is no number", self.name))
    }

    /// Whether a path or descriptor of the call is at or below this one.
    pub(super) fn mentions(&self, path_in_hex: &str) -> bool {
        self.arguments.contains(path_in_hex)
    }
}

/// What strace makes of a path or buffer.
pub(super) fn hex(text: &str) -> String {
    text.bytes().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).map(char::from).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    for group in text.as_bytes().chunks(4) {
        let &[b'\\', b'x', high, low] = group else { return None };
        let digit = |c: u8| char::from(c).to_digit(16);
        bytes.push((digit(high)? * 16 + digit(low)?) as u8);
    }
    Some(bytes)
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

#[test]
fn calls_are_put_together_from_what_threads_interleave() {
    let log = "7  close(3<\\x2f> <unfinished ...>\n\
               8  pwrite64(4<\\x2f\\x61>, \"\\x61\\x00\", 2, 512)   = 2\n\
               7  <... close resumed>)              = -1 EBADF (Bad file descriptor)\n\
               8  exit_group(0)                     = ?\n\
               8  +++ exited with 0 +++\n";
    let calls = parse(log).unwrap();
    let ends: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.result)).collect();
    assert_eq!(
        ends,
        [
            ("close", None),
            ("pwrite64", None),
            ("pwrite64", Some(2)),
            ("close", Some(-1)),
            ("exit_group", None),
            ("exit_group", None),
        ]
    );
    assert_eq!(calls[3].arguments, "3<\\x2f>");
    assert_eq!(calls[2].descriptor(0), Ok(Some(4)));
    assert_eq!(calls[2].bytes(1), Ok(vec![b'a', 0]));
    assert_eq!(calls[2].number(3), Ok(512));
    assert!(calls[2].mentions(&hex("/a")) && !calls[2].mentions(&hex("/b")));
}

#[test]
fn a_line_or_a_buffer_that_is_not_whole_is_an_error() {
    assert!(parse("7  <... close resumed>) = 0\n").is_err());
    assert!(parse("strace: something odd\n").is_err());
    let cut = parse("7  write(3<\\x61>, \"\\x61\"..., 9) = 9\n").unwrap();
    assert!(cut[1].bytes(1).is_err());
}

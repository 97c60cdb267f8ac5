//! What goes to the terminal: written without a panic, and harmless to it.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use rustix::termios::tcgetwinsize;

use super::Exit;

/// Writes to standard output. Whoever reads may have seen enough (`| head`): that is no failure.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    ended_early_is_fine(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints the outcome of a command that ends with `exit` then, or with a failure where standard
/// output cannot be written.
pub(super) fn printed(command: &str, text: &str, exit: Exit) -> Exit {
    match print(text) {
        Ok(()) => exit,
        Err(error) => {
            tell(format_args!("holdfast {command}: {}", unwritable(&error)));
            Exit::Failure
        }
    }
}

/// What is said where standard output cannot be written.
pub(super) fn unwritable(error: &io::Error) -> String {
    format!("standard output cannot be written: {error}")
}

/// Writes a line to standard error.
pub(super) fn tell(line: impl fmt::Display) {
    // Where even this cannot be written, there is nobody left to be told.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Takes it for success if the reader of standard output went away.
pub(super) fn ended_early_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The width of the terminal; `None` where standard output is none.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = tcgetwinsize(&stdout).ok()?.ws_col;
    (columns > 0).then_some(usize::from(columns))
}

/// Text of unknown origin with everything escaped that a terminal would act upon.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            // Direction marks would change the order of what is around them.
            '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(letter.escape_unicode());
            }
            _ if letter.is_control() => out.extend(letter.escape_default()),
            _ => out.push(letter),
        }
    }
    out
}

/// Cuts a line to a width.
pub(super) fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if line.chars().count() > width => {
            let kept: String = line.chars().take(width.saturating_sub(1)).collect();
            kept + "…"
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_escaped() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc\u{202e}d é"), "a\\u{1b}[2Jb\\nc\\u{202e}d é");
    }

    #[test]
    fn a_line_is_cut_to_the_terminal_only() {
        assert_eq!(cut("abcdef", Some(4)), "abc…");
        assert_eq!(cut("abcd", Some(4)), "abcd");
        assert_eq!(cut("abcdef", None), "abcdef");
    }
}

//! Text in columns.

/// The columns of a line, trimmed and without their quotes; `None` if a quote is not closed.
///
/// A `separator` of a blank stands for any run of blanks. In a quoted column a doubled quote
/// stands for one (RFC 4180, section 2.7).
pub fn columns(line: &str, separator: char) -> Option<Vec<String>> {
    if separator == ' ' {
        return Some(line.split_whitespace().map(str::to_owned).collect());
    }
    let mut columns = Vec::new();
    let mut rest = line;
    loop {
        let (column, after) = if let Some(quoted) = rest.trim_start().strip_prefix('"') {
            quoted_column(quoted, separator)?
        } else {
            let end = rest.find(separator).unwrap_or(rest.len());
            (rest[..end].trim().to_owned(), rest[end..].strip_prefix(separator))
        };
        columns.push(column);
        match after {
            Some(after) => rest = after,
            None => return Some(columns),
        }
    }
}

/// The column whose opening quote was just before `text`, and what follows its separator.
fn quoted_column(text: &str, separator: char) -> Option<(String, Option<&str>)> {
    let mut column = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        column.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                column.push('"');
                rest = after;
            }
            None => break,
        }
    }
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() && c != separator);
    match rest.strip_prefix(separator) {
        Some(after) => Some((column, Some(after))),
        None => rest.is_empty().then_some((column, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_split_trimmed_and_unquoted() {
        assert_eq!(columns("1, 2.5 ,,x", ',').unwrap(), ["1", "2.5", "", "x"]);
        assert_eq!(columns(r#""a, ""b""" ,"NAN",3"#, ',').unwrap(), [r#"a, "b""#, "NAN", "3"]);
        assert_eq!(columns("  1   2\t3 ", ' ').unwrap(), ["1", "2", "3"]);
        assert_eq!(columns("1\t\t3", '\t').unwrap(), ["1", "", "3"]);
        assert_eq!(columns("", ',').unwrap(), [""]);
    }

    #[test]
    fn a_quote_that_is_not_closed_makes_the_line_garbled() {
        assert_eq!(columns(r#"1,"2"#, ','), None);
        assert_eq!(columns(r#"1,"2"3,4"#, ','), None);
    }
}

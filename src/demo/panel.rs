//! How things stand, as text.

use super::{check::Account, front::Line};

/// Columns of the bar that stands for what waits.
const BAR_COLUMNS: u64 = 30;
/// Waiting messages per column of the bar.
const MESSAGES_PER_COLUMN: u64 = 50;

/// Sources in one line, so that it fits in a terminal of eighty columns.
const SOURCES_PER_LINE: usize = 3;

/// How the output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The panel is drawn in place.
    pub animated: bool,
    /// Colours may be used.
    pub coloured: bool,
}

/// How things stand at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Panel {
    /// The line to the cloud.
    pub line: Option<Line>,
    /// Whether the gateway is connected to the cloud.
    pub connected: bool,
    /// The gateway's process, if it runs.
    pub gateway: Option<i32>,
    /// Samples acknowledged to the sensors.
    pub acknowledged: u64,
    /// Samples the sensors still hold.
    pub held: u64,
    /// Messages that arrived at the cloud, by source.
    pub arrived: Vec<(String, u64)>,
    /// Samples acknowledged and not yet at the cloud.
    pub waiting: u64,
}

#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Panel {
    /// The panel in one line, for a pipe.
    pub fn line(&self) -> String {
        let total: u64 = self.arrived.iter().map(|(_, count)| count).sum();
        format!(
            "uplink {}, gateway {}, acknowledged {}, waiting {}, at the cloud {}",
            self.uplink().0,
            self.process().0,
            self.acknowledged,
            self.waiting,
            total,
        )
    }

    /// The panel as it is drawn.
    pub fn lines(&self, style: Style) -> Vec<String> {
        let (uplink, uplink_colour) = self.uplink();
        let (process, process_colour) = self.process();
        let columns = self.waiting.div_ceil(MESSAGES_PER_COLUMN).min(BAR_COLUMNS) as usize;
        let bar = paint(style, Colour::Yellow, &"█".repeat(columns));
        let mut lines = vec![
            String::new(),
            format!("    uplink    {}", paint(style, uplink_colour, &uplink)),
            format!("    gateway   {}", paint(style, process_colour, &process)),
            format!("    sensors   {} acknowledged, {} held back", self.acknowledged, self.held),
            format!("    queue     {} waiting {bar}", self.waiting),
        ];
        for (row, sources) in self.arrived.chunks(SOURCES_PER_LINE).enumerate() {
            let label = if row == 0 { "cloud" } else { "" };
            let sources: Vec<String> =
                sources.iter().map(|(source, count)| format!("{source} {count}")).collect();
            lines.push(format!("    {label:<9} {}", sources.join(", ")));
        }
        lines
    }

    fn uplink(&self) -> (String, Colour) {
        match (self.line, self.connected) {
            (Some(Line::Open), true) => ("connected".to_owned(), Colour::Green),
            (Some(Line::Silent), _) => ("cut (silent)".to_owned(), Colour::Red),
            (Some(Line::Down), _) => ("cut (refused)".to_owned(), Colour::Red),
            (Some(Line::Open), false) | (None, _) => ("not connected".to_owned(), Colour::Yellow),
        }
    }

    fn process(&self) -> (String, Colour) {
        match self.gateway {
            Some(pid) => (format!("running as process {pid}"), Colour::Green),
            None => ("not running".to_owned(), Colour::Red),
        }
    }
}

/// The final table; its header is the ledger's equation.
pub fn table(accounts: &[Account]) -> Vec<String> {
    let header = [
        "source",
        "acked",
        "accepted",
        "= delivered",
        "+ queued",
        "+ expired",
        "+ evicted",
        "+ damaged",
        "at cloud",
        "duplicates",
        "lost",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(accounts.iter().map(|account| {
        let entry = &account.entry;
        [
            entry.source.clone(),
            account.acknowledged.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            entry.accepted.to_string(),
            entry.delivered.to_string(),
            entry.queued.to_string(),
            entry.expired.to_string(),
            entry.evicted.to_string(),
            entry.damaged.to_string(),
            account.arrived.to_string(),
            account.duplicates.to_string(),
            account.lost.to_string(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("  {}", cells.collect::<Vec<_>>().join("  "))
        })
        .collect()
}

fn paint(style: Style, colour: Colour, text: &str) -> String {
    if style.coloured && !text.is_empty() {
        format!("\x1b[{}m{text}\x1b[0m", colour as u8)
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        Panel {
            line: Some(Line::Silent),
            connected: true,
            gateway: Some(17),
            acknowledged: 120,
            held: 3,
            arrived: vec![("w1".to_owned(), 20), ("w2".to_owned(), 30)],
            waiting: 70,
        }
    }

    #[test]
    fn the_line_for_a_pipe_says_everything_in_words() {
        assert_eq!(
            panel().line(),
            "uplink cut (silent), gateway running as process 17, acknowledged 120, waiting 70, \
             at the cloud 50"
        );
    }

    #[test]
    fn no_colour_means_no_escape_sequence() {
        let lines = panel().lines(Style { animated: true, coloured: false });
        assert!(lines.iter().all(|line| !line.contains('\x1b')), "{lines:?}");
        let lines = panel().lines(Style { animated: true, coloured: true });
        assert!(lines.iter().any(|line| line.contains("\x1b[31mcut (silent)\x1b[0m")), "{lines:?}");
    }

    #[test]
    fn a_backlog_of_any_size_fits_in_the_bar() {
        let lines =
            Panel { waiting: u64::MAX, ..panel() }.lines(Style { animated: true, coloured: false });
        let bar = lines.iter().map(|line| line.matches('█').count()).max();
        assert_eq!(bar, Some(BAR_COLUMNS as usize));
    }
}

//! `holdfast ledger`

use clap::Args;

use super::{
    Exit,
    queue::{FolderArgs, Stopped},
    terminal::print,
};
use crate::queue::{Counts, Ledger};

/// Options of `holdfast ledger`.
#[derive(Debug, Args)]
pub(super) struct LedgerArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn ledger(args: &LedgerArgs) -> Exit {
    show(args).unwrap_or_else(|stopped| stopped.told("ledger"))
}

fn show(args: &LedgerArgs) -> Result<Exit, Stopped> {
    let ledger = args.folder.open()?.ledger()?;
    let text = if args.json {
        let json = serde_json::to_string(&ledger).expect("a ledger holds only names and counts");
        json + "\n"
    } else {
        table(&ledger)
    };
    print(&text).map_err(Stopped::output)?;
    Ok(if ledger.balances() { Exit::Success } else { Exit::PromiseBroken })
}

/// The ledger as a table, one line per source and a sum per stream.
pub(crate) fn table(ledger: &Ledger) -> String {
    let head = [
        "stream",
        "source",
        "accepted",
        "delivered",
        "queued",
        "expired",
        "evicted",
        "damaged",
        "refused",
        "balance",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for stream in &ledger.streams {
        for source in &stream.sources {
            rows.push(row(&stream.stream, &source.source, &source.counts));
        }
        rows.push(row(&stream.stream, "(all)", &stream.total));
    }
    let verdict = if ledger.balances() { "balances" } else { "DOES NOT BALANCE" };
    super::table::table(&rows, 2)
        + "accepted = delivered + queued + expired + evicted + damaged: "
        + verdict
        + "\n"
}

fn row(stream: &str, source: &str, counts: &Counts) -> Vec<String> {
    vec![
        stream.to_owned(),
        source.to_owned(),
        counts.accepted.to_string(),
        counts.delivered.to_string(),
        counts.queued.to_string(),
        counts.expired.to_string(),
        counts.evicted.to_string(),
        counts.damaged.to_string(),
        counts.refused.values().sum::<u64>().to_string(),
        (if counts.balances() { "ok" } else { "NOT" }).to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{SourceLedger, StreamLedger};

    #[test]
    fn the_table_says_whether_the_ledger_balances() {
        let counts = Counts { accepted: 3, delivered: 2, queued: 1, ..Counts::default() };
        let stream = StreamLedger {
            stream: "telemetry".into(),
            total: counts.clone(),
            next_sequence: 3,
            sources: vec![SourceLedger { source: "wx-1".into(), counts }],
        };
        let mut ledger = Ledger { streams: vec![stream] };
        assert!(table(&ledger).ends_with(": balances\n"), "{}", table(&ledger));
        ledger.streams[0].sources[0].counts.delivered = 1;
        assert!(table(&ledger).ends_with(": DOES NOT BALANCE\n"));
    }
}

//! Starting the demo, and ending it however it ends.

use std::path::PathBuf;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{folder::Folder, panel, screen::Screen, script};

/// What a sensor measures per second if nothing else is said.
pub const DEFAULT_SAMPLES_PER_SECOND: u32 = 50;

/// What can be chosen about a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Samples per second and sensor; at least 1.
    pub samples_per_second: u32,
    /// Keep the run's folder even if all went well.
    pub keep: bool,
    /// The program that is run as the gateway; this one if left out.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { samples_per_second: DEFAULT_SAMPLES_PER_SECOND, keep: false, program: None }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every promise was kept.
    Kept,
    /// At least one was not; the output says which, and what was seen.
    Broken,
    /// Somebody stopped it.
    Interrupted,
}

/// Runs the demo. An error means that the run itself failed: no port, no certificate, a gateway
/// that does not start or that ended by itself. Its folder is then kept and named on the screen.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let program = match options.program.clone() {
        Some(program) => program,
        None => std::env::current_exe().context("cannot tell which program this is")?,
    };
    let mut folder = Folder::create().context("cannot make a folder for the run")?;
    let mut screen = Screen::open();
    let played = tokio::select! {
        played = script::play(&options, program, folder.path(), &mut screen) => played.map(Some),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
        _ = hangup.recv() => Ok(None),
    };
    screen.clear().await;
    let verdict = match played {
        Ok(Some(result)) => {
            let ended = if result.broken.is_empty() { Verdict::Kept } else { Verdict::Broken };
            for line in summary(&result) {
                screen.print(line).await;
            }
            Ok(ended)
        }
        Ok(None) => {
            screen.say("interrupted: the gateway is ended and everything removed").await;
            Ok(Verdict::Interrupted)
        }
        Err(error) => Err(error),
    };
    if options.keep || matches!(verdict, Ok(Verdict::Broken) | Err(_)) {
        folder.keep();
        screen.print(format!("The run's folder is kept: {}", folder.path().display())).await;
    }
    screen.close().await;
    verdict
}

fn summary(result: &script::Played) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(panel::table(&result.accounts));
    lines.push(String::new());
    if result.broken.is_empty() {
        let sum = |count: fn(&super::check::Account) -> u64| -> u64 {
            result.accounts.iter().map(count).sum()
        };
        lines.push(format!(
            "Every promise was kept: {} accepted, {} acknowledged to the sensors and each found at \
             the cloud, {} duplicates, {} lost.",
            sum(|account| account.entry.accepted),
            sum(|account| account.acknowledged.unwrap_or(0)),
            sum(|account| account.duplicates),
            sum(|account| account.lost),
        ));
    } else {
        lines.push("Not every promise was kept:".to_owned());
        lines.extend(result.broken.iter().map(|broken| format!("  - {broken}")));
    }
    lines
}

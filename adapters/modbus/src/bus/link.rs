//! Keeps the port or connection open.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Parity},
    counters::Tallies,
    line::{Line, Open, Pace},
    owed::Owed,
};

/// The pause after the first failed attempt to open; it doubles.
const REOPEN_PAUSE_MIN: Duration = Duration::from_millis(500);

/// The longest pause between two attempts.
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A port or connection that is open, or is to be opened again.
#[derive(Debug)]
pub(super) struct Link {
    opener: Box<dyn Open>,
    settings: Settings,
    tallies: Arc<Tallies>,
    line: Option<Line>,
    /// What each unit owes. Two devices of the configuration may share a unit.
    owed: BTreeMap<u8, Owed>,
    /// Why it cannot be opened, as long as that is so.
    lost: Option<String>,
    reopen_at: Instant,
    reopen_pause: Duration,
    pub(super) stop: CancellationToken,
}

#[derive(Debug, Clone)]
struct Settings {
    serial: bool,
    pace: Pace,
    response_timeout: Duration,
    late_grace: Duration,
    echo: bool,
}

/// The port or connection cannot be used for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Down;

impl Link {
    pub(super) fn new(config: &Config, opener: Box<dyn Open>, tallies: Arc<Tallies>) -> Self {
        // A start bit comes before the data bits.
        let parity_bits = u32::from(config.parity != Parity::None);
        let bits = 1 + u32::from(config.data_bits) + parity_bits + u32::from(config.stop_bits);
        let settings = Settings {
            serial: config.host.is_none(),
            pace: Pace::serial(config.baud, bits),
            response_timeout: config.response_timeout,
            late_grace: config.late_grace,
            echo: config.echo,
        };
        Self {
            opener,
            settings,
            tallies,
            line: None,
            owed: BTreeMap::new(),
            lost: None,
            reopen_at: Instant::now(),
            reopen_pause: REOPEN_PAUSE_MIN,
            stop: CancellationToken::new(),
        }
    }

    /// What is opened, for messages.
    pub(super) fn describe(&self) -> &str {
        self.opener.describe()
    }

    /// Why it cannot be used, if it cannot.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// When to try to open it again, if it is lost.
    pub(super) fn reopen_at(&self) -> Option<Instant> {
        self.lost.is_some().then_some(self.reopen_at)
    }

    /// The answers a unit owes.
    pub(super) fn owed(&mut self, unit: u8) -> &mut Owed {
        self.owed.entry(unit).or_default()
    }

    /// The open line; opens it if it is time to.
    pub(super) async fn line(&mut self) -> Result<&mut Line, Down> {
        if let Some(line) = &mut self.line
            && line.is_spoilt().await
        {
            self.line = None;
        }
        if self.line.is_none() {
            if Instant::now() < self.reopen_at {
                return Err(Down);
            }
            self.open().await?;
        }
        self.line.as_mut().ok_or(Down)
    }

    async fn open(&mut self) -> Result<(), Down> {
        let opened = tokio::select! {
            opened = self.opener.open() => opened,
            () = self.stop.cancelled() => return Err(Down),
        };
        let Settings { serial, pace, response_timeout, late_grace, echo } = self.settings;
        let opened = match opened {
            Ok(io) if serial => {
                let mut line = Line::rtu(io, pace, response_timeout, echo);
                // An answer to whoever used the port before us may still be under way.
                line.quarantine(late_grace).await.map(|_| line)
            }
            Ok(io) => Ok(Line::tcp(io, response_timeout)),
            Err(error) => Err(error),
        };
        match opened {
            Ok(line) => {
                self.tallies.bus.opened.add(1_u64);
                if self.lost.take().is_some() {
                    tracing::info!(line = self.describe(), "open again");
                }
                self.line = Some(line);
                self.reopen_pause = REOPEN_PAUSE_MIN;
                Ok(())
            }
            Err(error) => {
                self.tallies.bus.open_failures.add(1_u64);
                self.lose(&error);
                Err(Down)
            }
        }
    }

    /// The line failed. A connection is made anew at once, a port is given time to come back.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.tallies.bus.losses.add(1_u64);
        self.line = None;
        if self.settings.serial {
            self.lose(error);
        }
    }

    fn lose(&mut self, error: &io::Error) {
        if self.lost.is_none() {
            tracing::warn!(line = self.describe(), %error, "lost; its devices are offline");
        }
        self.lost = Some(error.to_string());
        self.reopen_at = Instant::now() + self.reopen_pause;
        self.reopen_pause = (self.reopen_pause * 2).min(REOPEN_PAUSE_MAX);
    }

    /// After an answer that did not come or was damaged: makes sure that what may still come
    /// disturbs nobody.
    pub(super) async fn recover(&mut self) {
        let Some(line) = &mut self.line else { return };
        if !line.is_serial() {
            self.line = None;
            return;
        }
        match line.quarantine(self.settings.late_grace).await {
            Ok(bytes) => self.tallies.bus.late_bytes.add(bytes),
            Err(error) => self.fail(&error),
        }
    }
}

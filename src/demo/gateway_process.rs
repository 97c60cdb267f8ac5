//! The gateway, as a process of its own: started, killed, stopped, asked for its ledger.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::{
    process::{Child, Command},
    time::{self, Instant},
};

#[cfg(test)]
mod tests;

/// How long the gateway may take until its doors are open.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to stop when asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long `holdfast ledger` may take.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(25);
/// How much of the end of its log is shown when it failed.
const LOG_LINES_SHOWN: usize = 12;

/// What went wrong with the gateway's process.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// It could not be started, signalled or waited for, or its files could not be used.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// It ended though nobody asked it to.
    #[error("the gateway ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It runs, but its doors did not open.
    #[error(
        "the gateway did not open its doors within {START_TIMEOUT:?}; the end of its log:\n{log}"
    )]
    Closed {
        /// The end of its log.
        log: String,
    },
    /// It did not stop.
    #[error(
        "the gateway did not stop within {STOP_TIMEOUT:?} of SIGTERM; the end of its log:\n{log}"
    )]
    Unstoppable {
        /// The end of its log.
        log: String,
    },
    /// It stopped, but not well.
    #[error("the gateway did not stop cleanly on SIGTERM ({status}); the end of its log:\n{log}")]
    Unclean {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// `holdfast ledger` failed.
    #[error("`holdfast ledger` failed ({status}): {stderr}")]
    Ledger {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// `holdfast ledger` did not end.
    #[error("`holdfast ledger` did not end within {LEDGER_TIMEOUT:?}")]
    LedgerTimeout,
}

/// Where the gateway's files are.
#[derive(Debug, Clone)]
pub struct Site {
    /// The program.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Its data.
    pub data_dir: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
}

/// A running gateway; it is killed when this is dropped.
#[derive(Debug)]
pub struct GatewayProcess {
    child: Child,
    pid: Pid,
    log: PathBuf,
    listeners: Vec<SocketAddr>,
}

impl Site {
    /// Starts the gateway and waits until its doors are open.
    pub async fn start(&self) -> Result<GatewayProcess, GatewayError> {
        let listeners_file = self.data_dir.join("listeners.json");
        match fs::remove_file(&listeners_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("cannot remove the last run's listeners.json")(error));
            }
            _ => {}
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let child = Command::new(&self.program)
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.map_err(failed("cannot open the gateway's log"))?)
            // Out of the terminal's group: Ctrl-C is for the demo, which then ends the gateway.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed("cannot start the gateway"))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
        let pid = pid.ok_or_else(|| {
            failed("cannot start the gateway")(io::Error::other("it has no process id"))
        })?;
        let mut gateway =
            GatewayProcess { child, pid, log: self.log.clone(), listeners: Vec::new() };
        gateway.await_listeners(&listeners_file).await?;
        Ok(gateway)
    }

    /// The ledger of a gateway that has stopped, as JSON.
    pub async fn ledger(&self) -> Result<Vec<u8>, GatewayError> {
        let output = Command::new(&self.program)
            .arg("ledger")
            .arg("--config")
            .arg(&self.config)
            .arg("--json")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = time::timeout(LEDGER_TIMEOUT, output)
            .await
            .map_err(|_| GatewayError::LedgerTimeout)?
            .map_err(failed("cannot run `holdfast ledger`"))?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(GatewayError::Ledger { status: output.status, stderr })
        }
    }
}

impl GatewayProcess {
    /// The addresses of its doors, in the order of its configuration.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// An error if it ended though nobody asked it to.
    pub fn expect_alive(&mut self) -> Result<(), GatewayError> {
        match self.child.try_wait().map_err(failed("cannot watch the gateway"))? {
            None => Ok(()),
            Some(status) => Err(GatewayError::Ended { status, log: log_end(&self.log) }),
        }
    }

    /// Kills it with SIGKILL: no handler runs, nothing is flushed.
    pub async fn kill(mut self) -> Result<ExitStatus, GatewayError> {
        self.expect_alive()?;
        kill_process(self.pid, Signal::KILL)
            .map_err(|errno| failed("cannot kill the gateway")(errno.into()))?;
        self.child.wait().await.map_err(failed("cannot wait for the gateway"))
    }

    /// Stops it with SIGTERM and waits until it has ended well.
    pub async fn stop(mut self) -> Result<(), GatewayError> {
        self.expect_alive()?;
        kill_process(self.pid, Signal::TERM)
            .map_err(|errno| failed("cannot stop the gateway")(errno.into()))?;
        let Ok(status) = time::timeout(STOP_TIMEOUT, self.child.wait()).await else {
            return Err(GatewayError::Unstoppable { log: log_end(&self.log) });
        };
        let status = status.map_err(failed("cannot wait for the gateway"))?;
        if status.success() {
            Ok(())
        } else {
            Err(GatewayError::Unclean { status, log: log_end(&self.log) })
        }
    }

    async fn await_listeners(&mut self, file: &Path) -> Result<(), GatewayError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            self.expect_alive()?;
            // Not there yet, or half written: look again.
            if let Ok(json) = fs::read(file)
                && let Ok(listeners) = serde_json::from_slice::<Vec<SocketAddr>>(&json)
                && !listeners.is_empty()
            {
                self.listeners = listeners;
                return Ok(());
            }
            time::sleep(POLL).await;
        }
        Err(GatewayError::Closed { log: log_end(&self.log) })
    }
}

fn failed(context: &str) -> impl FnOnce(io::Error) -> GatewayError {
    let context = context.to_owned();
    move |source| GatewayError::Io { context, source }
}

fn log_end(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_else(|error| format!("(cannot be read: {error})"));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

//! The gateway under test: the real binary, with a folder of its own.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use super::{
    fleet::Address,
    ledger::Ledger,
    process::Process,
    wait::{wait_for, wait_until},
};

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const LOG_LIMIT: Duration = Duration::from_secs(30);

/// How much of the log a failed test shows.
const LOG_TAIL_LINES: usize = 40;

/// The gateway's id in every test.
pub const GATEWAY_ID: &str = "gw-test";

/// The binary under test.
pub fn holdfast() -> PathBuf {
    std::env::var_os("HOLDFAST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_holdfast").into()).into()
}

/// A gateway; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    folder: PathBuf,
    process: Option<Process>,
    /// Its listeners, in the order of the configuration.
    pub listeners: Vec<SocketAddr>,
    /// Its first listener, for devices that follow it over restarts.
    pub address: Address,
}

impl Gateway {
    /// A gateway that keeps everything in `folder`. It has one anonymous listener on loopback and
    /// the route `sensors/#` to `telemetry`; `sections` is the rest of its configuration.
    pub fn new(folder: &Path, sections: &str) -> Self {
        let mut config = format!(
            "[gateway]\nid = \"{GATEWAY_ID}\"\ndata_dir = \"{}\"\n",
            folder.join("data").display()
        );
        config += "\n[[listener]]\nbind = \"127.0.0.1:0\"\n";
        config += "\n[[route]]\nfrom = \"sensors/#\"\nstream = \"telemetry\"\n";
        write!(config, "\n{sections}\n").expect("a String takes everything");
        Self::with_config(folder, &config)
    }

    /// A gateway with exactly this configuration.
    pub fn with_config(folder: &Path, config: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for the gateway");
        std::fs::write(folder.join("holdfast.toml"), config).expect("a configuration");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        Self {
            folder: folder.to_owned(),
            process: None,
            listeners: Vec::new(),
            address: Address::new(nowhere),
        }
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("holdfast.toml")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_without_waiting();
        self.wait_listening();
    }

    /// Starts it.
    #[track_caller]
    pub fn start_without_waiting(&mut self) {
        assert!(self.process.is_none(), "the gateway runs already");
        // What a killed gateway left there must not be taken for the new one's.
        let _ = std::fs::remove_file(self.data().join("listeners.json"));
        let mut command = Command::new(holdfast());
        command.arg("run").arg("--config").arg(self.config());
        let log = self.folder.join("gateway.log");
        self.process = Some(Process::spawn("holdfast", &mut command, &log));
    }

    /// Waits until it listens.
    #[track_caller]
    pub fn wait_listening(&mut self) {
        let file = self.data().join("listeners.json");
        let process = self.process.as_mut().expect("a started gateway");
        self.listeners = wait_for("the gateway listens", START_LIMIT, || {
            process.expect_running();
            serde_json::from_slice(&std::fs::read(&file).ok()?).ok()
        });
        self.address.set(*self.listeners.first().expect("a listener"));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.take().expect("the gateway runs").kill();
    }

    /// SIGTERM; panics unless it ends well and in time.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the gateway runs");
        let status = process.terminate(STOP_LIMIT);
        assert!(status.success(), "the gateway stopped with {status}:\n{}", process.output());
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the gateway runs").id()
    }

    /// Panics with the log if it has ended.
    #[track_caller]
    pub fn expect_running(&mut self) {
        self.process.as_mut().expect("the gateway runs").expect_running();
    }

    /// Everything it has logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default()
    }

    /// Waits until its log holds a line with all of these words (in any case).
    #[track_caller]
    pub fn wait_logged(&self, words: &[&str]) -> String {
        wait_for(&format!("a line with {words:?} in the log"), LOG_LIMIT, || {
            let log = self.log();
            let mut lines = log.lines().map(str::to_lowercase);
            lines.find(|line| words.iter().all(|word| line.contains(&word.to_lowercase())))
        })
    }

    /// Runs another command of the binary on the same configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(holdfast());
        command.args(arguments).arg("--config").arg(self.config());
        command.output().expect("the binary can be run")
    }

    /// The ledger, of the running gateway or of what it left.
    #[track_caller]
    pub fn ledger(&self) -> Ledger {
        let output = self.command(&["ledger", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "`holdfast ledger` printed no ledger ({error}), {}:\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            )
        })
    }

    /// Waits until the stream has nothing queued, then stops the gateway. Its last ledger, checked.
    #[track_caller]
    pub fn drain_and_stop(&mut self, stream: &str, limit: Duration) -> Ledger {
        wait_until(&format!("the stream {stream} is drained"), limit, || {
            self.expect_running();
            self.ledger().total(stream).queued == 0
        });
        self.stop();
        let ledger = self.ledger();
        ledger.expect_exact();
        ledger
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
            eprintln!("--- the end of the gateway's log\n{tail}\n---");
        }
    }
}

//! Child processes that cannot outlive their test, and ports for those that cannot pick one.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::poll;

/// Below the kernel's ephemeral ports, so that no outgoing connection takes a port from a peer
/// that is down for a moment.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A running child process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, with its output appended to `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("a log file");
        let errors = output.try_clone().expect("a second handle on the log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.is_running() {
            self.child.kill().expect("a child can be killed");
        }
        self.child.wait().expect("a killed child ends");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a running child takes a signal");
    }

    /// SIGTERM, and the status with which it ended; panics if it does not end.
    #[track_caller]
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        if self.is_running() {
            self.signal(Signal::TERM);
        }
        self.wait(limit)
    }

    /// The status with which it ended; panics if it does not end in time.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let ended = poll(limit, || self.child.try_wait().expect("the state of a child"));
        ended.unwrap_or_else(|| {
            panic!("{} did not end within {limit:?}:\n{}", self.name, self.output())
        })
    }

    /// Panics with its output if it has ended.
    #[track_caller]
    pub fn expect_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the state of a child") {
            let how = status.signal().map_or(format!("{status}"), |s| format!("signal {s}"));
            panic!("{} ended ({how}):\n{}", self.name, self.output());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing better to do with an error while a test ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port on loopback that nobody listens on, for a peer that cannot tell which one it picked.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    let offset = (std::process::id() as u16).wrapping_mul(97) % width;
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (offset.wrapping_add(step)) % width;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {} and {}", PORTS.start, PORTS.end);
}

/// The resident memory of a process and its peak, in bytes.
pub fn resident_bytes(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

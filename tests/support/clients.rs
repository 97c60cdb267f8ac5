//! mosquitto_pub and mosquitto_sub, as devices that are not ours.

use std::{ffi::OsStr, net::SocketAddr, path::Path, process::Command, time::Duration};

use super::{process::Process, python::expect_success, wait::wait_until};

const RECEIVE_LIMIT: Duration = Duration::from_secs(20);

/// Publishes with mosquitto_pub and waits until it is done; panics if it fails.
#[track_caller]
pub fn mosquitto_pub<S: AsRef<OsStr>>(broker: SocketAddr, arguments: &[S]) {
    expect_success(client("mosquitto_pub", broker, arguments));
}

/// Whether mosquitto_pub succeeds.
pub fn mosquitto_pub_succeeds<S: AsRef<OsStr>>(broker: SocketAddr, arguments: &[S]) -> bool {
    let output = client("mosquitto_pub", broker, arguments).output();
    output.expect("mosquitto_pub can be run").status.success()
}

/// A running mosquitto_sub.
#[derive(Debug)]
pub struct Subscriber {
    process: Process,
}

impl Subscriber {
    /// Subscribes, and waits for the SUBACK. Each message becomes a line `topic payload`.
    #[track_caller]
    pub fn start(folder: &Path, broker: SocketAddr, arguments: &[&str]) -> Self {
        // Line buffering, because mosquitto_sub keeps what goes to a file to itself for long.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "mosquitto_sub", "-d", "-v"]);
        command.args(to(broker)).args(arguments);
        let log = folder.join(format!("subscriber-{}.log", next_number()));
        let subscriber = Self { process: Process::spawn("mosquitto_sub", &mut command, &log) };
        wait_until("mosquitto_sub is subscribed", RECEIVE_LIMIT, || {
            subscriber.process.output().contains("Subscribed (mid")
        });
        subscriber
    }

    /// The messages so far, as lines `topic payload`.
    pub fn lines(&self) -> Vec<String> {
        let noise = ["Client ", "Subscribed (mid"];
        let output = self.process.output();
        let lines = output.lines().filter(|line| !noise.iter().any(|n| line.starts_with(n)));
        lines.map(str::to_owned).collect()
    }

    /// Waits until this line has come.
    #[track_caller]
    pub fn wait_line(&self, line: &str) {
        wait_until(&format!("mosquitto_sub gets {line:?}"), RECEIVE_LIMIT, || {
            self.lines().iter().any(|got| got == line)
        });
    }
}

fn client<S: AsRef<OsStr>>(program: &str, broker: SocketAddr, arguments: &[S]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["20", program]).args(to(broker)).args(arguments);
    command
}

fn to(broker: SocketAddr) -> [String; 4] {
    ["-h".to_owned(), "localhost".to_owned(), "-p".to_owned(), broker.port().to_string()]
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

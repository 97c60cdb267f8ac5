//! mosquitto, as the cloud and as the bridge that Holdfast is measured against.

use std::{
    fmt::Write as _,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    certificates::{Authority, Identity},
    process::{Process, free_port},
    wait::wait_until,
};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A mosquitto with a configuration of its own; its ports stay the same over restarts.
#[derive(Debug)]
pub struct Mosquitto {
    folder: PathBuf,
    name: String,
    /// The plain port on loopback, open to anybody.
    pub plain: SocketAddr,
    /// The TLS port where there is one.
    pub tls: Option<SocketAddr>,
    /// The process while it runs.
    pub process: Option<Process>,
}

impl Mosquitto {
    /// A cloud: a TLS listener that requires a certificate of `clients`, and a plain one for the
    /// test's own eyes. Nothing is kept over a restart. `options` go before the listeners.
    pub fn cloud(folder: &Path, server: &Identity, clients: &Authority, options: &str) -> Self {
        let tls = loopback(free_port());
        let mut lines = format!("{options}\nlistener {} 127.0.0.1\n", tls.port());
        for (key, path) in
            [("cafile", &clients.cert), ("certfile", &server.cert), ("keyfile", &server.key)]
        {
            writeln!(lines, "{key} {}", path.display()).expect("a String takes everything");
        }
        lines += "require_certificate true\nuse_identity_as_username true\n\
                  allow_anonymous false\n";
        Self { tls: Some(tls), ..Self::with(folder, "cloud", &lines) }
    }

    /// Any mosquitto: `lines` go into its configuration after the limits and before the plain
    /// listener.
    pub fn with(folder: &Path, name: &str, lines: &str) -> Self {
        let plain = loopback(free_port());
        let config = format!(
            "per_listener_settings true\npersistence false\nmax_queued_messages 0\n\
             max_inflight_messages 0\nsys_interval 1\n{}\n{lines}\n\
             listener {} 127.0.0.1\nallow_anonymous true\n",
            if rustix::process::geteuid().is_root() { "user root" } else { "" },
            plain.port(),
        );
        std::fs::write(folder.join(format!("{name}.conf")), config).expect("a configuration");
        Self { folder: folder.to_owned(), name: name.to_owned(), plain, tls: None, process: None }
    }

    /// Starts it and waits until it accepts connections.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let mut command = Command::new(mosquitto_path());
        command.arg("-c").arg(self.folder.join(format!("{}.conf", self.name)));
        let log = self.folder.join(format!("{}.log", self.name));
        let mut process = Process::spawn("mosquitto", &mut command, &log);
        for address in [Some(self.plain), self.tls].into_iter().flatten() {
            wait_until("mosquitto listens", START_LIMIT, || {
                process.expect_running();
                TcpStream::connect(address).is_ok()
            });
        }
        self.process = Some(process);
    }

    /// Stops it as a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Debian keeps it in `/usr/sbin`, which is not on every user's path.
fn mosquitto_path() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/mosquitto");
    if debian.exists() { debian } else { PathBuf::from("mosquitto") }
}

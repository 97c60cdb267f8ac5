//! mosquitto as the cloud: TLS, a client certificate required.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Authority, Files};

/// Attempts at finding a port that is still free when mosquitto binds it.
const ATTEMPTS: usize = 5;

pub struct Mosquitto {
    child: Option<Child>,
    conf: PathBuf,
    pub port: u16,
    authority_ca: PathBuf,
    observer: Files,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Mosquitto {
    pub fn start(folder: &Path, authority: &Authority, server: &Files) -> Self {
        let observer = authority.sign("observer", &["observer"]);
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let conf = folder.join("mosquitto.conf");
            fs::write(
                &conf,
                format!(
                    "listener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\n\
                     require_certificate true\nallow_anonymous true\nmax_inflight_messages 0\n\
                     max_queued_messages 0\nset_tcp_nodelay true\n",
                    authority.ca.display(),
                    server.cert.display(),
                    server.key.display()
                ),
            )
            .unwrap();
            let mut mosquitto = Self {
                child: None,
                conf,
                port,
                authority_ca: authority.ca.clone(),
                observer: observer.clone(),
            };
            if mosquitto.run() {
                return mosquitto;
            }
        }
        panic!("mosquitto does not start");
    }

    /// Starts it, on the same port; whether it listens.
    pub fn run(&mut self) -> bool {
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(&self.conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed");
        self.child = Some(child);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            let child = self.child.as_mut().expect("it was just started");
            if child.try_wait().expect("it can be asked").is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Kills it: no session survives.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn url(&self) -> String {
        format!("mqtts://localhost:{}", self.port)
    }

    /// `mosquitto_sub` on everything, that ends after so many messages and prints their payloads.
    pub fn observer(&self, messages: usize) -> Child {
        let mut command = self.client("mosquitto_sub");
        command.args(["-t", "gw/#", "-q", "1", "-C", &messages.to_string(), "-W", "20"]);
        command.stdout(Stdio::piped()).spawn().expect("mosquitto_sub is installed")
    }

    pub fn publish(&self, topic: &str, payload: &str) {
        let mut command = self.client("mosquitto_pub");
        command.args(["-t", topic, "-m", payload, "-q", "1"]);
        assert!(command.status().expect("mosquitto_pub is installed").success());
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "localhost", "-p", &self.port.to_string()]);
        command.arg("--cafile").arg(&self.authority_ca);
        command.arg("--cert").arg(&self.observer.cert);
        command.arg("--key").arg(&self.observer.key);
        command
    }
}

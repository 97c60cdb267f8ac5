//! A serial line: two ptys that socat joins.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{process::Process, wait::wait_until};

/// Both ends of a line; gone when dropped.
#[derive(Debug)]
pub struct SerialLine {
    /// The gateway's end.
    pub gateway: PathBuf,
    /// The sensor's end.
    pub sensor: PathBuf,
    _socat: Process,
}

impl SerialLine {
    /// A new line with its ends in `folder`.
    pub fn new(folder: &Path) -> Self {
        let [gateway, sensor] = ["line-gateway", "line-sensor"].map(|end| folder.join(end));
        let mut command = Command::new("socat");
        for end in [&gateway, &sensor] {
            command.arg(format!("PTY,link={},raw,echo=0", end.display()));
        }
        let socat = Process::spawn("socat", &mut command, &folder.join("socat.log"));
        wait_until("socat has made both ptys", Duration::from_secs(10), || {
            gateway.exists() && sensor.exists()
        });
        Self { gateway, sensor, _socat: socat }
    }
}

//! The gateway's configuration for the demo.

use std::{net::SocketAddr, path::Path};

use super::plant::Plant;

/// The configuration file's text; everything is in `folder`.
pub fn configuration(folder: &Path, gateway: &str, cloud: SocketAddr, plant: &Plant) -> String {
    let file = |name: &str| quoted(&folder.join(name));
    format!(
        r#"[gateway]
id = "{gateway}"
data_dir = {data_dir}

[[listener]]
bind = "127.0.0.1:0"
tls = {{ cert = {door_cert}, key = {door_key}, client_ca = {site_ca} }}

[uplink]
url = "mqtts://{cloud}"
ca = {cloud_ca}
cert = {uplink_cert}
key = {uplink_key}
keep_alive = "5s"
ack_timeout = "3s"
backoff_min = "200ms"
backoff_max = "1s"

# The gateway's own id travels with each message, so that duplicates can be told apart.
[[stream]]
name = "telemetry"
encoding = "envelope"

[[route]]
from = "sensors/#"
stream = "telemetry"
"#,
        data_dir = file("data"),
        door_cert = file("door.crt"),
        door_key = file("door.key"),
        site_ca = file("site-ca.crt"),
        cloud_ca = file("cloud-ca.crt"),
        uplink_cert = file("uplink.crt"),
        uplink_key = file("uplink.key"),
    )
}

fn quoted(path: &Path) -> String {
    toml::Value::from(path.to_string_lossy().as_ref()).to_string()
}

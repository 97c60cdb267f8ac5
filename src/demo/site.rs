//! The gateway's configuration for the demo.

use std::{net::SocketAddr, path::Path};

use holdfast_modbus::simulator::{METER_LIMIT_ADDRESS, METER_UNIT, STATION_UNIT};

use super::plant::Plant;

/// The weather station's name.
pub const STATION: &str = "station-1";
/// The energy meter's name.
pub const METER: &str = "meter-1";

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

# A weather station with the registers of an Ecowitt WN90LP.
[[modbus]]
name = "mast"
port = {port}
baud = 9600

[[modbus.device]]
name = "{STATION}"
unit = {STATION_UNIT}
poll_interval = "1s"

[[modbus.device.point]]
name = "temperature"
table = "holding"
address = 0x167
scale = 0.1
offset = -40.0
unit = "°C"
invalid = [0xFFFF]

[[modbus.device.point]]
name = "humidity"
table = "holding"
address = 0x168
unit = "%"
invalid = [0xFFFF]

[[modbus.device.point]]
name = "wind_speed"
table = "holding"
address = 0x169
scale = 0.1
unit = "m/s"
invalid = [0xFFFF]

# An energy meter with the registers of an Eastron SDM630, and a limit that can be written.
[[modbus]]
name = "meters"
host = "{meter}"

[[modbus.device]]
name = "{METER}"
unit = {METER_UNIT}
poll_interval = "500ms"

[[modbus.device.point]]
name = "power_l1"
table = "input"
address = 0x0C
type = "float32"
unit = "W"

[[modbus.device.point]]
name = "energy"
table = "input"
address = 0x48
type = "float32"
unit = "kWh"

[[modbus.device.point]]
name = "setpoint"
table = "holding"
address = {METER_LIMIT_ADDRESS}
scale = 0.1
unit = "%"
writable = true
min = 0
max = 100
"#,
        port = quoted(plant.port()),
        meter = plant.meter_address(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, demo::folder::Folder};

    #[tokio::test]
    async fn the_demos_configuration_is_one_that_the_gateway_loads() {
        let folder = Folder::create().unwrap();
        let plant = Plant::start().await.unwrap();
        let cloud = "127.0.0.1:8883".parse().unwrap();
        let quoted = Path::new("/a \"quoted\" folder");
        let file = folder.path().join("holdfast.toml");
        std::fs::write(&file, configuration(quoted, "gw", cloud, &plant)).unwrap();
        let config = config::load(&file, &[]).unwrap().config;
        assert_eq!(config.gateway.data_dir, quoted.join("data"));
        assert_eq!(config.modbus.len(), 2);
        for bus in config.modbus {
            assert!(bus.problems().is_empty(), "{:?}", bus.problems());
        }
    }
}

//! The master and the simulator against implementations by others: pymodbus and mbpoll.
//!
//! `HOLDFAST_TEST_PYTHON` names a Python that has pymodbus; `tests/run` provides it, and mbpoll.

#[expect(dead_code, unused_imports, reason = "the transport tests use the rest of it")]
#[path = "transport/support/mod.rs"]
mod support;

use std::{env, path::Path, process::Stdio, time::Duration};

use holdfast_adapter_api::{Outcome, Quality, Reading, Value};
use holdfast_modbus::simulator::{METER_LIMIT_ADDRESS, energy_meter, weather_station};
use support::{Bench, pty};
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy_bidirectional},
    net::TcpListener,
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};
use tokio_serial::SerialStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the pymodbus slave of `peers/slave.py` has, as seen from here.
const POINTS: &str = r#"
    poll_interval = "50ms"
    point = [
        { name = "u16", address = 0 },
        { name = "i16", address = 1, type = "int16", scale = 0.1, unit = "°C" },
        { name = "f32", address = 2, type = "float32" },
        { name = "f32 low first", address = 4, type = "float32", byte_order = "CDAB" },
        { name = "setpoint", address = 10, writable = true },
        { name = "block", address = 20, type = "int32", writable = true },
        { name = "input", table = "input", address = 3 },
        { name = "coil", table = "coil", address = 1, writable = true },
        { name = "discrete", table = "discrete", address = 0 },
    ]
"#;

/// A pymodbus slave with the given arguments, once it is ready; its first line of output.
async fn slave(arguments: &[&str]) -> (Child, String) {
    let python = env::var_os("HOLDFAST_TEST_PYTHON").expect(
        "HOLDFAST_TEST_PYTHON is not set: run the tests by tests/run, which installs pymodbus",
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/slave.py");
    let mut child = Command::new(python)
        .arg(script)
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python must start: run the tests by tests/run");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = timeout(PATIENCE, lines.next_line()).await.expect("pymodbus ready in time");
    let ready = ready.unwrap().expect("pymodbus is missing: run the tests by tests/run");
    (child, ready)
}

async fn mbpoll(arguments: &[&str]) -> String {
    let running = Command::new("mbpoll").args(arguments).kill_on_drop(true).output();
    let output = timeout(PATIENCE, running).await.expect("mbpoll must end");
    let output = output.expect("mbpoll is missing: run the tests by tests/run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Two ends of a serial line, by path, until what is returned is dropped.
fn serial_line() -> (String, String, (SerialStream, SerialStream, JoinHandle<()>)) {
    let ((mut far_a, near_a, path_a), (mut far_b, near_b, path_b)) = (pty(), pty());
    let carrier = tokio::spawn(async move {
        let _end = copy_bidirectional(&mut far_a, &mut far_b).await;
    });
    (path_a, path_b, (near_a, near_b, carrier))
}

fn value<'a>(reading: &'a Reading, point: &str) -> Option<&'a Value> {
    let point = reading.points.iter().find(|candidate| candidate.name == point).unwrap();
    assert_eq!(point.quality, Quality::Good, "{reading:?}");
    point.value.as_ref()
}

async fn is_read_and_written(mut bench: Bench) {
    let reading = bench.reading().await;
    assert_eq!(value(&reading, "u16"), Some(&Value::Int(0xBEEF)));
    assert_eq!(value(&reading, "i16"), Some(&Value::Float(-20.5)));
    assert_eq!(value(&reading, "f32"), Some(&Value::Float(230.1)));
    assert_eq!(value(&reading, "f32 low first"), Some(&Value::Float(-0.5)));
    assert_eq!(value(&reading, "input"), Some(&Value::Int(1003)));
    assert_eq!(value(&reading, "coil"), Some(&Value::Bool(false)));
    assert_eq!(value(&reading, "discrete"), Some(&Value::Bool(true)));
    for (point, written) in [
        ("setpoint", Value::Int(1_234)),
        ("block", Value::Int(-70_000)),
        ("coil", Value::Bool(true)),
    ] {
        let outcome = bench.write("slave", point, written.clone()).await;
        assert_eq!(outcome, Outcome::Done { readback: Some(written) }, "{point}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_pymodbus_slave_on_a_serial_line_is_read_and_written() {
    let (ours, theirs, _line) = serial_line();
    let (_slave, _ready) = slave(&["serial", &theirs]).await;
    let config = format!(
        "name = \"bus\"\nport = \"{ours}\"\nbaud = 38400\nresponse_timeout = \"1s\"\n\
         [[device]]\nname = \"slave\"\nunit = 17\n{POINTS}"
    );
    is_read_and_written(Bench::start(&config)).await;
}

#[tokio::test]
async fn a_pymodbus_server_is_read_and_written_over_tcp() {
    let (_server, port) = slave(&["tcp"]).await;
    let config = format!(
        "name = \"tcp\"\nhost = \"127.0.0.1:{port}\"\nresponse_timeout = \"1s\"\n\
         [[device]]\nname = \"slave\"\nunit = 17\n{POINTS}"
    );
    is_read_and_written(Bench::start(&config)).await;
}

#[tokio::test]
async fn mbpoll_reads_the_simulated_weather_station() {
    let (far, _near, path) = pty();
    let _station = weather_station(far, 0x90);
    // mbpoll counts registers from 1.
    let (unit, light) = ("144", (0x165 + 1).to_string());
    let options = ["-m", "rtu", "-a", unit, "-b", "9600", "-P", "none", "-t", "4", "-1"];
    let text = mbpoll(&[&options[..], &["-r", &light, "-c", "10", &path]].concat()).await;
    assert!(text.contains(&format!("[{}]", 0x165 + 8)), "{text}");
    assert!(text.contains("65535"), "the register without a value: {text}");
}

#[tokio::test]
async fn mbpoll_writes_to_the_simulated_meter_and_our_master_sees_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let meter = energy_meter(listener);
    let (port, limit) = (address.port().to_string(), (METER_LIMIT_ADDRESS + 1).to_string());
    let options = ["-m", "tcp", "-p", &port, "-a", "1", "-t", "4", "-r", &limit, "127.0.0.1"];
    mbpoll(&[&options[..], &["420"]].concat()).await;
    assert_eq!(meter.holding(1, METER_LIMIT_ADDRESS), Some(420));
    let mut bench = Bench::start(&format!(
        "name = \"tcp\"\nhost = \"{address}\"\n[[device]]\nname = \"meter\"\nunit = 1\n\
         [[device.point]]\nname = \"limit\"\naddress = {METER_LIMIT_ADDRESS}\nscale = 0.1"
    ));
    assert_eq!(value(&bench.reading().await, "limit"), Some(&Value::Float(42.0)));
}

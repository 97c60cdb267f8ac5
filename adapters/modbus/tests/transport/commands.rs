//! Commands: what is written, and when it is not.

use std::time::{Duration, Instant};

use super::support::{Bench, device};
use holdfast_adapter_api::{Outcome, Value};
use holdfast_modbus::simulator::{Bank, Simulation, Unit, serve_tcp};
use tokio::net::TcpListener;

const POINTS: &str = r#"
    [[device]]
    name = "plc"
    unit = 1
    poll_interval = "1h"
    point = [
        { name = "flag", address = 0, type = "bit", bit = 3, writable = true },
        { name = "mode", address = 0, type = "bitfield", bit = 4, length = 3, writable = true },
        { name = "low", address = 1, type = "uint8l", writable = true },
        { name = "speed", address = 2, type = "int32", byte_order = "CDAB", writable = true },
        { name = "ratio", address = 4, type = "float32", writable = true },
        { name = "state", address = 6, values = { "0" = "off", "2" = "auto" }, writable = true },
        { name = "label", address = 7, type = "string", length = 5, writable = true },
        { name = "fixed", address = 20, writable = true },
        { name = "seen", address = 6 },
        { name = "coil", table = "coil", address = 1, writable = true },
    ]
"#;

async fn plc(prepare: impl FnOnce(&mut Bank), keys: &str) -> (Bench, Simulation) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let mut bank = Bank::new();
    bank.set_writable(0, &[0xFF00, 0xAB00, 0, 0, 0, 0, 0, 0, 0, 0]);
    bank.set_holding(20, &[0]);
    bank.set_coils(0, &[false; 4]);
    prepare(&mut bank);
    let simulation = serve_tcp(listener, [(1, Unit::constant(bank))]);
    let config = format!("name = \"tcp\"\nhost = \"{host}\"\n{keys}\n{POINTS}");
    (Bench::start(&config), simulation)
}

fn done(value: impl Into<Option<Value>>) -> Outcome {
    Outcome::Done { readback: value.into() }
}

#[tokio::test]
async fn every_kind_of_point_is_written_and_read_back() {
    for keys in ["", "write_single = false"] {
        let (bench, plc) = plc(|_| {}, keys).await;
        let register = |address| plc.holding(1, address).unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(bench.write("plc", "flag", Value::Bool(true)).await, done(Value::Bool(true)));
        assert_eq!(bench.write("plc", "mode", Value::Int(5)).await, done(Value::Int(5)));
        assert_eq!(register(0), 0xFF58);
        assert_eq!(bench.write("plc", "low", Value::Int(200)).await, done(Value::Int(200)));
        assert_eq!(register(1), 0xABC8);
        let speed = Value::Int(-100_000);
        assert_eq!(bench.write("plc", "speed", speed.clone()).await, done(speed));
        assert_eq!((register(2), register(3)), (0x7960, 0xFFFE));
        assert_eq!(bench.write("plc", "ratio", Value::Float(2.5)).await, done(Value::Float(2.5)));
        assert_eq!((register(4), register(5)), (0x4020, 0));
        assert_eq!(bench.write("plc", "state", text("auto")).await, done(text("auto")));
        assert_eq!(register(6), 2);
        assert_eq!(bench.write("plc", "label", text("pump")).await, done(text("pump")));
        assert_eq!((register(7), register(8)), (0x7075, 0x6D70));
        assert_eq!(bench.write("plc", "coil", Value::Bool(true)).await, done(Value::Bool(true)));
        assert_eq!((plc.coil(1, 0), plc.coil(1, 1)), (Some(false), Some(true)));
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_bit_is_written_without_touching_its_neighbours_also_where_function_22_is_missing() {
    let (bench, plc) = plc(Bank::refuse_mask_write, "").await;
    for (value, register) in [(true, 0xFF08), (false, 0xFF00), (true, 0xFF08)] {
        let outcome = bench.write("plc", "flag", Value::Bool(value)).await;
        assert_eq!(outcome, done(Value::Bool(value)));
        assert_eq!(plc.holding(1, 0), Some(register));
    }
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_rejected_with_the_reason_and_nothing_is_written() {
    let (bench, plc) = plc(|_| {}, "").await;
    for (point, value, reason) in [
        ("nothing", Value::Int(1), "no point"),
        ("seen", Value::Int(1), "not writable"),
        ("low", Value::Int(256), "does not fit"),
        ("low", Value::Int(-1), "does not fit"),
        ("low", Value::Float(1.5), "fraction"),
        ("mode", Value::Int(8), "does not fit"),
        ("speed", Value::Int(i64::MAX), "does not fit"),
        ("ratio", Value::Float(f64::NAN), "a number"),
        ("ratio", Value::Float(1e300), "does not fit"),
        ("ratio", Value::Text("1".into()), "a number"),
        ("state", Value::Text("on".into()), "none of its values"),
        ("state", Value::Int(1), "none of its values"),
        ("label", Value::Text("too long".into()), "bytes"),
        ("coil", Value::Int(2), "true or false"),
    ] {
        let outcome = bench.write("plc", point, value.clone()).await;
        let Outcome::Rejected { reason: given } = outcome else {
            panic!("{point} = {value:?}: {outcome:?}")
        };
        assert!(given.contains(reason), "{point}: {given}");
    }
    let outcome = bench.write("plc", "fixed", Value::Int(1)).await;
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("exception 2"), "{reason}");
    assert_eq!(plc.with_bank(1, |bank| bank.writes()), Some(0));
}

#[tokio::test]
async fn a_command_past_its_deadline_is_not_carried_out() {
    let (bench, plc) = plc(|_| {}, "").await;
    let outcome = bench.write_within("plc", "low", Value::Int(1), Duration::ZERO).await;
    assert_eq!(outcome, Outcome::Expired);
    assert_eq!(plc.with_bank(1, |bank| bank.writes()), Some(0));
}

#[tokio::test]
async fn a_flood_of_commands_does_not_keep_devices_from_being_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let mut bank = Bank::new();
    bank.set_writable(0, &[0]);
    let _simulation = serve_tcp(listener, [(1, Unit::constant(bank))]);
    let device = device("busy", 1, "10ms", &[0]);
    let mut bench = Bench::start(&format!("name = \"tcp\"\nhost = \"{host}\"\n{device}"));
    let flood = bench.flood("busy", "0");
    for _ in 0..20 {
        bench.reading().await;
    }
    assert!(!flood.is_finished());
    flood.abort();
    assert!(bench.count("writes", Some("busy")) >= 20, "writes have their share as well");
}

#[tokio::test]
async fn commands_to_a_dead_device_fail_without_holding_up_the_bus() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    // Nobody answers for unit 9.
    let _simulation = serve_tcp(listener, [(1, Unit::constant(Bank::new()))]);
    let keys = "response_timeout = \"50ms\"\noffline_after = 1";
    let dead = device("dead", 9, "10ms", &[0]);
    let mut bench = Bench::start(&format!("name = \"tcp\"\nhost = \"{host}\"\n{keys}\n{dead}"));
    bench.reading().await;
    let start = Instant::now();
    for _ in 0..20 {
        let outcome = bench.write("dead", "0", Value::Int(1)).await;
        let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("offline"), "{reason}");
    }
    assert!(start.elapsed() < Duration::from_millis(500));
}

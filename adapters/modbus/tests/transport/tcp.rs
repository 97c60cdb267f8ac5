//! The master over Modbus TCP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use super::support::{Bench, device, words};
use holdfast_adapter_api::{Outcome, Quality, Value};
use holdfast_modbus::simulator::{
    Bank, METER_LIMIT_ADDRESS, METER_RELAY_ADDRESS, METER_UNIT, Simulation, Unit, energy_meter,
    serve_tcp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// A server whose bytes are made by `answer` from the number of the connection and the request.
async fn scripted(
    answer: impl Fn(u64, &[u8]) -> Vec<(Duration, Vec<u8>)> + Send + Sync + 'static,
) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (answer, connections) = (Arc::new(answer), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (number, answer) = (count.fetch_add(1, SeqCst), Arc::clone(&answer));
            tokio::spawn(serve(stream, move |request: &[u8]| answer(number, request)));
        }
    });
    (host, connections)
}

/// An empty answer closes the connection.
async fn serve(mut stream: TcpStream, answer: impl Fn(&[u8]) -> Vec<(Duration, Vec<u8>)>) {
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        for (after, bytes) in answer(&request) {
            sleep(after).await;
            if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

/// The answer to a read of as many registers as were asked for.
fn registers(request: &[u8], word: u16) -> Vec<u8> {
    let bytes = 2 * request[11];
    let mut answer =
        vec![request[0], request[1], 0, 0, 0, 3 + bytes, request[6], request[7], bytes];
    answer.extend(word.to_be_bytes().repeat(usize::from(request[11])));
    answer
}

fn bus(host: &str, keys: &str, devices: &str) -> String {
    format!("name = \"tcp\"\nhost = \"{host}\"\n{keys}\n{devices}")
}

async fn meter() -> (String, Simulation) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap().to_string(), energy_meter(listener))
}

#[tokio::test]
async fn an_energy_meter_is_read_and_its_setpoint_and_relay_are_written() {
    let (host, meter) = meter().await;
    let mut bench = Bench::start(&format!(
        r#"
        name = "tcp"
        host = "{host}"
        [[device]]
        name = "meter"
        unit = {METER_UNIT}
        poll_interval = "50ms"
        point = [
            {{ name = "volts", table = "input", address = 0, type = "float32", unit = "V" }},
            {{ name = "hertz", table = "input", address = 0x46, type = "float32", unit = "Hz" }},
            {{ name = "limit", address = {METER_LIMIT_ADDRESS}, scale = 0.1, unit = "%", writable = true, min = 0, max = 100 }},
            {{ name = "relay", table = "coil", address = {METER_RELAY_ADDRESS}, writable = true }},
        ]
        "#
    ));
    let reading = bench.reading().await;
    let Some(Value::Float(volts)) = reading.points[0].value else { panic!("{reading:?}") };
    assert!((220.0..240.0).contains(&volts));
    assert_eq!(reading.points[3].value, Some(Value::Bool(true)));
    let limited = bench.write("meter", "limit", Value::Float(62.5)).await;
    assert_eq!(limited, Outcome::Done { readback: Some(Value::Float(62.5)) });
    assert_eq!(meter.holding(METER_UNIT, METER_LIMIT_ADDRESS), Some(625));
    let opened = bench.write("meter", "relay", Value::Bool(false)).await;
    assert_eq!(opened, Outcome::Done { readback: Some(Value::Bool(false)) });
    assert_eq!(meter.coil(METER_UNIT, METER_RELAY_ADDRESS), Some(false));
    let excess = bench.write("meter", "limit", Value::Float(100.1)).await;
    assert!(matches!(excess, Outcome::Rejected { .. }));
    let read_only = bench.write("meter", "volts", Value::Float(1.0)).await;
    assert!(matches!(read_only, Outcome::Rejected { .. }));
    bench.stop().await;
}

#[tokio::test]
async fn an_answer_with_a_stale_transaction_is_skipped_and_the_next_one_found() {
    let (host, _) = scripted(|_, request| {
        let mut stale = registers(request, 666);
        stale[1] = stale[1].wrapping_sub(1);
        let mut foreign = registers(request, 667);
        foreign[6] = 9;
        vec![
            (Duration::ZERO, stale),
            (Duration::ZERO, foreign),
            (Duration::ZERO, registers(request, 1)),
        ]
    })
    .await;
    let mut bench = Bench::start(&bus(&host, "", &device("one", 1, "20ms", &[0])));
    for _ in 0..5 {
        assert_eq!(words(&bench.reading().await).0["0"], 1);
    }
    assert!(bench.count("mismatches", Some("one")) >= 10);
    assert_eq!(bench.count("timeouts", Some("one")), 0);
}

#[tokio::test]
async fn after_a_late_answer_the_connection_is_made_anew_and_values_stay_right() {
    let (host, connections) = scripted(|connection, request| {
        let address = u16::from_be_bytes([request[8], request[9]]);
        let late = Duration::from_millis(if connection % 2 == 0 { 60 } else { 0 });
        vec![(late, registers(request, address))]
    })
    .await;
    let keys = "response_timeout = \"40ms\"\nretries = 0\noffline_after = 100\ngap_max = 0";
    let mut bench = Bench::start(&bus(&host, keys, &device("one", 1, "20ms", &[7, 100])));
    let mut right = 0;
    while right < 20 {
        for (name, value) in words(&bench.reading().await).0 {
            assert_eq!(name, value.to_string());
            right += 1;
        }
    }
    assert!(connections.load(SeqCst) >= 2);
}

#[tokio::test]
async fn a_connection_that_is_closed_while_idle_or_instead_of_an_answer_costs_no_reading() {
    let (host, connections) = scripted(|connection, request| match connection {
        1 | 3 => vec![(Duration::ZERO, Vec::new())],
        0 | 2 => vec![(Duration::ZERO, registers(request, 5)), (Duration::ZERO, Vec::new())],
        _ => vec![(Duration::ZERO, registers(request, 5))],
    })
    .await;
    let keys = "retries = 3\nresponse_timeout = \"3s\"";
    let mut bench = Bench::start(&bus(&host, keys, &device("one", 1, "30ms", &[0, 1])));
    for _ in 0..10 {
        let (good, bad) = words(&bench.reading().await);
        assert_eq!((good.len(), bad.len()), (2, 0));
    }
    assert!(connections.load(SeqCst) > 4);
}

#[tokio::test]
async fn nonsense_from_a_server_is_survived() {
    let (host, _) = scripted(|connection, request| {
        if connection < 3 {
            vec![(Duration::ZERO, vec![0xFF; 40])]
        } else {
            vec![(Duration::ZERO, registers(request, 5))]
        }
    })
    .await;
    let keys = "response_timeout = \"40ms\"\noffline_after = 100";
    let mut bench = Bench::start(&bus(&host, keys, &device("one", 1, "20ms", &[0])));
    let bad = bench.reading().await;
    assert_eq!(bad.points[0].quality, Quality::Crc);
    bench.reading_where(|reading| reading.points[0].quality == Quality::Good).await;
}

#[tokio::test]
async fn a_gateway_that_says_its_device_is_silent_gets_the_device_given_up() {
    let (host, _) = scripted(|_, request| {
        let mut refusal = request[..8].to_vec();
        refusal[5] = 3;
        refusal[7] |= 0x80;
        refusal.push(11);
        vec![(Duration::ZERO, refusal)]
    })
    .await;
    let mut bench = Bench::start(&bus(&host, "", &device("one", 1, "20ms", &[0])));
    for _ in 0..3 {
        assert_eq!(bench.reading().await.points[0].quality, Quality::Exception(11));
    }
    let quiet = bench.readings_for(Duration::from_millis(300)).await;
    assert_eq!(quiet.len(), 0, "it is only probed from now on");
    assert_eq!(bench.count("went_offline", Some("one")), 1);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_offline_until_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::start(&bus(&host.to_string(), "", &device("one", 1, "50ms", &[0])));
    assert_eq!(bench.reading().await.points[0].quality, Quality::Offline);
    let outcome = bench.write("one", "0", Value::Int(1)).await;
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains(&host.to_string()) || reason.contains("offline"), "{reason}");
    let mut bank = Bank::new();
    bank.set_writable(0, &[8]);
    let listener = TcpListener::bind(host).await.unwrap();
    let _server = serve_tcp(listener, [(1, Unit::constant(bank))]);
    let reading = bench.reading_where(|r| r.points[0].quality == Quality::Good).await;
    assert_eq!(words(&reading).0["0"], 8);
    bench.stop().await;
}

#[tokio::test]
async fn points_that_a_device_does_not_have_are_found_and_the_others_still_read_together() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let mut bank = Bank::new();
    bank.set_holding(0, &[0, 1, 2, 3]);
    bank.set_holding(5, &[5, 6, 7]);
    let server = serve_tcp(listener, [(1, Unit::constant(bank))]);
    let addresses = [0, 1, 2, 3, 4, 5, 6, 7];
    let mut bench = Bench::start(&bus(&host, "", &device("one", 1, "50ms", &addresses)));
    let first = bench.reading().await;
    let (good, bad) = words(&first);
    assert_eq!(bad, [Quality::Config]);
    assert!(good.iter().all(|(name, value)| *name == value.to_string()));
    assert_eq!(good.len(), 7);
    let before = bench.count("requests", Some("one"));
    bench.reading().await;
    assert_eq!(bench.count("requests", Some("one")) - before, 2, "0 to 3 and 5 to 7");
    drop(server);
}

#[tokio::test]
async fn a_device_of_which_no_point_exists_is_misconfigured_and_not_offline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let _server = serve_tcp(listener, [(1, Unit::constant(Bank::new()))]);
    let mut bench = Bench::start(&bus(&host, "", &device("one", 1, "10ms", &[7, 9])));
    for _ in 0..8 {
        assert_eq!(words(&bench.reading().await).1, [Quality::Config, Quality::Config]);
    }
}

#[tokio::test]
async fn a_device_that_allows_only_short_reads_gets_short_reads() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let mut bank = Bank::new();
    bank.set_holding(0, &(0..20).collect::<Vec<u16>>());
    bank.limit_registers(5);
    let _server = serve_tcp(listener, [(1, Unit::constant(bank))]);
    let addresses: Vec<u16> = (0..20).collect();
    let mut bench = Bench::start(&bus(&host, "", &device("one", 1, "50ms", &addresses)));
    for _ in 0..3 {
        let (good, bad) = words(&bench.reading().await);
        assert_eq!((good.len(), bad.len()), (20, 0));
    }
    let before = bench.count("requests", Some("one"));
    bench.reading().await;
    assert_eq!(bench.count("requests", Some("one")) - before, 4);
}

#[tokio::test]
async fn a_point_is_scaled_by_another_points_power_of_ten() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let mut bank = Bank::new();
    bank.set_holding(0, &[2_301, (-1_i16).cast_unsigned()]);
    let server = serve_tcp(listener, [(1, Unit::constant(bank))]);
    let points = r#"
        [[device]]
        name = "inverter"
        unit = 1
        poll_interval = "20ms"
        point = [
            { name = "volts", address = 0, scale_point = "exponent" },
            { name = "exponent", address = 1, type = "int16", invalid = [-32768] },
        ]
    "#;
    let mut bench = Bench::start(&bus(&host, "", points));
    assert_eq!(bench.reading().await.points[0].value, Some(Value::Float(230.1)));
    server.with_bank(1, |bank| bank.set_holding(1, &[0x8000]));
    let without = bench.reading_where(|r| r.points[1].quality != Quality::Good).await;
    assert_eq!(without.points[0].value, None);
    assert_eq!(without.points[0].quality, Quality::InvalidValue);
}

#[tokio::test]
async fn an_adapter_whose_readings_nobody_takes_still_stops_at_once() {
    let (host, _meter) = meter().await;
    let held_back = Bench::start_with(&bus(&host, "", &device("one", 1, "10ms", &[256])), 1);
    while held_back.count("ok", None) < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    held_back.stop().await;
}

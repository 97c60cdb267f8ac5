//! The page against its declaration and its documentation; the server against its bounds.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{
    metrics::{ALL, Kind},
    render::render,
    server::{CONNECTIONS_MAX, HEAD_BYTES_MAX, accept},
    snapshot::Sources,
};
use crate::{
    clock::SystemClock,
    queue::{
        Environment, Forecast, LimitReason, NewRecord, Options, Queue, Rates, Refusal,
        StreamOptions,
    },
    uplink,
};

const LIMIT: Duration = Duration::from_secs(20);

/// A queue with three messages in one stream, one of them delivered, and one refused.
async fn queue(dir: &TempDir) -> Queue {
    let streams = ["telemetry", "events"].map(StreamOptions::with_defaults).to_vec();
    let options = Options { streams, commit_interval: Duration::ZERO };
    let clock = Arc::new(SystemClock::new());
    let (queue, _) = Queue::open(dir.path(), options, &Environment::new(clock.clone())).unwrap();
    let stream = queue.stream("telemetry").unwrap();
    let payload = Bytes::from_static(b"21.5");
    let record = NewRecord { source: "a".into(), topic: "t".into(), payload, stamp: clock.stamp() };
    for outcome in queue.append(vec![(stream.id(), record); 3]).await {
        outcome.unwrap();
    }
    assert!(stream.acknowledge(0));
    queue.refuse(stream.id(), "a", Refusal::PayloadTooLarge);
    queue
}

fn sources(queue: &Queue) -> Sources {
    let status = uplink::Status {
        state: uplink::State::Connected,
        since: Instant::now(),
        last_error: None,
        connections: 2,
        published: 9,
        acknowledged: 8,
        resent: 7,
        bytes: 6,
        in_flight: 5,
        received: 4,
        unsendable: 3,
        set_aside: 2,
        subscriptions_refused: 1,
    };
    Sources::new(queue.clone(), Some(watch::Sender::new(status).subscribe()))
}

/// The samples of a page by `name{labels}`, in which every line has its place: a family's help,
/// its type, its samples, and no family or sample twice.
fn samples(page: &str) -> BTreeMap<String, String> {
    let mut families = BTreeSet::new();
    let mut samples = BTreeMap::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(!help.is_empty(), "{line}");
        let declared = ALL.iter().find(|metric| metric.name == name).unwrap();
        let kind = if declared.kind == Kind::Counter { "counter" } else { "gauge" };
        assert_eq!(lines.next(), Some(&*format!("# TYPE {name} {kind}")));
        assert!(families.insert(name), "{name} is there twice");
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let (series, value) = sample.rsplit_once(' ').unwrap();
            let labels = series.strip_prefix(name).unwrap();
            assert!(labels.is_empty() || (labels.starts_with('{') && labels.ends_with('}')));
            assert!(value == "+Inf" || value.parse::<f64>().unwrap().is_finite(), "{sample}");
            assert!(samples.insert(series.to_owned(), value.to_owned()).is_none(), "{sample}");
        }
    }
    samples
}

#[tokio::test]
async fn a_page_holds_every_metric_and_what_the_ledger_says() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(&dir).await;
    let mut snapshot = sources(&queue).snapshot().await.unwrap();
    let stream = snapshot.queue.streams.iter_mut().find(|s| s.stream == "telemetry").unwrap();
    stream.rates = Some(Rates {
        over_seconds: 60.0,
        accepted_per_second: 1.0,
        accepted_bytes_per_second: 310.5,
        net_bytes_per_second: -7.0,
        written_bytes_per_second: 4096.0,
    });
    stream.forecast = Some(Forecast {
        hours_left: 12.5,
        limit_reason: LimitReason::Disk,
        limit_at_monotonic_millis: 1,
        limit_at_wall_millis: Some(1_795_000_000_500),
    });
    let samples = samples(&render(&snapshot));
    let value = |series: &str| samples.get(series).map(String::as_str);
    for metric in ALL {
        let mut of_metric = samples.keys().filter(|s| s.split('{').next() == Some(metric.name));
        assert!(of_metric.next().is_some(), "{} has no sample", metric.name);
    }
    for (name, expected) in [
        ("accepted_messages_total", "3"),
        ("delivered_messages_total", "1"),
        ("queued_messages", "2"),
        ("damaged_messages_total", "0"),
        ("inflow_bytes_per_second", "310.5"),
        ("growth_bytes_per_second", "-7"),
        ("left_hours", "12.5"),
        ("limit_timestamp_seconds", "1795000000.5"),
        ("commits_total", "1"),
        ("committed_messages_total", "3"),
    ] {
        let series = format!("holdfast_queue_{name}{{stream=\"telemetry\"}}");
        assert_eq!(value(&series), Some(expected), "{series}");
    }
    let labelled = |name: &str, label: &str| {
        value(&format!("holdfast_queue_{name}{{stream=\"telemetry\",{label}}}"))
    };
    assert_eq!(labelled("refused_messages_total", "reason=\"payload_too_large\""), Some("1"));
    assert_eq!(labelled("refused_messages_total", "reason=\"stream_full\""), Some("0"));
    assert_eq!(labelled("condition", "condition=\"healthy\""), Some("1"));
    assert_eq!(labelled("condition", "condition=\"full\""), Some("0"));
    assert_eq!(labelled("limit_reason", "reason=\"disk\""), Some("1"));
    assert_eq!(value("holdfast_queue_left_hours{stream=\"events\"}"), Some("+Inf"));
    assert_eq!(value("holdfast_uplink_state{state=\"connected\"}"), Some("1"));
    assert_eq!(value("holdfast_uplink_in_flight_messages"), Some("5"));
    queue.close().await;
}

#[test]
fn names_end_in_their_unit_and_counters_in_total() {
    let units = ["info", "messages", "bytes", "seconds", "per_second", "hours", "years"];
    // States and plain numbers have none.
    let unitless = ["condition", "reason", "state", "syncs", "commits", "connections", "refused"];
    for metric in ALL {
        let stem = metric.name.strip_suffix("_total");
        assert_eq!(stem.is_some(), metric.kind == Kind::Counter, "{}", metric.name);
        let stem = stem.unwrap_or(metric.name);
        assert!(stem.starts_with("holdfast_"), "{}", metric.name);
        assert!(units.iter().chain(&unitless).any(|unit| stem.ends_with(unit)), "{}", metric.name);
    }
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let document = include_str!("../../docs/operating/monitoring.md");
    let words = document.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let documented: BTreeSet<_> = words.filter(|word| word.starts_with("holdfast_")).collect();
    let declared: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(documented, declared);
}

/// A server over a queue; the queue goes with the folder.
async fn server(dir: &TempDir) -> SocketAddr {
    let sources = sources(&queue(dir).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(accept(listener, sources));
    address
}

/// Sends a request's head; everything that comes back, until the connection ends.
async fn answer(server: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // Who says too much may be cut off while still saying it.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("the connection ends");
    String::from_utf8(bytes).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n")
}

#[tokio::test]
async fn metrics_and_health_are_served_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let metrics = answer(server, &get("/metrics")).await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    let (_, body) = metrics.split_once("\r\n\r\n").unwrap();
    let samples = samples(body);
    assert_eq!(samples["holdfast_queue_accepted_messages_total{stream=\"telemetry\"}"], "3");

    let health = answer(server, &get("/health")).await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    let (_, body) = health.split_once("\r\n\r\n").unwrap();
    let health: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(health["healthy"], true);
    assert_eq!(health["uplink"], "connected");
    assert_eq!(health["queue"]["streams"][1]["state"], "healthy");
    assert_eq!(health["queue"]["streams"][1]["totals"]["queued"], 2);

    assert!(answer(server, &get("/")).await.starts_with("HTTP/1.1 404 "));
    let post = "POST /metrics HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n";
    assert!(answer(server, post).await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX * 4));
    let said = answer(server, &long).await;
    assert!(!said.contains("200 OK"), "{said}");
    assert!(answer(server, &get("/metrics")).await.contains("200 OK"));
}

#[tokio::test]
async fn those_who_say_nothing_are_cut_off_and_hold_others_up_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(server).await.unwrap());
    }
    // All places are taken, so this one waits, and is served when the silent ones are gone.
    let begun = Instant::now();
    assert!(answer(server, &get("/metrics")).await.contains("200 OK"));
    assert!(begun.elapsed() > Duration::from_secs(1), "more connections than there are places");
    for mut stream in silent {
        let mut bytes = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("it was cut off").unwrap();
    }
}

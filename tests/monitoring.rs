//! What the gateway tells of itself agrees with its ledger, and nothing depends on its being asked.

use std::{net::SocketAddr, time::Duration};

use crate::support::{
    Cloud, Counts, Fleet, Gateway, Load, Scrape, folder, mosquitto_pub, wait_for, wait_until,
};

const LIMIT: Duration = Duration::from_mins(1);
const METRICS: &str = "\n[telemetry]\nmetrics_bind = \"127.0.0.1:0\"\n";

fn metrics_address(gateway: &Gateway) -> SocketAddr {
    let line = gateway.wait_logged(&["metrics are at"]);
    let (_, address) = line.split_once("http://").expect("an address");
    address.split('/').next().unwrap().parse().expect("an address and a port")
}

fn counts(scrape: &Scrape, stream: &str) -> Counts {
    let reasons = ["topic_invalid", "payload_too_large", "stream_full", "storage_failed"];
    let refused = reasons.map(|reason| {
        let labels = [("stream", stream), ("reason", reason)];
        let count = scrape.value("holdfast_queue_refused_messages_total", &labels);
        (reason.to_owned(), count.expect("every reason is there") as u64)
    });
    Counts {
        accepted: scrape.count("accepted_messages_total", stream),
        delivered: scrape.count("delivered_messages_total", stream),
        queued: scrape.count("queued_messages", stream),
        expired: scrape.count("expired_messages_total", stream),
        evicted: scrape.count("evicted_messages_total", stream),
        damaged: scrape.count("damaged_messages_total", stream),
        refused: refused.into_iter().filter(|(_, count)| *count > 0).collect(),
    }
}

#[test]
fn a_scrape_agrees_with_the_ledger_through_an_outage() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let sections = format!("{}{METRICS}", cloud.uplink());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &sections);
    gateway.start();
    let server = metrics_address(&gateway);
    let load = Load { devices: 5, messages_each: 100, ..Load::default() };
    let fleet = Fleet::start(load, gateway.address.clone());
    let total = fleet.total();
    fleet.finish(LIMIT);

    let away = Scrape::of(server);
    assert_eq!(counts(&away, "telemetry"), gateway.ledger().total("telemetry"));
    assert_eq!(away.count("queued_messages", "telemetry"), total);
    assert!(away.count("queued_bytes", "telemetry") > total * 256);
    assert!(away.count("written_per_message_bytes", "telemetry") > 256);
    assert!(away.count("commits_total", "telemetry") > 0);
    assert!(away.count("syncs_total", "telemetry") >= away.count("commits_total", "telemetry"));
    assert_eq!(away.count("committed_messages_total", "telemetry"), total);
    assert!(away.is_in_condition("telemetry", "healthy"));
    let left = away.value("holdfast_queue_left_hours", &[("stream", "telemetry")]).unwrap();
    assert!(left > 0.0 && left <= 30.0 * 24.0, "{left} hours to a limit of 30 days");
    let connected = |scrape: &Scrape| {
        scrape.value("holdfast_uplink_state", &[("state", "connected")]) == Some(1.0)
    };
    assert!(!connected(&away));
    assert!(away.value("holdfast_disk_free_bytes", &[]).unwrap() > 0.0);

    cloud.comes_back();
    let back = wait_for("the metrics show that everything was delivered", LIMIT, || {
        let scrape = Scrape::of(server);
        let uplink = scrape.value("holdfast_uplink_acknowledged_messages_total", &[]);
        let queue = scrape.count("delivered_messages_total", "telemetry");
        (queue == total && uplink == Some(total as f64)).then_some(scrape)
    });
    assert!(connected(&back));
    let last = counts(&back, "telemetry");
    gateway.stop();
    assert_eq!(last, gateway.ledger().total("telemetry"));
}

#[test]
fn a_full_stream_shows_in_the_metrics_until_it_has_drained() {
    let folder = folder();
    let mut cloud = Cloud::away(folder.path());
    let stream = "[[stream]]\nname = \"telemetry\"\nbytes_max = 16777216\non_full = \"reject\"\n";
    let sections = format!("{}{METRICS}{stream}", cloud.uplink());
    let mut gateway = Gateway::new(&folder.path().join("gateway"), &sections);
    gateway.start();
    let server = metrics_address(&gateway);
    // 20 MB for a stream of 16.
    let load = Load {
        devices: 4,
        messages_each: 50,
        payload_bytes: 100_000,
        window: 5,
        ..Load::default()
    };
    let fleet = Fleet::start(load, gateway.address.clone());
    let full = wait_for("the metrics show that the stream is full", LIMIT, || {
        let scrape = Scrape::of(server);
        let refused = counts(&scrape, "telemetry").refused.contains_key("stream_full");
        (refused && scrape.is_in_condition("telemetry", "full")).then_some(scrape)
    });
    assert_eq!(full.count("left_hours", "telemetry"), 0);
    let labels = [("stream", "telemetry"), ("reason", "size")];
    assert_eq!(full.value("holdfast_queue_limit_reason", &labels), Some(1.0));
    assert!(full.is_in_condition("events", "healthy"));

    cloud.comes_back();
    fleet.finish(LIMIT);
    wait_until("the metrics show that the stream is well", LIMIT, || {
        let scrape = Scrape::of(server);
        scrape.is_in_condition("telemetry", "healthy")
            && scrape.count("queued_messages", "telemetry") == 0
    });
}

#[test]
fn a_port_that_is_taken_costs_the_metrics_and_nothing_else() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let sections = format!("[telemetry]\nmetrics_bind = \"{address}\"\n");
    let mut gateway = Gateway::new(folder.path(), &sections);
    gateway.start();
    gateway.wait_logged(&["warn", "telemetry.metrics_bind", &address.to_string()]);
    mosquitto_pub(gateway.address.get(), &["-t", "sensors/a", "-m", "1", "-q", "1"]);
    assert_eq!(gateway.ledger().total("telemetry").accepted, 1);
    gateway.stop();
}

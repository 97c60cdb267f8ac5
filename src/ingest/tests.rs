use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::{
    broker::{Message, QoS, Switchboard},
    clock::SystemClock,
    config::{self, Encoding, Limits, OnFull},
    queue::{Environment, Options, Queue, Refusal},
    uplink::{profile::Profile, topic::Template},
};

/// An entrance before an AWS uplink with two streams: `telemetry`, as it comes, for `sensors/#`,
/// and `small`, enveloped and rejecting, for `small/#`.
struct Site {
    ingest: Ingest,
    queue: Queue,
    _dir: TempDir,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let small = config::Stream {
        bytes_max: 16 * 1024 * 1024,
        on_full: OnFull::Reject,
        encoding: Encoding::Envelope,
        ..config::Stream::with_defaults("small")
    };
    let configured = [config::Stream::with_defaults("telemetry"), small];
    let streams = configured.iter().map(config::Stream::queue_options).collect();
    let options = Options { streams, commit_interval: Duration::ZERO };
    let (queue, _) =
        Queue::open(dir.path(), options, &Environment::new(Arc::new(SystemClock::new()))).unwrap();
    let route = |from: &str, stream_name: &str, encoding| {
        let stream = queue.stream(stream_name).unwrap();
        Route {
            from: from.to_owned(),
            stream: stream.id(),
            stream_name: stream_name.to_owned(),
            encoding,
            to: Template::topic("{gateway}/{topic}").unwrap(),
        }
    };
    let routes = vec![
        route("sensors/#", "telemetry", Encoding::Raw),
        route("small/#", "small", Encoding::Envelope),
    ];
    let limits = Profile::of(config::Profile::Aws).limits;
    let ingest = Ingest::new(
        Routes::new("gw".to_owned(), routes, limits),
        queue.clone(),
        Arc::new(Switchboard::new(&Limits::default())),
        Arc::new(SystemClock::new()),
    );
    Site { ingest, queue, _dir: dir }
}

fn message(topic: &str, payload_bytes: usize) -> Message {
    Message {
        topic: topic.into(),
        payload: vec![b'x'; payload_bytes].into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        properties: None,
    }
}

fn source() -> Source {
    Source("wx-1".into())
}

#[tokio::test]
async fn what_a_route_matches_is_in_the_queue_when_the_verdict_comes_and_the_rest_stays_local() {
    let site = site();
    let batch = [message("sensors/a", 1), message("local/b", 2), message("sensors/c", 3)];
    let verdicts = site.ingest.submit(&source(), &batch).await;
    assert_eq!(verdicts, [Verdict::Accepted; 3]);
    let chunk = site.queue.stream("telemetry").unwrap().read(0, 10, 1 << 20).await.unwrap();
    let kept: Vec<_> = chunk.records.iter().map(|r| (r.topic.as_str(), r.payload.len())).collect();
    assert_eq!(kept, [("gw/sensors/a", 1), ("gw/sensors/c", 3)]);
    assert_eq!(&*chunk.records[0].source, "wx-1");
}

#[tokio::test]
async fn what_the_cloud_would_not_take_is_refused_at_the_door_and_counted_with_its_reason() {
    let site = site();
    let deep = "sensors/1/2/3/4/5/6/7";
    let batch = [message("sensors/a", 128 * 1024 + 1), message(deep, 1), message("sensors/b", 1)];
    let verdicts = site.ingest.submit(&source(), &batch).await;
    assert_eq!(
        verdicts,
        [
            Verdict::Refused(Refusal::PayloadTooLarge),
            Verdict::Refused(Refusal::TopicInvalid),
            Verdict::Accepted,
        ]
    );
    let ledger = site.queue.ledger();
    assert!(ledger.balances());
    let telemetry = ledger.streams.iter().find(|stream| stream.stream == "telemetry").unwrap();
    assert_eq!(telemetry.total.accepted, 1);
    assert_eq!(telemetry.total.refused[&Refusal::PayloadTooLarge], 1);
    assert_eq!(telemetry.total.refused[&Refusal::TopicInvalid], 1);
    assert_eq!(site.ingest.counters().refused(), 2);
}

#[tokio::test]
async fn the_envelope_counts_towards_the_clouds_limit() {
    let site = site();
    let fits_raw_only = 120 * 1024;
    let batch = [message("sensors/a", fits_raw_only), message("small/a", fits_raw_only)];
    let verdicts = site.ingest.submit(&source(), &batch).await;
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Refused(Refusal::PayloadTooLarge)]);
}

#[tokio::test]
async fn a_full_stream_that_rejects_refuses_and_the_other_streams_go_on() {
    let site = site();
    let full = Verdict::Refused(Refusal::StreamFull);
    let mut refused = 0;
    for _ in 0..16 {
        let batch: Vec<_> = (0..32).map(|_| message("small/a", 64 * 1024)).collect();
        let verdicts = site.ingest.submit(&source(), &batch).await;
        refused += verdicts.iter().filter(|verdict| **verdict == full).count() as u64;
    }
    assert!(refused > 0, "32 MiB went into a stream of 16");
    let ledger = site.queue.ledger();
    let small = ledger.streams.iter().find(|stream| stream.stream == "small").unwrap();
    assert_eq!(small.total.refused[&Refusal::StreamFull], refused);
    assert_eq!(small.total.accepted + refused, 16 * 32);
    let batch = [message("sensors/a", 1)];
    assert_eq!(site.ingest.submit(&source(), &batch).await, [Verdict::Accepted]);
}

//! Whether rumqttd's router, embedded, can be the switchboard behind the sessions: loss, speed
//! and memory. The bar: 20 publishers × 50 subscribers × 1,000,000 deliveries with 0 lost, and at
//! most 12 kB of memory per idle connection.
//!
//! `cargo bench --bench switchboard_rumqttd` runs every scenario in a process of its own;
//! `cargo bench --bench switchboard_rumqttd -- links` runs one. The router is used by the rules
//! that keep it alive: an ASCII prefix of ours, QoS 0 inside, clean sessions, a bound on what is
//! in flight below the budget of its segments, and `ready` after each `Unschedule`.

use std::{
    env, fs,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rumqttd::{
    Notification, Router, RouterConfig,
    local::{LinkBuilder, LinkRx, LinkTx},
};

const PUBLISHERS: u64 = 20;
const SUBSCRIBERS: u64 = 50;
const DELIVERIES: u64 = 1_000_000;
/// Ten times as many without a bound, so that they exceed what a filter's log holds.
const DELIVERIES_UNBOUNDED: u64 = 10 * DELIVERIES;
const PAYLOAD_BYTES: usize = 256;
const SEGMENT_BYTES: usize = 1024 * 1024;
const SEGMENTS: usize = 10;
/// Publishes that the slowest subscriber may be behind: a tenth of what a filter's log holds.
const IN_FLIGHT_MAX: u64 = 3_000;
/// A subscriber that hears nothing for this long counts the rest as lost.
const SILENCE: Duration = Duration::from_secs(3);
const LINKS: u64 = 1_000;
const TOPICS: u64 = 100_000;
const FILTERS: u64 = 20_000;

/// A name, and what it prints.
const SCENARIOS: [(&str, fn()); 7] = [
    ("fanout", || fanout(&shared_filter, Some(IN_FLIGHT_MAX))),
    ("fanout_distinct_filters", || fanout(&distinct_filter, Some(IN_FLIGHT_MAX))),
    ("fanout_unbounded", || fanout(&shared_filter, None)),
    ("links", || links(false)),
    ("links_subscribed", || links(true)),
    ("topics", topics),
    ("filters", filters),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    match wanted.first() {
        Some(name) => {
            if let Some((_, run)) = SCENARIOS.iter().find(|(scenario, _)| scenario == name) {
                run();
                ExitCode::SUCCESS
            } else {
                eprintln!("no scenario {name:?}; there are {:?}", SCENARIOS.map(|(name, _)| name));
                ExitCode::FAILURE
            }
        }
        None if SCENARIOS.iter().all(|(name, _)| in_own_process(name)) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

fn in_own_process(scenario: &str) -> bool {
    let program = env::current_exe().expect("a program knows its path");
    Command::new(program).arg(scenario).status().is_ok_and(|status| status.success())
}

/// Connects a link under a client id.
type Connect = Box<dyn Fn(&str) -> (LinkTx, LinkRx)>;

fn router(connections_max: usize) -> Connect {
    let config = RouterConfig {
        max_connections: connections_max,
        max_outgoing_packet_count: 200,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: SEGMENTS,
        ..RouterConfig::default()
    };
    let events = Router::new(0, config).spawn();
    Box::new(move |client_id| {
        let built = LinkBuilder::new(client_id, events.clone()).clean_session(true).build();
        let (tx, rx, _) = built.expect("the router is alive and has room");
        (tx, rx)
    })
}

/// The next notification, or `None` after a long silence.
fn next(rx: &mut LinkRx) -> Option<Notification> {
    let deadline = Instant::now() + SILENCE;
    loop {
        match rx.recv_deadline(deadline) {
            Ok(Some(Notification::Unschedule)) => rx.ready().expect("the router is alive"),
            Ok(Some(notification)) => return Some(notification),
            Ok(None) => {}
            Err(_) => return None,
        }
    }
}

/// Waits for the acknowledgement of a SUBSCRIBE or UNSUBSCRIBE.
fn acknowledged(rx: &mut LinkRx) {
    while !matches!(next(rx).expect("an acknowledgement"), Notification::DeviceAck(_)) {}
}

fn shared_filter(_: u64) -> String {
    "h/#".to_owned()
}

/// 64 different filters, all of which match every topic of [`topic`].
fn distinct_filter(subscriber: u64) -> String {
    let level = |n: u64| if subscriber >> n & 1 == 1 { "+".to_owned() } else { format!("l{n}") };
    format!("h/{}/#", (0..6).map(level).collect::<Vec<_>>().join("/"))
}

fn topic(publisher: u64) -> String {
    format!("h/l0/l1/l2/l3/l4/l5/{publisher}")
}

/// 20 publishers, 50 subscribers to all of them.
fn fanout(filter: &dyn Fn(u64) -> String, in_flight_max: Option<u64>) {
    let connect = router((PUBLISHERS + SUBSCRIBERS) as usize);
    let deliveries = if in_flight_max.is_some() { DELIVERIES } else { DELIVERIES_UNBOUNDED };
    let publishes = deliveries / SUBSCRIBERS;
    let heard: Arc<Vec<AtomicU64>> =
        Arc::new((0..SUBSCRIBERS).map(|_| AtomicU64::new(0)).collect());
    let sent = Arc::new(AtomicU64::new(0));
    let subscribers: Vec<_> = (0..SUBSCRIBERS)
        .map(|subscriber| {
            let (mut tx, mut rx) = connect(&format!("s-{subscriber}"));
            tx.subscribe(filter(subscriber)).expect("the router is alive");
            acknowledged(&mut rx);
            let heard = Arc::clone(&heard);
            thread::spawn(move || listen(&mut rx, &heard[subscriber as usize], publishes, tx))
        })
        .collect();
    let started = Instant::now();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let (tx, rx) = connect(&format!("p-{publisher}"));
            let (heard, sent) = (Arc::clone(&heard), Arc::clone(&sent));
            thread::spawn(move || {
                publish(publisher, (tx, rx), publishes, &heard, &sent, in_flight_max);
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().expect("a publisher ends");
    }
    let published_in = started.elapsed().as_secs_f64();
    let heard: Vec<Heard> =
        subscribers.into_iter().map(|thread| thread.join().expect("a subscriber ends")).collect();
    let last = heard.iter().map(|heard| heard.last).max().expect("there are subscribers");
    let took = last.duration_since(started).as_secs_f64();
    let delivered: u64 = heard.iter().map(|heard| heard.messages).sum();
    let out_of_order: u64 = heard.iter().map(|heard| heard.out_of_order).sum();
    let bound = in_flight_max.map_or("none".to_owned(), |max| max.to_string());
    println!(
        "fan-out, filter of subscriber 3 {:?}, bound {bound}: {PUBLISHERS} publishers x \
         {SUBSCRIBERS} subscribers, {delivered} of {deliveries} delivered, lost {}, out of order \
         {out_of_order}, {:.0} deliveries/s, published in {published_in:.2} s, all in {took:.2} s",
        filter(3),
        deliveries - delivered,
        delivered as f64 / took,
    );
}

/// What one subscriber heard.
struct Heard {
    messages: u64,
    out_of_order: u64,
    last: Instant,
}

fn listen(rx: &mut LinkRx, heard: &AtomicU64, publishes: u64, _alive: LinkTx) -> Heard {
    let mut messages = 0;
    let mut out_of_order = 0;
    let mut last = Instant::now();
    let mut expected = vec![0; PUBLISHERS as usize];
    while messages < publishes {
        let Some(notification) = next(rx) else { break };
        let Notification::Forward(forward) = notification else { continue };
        let number = |at: usize| {
            u64::from_le_bytes(forward.publish.payload[at..at + 8].try_into().expect("8 bytes"))
        };
        let (publisher, sequence) = (number(0), number(8));
        let expected = &mut expected[publisher as usize];
        out_of_order += u64::from(sequence < *expected);
        *expected = sequence + 1;
        messages += 1;
        heard.store(messages, Ordering::Relaxed);
        last = Instant::now();
    }
    Heard { messages, out_of_order, last }
}

fn publish(
    publisher: u64,
    (mut tx, _rx): (LinkTx, LinkRx),
    publishes: u64,
    heard: &[AtomicU64],
    sent: &AtomicU64,
    in_flight_max: Option<u64>,
) {
    for sequence in 0..publishes / PUBLISHERS {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        while in_flight_max.is_some_and(|max| number >= slowest(heard) + max) {
            thread::sleep(Duration::from_micros(200));
        }
        let mut payload = vec![0; PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&publisher.to_le_bytes());
        payload[8..16].copy_from_slice(&sequence.to_le_bytes());
        tx.publish(topic(publisher), payload).expect("the router is alive");
    }
}

fn slowest(heard: &[AtomicU64]) -> u64 {
    heard.iter().map(|heard| heard.load(Ordering::Relaxed)).min().unwrap_or(0)
}

/// What an idle link takes.
fn links(subscribed: bool) {
    let connect = router(LINKS as usize);
    let before = resident_bytes();
    let mut links = Vec::new();
    for n in 0..LINKS {
        let (mut tx, mut rx) = connect(&format!("device-{n}"));
        if subscribed {
            tx.subscribe(format!("h/device-{n}/#")).expect("the router is alive");
            acknowledged(&mut rx);
        }
        links.push((tx, rx));
    }
    let grown = resident_bytes() - before;
    let what = if subscribed { "idle links with one filter each" } else { "idle links" };
    println!("memory, {LINKS} {what}: {} bytes each", grown / links.len() as u64);
}

/// What a topic leaves behind that was published on once.
fn topics() {
    let connect = router(2);
    let (mut subscriber, mut rx) = connect("s");
    subscriber.subscribe("h/#").expect("the router is alive");
    acknowledged(&mut rx);
    let (mut tx, _publisher_rx) = connect("p");
    // Fill the filter's log first, which is bounded and not what is asked for.
    publish_each(&mut tx, &mut rx, 100_000, |_| "h/warm".to_owned());
    let before = resident_bytes();
    publish_each(&mut tx, &mut rx, TOPICS, |n| format!("h/room-{n:06}/temperature"));
    let grown = resident_bytes() - before;
    println!("memory, {TOPICS} distinct topics published once: {} bytes each", grown / TOPICS);
}

fn publish_each(tx: &mut LinkTx, rx: &mut LinkRx, count: u64, topic: impl Fn(u64) -> String) {
    for n in 0..count {
        tx.publish(topic(n), vec![0; PAYLOAD_BYTES]).expect("the router is alive");
        while !matches!(next(rx).expect("the message"), Notification::Forward(_)) {}
    }
}

/// What a filter leaves behind that was subscribed to and unsubscribed from.
fn filters() {
    let connect = router(1);
    let (mut tx, mut rx) = connect("s");
    let before = resident_bytes();
    for n in 0..FILTERS {
        let filter = format!("h/room-{n:06}/#");
        tx.subscribe(filter.clone()).expect("the router is alive");
        acknowledged(&mut rx);
        tx.unsubscribe(filter).expect("the router is alive");
        acknowledged(&mut rx);
    }
    let grown = resident_bytes() - before;
    println!(
        "memory, {FILTERS} distinct filters subscribed and unsubscribed: {} bytes each kept",
        grown / FILTERS
    );
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("VmRSS in kB") * 1024
}

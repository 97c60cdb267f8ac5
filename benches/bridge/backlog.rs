//! A large backlog: memory while it waits, and how soon its first message is on the way.

use std::time::{Duration, Instant};

use crate::{
    Arguments,
    contender::{Contender, Kind},
    marks::{Done, Marks, Total},
    support::{Authority, Fleet, Mosquitto, folder},
};

const ABSORB_LIMIT: Duration = Duration::from_mins(30);
const FIRST_LIMIT: Duration = Duration::from_mins(2);
const DRAIN_LIMIT: Duration = Duration::from_mins(30);

/// Measures each contender and prints what it found.
pub fn measure(arguments: &Arguments) {
    for kind in arguments.kinds() {
        measure_one(kind, arguments);
    }
}

fn measure_one(kind: Kind, arguments: &Arguments) {
    let folder = folder();
    let authority = Authority::new(folder.path(), "authority");
    let server = authority.server("cloud");
    let mut cloud = Mosquitto::cloud(folder.path(), &server, &authority, arguments.cloud_options());
    let tls = cloud.tls.expect("a TLS port");
    let mut contender = Contender::new(kind, folder.path(), arguments, tls, &authority);
    contender.start();

    let load = arguments.load();
    let total = Total { devices: load.devices, messages_each: load.messages_each };
    let (_, took) = Fleet::start(load, contender.address()).finish(ABSORB_LIMIT);
    println!(
        "{kind:?}: {} messages of {} B queued in {:.1} s ({:.0}/s); {}",
        total.messages(),
        arguments.payload_bytes,
        took.as_secs_f64(),
        total.messages() as f64 / took.as_secs_f64(),
        memory(&contender),
    );
    if kind == Kind::Mosquitto {
        println!("{kind:?}: killed, it would have none of them; it is not started again");
        return;
    }

    contender.kill();
    cloud.start();
    let mut marks = Marks::watch(cloud.plain);
    // The watcher is subscribed before the gateway starts.
    marks.read_until(Duration::from_millis(200), &total, Done::First);
    let started = Instant::now();
    contender.start();
    let listening = started.elapsed();
    assert!(marks.read_until(FIRST_LIMIT, &total, Done::First), "no message came");
    let (first_at, first) = marks.first.expect("a first mark");
    println!(
        "{kind:?}: started after SIGKILL: listens after {:.0} ms, number {first} is at the cloud \
         after {:.0} ms; {}",
        listening.as_secs_f64() * 1e3,
        (first_at - started).as_secs_f64() * 1e3,
        memory(&contender),
    );
    assert!(marks.read_until(DRAIN_LIMIT, &total, Done::Last), "the drain took too long");
    let drained_in = marks.last.expect("a last mark") - first_at;
    println!(
        "{kind:?}: drained in {:.1} s ({:.0}/s); {}",
        drained_in.as_secs_f64(),
        total.messages() as f64 / drained_in.as_secs_f64(),
        memory(&contender),
    );
}

fn memory(contender: &Contender) -> String {
    let (now, peak) = contender.resident_bytes();
    format!("RSS {:.1} MB, peak {:.1} MB", now as f64 / 1e6, peak as f64 / 1e6)
}

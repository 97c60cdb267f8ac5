//! An outage: everything is published while the cloud is away, then the cloud comes.

use std::time::Duration;

use crate::{
    Arguments,
    contender::{Contender, Kind},
    marks::{Done, Marks, Total},
    support::{Authority, Fleet, Mosquitto, folder},
};

const ABSORB_LIMIT: Duration = Duration::from_mins(10);
const DRAIN_LIMIT: Duration = Duration::from_mins(10);
const COUNT_LIMIT: Duration = Duration::from_secs(10);

/// What one run gave.
#[derive(Debug, Clone, Copy)]
struct Run {
    absorb: f64,
    drain: f64,
    resident_absorbed: u64,
    resident_peak: u64,
}

/// Runs both in turn and prints the medians and their ratios.
pub fn compare(arguments: &Arguments) {
    let load = arguments.load();
    println!(
        "{} devices × {} messages × {} B, QoS 1, {} in flight each; {} in flight to the cloud",
        load.devices, load.messages_each, load.payload_bytes, load.window, arguments.inflight
    );
    let kinds = arguments.kinds();
    let mut runs: Vec<(Kind, Run)> = Vec::new();
    for round in 1..=arguments.runs {
        for &kind in &kinds {
            let run = one_run(kind, arguments);
            print_line(&format!("run {round} {kind:?}"), run);
            runs.push((kind, run));
        }
    }
    println!();
    let of = |kind: Kind, value: fn(&Run) -> f64| {
        median(runs.iter().filter(|(k, _)| *k == kind).map(|(_, run)| value(run)).collect())
    };
    let medians = |kind| Run {
        absorb: of(kind, |run| run.absorb),
        drain: of(kind, |run| run.drain),
        resident_absorbed: of(kind, |run| run.resident_absorbed as f64) as u64,
        resident_peak: of(kind, |run| run.resident_peak as f64) as u64,
    };
    for &kind in &kinds {
        print_line(&format!("median {kind:?}"), medians(kind));
    }
    if let [ours, theirs] = kinds[..] {
        let (ours, theirs) = (medians(ours), medians(theirs));
        println!(
            "Holdfast / mosquitto: absorb {:.2}, drain {:.2}, memory {:.2}",
            ours.absorb / theirs.absorb,
            ours.drain / theirs.drain,
            ours.resident_absorbed as f64 / theirs.resident_absorbed as f64,
        );
    }
}

fn one_run(kind: Kind, arguments: &Arguments) -> Run {
    let folder = folder();
    let authority = Authority::new(folder.path(), "authority");
    let server = authority.server("cloud");
    let mut cloud = Mosquitto::cloud(folder.path(), &server, &authority, arguments.cloud_options());
    let tls = cloud.tls.expect("a TLS port");
    let mut contender = Contender::new(kind, folder.path(), arguments, tls, &authority);
    contender.start();

    let load = arguments.load();
    let total = Total { devices: load.devices, messages_each: load.messages_each };
    let (_, absorbed_in) = Fleet::start(load, contender.address()).finish(ABSORB_LIMIT);
    let (resident_absorbed, _) = contender.resident_bytes();

    cloud.start();
    let mut marks = Marks::watch(cloud.plain);
    assert!(marks.read_until(DRAIN_LIMIT, &total, Done::Last), "the drain took too long");
    let (first_at, first) = marks.first.expect("a first mark");
    let drained_in = marks.last.expect("a last mark") - first_at;
    let (_, resident_peak) = contender.resident_bytes();
    assert!(
        marks.read_until(COUNT_LIMIT, &total, Done::Received),
        "the cloud counts fewer messages than were published"
    );
    contender.kill();
    let seen = total.messages() - first * total.devices as u64;
    Run {
        absorb: total.messages() as f64 / absorbed_in.as_secs_f64(),
        drain: seen as f64 / drained_in.as_secs_f64(),
        resident_absorbed,
        resident_peak,
    }
}

fn print_line(name: &str, run: Run) {
    println!(
        "{name:<18} absorb {:>8.0}/s   drain {:>8.0}/s   RSS {:>6.1} MB queued, {:>6.1} MB peak",
        run.absorb,
        run.drain,
        run.resident_absorbed as f64 / 1e6,
        run.resident_peak as f64 / 1e6,
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{Counters, Outcome, Quality, Reading, Timestamp, Value};
use tokio::sync::oneshot;

use super::{Line, Wish};
use crate::{counters::Tally, plan::Plan};

const AT: Timestamp = Timestamp { unix_millis: 1, trusted: true };

/// A line with its own time.
struct Bench {
    line: Line,
    tally: Arc<Tally>,
    now: Instant,
}

impl Bench {
    /// A line of CSV whose port was just opened, without the silence after it.
    fn opened(more: &str) -> Self {
        let toml = format!(
            "name = \"x\"\nport = \"p\"\nparser = {{ kind = \"csv\" }}\n{more}\n\
             point = [{{ name = \"a\", column = 1 }}, {{ name = \"b\", column = 2 }}]"
        );
        let plan = Plan::new(&toml::from_str(&toml).unwrap()).unwrap();
        let tally = Arc::new(Tally::new(plan.name.clone(), plan.device.clone()));
        let now = Instant::now();
        let mut line = Line::new(plan, Arc::clone(&tally), now);
        line.opened(now);
        Self { line, tally, now }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<Reading> {
        self.line.heard(bytes, self.now, AT);
        self.line.take_readings()
    }

    /// Lets time pass, waking the line whenever it asks for it; the polls it wished for.
    fn pass(&mut self, time: Duration) -> Vec<Instant> {
        let end = self.now + time;
        let mut polls = Vec::new();
        while let Some(wake) = self.line.wake_at().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            if self.line.woke(self.now, AT) == Wish::Poll {
                polls.push(self.now);
            }
            assert!(polls.len() < 1000, "it wakes without end");
        }
        self.now = end;
        polls
    }

    fn count(&self, name: &str) -> u64 {
        self.tally.snapshot().iter().find(|counter| counter.name == name).unwrap().value
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn qualities(readings: &[Reading]) -> Vec<Quality> {
    readings.iter().map(|reading| reading.points[0].quality).collect()
}

#[test]
fn a_line_joined_in_the_middle_is_not_taken_for_a_whole_one() {
    let mut bench = Bench::opened("");
    assert_eq!(bench.hear(b"5,30.1\r\n"), [], "it may have been 15,30.1");
    assert_eq!(bench.count("frames_partial"), 1);
    let readings = bench.hear(b"15,30.1\r\n");
    assert_eq!(readings[0].points[0].value, Some(Value::Float(15.0)));
    assert_eq!((readings[0].sequence, readings[0].topic.as_str()), (0, "sensors/x"));
}

#[test]
fn after_a_silence_the_first_line_is_whole() {
    let mut bench = Bench::opened("");
    bench.pass(millis(100));
    assert_eq!(bench.hear(b"15,30.1\r\n").len(), 1);
    assert_eq!(bench.count("frames_partial"), 0);
}

#[test]
fn a_frame_in_pieces_is_one_reading_however_long_the_pauses() {
    let mut bench = Bench::opened("");
    bench.pass(millis(100));
    for piece in [&b"1"[..], b"5,3", b"0.1"] {
        assert_eq!(bench.hear(piece), []);
        bench.pass(Duration::from_mins(1));
    }
    assert_eq!(bench.hear(b"\n").len(), 1);
}

#[test]
fn a_frame_that_a_lost_port_cut_off_is_counted_and_never_joined_to_the_next() {
    let mut bench = Bench::opened("");
    bench.pass(millis(100));
    bench.hear(b"1");
    assert!(bench.line.lost("unplugged", AT), "the outage is news");
    assert!(!bench.line.lost("unplugged", AT), "and then no more");
    assert_eq!(qualities(&bench.line.take_readings()), [Quality::Offline], "once per outage");
    assert_eq!(bench.count("frames_partial"), 1);
    bench.line.opened(bench.now);
    bench.pass(millis(100));
    let readings = bench.hear(b"2,3\n");
    assert_eq!(readings[0].points[0].value, Some(Value::Float(2.0)));
    assert_eq!(readings[0].sequence, 1);
}

#[test]
fn polls_keep_their_grid_and_an_answer_that_does_not_come_is_reported() {
    let mut bench =
        Bench::opened("poll_command = \"R\"\npoll_interval = \"1s\"\nanswer_timeout = \"300ms\"");
    let opened = bench.now;
    assert_eq!(bench.pass(millis(150)), [opened + millis(100)], "first it listens");
    assert_eq!(bench.hear(b"1,2\n").len(), 1);
    assert_eq!(bench.pass(millis(1000)), [opened + millis(1000)]);
    assert_eq!(bench.line.take_readings(), []);
    bench.pass(millis(300));
    assert_eq!(qualities(&bench.line.take_readings()), [Quality::Timeout]);
    assert_eq!((bench.count("polls"), bench.count("timeouts")), (2, 1));
}

#[test]
fn an_answer_that_comes_damaged_is_reported_as_such() {
    let mut bench = Bench::opened("poll_command = \"R\"\nanswer_timeout = \"300ms\"");
    bench.pass(millis(100));
    assert_eq!(bench.hear(b"1\n"), []);
    bench.pass(millis(300));
    assert_eq!(qualities(&bench.line.take_readings()), [Quality::Crc]);
    assert_eq!(bench.count("frames_garbled"), 1);
}

#[test]
fn a_poll_does_not_go_out_while_the_device_talks_but_waits_not_for_ever() {
    let mut bench = Bench::opened("poll_command = \"R\"\npoll_interval = \"10s\"");
    let opened = bench.now;
    let mut polls = Vec::new();
    for _ in 0..40 {
        bench.hear(b"1");
        polls.extend(bench.pass(millis(50)));
    }
    assert_eq!(polls, [opened + millis(1000)]);
}

#[test]
fn half_an_answer_does_not_become_the_start_of_the_next() {
    let mut bench =
        Bench::opened("poll_command = \"R\"\npoll_interval = \"1s\"\nanswer_timeout = \"300ms\"");
    bench.pass(millis(100));
    bench.hear(b"9");
    assert_eq!(bench.pass(millis(1000)).len(), 1);
    bench.line.take_readings();
    let readings = bench.hear(b"1,2\n");
    assert_eq!(readings[0].points[0].value, Some(Value::Float(1.0)));
    assert_eq!(bench.count("frames_partial"), 1);
}

#[test]
fn missed_polls_are_counted_and_not_made_up_for() {
    let mut bench = Bench::opened("poll_command = \"R\"\npoll_interval = \"1s\"");
    bench.now += millis(3500);
    assert_eq!(bench.line.woke(bench.now, AT), Wish::Poll);
    assert_eq!(bench.count("polls_skipped"), 3);
    bench.hear(b"1,2\n");
    assert_eq!(bench.pass(millis(1000)).len(), 1);
}

#[test]
fn with_an_interval_the_latest_values_go_out_once_per_interval() {
    let mut bench = Bench::opened("interval = \"10s\"");
    bench.pass(millis(100));
    for _ in 0..50 {
        assert_eq!(bench.hear(b"1,2\n"), []);
        bench.pass(millis(100));
    }
    bench.hear(b"3,4\n");
    bench.pass(millis(10_000));
    let readings = bench.line.take_readings();
    assert_eq!(readings.len(), 1);
    assert_eq!(readings[0].points[0].value, Some(Value::Float(3.0)));
    bench.hear(b"5,6\n");
    bench.line.stopped("stopping");
    assert_eq!(bench.line.take_readings().len(), 1, "what was gathered is not lost at the end");
}

#[test]
fn a_silence_is_reported_once_until_the_device_speaks_again() {
    let mut bench = Bench::opened("silent_after = \"30s\"");
    bench.pass(Duration::from_mins(5));
    assert_eq!(qualities(&bench.line.take_readings()), [Quality::Timeout]);
    assert_eq!(bench.hear(b"1,2\n").len(), 1);
    bench.pass(Duration::from_secs(31));
    assert_eq!(qualities(&bench.line.take_readings()), [Quality::Timeout]);
}

#[test]
fn a_write_is_done_when_the_device_says_so_and_failed_when_it_does_not() {
    let mut bench = Bench::opened("answer_timeout = \"300ms\"");
    bench.pass(millis(100));
    let (reply, mut outcome) = oneshot::channel();
    bench.line.expect_confirmation(b"OK".to_vec(), reply, bench.now);
    assert!(bench.line.is_busy());
    assert_eq!(bench.hear(b"1,2\n").len(), 1, "readings go on meanwhile");
    bench.hear(b"SET OK\n");
    assert_eq!(outcome.try_recv().unwrap(), Outcome::Done { readback: None });
    assert!(!bench.line.is_busy());

    let (reply, mut outcome) = oneshot::channel();
    bench.line.expect_confirmation(b"OK".to_vec(), reply, bench.now);
    bench.pass(millis(300));
    assert!(matches!(outcome.try_recv().unwrap(), Outcome::Failed { .. }));
    assert!(bench.line.is_busy(), "a late answer must not confirm the next write");
    bench.pass(millis(300));
    assert!(!bench.line.is_busy());
    assert_eq!(bench.count("writes_failed"), 1);
}

#[test]
fn after_bytes_may_have_been_lost_the_next_line_is_not_trusted() {
    let mut bench = Bench::opened("");
    bench.pass(millis(100));
    bench.hear(b"1,");
    bench.line.held_back();
    assert_eq!(bench.hear(b"2,3\n4,5\n").len(), 1);
    assert_eq!((bench.count("held_back"), bench.count("frames_partial")), (1, 2));
}

//! One reading per frame, or one per interval with the latest of each point.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use holdfast_adapter_api::{Point, Timestamp};

use crate::decode::Placed;

/// Points on their way into a reading.
#[derive(Debug)]
pub struct Batch {
    interval: Option<Duration>,
    points: BTreeMap<usize, Point>,
    at: Timestamp,
    due: Option<Instant>,
}

/// Points that go out as one reading, with the time of the latest.
pub type Bundle = (Timestamp, Vec<Point>);

impl Batch {
    /// An empty one.
    pub fn new(interval: Option<Duration>) -> Self {
        let at = Timestamp { unix_millis: 0, trusted: false };
        Self { interval, points: BTreeMap::new(), at, due: None }
    }

    /// Adds the points of one frame. They come back at once where there is no interval.
    pub fn add(&mut self, points: Vec<Placed>, at: Timestamp, now: Instant) -> Option<Bundle> {
        self.points.extend(points);
        self.at = at;
        match self.interval {
            None => self.take(),
            Some(interval) => {
                self.due.get_or_insert(now + interval);
                None
            }
        }
    }

    /// When the points gathered are to go out; `None` without any.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What was gathered.
    pub fn take(&mut self) -> Option<Bundle> {
        self.due = None;
        let points: Vec<_> = std::mem::take(&mut self.points).into_values().collect();
        (!points.is_empty()).then_some((self.at, points))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_adapter_api::{Quality, Value};

    use super::*;

    fn point(place: usize, value: i64) -> Placed {
        let value = Some(Value::Int(value));
        (place, Point { name: format!("p{place}"), value, unit: None, quality: Quality::Good })
    }

    fn at(unix_millis: i64) -> Timestamp {
        Timestamp { unix_millis, trusted: true }
    }

    #[test]
    fn without_an_interval_every_frame_is_a_reading() {
        let mut batch = Batch::new(None);
        let bundle = batch.add(vec![point(0, 1)], at(5), Instant::now()).unwrap();
        assert_eq!(bundle, (at(5), vec![point(0, 1).1]));
        assert_eq!(batch.due(), None);
    }

    #[test]
    fn with_an_interval_the_latest_of_each_point_goes_out_in_configured_order() {
        let start = Instant::now();
        let interval = Duration::from_secs(10);
        let mut batch = Batch::new(Some(interval));
        assert_eq!(batch.add(vec![point(1, 1)], at(1), start), None);
        assert_eq!(batch.add(vec![point(0, 2)], at(2), start + interval / 2), None);
        assert_eq!(batch.add(vec![point(1, 3)], at(3), start + interval / 2), None);
        assert_eq!(batch.due(), Some(start + interval));
        assert_eq!(batch.take(), Some((at(3), vec![point(0, 2).1, point(1, 3).1])));
        assert_eq!((batch.due(), batch.take()), (None, None));
    }
}

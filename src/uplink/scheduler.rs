//! Which stream is served next: the highest priority that has something, in turn among equals.

/// The scheduler: priorities are fixed, the turn moves.
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// Streams, by their place in the uplink's list, grouped from the highest priority down.
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct Group {
    priority: u8,
    streams: Vec<usize>,
    turn: usize,
}

impl Scheduler {
    /// A scheduler for streams of these priorities.
    pub fn new(priorities: &[u8]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (stream, &priority) in priorities.iter().enumerate() {
            match groups.iter_mut().find(|group| group.priority == priority) {
                Some(group) => group.streams.push(stream),
                None => groups.push(Group { priority, streams: vec![stream], turn: 0 }),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.priority));
        Self { groups }
    }

    /// The stream to serve, of those that are ready; it then goes to the end of its line.
    pub fn next(&mut self, ready: impl Fn(usize) -> bool) -> Option<usize> {
        for group in &mut self.groups {
            let count = group.streams.len();
            for step in 0..count {
                let at = (group.turn + step) % count;
                if ready(group.streams[at]) {
                    group.turn = (at + 1) % count;
                    return Some(group.streams[at]);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_priority_that_has_something_is_served_first() {
        let mut scheduler = Scheduler::new(&[1, 9, 5]);
        assert_eq!(scheduler.next(|_| true), Some(1));
        assert_eq!(scheduler.next(|_| true), Some(1));
        assert_eq!(scheduler.next(|stream| stream != 1), Some(2));
        assert_eq!(scheduler.next(|stream| stream == 0), Some(0));
        assert_eq!(scheduler.next(|_| false), None);
    }

    #[test]
    fn equals_take_turns_and_one_with_nothing_loses_no_turn() {
        let mut scheduler = Scheduler::new(&[5, 5, 5]);
        let served: Vec<_> = (0..6).filter_map(|_| scheduler.next(|_| true)).collect();
        assert_eq!(served, [0, 1, 2, 0, 1, 2]);
        let served: Vec<_> = (0..4).filter_map(|_| scheduler.next(|s| s != 1)).collect();
        assert_eq!(served, [0, 2, 0, 2]);
    }

    proptest! {
        #[test]
        fn nobody_is_served_before_a_ready_stream_of_higher_priority_and_equals_share(
            priorities in proptest::collection::vec(0_u8..4, 1..8),
            ready in proptest::collection::vec(any::<bool>(), 8),
        ) {
            let mut scheduler = Scheduler::new(&priorities);
            let is_ready = |stream: usize| ready[stream];
            let best = (0..priorities.len()).filter(|&s| ready[s]).map(|s| priorities[s]).max();
            let mut served = vec![0_u32; priorities.len()];
            for _ in 0..120 {
                match scheduler.next(is_ready) {
                    None => prop_assert_eq!(best, None),
                    Some(stream) => {
                        prop_assert!(ready[stream]);
                        prop_assert_eq!(Some(priorities[stream]), best);
                        served[stream] += 1;
                    }
                }
            }
            let counts: Vec<u32> = served.into_iter().filter(|&n| n > 0).collect();
            if let (Some(least), Some(most)) = (counts.iter().min(), counts.iter().max()) {
                prop_assert!(most - least <= 1);
            }
        }
    }
}

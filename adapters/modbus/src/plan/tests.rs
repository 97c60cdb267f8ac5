use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { registers_max: 125, gap_max: 8 };

fn holding(address: u16, count: u16) -> Span {
    Span { table: Table::Holding, address, count }
}

fn reads(spans: &[Span], limits: Limits) -> Vec<(u16, u16)> {
    let all: Vec<usize> = (0..spans.len()).collect();
    plan(spans, &all, limits).iter().map(|b| (b.span.address, b.span.count)).collect()
}

#[test]
fn neighbours_and_points_across_small_gaps_are_read_together() {
    let spans = [holding(10, 2), holding(0, 1), holding(12, 1), holding(20, 4), holding(40, 1)];
    assert_eq!(reads(&spans, LIMITS), [(0, 1), (10, 14), (40, 1)]);
    let without_gaps = Limits { gap_max: 0, ..LIMITS };
    assert_eq!(reads(&spans, without_gaps), [(0, 1), (10, 3), (20, 4), (40, 1)]);
}

#[test]
fn no_read_is_longer_than_the_device_allows() {
    let spans: Vec<Span> = (0..100).map(|n| holding(2 * n, 2)).collect();
    assert_eq!(reads(&spans, LIMITS), [(0, 124), (124, 76)]);
    let small = Limits { registers_max: 5, ..LIMITS };
    assert_eq!(reads(&spans[..4], small), [(0, 4), (4, 4)]);
}

#[test]
fn tables_are_never_mixed_and_bits_have_their_own_limits() {
    let span = |table, address| Span { table, address, count: 1 };
    let spans = [
        span(Table::Coil, 0),
        span(Table::Holding, 1),
        span(Table::Coil, 100),
        span(Table::Input, 1),
    ];
    let all = [0, 1, 2, 3];
    let batches = plan(&spans, &all, LIMITS);
    assert_eq!(batches.len(), 3);
    assert!(batches.iter().any(|b| b.span == Span { table: Table::Coil, address: 0, count: 101 }));
}

#[test]
fn overlapping_points_share_a_read_and_find_their_registers() {
    let spans = [holding(5, 4), holding(6, 1), holding(5, 2)];
    let batches = plan(&spans, &[0, 1, 2], LIMITS);
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].span, holding(5, 4));
    assert_eq!(batches[0].range(spans[1]), 1..2);
}

#[test]
fn the_last_register_can_be_read() {
    assert_eq!(reads(&[holding(65_534, 2), holding(65_530, 1)], LIMITS), [(65_530, 6)]);
}

#[test]
fn a_read_splits_into_halves_until_its_points_lie_in_one_place() {
    let spans = [holding(0, 1), holding(1, 1), holding(1, 1), holding(9, 2)];
    let batch = &plan(&spans, &[0, 1, 2, 3], LIMITS)[0];
    let (left, right) = batch.split(&spans).unwrap();
    assert_eq!((left.span, left.points), (holding(0, 1), vec![0]));
    assert_eq!((right.span, right.points.clone()), (holding(1, 10), vec![1, 2, 3]));
    let (two_points, _) = right.split(&spans).unwrap();
    assert_eq!(two_points.points, [1, 2]);
    assert_eq!(two_points.split(&spans), None);
}

#[test]
fn halves_that_touch_join_again_and_others_do_not() {
    let spans = [holding(0, 1), holding(1, 1), holding(3, 1)];
    let all = plan(&spans, &[0, 1, 2], Limits { gap_max: 0, registers_max: 1 });
    let joined = all[0].joined(&all[1], &spans, LIMITS).unwrap();
    assert_eq!((joined.span, joined.points.clone()), (holding(0, 2), vec![0, 1]));
    assert_eq!(joined.joined(&all[2], &spans, LIMITS), None);
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    let table = prop::sample::select(vec![Table::Holding, Table::Input, Table::Coil]);
    let span = (table, 0_u16..400, 1_u16..5).prop_map(|(table, address, count)| Span {
        table,
        address,
        count: if table.is_bits() { 1 } else { count },
    });
    prop::collection::vec(span, 1..60)
}

proptest! {
    #[test]
    fn every_point_is_in_exactly_one_read_that_holds_it_and_keeps_the_limits(
        spans in spans(),
        registers_max in 5_u16..=125,
        gap_max in 0_u16..20,
    ) {
        let limits = Limits { registers_max, gap_max };
        let all: Vec<usize> = (0..spans.len()).collect();
        let mut seen = vec![0; spans.len()];
        let mut queue = plan(&spans, &all, limits);
        while let Some(batch) = queue.pop() {
            let max = if batch.span.table.is_bits() { BITS_PER_READ } else { registers_max };
            prop_assert!((1..=max).contains(&batch.span.count));
            for point in &batch.points {
                prop_assert_eq!(spans[*point].table, batch.span.table);
                let range = batch.range(spans[*point]);
                prop_assert!(range.end <= usize::from(batch.span.count));
                prop_assert_eq!(range.len(), usize::from(spans[*point].count));
            }
            match batch.split(&spans) {
                Some((left, right)) => queue.extend([left, right]),
                None => batch.points.iter().for_each(|point| seen[*point] += 1),
            }
        }
        prop_assert!(seen.iter().all(|times| *times == 1));
    }
}

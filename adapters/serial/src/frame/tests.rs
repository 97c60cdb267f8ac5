use proptest::prelude::*;

use super::{
    Event, Framer, Length, Shape,
    framer::Event::{CheckFailed, Frame, Noise, Partial, TooLong},
};
use crate::config::{ByteOrder, Check};

const BYTES_MAX: usize = 8;

fn line() -> Framer {
    Framer::new(Shape::Ended(vec![b"\r".to_vec(), b"\n".to_vec()]), BYTES_MAX, Check::None)
}

fn delimited() -> Framer {
    let shape = Shape::Delimited { start: b"<<".to_vec(), end: b">".to_vec() };
    Framer::new(shape, BYTES_MAX, Check::None)
}

fn fixed(sync: &[u8], length: usize, check: Check) -> Framer {
    let shape = Shape::Sized { sync: sync.to_vec(), length: Length::Fixed(length) };
    Framer::new(shape, BYTES_MAX, check)
}

fn told() -> Framer {
    let length = Length::Told { at: 1, width: 2, order: ByteOrder::Big, add: 4 };
    Framer::new(Shape::Sized { sync: b"B".to_vec(), length }, BYTES_MAX, Check::Sum8)
}

fn gap() -> Framer {
    Framer::new(Shape::Gap, BYTES_MAX, Check::None)
}

fn fed(framer: &mut Framer, bytes: &[u8]) -> Vec<Event> {
    let mut out = Vec::new();
    framer.push(bytes, &mut out);
    out
}

fn frame(bytes: &[u8]) -> Event {
    Frame(bytes.to_vec())
}

fn partial(bytes: &[u8]) -> Event {
    Partial(bytes.to_vec())
}

#[test]
fn a_line_ends_with_cr_lf_or_both_and_empty_lines_do_not_count() {
    let events = fed(&mut line(), b"a\nb\rc\r\n\r\n\nd\n\re");
    assert_eq!(events, [frame(b"a"), frame(b"b"), frame(b"c"), frame(b"d")]);
}

#[test]
fn an_unfinished_line_is_kept_until_its_end_comes() {
    let mut framer = line();
    assert_eq!(fed(&mut framer, b"ab"), []);
    assert!(framer.is_mid_frame());
    assert_eq!(fed(&mut framer, b"cd\r"), [frame(b"abcd")]);
    assert!(!framer.is_mid_frame());
}

#[test]
fn a_line_of_the_bound_passes_and_a_longer_one_is_reported_once_and_skipped() {
    let events = fed(&mut line(), b"12345678\n123456789\n1234567890123456789\nok\n");
    assert_eq!(events, [frame(b"12345678"), TooLong, TooLong, frame(b"ok")]);
}

#[test]
fn the_first_line_after_joining_a_talking_device_is_a_partial() {
    let mut framer = line();
    framer.lose_place(&mut Vec::new());
    assert_eq!(fed(&mut framer, b"5,3\n7,4\n"), [partial(b"5,3"), frame(b"7,4")]);
    framer.lose_place(&mut Vec::new());
    assert_eq!(fed(&mut framer, b"\n7,4\n"), [frame(b"7,4")], "joined right before the end");
}

#[test]
fn the_first_line_after_joining_a_silent_device_is_whole() {
    let mut framer = line();
    framer.lose_place(&mut Vec::new());
    framer.found_silent();
    assert_eq!(fed(&mut framer, b"5,3\n"), [frame(b"5,3")]);
    framer.lose_place(&mut Vec::new());
    fed(&mut framer, b"5");
    framer.found_silent();
    assert_eq!(fed(&mut framer, b",3\n"), [partial(b"5,3")], "it was not silent");
}

#[test]
fn what_a_gap_or_a_lost_port_leaves_of_a_frame_is_a_partial() {
    for mut framer in [line(), delimited(), fixed(b"", 4, Check::None), told()] {
        let mut out = fed(&mut framer, b"<<B");
        out.clear();
        framer.give_up(&mut out);
        let [Partial(rest)] = &out[..] else { panic!("{framer:?} gave {out:?}") };
        assert!(rest.ends_with(b"B"));
        framer.give_up(&mut out);
        assert_eq!(out.len(), 1, "there was nothing left");
    }
}

#[test]
fn a_delimited_frame_is_found_in_noise_and_never_joined_to_the_next() {
    assert_eq!(
        fed(&mut delimited(), b"x<y<<ab>z<<a<<b><<>"),
        [Noise(3), frame(b"ab"), partial(b"a"), Noise(1), frame(b"b")]
    );
    assert_eq!(fed(&mut delimited(), b"<<123456789><<1>"), [TooLong, Noise(1), frame(b"1")]);
}

#[test]
fn a_delimited_frame_may_follow_part_of_a_start() {
    assert_eq!(fed(&mut delimited(), b"<<<a>"), [frame(b"<a")]);
}

#[test]
fn fixed_frames_follow_their_sync() {
    let events =
        fed(&mut fixed(b"\xAA\x55", 4, Check::None), b"\x55\xAA\xAA\x5512\xAA\x55\xAA\x55");
    assert_eq!(events, [Noise(2), frame(b"\xAA\x5512"), frame(b"\xAA\x55\xAA\x55")]);
}

#[test]
fn a_false_sync_is_left_again_when_the_check_proves_it_wrong() {
    // 'A' also stands within the frame; joined there, only the check tells.
    let whole = b"A1A2\xE5";
    let mut framer = fixed(b"A", 5, Check::Sum8);
    let mut stream = b"A2\xE5".to_vec();
    stream.extend_from_slice(whole);
    stream.extend_from_slice(whole);
    let events = fed(&mut framer, &stream);
    assert!(events.iter().any(|event| matches!(event, CheckFailed(_))), "{events:?}");
    let frames: Vec<_> = events.iter().filter(|event| matches!(event, Frame(_))).collect();
    assert_eq!(frames, [&frame(b"A1A2"), &frame(b"A1A2")]);
}

#[test]
fn frames_without_sync_are_found_by_silence_only() {
    let mut framer = fixed(b"", 2, Check::None);
    framer.lose_place(&mut Vec::new());
    assert_eq!(fed(&mut framer, b"xyz"), [Noise(3)]);
    let mut out = Vec::new();
    framer.gap_passed(&mut out);
    framer.push(b"abc", &mut out);
    framer.gap_passed(&mut out);
    framer.push(b"de", &mut out);
    assert_eq!(out, [frame(b"ab"), partial(b"c"), frame(b"de")]);
}

#[test]
fn a_told_length_is_believed_within_bounds_only() {
    let whole = b"B\0\x02xy\x35";
    assert_eq!(fed(&mut told(), whole), [frame(b"B\0\x02xy")]);
    let mut stream = b"B\xFF\xFFB\0".to_vec();
    stream.extend_from_slice(whole);
    let events = fed(&mut told(), &stream);
    assert_eq!(events.last(), Some(&frame(b"B\0\x02xy")), "{events:?}");
}

#[test]
fn silence_ends_a_frame_of_any_bytes() {
    let mut framer = gap();
    let mut out = Vec::new();
    framer.lose_place(&mut out);
    framer.push(b"tail", &mut out);
    framer.gap_passed(&mut out);
    framer.push(b"ab\r\n", &mut out);
    framer.gap_passed(&mut out);
    framer.gap_passed(&mut out);
    framer.push(b"123456789xyz", &mut out);
    framer.gap_passed(&mut out);
    framer.push(b"c", &mut out);
    framer.gap_passed(&mut out);
    assert_eq!(out, [partial(b"tail"), frame(b"ab\r\n"), TooLong, frame(b"c")]);
}

/// The events without the counts of noise, whose grouping depends on the pieces, and the sum.
fn apart(events: Vec<Event>) -> (Vec<Event>, usize) {
    let mut noise = 0;
    let rest = events.into_iter().filter(|event| {
        if let Noise(bytes) = event {
            noise += bytes;
        }
        !matches!(event, Noise(_))
    });
    let rest = rest.collect();
    (rest, noise)
}

proptest! {
    #[test]
    fn the_pieces_in_which_bytes_come_do_not_matter(
        bytes in proptest::collection::vec(
            prop_oneof![4 => prop::sample::select(&b"AB<>\r\n\x01\x02\0\xAA\x55"[..]), 1 => any::<u8>()],
            0..200,
        ),
        cuts in proptest::collection::vec(1usize..20, 1..40),
        lost in any::<bool>(),
    ) {
        let makers: [fn() -> Framer; 6] = [
            line, delimited, told, gap,
            || fixed(b"\xAA\x55", 4, Check::None),
            || fixed(b"A", 5, Check::Xor8),
        ];
        for make in makers {
            let (mut whole, mut pieces) = (make(), make());
            let (mut out_whole, mut out_pieces) = (Vec::new(), Vec::new());
            if lost {
                whole.lose_place(&mut out_whole);
                pieces.lose_place(&mut out_pieces);
            }
            whole.push(&bytes, &mut out_whole);
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                pieces.push(piece, &mut out_pieces);
                rest = after;
            }
            whole.gap_passed(&mut out_whole);
            pieces.gap_passed(&mut out_pieces);
            prop_assert_eq!(apart(out_whole), apart(out_pieces));
        }
    }

    #[test]
    fn no_frame_is_longer_than_the_bound_and_no_buffer_grows(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        for mut framer in [line(), delimited(), told(), gap()] {
            for event in fed(&mut framer, &bytes) {
                if let Frame(frame) = event {
                    prop_assert!(frame.len() <= BYTES_MAX);
                }
            }
            prop_assert!(framer.buffer.len() <= BYTES_MAX + 2);
        }
    }
}

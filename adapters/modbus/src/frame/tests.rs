use proptest::prelude::*;
use tokio_modbus::{ExceptionCode, Request, Response};

use super::{crc::crc, *};

fn query(request: Request<'static>) -> Query {
    Query::new(request).unwrap()
}

fn holding(address: u16, count: u16) -> Query {
    query(Request::ReadHoldingRegisters(address, count))
}

/// What the master makes of `bytes` when it waits for unit 1's answer.
fn receive(query: &Query, bytes: &[u8], echo: bool) -> (Step, RtuReceiver) {
    let mut receiver = RtuReceiver::new(1, &rtu_frame(1, query.pdu()), echo);
    let step = receiver.receive(bytes, query);
    (step, receiver)
}

fn words(words: &[u16]) -> Step {
    Step::Answer(Ok(Response::ReadHoldingRegisters(words.to_vec())))
}

fn answer(unit: u8, pdu: &[u8]) -> Vec<u8> {
    rtu_frame(unit, pdu)
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    // The check value of CRC-16/MODBUS.
    assert_eq!(crc(b"123456789"), 0x4B37);
    assert_eq!(rtu_frame(1, &[3, 0, 0, 0, 10]), [1, 3, 0, 0, 0, 10, 0xC5, 0xCD]);
}

#[test]
fn requests_are_written_as_the_standard_says() {
    // The examples of the application protocol, clause 6.
    let pdu = |request| query(request).pdu().to_vec();
    assert_eq!(pdu(Request::ReadCoils(0x13, 0x13)), [1, 0, 0x13, 0, 0x13]);
    assert_eq!(pdu(Request::ReadInputRegisters(8, 1)), [4, 0, 8, 0, 1]);
    assert_eq!(pdu(Request::WriteSingleCoil(0xAC, true)), [5, 0, 0xAC, 0xFF, 0]);
    assert_eq!(pdu(Request::WriteSingleRegister(1, 3)), [6, 0, 1, 0, 3]);
    let coils = [true, false, true, true, false, false, true, true, true, false];
    assert_eq!(
        pdu(Request::WriteMultipleCoils(0x13, coils.to_vec().into())),
        [15, 0, 0x13, 0, 10, 2, 0xCD, 1]
    );
    assert_eq!(
        pdu(Request::WriteMultipleRegisters(1, vec![10, 0x0102].into())),
        [16, 0, 1, 0, 2, 4, 0, 10, 1, 2]
    );
    assert_eq!(pdu(Request::MaskWriteRegister(4, 0xF2, 0x25)), [22, 0, 4, 0, 0xF2, 0, 0x25]);
}

#[test]
fn a_request_that_breaks_the_protocol_is_not_sent() {
    for request in [
        Request::ReadHoldingRegisters(0, 0),
        Request::ReadHoldingRegisters(0, 126),
        Request::ReadInputRegisters(0, 300),
        Request::ReadCoils(0, 2_001),
        Request::WriteMultipleRegisters(0, vec![0; 124].into()),
        Request::WriteMultipleRegisters(0, Vec::new().into()),
        Request::WriteMultipleCoils(0, vec![false; 1_969].into()),
    ] {
        assert!(matches!(Query::new(request), Err(InvalidRequest::Quantity(_))));
    }
    let beyond = Query::new(Request::ReadHoldingRegisters(65_535, 2)).unwrap_err();
    assert_eq!(beyond, InvalidRequest::Range);
    assert!(Query::new(Request::ReadHoldingRegisters(65_535, 1)).is_ok());
    assert_eq!(Query::new(Request::ReportServerId).unwrap_err(), InvalidRequest::Function(17));
}

#[test]
fn an_answer_of_another_length_is_not_the_answer() {
    let short = answer(1, &[3, 4, 0, 1, 0, 2]);
    let (step, receiver) = receive(&holding(0, 10), &short, false);
    assert_eq!(step, Step::More);
    assert_eq!(receiver.discarded().mismatches, 1);
    assert_eq!(receive(&holding(0, 2), &short, false).0, words(&[1, 2]));
}

#[test]
fn an_answer_of_another_unit_function_or_echoed_value_is_not_the_answer() {
    let other_unit = answer(2, &[3, 2, 0, 1]);
    assert_eq!(receive(&holding(0, 1), &other_unit, false).0, Step::More);
    let other_function = answer(1, &[4, 2, 0, 1]);
    assert_eq!(receive(&holding(0, 1), &other_function, false).0, Step::More);
    let write = query(Request::WriteSingleRegister(5, 7));
    for echoed in [[6, 0, 4, 0, 7], [6, 0, 5, 0, 8]] {
        assert_eq!(receive(&write, &answer(1, &echoed), false).0, Step::More);
    }
    let confirmed = receive(&write, &answer(1, &[6, 0, 5, 0, 7]), false).0;
    assert_eq!(confirmed, Step::Answer(Ok(Response::WriteSingleRegister(5, 7))));
    let block = query(Request::WriteMultipleRegisters(5, vec![1, 2].into()));
    assert_eq!(receive(&block, &answer(1, &[16, 0, 5, 0, 1]), false).0, Step::More);
}

#[test]
fn an_exception_is_an_answer_with_its_code() {
    let (step, _) = receive(&holding(0, 1), &answer(1, &[0x83, 2]), false);
    assert_eq!(step, Step::Answer(Err(ExceptionCode::IllegalDataAddress)));
    let (step, _) = receive(&holding(0, 1), &answer(1, &[0x84, 2]), false);
    assert_eq!(step, Step::More);
}

#[test]
fn bits_are_unpacked_in_order_and_padding_is_left_out() {
    let coils = query(Request::ReadCoils(0x13, 10));
    let (step, _) = receive(&coils, &answer(1, &[1, 2, 0xCD, 0xFD]), false);
    let bits = [true, false, true, true, false, false, true, true, true, false];
    assert_eq!(step, Step::Answer(Ok(Response::ReadCoils(bits.to_vec()))));
}

#[test]
fn noise_before_the_answer_is_skipped_however_much_it_resembles_an_answer() {
    let query = holding(0, 2);
    let right = answer(1, &[3, 4, 0, 1, 0, 2]);
    for noise in [
        &[0x00, 0x03, 0xF0][..],
        &[0x01, 0x03, 0x04],
        &[0x01, 0x03, 0xFF],
        &[0x01, 0x83],
        &[0xFF; 200],
        &[0x01; 400],
    ] {
        let (step, receiver) = receive(&query, &[noise, &right].concat(), false);
        assert_eq!(step, words(&[1, 2]), "{noise:02X?}");
        assert_eq!(receiver.discarded().bytes as usize, noise.len());
    }
}

#[test]
fn a_foreign_frame_before_the_answer_is_discarded_whole() {
    let foreign = answer(2, &[3, 4, 9, 9, 9, 9]);
    let (step, receiver) =
        receive(&holding(0, 2), &[foreign, answer(1, &[3, 4, 0, 1, 0, 2])].concat(), false);
    assert_eq!(step, words(&[1, 2]));
    assert_eq!((receiver.discarded().mismatches, receiver.discarded().bytes), (1, 0));
}

#[test]
fn data_that_looks_like_a_frame_does_not_tear_the_answer_apart() {
    let inner = answer(9, &[0x83, 2]);
    let mut data = vec![3, 6];
    data.extend(&inner);
    data.push(0);
    let whole = answer(1, &data);
    let query = holding(0, 3);
    let mut receiver = RtuReceiver::new(1, &rtu_frame(1, query.pdu()), false);
    for byte in &whole[..whole.len() - 1] {
        assert_eq!(receiver.receive(&[*byte], &query), Step::More);
    }
    assert!(matches!(receiver.receive(&whole[whole.len() - 1..], &query), Step::Answer(Ok(_))));
}

#[test]
fn noise_that_makes_a_frame_together_with_the_answers_head_does_not_swallow_it() {
    // Looks like unit 9's echo of a write, with a checksum of 01 03: so unit 1's answer begins.
    let noise = (0..=u16::MAX)
        .map(|word| [9, 6, 0, 0, word.to_be_bytes()[0], word.to_be_bytes()[1]])
        .find(|noise| crc(noise) == u16::from_le_bytes([1, 3]))
        .expect("two bytes can make up for any checksum");
    let bytes = [&noise[..], &answer(1, &[3, 4, 0, 1, 0, 2])].concat();
    assert_eq!(receive(&holding(0, 2), &bytes, false).0, words(&[1, 2]));
}

#[test]
fn a_damaged_answer_is_damaged_and_silence_is_not() {
    let mut damaged = answer(1, &[3, 4, 0, 1, 0, 2]);
    damaged[4] ^= 1;
    let (step, receiver) = receive(&holding(0, 2), &damaged, false);
    assert_eq!(step, Step::More);
    assert!(receiver.is_damaged() && receiver.is_hopeless());
    let (_, receiver) = receive(&holding(0, 2), &damaged[..3], false);
    assert!(receiver.is_damaged() && !receiver.is_hopeless());
    let (_, receiver) = receive(&holding(0, 2), &[], false);
    assert!(!receiver.is_damaged());
}

#[test]
fn an_expected_echo_comes_first_and_is_no_answer() {
    let write = query(Request::WriteSingleRegister(5, 7));
    let echo = rtu_frame(1, write.pdu());
    assert_eq!(receive(&write, &echo, true).0, Step::More);
    let (step, receiver) = receive(&write, &[echo.clone(), echo.clone()].concat(), true);
    assert_eq!(step, Step::Answer(Ok(Response::WriteSingleRegister(5, 7))));
    assert_eq!(receiver.discarded().echoes, 1);
    let with_noise = [&[0, 0][..], &echo, &echo].concat();
    assert!(matches!(receive(&write, &with_noise, true).0, Step::Answer(Ok(_))));
}

#[test]
fn an_unexpected_echo_of_a_read_is_noticed_even_where_it_would_pass_for_an_answer() {
    // The request for 17 coils from 0x0300 on reads as an answer of three bytes.
    let coils = query(Request::ReadCoils(0x0300, 17));
    let echo = rtu_frame(1, coils.pdu());
    let (step, receiver) = receive(&coils, &echo, false);
    assert_eq!(step, Step::More);
    assert_eq!(receiver.discarded().echoes, 1);
}

#[test]
fn tcp_answers_are_matched_by_transaction_and_unit() {
    let query = holding(0, 1);
    assert_eq!(tcp_frame(0x0102, 7, query.pdu()), [1, 2, 0, 0, 0, 6, 7, 3, 0, 0, 0, 1]);
    let frame =
        |transaction, unit, word| [0, transaction, 0, 0, 0, 5, unit, 3, 2, 0, word].to_vec();
    let mut receiver = TcpReceiver::default();
    let bytes = [frame(1, 7, 1), frame(2, 9, 2), frame(2, 7, 3)].concat();
    for byte in &bytes[..bytes.len() - 1] {
        assert_eq!(receiver.receive(&[*byte], 2, 7, &query), Step::More);
    }
    assert_eq!(receiver.receive(&[3], 2, 7, &query), words(&[3]));
    assert_eq!(receiver.take_discarded().mismatches, 2);
}

#[test]
fn a_tcp_stream_that_lost_its_frames_is_given_up() {
    for header in [[0, 1, 9, 9, 0, 6], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1]] {
        let step = TcpReceiver::default().receive(&header, 1, 1, &holding(0, 1));
        assert_eq!(step, Step::Broken);
    }
}

fn queries() -> impl Strategy<Value = Query> {
    prop_oneof![
        (0..1_000_u16, 1..=125_u16).prop_map(|(a, n)| holding(a, n)),
        (0..1_000_u16, 1..=2_000_u16).prop_map(|(a, n)| query(Request::ReadCoils(a, n))),
        (any::<u16>(), any::<u16>()).prop_map(|(a, w)| query(Request::WriteSingleRegister(a, w))),
        (any::<u16>(), any::<u16>(), any::<u16>())
            .prop_map(|(a, m, o)| query(Request::MaskWriteRegister(a, m, o))),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_the_buffers_stay_bounded(
        query in queries(),
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        echo in any::<bool>(),
    ) {
        let mut rtu = RtuReceiver::new(1, &rtu_frame(1, query.pdu()), echo);
        let mut tcp = TcpReceiver::default();
        for chunk in &chunks {
            rtu.receive(chunk, &query);
            tcp.receive(chunk, 1, 1, &query);
        }
        prop_assert!(rtu.buffered() <= 512);
    }

    #[test]
    fn a_right_answer_is_found_in_any_chunks_after_any_noise(
        registers in prop::collection::vec(any::<u16>(), 1..=125),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        chunk in 1..60_usize,
    ) {
        let query = holding(0, registers.len() as u16);
        let mut pdu = vec![3, 2 * registers.len() as u8];
        pdu.extend(registers.iter().flat_map(|word| word.to_be_bytes()));
        let bytes = [noise, answer(1, &pdu)].concat();
        let mut receiver = RtuReceiver::new(1, &rtu_frame(1, query.pdu()), false);
        let mut found = Step::More;
        for chunk in bytes.chunks(chunk) {
            prop_assert_eq!(&found, &Step::More);
            found = receiver.receive(chunk, &query);
        }
        prop_assert_eq!(found, words(&registers));
    }

    #[test]
    fn one_flipped_bit_is_always_found_out(
        registers in prop::collection::vec(any::<u16>(), 1..=125),
        position in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let query = holding(0, registers.len() as u16);
        let mut pdu = vec![3, 2 * registers.len() as u8];
        pdu.extend(registers.iter().flat_map(|word| word.to_be_bytes()));
        let mut frame = answer(1, &pdu);
        let at = position.index(frame.len());
        frame[at] ^= 1 << bit;
        prop_assert_eq!(receive(&query, &frame, false).0, Step::More);
    }
}

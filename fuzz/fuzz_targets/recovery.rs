#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_queue::fuzzing::recovery(bytes));

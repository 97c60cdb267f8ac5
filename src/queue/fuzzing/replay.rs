//! The corpus that the fuzzers gathered, run through the same functions on every toolchain.

use std::{fs, path::Path};

fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut inputs = 0;
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        println!("{}", path.display());
        run(&fs::read(&path).expect("the file can be read"));
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", dir.display());
}

#[test]
fn the_corpus_of_the_record_target_breaks_no_promise() {
    replay("record", super::record);
}

#[test]
fn the_corpus_of_the_recovery_target_breaks_no_promise() {
    replay("recovery", super::recovery);
}

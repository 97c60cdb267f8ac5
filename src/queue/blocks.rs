//! Blocks that are reserved for a segment and were never written.
//!
//! Where a file system has reserved space, it must note durably which blocks of it have come into
//! use: with a journal, three blocks or so at every sync that reaches new ones. To a batch of a few
//! records that is more than its own bytes, so a short write takes zeros along for those that
//! follow it. Segments that are used again have no such blocks.

use std::ops::Range;

/// A write at least this long is not worth zeros: they would cost more than the note.
const SHORT_WRITE_BYTES: u64 = 12 * 1024;
/// Zeros reach to the next multiple of this.
const STEP_BYTES: u64 = 64 * 1024;

/// Where a write should end, zeros behind it included, in a file that has been written up to
/// `used_bytes`.
pub(super) fn write_end(write: Range<u64>, used_bytes: u64, file_bytes: u64) -> u64 {
    if write.end <= used_bytes || write.end - write.start >= SHORT_WRITE_BYTES {
        return write.end;
    }
    write.end.next_multiple_of(STEP_BYTES).min(file_bytes).max(write.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_BYTES: u64 = 4 * 1024 * 1024;

    #[test]
    fn a_short_write_to_reserved_blocks_takes_zeros_along() {
        assert_eq!(write_end(64..421, 64, FILE_BYTES), STEP_BYTES);
        assert_eq!(write_end(STEP_BYTES - 1..STEP_BYTES, 0, FILE_BYTES), STEP_BYTES);
        assert_eq!(
            write_end(STEP_BYTES - 9..STEP_BYTES + 9, STEP_BYTES, FILE_BYTES),
            2 * STEP_BYTES
        );
    }

    #[test]
    fn a_write_to_used_blocks_or_a_long_one_takes_none() {
        assert_eq!(write_end(64..421, STEP_BYTES, FILE_BYTES), 421);
        assert_eq!(write_end(64..STEP_BYTES, STEP_BYTES, FILE_BYTES), STEP_BYTES);
        assert_eq!(write_end(64..64 + SHORT_WRITE_BYTES, 64, FILE_BYTES), 64 + SHORT_WRITE_BYTES);
    }

    #[test]
    fn zeros_never_make_a_file_longer() {
        assert_eq!(write_end(16_000..16_300, 0, 16_384), 16_384);
        assert_eq!(write_end(64..421, 0, 300), 421);
    }
}

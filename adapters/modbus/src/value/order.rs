//! Byte orders.

use serde::Deserialize;

/// The order in which the bytes of a value lie in its registers. A is the most significant byte
/// of a value of two registers; for other sizes the same rule is applied to each register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ByteOrder {
    /// High register first, high byte first: the standard's own order.
    #[default]
    Abcd,
    /// Low register first, low byte first.
    Dcba,
    /// High register first, low byte first.
    Badc,
    /// Low register first, high byte first.
    Cdab,
}

impl ByteOrder {
    /// Whether the bytes within each register are swapped.
    pub(crate) fn swaps_bytes(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba)
    }

    fn swaps_words(self) -> bool {
        matches!(self, Self::Cdab | Self::Dcba)
    }

    /// Brings registers as received into the standard's order, and back.
    pub(crate) fn reorder(self, words: &[u16]) -> Vec<u16> {
        let swap = |word: &u16| if self.swaps_bytes() { word.swap_bytes() } else { *word };
        if self.swaps_words() {
            words.iter().rev().map(swap).collect()
        } else {
            words.iter().map(swap).collect()
        }
    }

    /// The same for text, whose characters run from register to register in any order of bytes.
    pub(crate) fn reorder_text(self, words: &[u16]) -> Vec<u16> {
        let swap = |word: &u16| if self.swaps_bytes() { word.swap_bytes() } else { *word };
        words.iter().map(swap).collect()
    }
}

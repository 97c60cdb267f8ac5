//! Turning a fuzzer's bytes into choices.

/// Numbers at which arithmetic tends to break.
const EDGES: [u64; 16] = [
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x00ff_ffff,
    0x0100_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ff00,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];
/// Bytes from here on choose an edge.
const FIRST_EDGE: u8 = 0xE0;
/// Bytes from here on bring a number of eight bytes.
const FIRST_LONG: u8 = 0xF0;

/// Takes choices off the front of the bytes; where they end, every choice is zero.
#[derive(Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One of `count`.
    pub(super) fn choice(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub(super) fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Mostly a small number, at times an edge or any number at all.
    pub(super) fn number(&mut self) -> u64 {
        match self.byte() {
            small if small < FIRST_EDGE => u64::from(small),
            edge if edge < FIRST_LONG => EDGES[usize::from(edge - FIRST_EDGE)],
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// As many bytes as the next byte says, or as there are.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        self.take(count)
    }

    /// As many bytes as the next two say, or as there are.
    pub(super) fn long_bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.short());
        self.take(count)
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        front
    }
}

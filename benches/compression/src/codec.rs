//! The candidates.

/// One way to compress a body.
pub struct Codec {
    /// What the table calls it.
    pub name: &'static str,
    way: Way,
}

enum Way {
    Lz4,
    Zstd(zstd::bulk::Compressor<'static>, zstd::bulk::Decompressor<'static>),
}

impl Codec {
    /// Every candidate; `sample` is a body that the last of them may refer to.
    pub fn all(sample: &[u8]) -> Vec<Self> {
        vec![
            Self { name: "lz4", way: Way::Lz4 },
            Self::zstd("zstd 1", 1, &[]),
            Self::zstd("zstd 3", 3, &[]),
            Self::zstd("zstd 6", 6, &[]),
            Self::zstd("zstd 1, sample as dictionary", 1, sample),
        ]
    }

    fn zstd(name: &'static str, level: i32, sample: &[u8]) -> Self {
        let compressor = zstd::bulk::Compressor::with_dictionary(level, sample);
        let decompressor = zstd::bulk::Decompressor::with_dictionary(sample);
        let way = Way::Zstd(compressor.expect("a compressor"), decompressor.expect("its inverse"));
        Self { name, way }
    }

    /// The body, compressed.
    pub fn compress(&mut self, body: &[u8]) -> Vec<u8> {
        match &mut self.way {
            Way::Lz4 => lz4_flex::block::compress(body),
            Way::Zstd(compressor, _) => compressor.compress(body).expect("room for the result"),
        }
    }

    /// The body again, whose length is known.
    pub fn decompress(&mut self, packed: &[u8], bytes: usize) -> Vec<u8> {
        match &mut self.way {
            Way::Lz4 => lz4_flex::block::decompress(packed, bytes).expect("what was compressed"),
            Way::Zstd(_, decompressor) => {
                decompressor.decompress(packed, bytes).expect("what was compressed")
            }
        }
    }
}

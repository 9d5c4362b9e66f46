//! Records cut into frames that fit blocks of 32 KiB. A frame's checksum covers which folder, which
//! file and which place in it the frame belongs to, so that bytes of another place never pass for it.

use bytes::{Buf, BufMut};

/// A frame never crosses a multiple of this.
pub(super) const BLOCK_BYTES: usize = 32 << 10;

/// Checksum (u32), length of what follows the header (u16), kind (u8).
pub(super) const FRAME_HEADER_BYTES: usize = 7;

/// Which part of a record a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Full,
    First,
    Middle,
    Last,
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            Self::Full => 1,
            Self::First => 2,
            Self::Middle => 3,
            Self::Last => 4,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        [Self::Full, Self::First, Self::Middle, Self::Last].into_iter().find(|kind| kind.code() == code)
    }

    fn of(is_first: bool, is_last: bool) -> Self {
        match (is_first, is_last) {
            (true, true) => Self::Full,
            (true, false) => Self::First,
            (false, false) => Self::Middle,
            (false, true) => Self::Last,
        }
    }

    pub(super) fn starts_a_record(self) -> bool {
        matches!(self, Self::Full | Self::First)
    }

    pub(super) fn ends_a_record(self) -> bool {
        matches!(self, Self::Full | Self::Last)
    }
}

/// What the frames of one log file are salted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt {
    pub(super) folder: u128,
    pub(super) file: u64,
}

impl Salt {
    fn checksum(self, offset: u64, kind: FrameKind, payload: &[u8]) -> u32 {
        let mut salted = [0_u8; 35];
        let mut head = &mut salted[..];
        head.put_u128_le(self.folder);
        head.put_u64_le(self.file);
        head.put_u64_le(offset);
        // A payload is less than a block, so its length fits in 16 bits.
        head.put_u16_le(u16::try_from(payload.len()).unwrap_or(u16::MAX));
        head.put_u8(kind.code());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salted);
        hasher.update(payload);
        hasher.finalize()
    }
}

/// The place in its block, and the bytes left from there to the block's end.
fn left_in_block(offset: u64) -> usize {
    let block = BLOCK_BYTES as u64;
    BLOCK_BYTES - usize::try_from(offset % block).unwrap_or(0)
}

/// The bytes that are zero at a block's end because no frame fits in them; 0 where one does.
pub(super) fn padding_at(offset: u64) -> usize {
    let left = left_in_block(offset);
    if left < FRAME_HEADER_BYTES { left } else { 0 }
}

/// Appends one record's frames to `out`, whose end is at `offset` of the file; the offset after them.
pub(super) fn encode(out: &mut Vec<u8>, mut offset: u64, salt: Salt, mut record: impl Buf) -> u64 {
    let mut is_first = true;
    loop {
        let padding = padding_at(offset);
        out.put_bytes(0, padding);
        offset += padding as u64;
        let bytes = record.remaining().min(left_in_block(offset) - FRAME_HEADER_BYTES);
        let is_last = bytes == record.remaining();
        let kind = FrameKind::of(is_first, is_last);
        let header_at = out.len();
        out.put_u32_le(0);
        // Less than a block, so it fits in 16 bits.
        out.put_u16_le(u16::try_from(bytes).unwrap_or(u16::MAX));
        out.put_u8(kind.code());
        out.put((&mut record).take(bytes));
        let checksum = salt.checksum(offset, kind, &out[header_at + FRAME_HEADER_BYTES..]);
        out[header_at..header_at + 4].copy_from_slice(&checksum.to_le_bytes());
        offset += (FRAME_HEADER_BYTES + bytes) as u64;
        if is_last {
            return offset;
        }
        is_first = false;
    }
}

/// A frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: FrameKind,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// With its header.
    pub(super) fn bytes(&self) -> u64 {
        (FRAME_HEADER_BYTES + self.payload.len()) as u64
    }
}

/// The frame at `offset` of the file; `bytes` are those from there to the end of the block or the file.
pub(super) fn decode(bytes: &[u8], offset: u64, salt: Salt) -> Option<Frame<'_>> {
    let (mut header, rest) = bytes.split_at_checked(FRAME_HEADER_BYTES)?;
    let checksum = header.get_u32_le();
    let length = usize::from(header.get_u16_le());
    let kind = FrameKind::of_code(header.get_u8())?;
    let payload = rest.get(..length)?;
    (salt.checksum(offset, kind, payload) == checksum).then_some(Frame { kind, payload })
}

//! What a process and the one that it works for send each other, over a pipe: a head in JSON, and bytes
//! behind it whose meaning the head tells.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A head holds a statement and its parameters at most.
const HEAD_BYTES_MAX: u64 = 64 << 20;
const LENGTHS: usize = 16;

pub(super) fn write<H: Serialize>(into: &mut dyn Write, head: &H, tail: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let mut start = Vec::with_capacity(LENGTHS + head.len());
    start.extend_from_slice(&(head.len() as u64).to_le_bytes());
    start.extend_from_slice(&(tail.len() as u64).to_le_bytes());
    start.extend_from_slice(&head);
    into.write_all(&start)?;
    into.write_all(tail)?;
    into.flush()
}

/// The next head and its bytes, of which there are so many at most. An end in between is an error, too:
/// nobody ends before it has said so.
pub(super) fn read<H: DeserializeOwned>(
    from: &mut dyn Read,
    tail_bytes_max: u64,
) -> io::Result<(H, Vec<u8>)> {
    let mut number = || {
        let mut bytes = [0; LENGTHS / 2];
        from.read_exact(&mut bytes)?;
        Ok::<_, io::Error>(u64::from_le_bytes(bytes))
    };
    let (head_bytes, tail_bytes) = (number()?, number()?);
    let head = bytes(from, head_bytes, HEAD_BYTES_MAX)?;
    let head = serde_json::from_slice(&head)?;
    Ok((head, bytes(from, tail_bytes, tail_bytes_max)?))
}

fn bytes(from: &mut dyn Read, count: u64, count_max: u64) -> io::Result<Vec<u8>> {
    let too_many = || io::Error::new(io::ErrorKind::InvalidData, "a message is longer than any may be");
    if count > count_max {
        return Err(too_many());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(count).map_err(|_| too_many())?);
    from.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != count {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_cut_or_too_long_message_is_none() {
        let mut wire = Vec::new();
        write(&mut wire, &"one", b"tail").unwrap();
        write(&mut wire, &"two", b"").unwrap();
        let mut from = wire.as_slice();
        assert_eq!(read::<String>(&mut from, 4).unwrap(), ("one".to_owned(), b"tail".to_vec()));
        assert_eq!(read::<String>(&mut from, 4).unwrap(), ("two".to_owned(), Vec::new()));
        assert_eq!(read::<String>(&mut from, 4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read::<String>(&mut wire.as_slice(), 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
        for end in 0..wire.len() / 2 {
            assert!(read::<String>(&mut &wire[..end], 4).is_err(), "{end}");
        }
        let huge = [u64::MAX.to_le_bytes(), 0_u64.to_le_bytes()].concat();
        assert_eq!(read::<String>(&mut huge.as_slice(), 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

//! One log file: a header that says whose it is, then frames. Written by appending whole groups of
//! records; read record by record, over damage to the next whole record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::frame::{self, BLOCK_BYTES, FrameKind, Salt};
use super::record::{self, RECORD_BYTES_MAX, Record, RecordRef};
use crate::fs::{FileSystem, FsError, WritableFile};

const MAGIC: &[u8; 8] = b"EBBTLOG\n";
pub(super) const VERSION: u32 = 2;
/// The oldest version that is read: it has no records of [`RecordKind::Together`](super::RecordKind).
const VERSION_MIN: u32 = 1;

/// Magic, version (u32), folder (u128), file number (u64), length of the file before (u64), checksum of
/// all these (u32). This layout holds for every version to come, so that an old Ebbtide can name the
/// version it meets.
pub(super) const HEADER_BYTES: u64 = 48;

/// Bytes of a file that are read at once: whole blocks.
const CHUNK_BYTES: u64 = 32 * BLOCK_BYTES as u64;

/// What a log file's header says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Good {
        /// How long the file before was when it was synced for the last time; 0 for the first.
        previous_bytes: u64,
    },
    /// The magic is not ours.
    Foreign,
    OtherVersion(u32),
    OtherFolder,
    OtherNumber(u64),
    /// Ours by the magic, but too short or failing its checksum.
    Damaged,
}

fn encode_header(salt: Salt, previous_bytes: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(64);
    header.put_slice(MAGIC);
    header.put_u32_le(VERSION);
    header.put_u128_le(salt.folder);
    header.put_u64_le(salt.file);
    header.put_u64_le(previous_bytes);
    header.put_u32_le(crc32fast::hash(&header));
    header
}

fn decode_header(bytes: &[u8], salt: Salt) -> Header {
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if magic != &MAGIC[..magic.len()] {
        return Header::Foreign;
    }
    let Some((fields, mut checksum)) = bytes.split_at_checked(44) else { return Header::Damaged };
    if checksum.try_get_u32_le().ok() != Some(crc32fast::hash(fields)) {
        return Header::Damaged;
    }
    let mut rest = &fields[MAGIC.len()..];
    let (version, folder, number) = (rest.get_u32_le(), rest.get_u128_le(), rest.get_u64_le());
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Header::OtherVersion(version);
    }
    if folder != salt.folder {
        return Header::OtherFolder;
    }
    if number != salt.file {
        return Header::OtherNumber(number);
    }
    Header::Good { previous_bytes: rest.get_u64_le() }
}

/// The file that records are appended to.
#[derive(Debug)]
pub(super) struct LogWriter {
    file: Box<dyn WritableFile>,
    salt: Salt,
    written_bytes: u64,
    durable_bytes: u64,
    group: Vec<u8>,
}

impl LogWriter {
    /// A new file that is whole under its name or not there: header first, renamed into place after.
    pub(super) fn create(
        fs: &dyn FileSystem,
        path: &Path,
        salt: Salt,
        previous_bytes: u64,
    ) -> Result<Self, FsError> {
        let temporary = path.with_extension("tmp");
        let mut file = fs.create_new(&temporary)?;
        file.write_all(&encode_header(salt, previous_bytes))?;
        file.sync_data()?;
        fs.rename(&temporary, path)?;
        fs.sync_dir(path.parent().unwrap_or(Path::new("")))?;
        // Opened anew, so that errors name it as it is called now.
        let file = fs.open_append(path)?;
        Ok(Self { file, salt, written_bytes: HEADER_BYTES, durable_bytes: HEADER_BYTES, group: Vec::new() })
    }

    pub(super) fn number(&self) -> u64 {
        self.salt.file
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written_bytes == HEADER_BYTES
    }

    /// Appends a group by one write.
    pub(super) fn append(&mut self, records: &[RecordRef<'_>]) -> Result<(), FsError> {
        self.group.clear();
        let mut end = self.written_bytes;
        for record in records {
            let header = record.encode_header(self.durable_bytes);
            end = frame::encode(&mut self.group, end, self.salt, header.as_slice().chain(record.payload));
        }
        self.file.write_all(&self.group)?;
        self.written_bytes = end;
        if self.group.capacity() > 8 << 20 {
            self.group = Vec::new();
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), FsError> {
        if self.durable_bytes < self.written_bytes {
            self.file.sync_data()?;
            self.durable_bytes = self.written_bytes;
        }
        Ok(())
    }
}

/// What the header of this log file says.
pub(super) fn read_header(fs: &dyn FileSystem, path: &Path, salt: Salt) -> Result<Header, FsError> {
    let bytes = fs.len(path)?.min(HEADER_BYTES);
    Ok(decode_header(&fs.read_range(path, 0..bytes)?, salt))
}

/// What lies next in a log file.
#[derive(Debug)]
pub(super) enum Found {
    Record {
        offset: u64,
        /// How much of the file had been synced when this was written.
        durable_bytes: u64,
        record: Record,
    },
    /// Bytes that are no whole record, up to the next one or the file's end.
    Bad { offset: u64, end: u64 },
}

/// Reads a log file from its start to its end, a megabyte at a time.
#[derive(Debug)]
pub(super) struct LogReader {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    salt: Salt,
    bytes: u64,
    offset: u64,
    chunk: Bytes,
    chunk_offset: u64,
}

impl LogReader {
    /// Past the header, which is read by [`read_header`].
    pub(super) fn open(fs: Arc<dyn FileSystem>, path: &Path, salt: Salt) -> Result<Self, FsError> {
        let bytes = fs.len(path)?;
        let offset = HEADER_BYTES.min(bytes);
        Ok(Self { fs, path: path.to_owned(), salt, bytes, offset, chunk: Bytes::new(), chunk_offset: 0 })
    }

    /// The file's length.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next record or damage; `None` at the file's end.
    pub(super) fn next(&mut self) -> Result<Option<Found>, FsError> {
        let offset = self.offset;
        if offset >= self.bytes {
            return Ok(None);
        }
        if let Some((record, durable_bytes, end)) = self.record_at(offset)? {
            self.offset = end;
            return Ok(Some(Found::Record { offset, durable_bytes, record }));
        }
        let end = self.next_record_after(offset)?;
        self.offset = end;
        Ok(Some(Found::Bad { offset, end }))
    }

    /// Where the next whole record starts; the file's end if there is none.
    fn next_record_after(&mut self, bad_offset: u64) -> Result<u64, FsError> {
        let mut offset = bad_offset + 1;
        while offset < self.bytes {
            if self.frame_kind_at(offset)?.is_some_and(FrameKind::starts_a_record)
                && self.record_at(offset)?.is_some()
            {
                return Ok(offset);
            }
            offset += 1;
        }
        Ok(self.bytes)
    }

    /// The whole record at this offset, how much of the file was synced before it, and its end.
    fn record_at(&mut self, mut offset: u64) -> Result<Option<(Record, u64, u64)>, FsError> {
        let mut assembled = BytesMut::new();
        let mut is_first = true;
        loop {
            let Some(start) = self.after_padding(offset)? else { return Ok(None) };
            let salt = self.salt;
            let Some(frame) = frame::decode(self.rest_of_block(start)?, start, salt) else {
                return Ok(None);
            };
            if frame.kind.starts_a_record() != is_first
                || assembled.len() + frame.payload.len() > RECORD_BYTES_MAX
            {
                return Ok(None);
            }
            assembled.extend_from_slice(frame.payload);
            offset = start + frame.bytes();
            if frame.kind.ends_a_record() {
                let decoded = record::decode(assembled.freeze());
                return Ok(decoded.map(|(record, durable_bytes)| (record, durable_bytes, offset)));
            }
            is_first = false;
        }
    }

    fn frame_kind_at(&mut self, offset: u64) -> Result<Option<FrameKind>, FsError> {
        let salt = self.salt;
        Ok(frame::decode(self.rest_of_block(offset)?, offset, salt).map(|frame| frame.kind))
    }

    /// The offset itself, or the next block's start where a frame does not fit; `None` where that gap is
    /// not all zeros.
    fn after_padding(&mut self, offset: u64) -> Result<Option<u64>, FsError> {
        let padding = frame::padding_at(offset);
        if padding == 0 {
            return Ok(Some(offset));
        }
        let is_zero = self.rest_of_block(offset)?.iter().all(|byte| *byte == 0);
        Ok(is_zero.then_some(offset + padding as u64))
    }

    /// The bytes from this offset to the end of its block or of the file.
    fn rest_of_block(&mut self, offset: u64) -> Result<&[u8], FsError> {
        let chunk_end = self.chunk_offset + self.chunk.len() as u64;
        if !(self.chunk_offset..chunk_end).contains(&offset) {
            let start = (offset - offset % CHUNK_BYTES).min(self.bytes);
            let end = self.bytes.min(start + CHUNK_BYTES);
            self.chunk = self.fs.read_range(&self.path, start..end)?;
            self.chunk_offset = start;
        }
        let from = usize::try_from(offset - self.chunk_offset).unwrap_or(usize::MAX);
        let block_end = (from / BLOCK_BYTES + 1) * BLOCK_BYTES;
        Ok(self.chunk.get(from..block_end.min(self.chunk.len())).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_model::{AppName, TableName};

    use super::super::frame::FRAME_HEADER_BYTES;
    use super::super::record::RecordKind;
    use super::*;
    use crate::fs::SimFs;

    const SALT: Salt = Salt { folder: 3, file: 1 };

    fn path() -> &'static Path {
        Path::new("0000000001.log")
    }

    fn write(disk: &SimFs, payloads: &[&[u8]]) {
        let mut writer = LogWriter::create(disk, path(), SALT, 0).unwrap();
        let (app, table) = (AppName::new("a"), TableName::new("t"));
        for payload in payloads {
            let record = RecordRef {
                kind: RecordKind::Rows,
                app: &app,
                table: &table,
                first_sequence: 1,
                rows: 1,
                payload,
            };
            writer.append(&[record]).unwrap();
        }
    }

    /// The payload of each record, and `None` for each run of bad bytes.
    fn read(disk: &SimFs) -> Vec<Option<Bytes>> {
        let mut reader = LogReader::open(Arc::new(disk.clone()), path(), SALT).unwrap();
        let mut found = Vec::new();
        while let Some(next) = reader.next().unwrap() {
            found.push(match next {
                Found::Record { record, .. } => Some(record.payload),
                Found::Bad { .. } => None,
            });
        }
        found
    }

    #[test]
    fn records_end_and_start_anywhere_in_a_block() {
        let names_bytes = 27;
        let taken = usize::try_from(HEADER_BYTES).unwrap() + FRAME_HEADER_BYTES + names_bytes;
        for left in 0..=2 * FRAME_HEADER_BYTES {
            for blocks in 1..=3 {
                let headers = (blocks - 1) * FRAME_HEADER_BYTES;
                let first = vec![7; blocks * BLOCK_BYTES - taken - headers - left];
                let payloads: [&[u8]; 4] = [&first, b"", &[1; 40_000], b"last"];
                let disk = SimFs::new(0);
                write(&disk, &payloads);
                let expected: Vec<_> =
                    payloads.iter().map(|payload| Some(Bytes::copy_from_slice(payload))).collect();
                assert_eq!(read(&disk), expected, "{left} bytes left in block {blocks}");
            }
        }
    }

    #[test]
    fn a_sound_frame_around_what_is_no_record_is_bad() {
        for contents in [&b""[..], b"\x09unknown kind", b"\x01short"] {
            let disk = SimFs::new(0);
            write(&disk, &[b"first"]);
            let offset = disk.len(path()).unwrap();
            let mut group = Vec::new();
            let end = frame::encode(&mut group, offset, SALT, contents);
            let (app, table) = (AppName::new("a"), TableName::new("t"));
            let record = RecordRef {
                kind: RecordKind::Rows,
                app: &app,
                table: &table,
                first_sequence: 2,
                rows: 1,
                payload: b"third",
            };
            let header = record.encode_header(0);
            frame::encode(&mut group, end, SALT, header.as_slice().chain(record.payload));
            disk.open_append(path()).unwrap().write_all(&group).unwrap();
            let expected = [Some(Bytes::from_static(b"first")), None, Some(Bytes::from_static(b"third"))];
            assert_eq!(read(&disk), expected, "{contents:?}");
        }
    }
}

//! Writing a spine beside the rows of a segment, in the same passes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::BufMut;
use ebbtide_model::TableSchema;

use super::read::{HAS_RUN_FLAGS, HAS_SHORT_CODES};
use super::times::Scale;
use super::{
    ALIGNMENT, ActorType, FOOTER_BYTES, GROUP_ROWS, IS_NOBODYS, IS_SIMULTANEOUS, MAGIC, NAMES_MAX, NO_NAME,
    NO_TIME, SpineColumns, VERSION, aligned, times,
};
use crate::StoreError;
use crate::columns::{DECLARED_INDEX, TENANT_INDEX};
use crate::fs::{FileSystem, WritableFile};
use crate::segment::blocks::BlockWriter;
use crate::segment::spine_path;

/// Where in a batch a spine's columns are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    tenant: usize,
    actor: usize,
    time: usize,
    name: Option<usize>,
}

impl Places {
    /// In the stored schema.
    pub(crate) fn stored(columns: &SpineColumns) -> Self {
        let place = |column: usize| DECLARED_INDEX + column;
        Self {
            tenant: TENANT_INDEX,
            actor: place(columns.actor),
            time: place(columns.time),
            name: columns.name.map(place),
        }
    }

    /// In a scan of [`SpineColumns::projection`].
    pub(crate) fn projected(columns: &SpineColumns) -> Self {
        Self { tenant: 0, actor: 1, time: 2, name: columns.name.map(|_| 3) }
    }
}

/// A spine that is being written; rows come in storage order.
pub(crate) struct SpineWriter {
    places: Places,
    actors: ActorType,
    name_column: Option<Box<str>>,
    file: BlockWriter,
    codes: HashMap<Box<str>, u16>,
    /// In the order of their codes.
    names: Vec<Box<str>>,
    group: Group,
    /// What the end of the file says of each group.
    written: Vec<u8>,
    groups: u32,
    rows: u32,
    last_tenant: Box<str>,
    has_too_many_names: bool,
}

/// The rows that are gathered for the next group.
#[derive(Default)]
struct Group {
    times: Vec<i64>,
    codes: Vec<u16>,
    starts: Vec<u32>,
    /// By run.
    actors: Actors,
}

#[derive(Default)]
struct Actors {
    ints: Vec<i64>,
    /// Of each text: where it ends.
    ends: Vec<u32>,
    texts: Vec<u8>,
    /// A bit by run: whose it is nobody.
    nobody: Vec<bool>,
}

/// The actors of a batch.
enum BatchActors<'a> {
    Ints(&'a Int64Array),
    Texts(&'a StringArray),
}

impl BatchActors<'_> {
    fn is_same(&self, row: usize, other: usize) -> bool {
        match self {
            Self::Ints(array) => {
                array.is_null(row) == array.is_null(other)
                    && (array.is_null(row) || array.value(row) == array.value(other))
            }
            Self::Texts(array) => {
                array.is_null(row) == array.is_null(other)
                    && (array.is_null(row) || array.value(row) == array.value(other))
            }
        }
    }
}

impl SpineWriter {
    pub(crate) fn create(
        fs: &Arc<dyn FileSystem>,
        id: u64,
        table: &TableSchema,
        columns: &SpineColumns,
        places: Places,
    ) -> Result<Self, StoreError> {
        Ok(Self::new(fs.create_new(&spine_path(id))?, table, columns, places))
    }

    pub(crate) fn new(
        file: Box<dyn WritableFile>,
        table: &TableSchema,
        columns: &SpineColumns,
        places: Places,
    ) -> Self {
        let name_column = columns.name.and_then(|name| table.columns.get(name));
        Self {
            places,
            actors: columns.actors,
            name_column: name_column.map(|column| Box::from(column.name.as_str())),
            file: BlockWriter::new(file),
            codes: HashMap::new(),
            names: Vec::new(),
            group: Group::default(),
            written: Vec::new(),
            groups: 0,
            rows: 0,
            last_tenant: Box::from(""),
            has_too_many_names: false,
        }
    }

    /// Adds rows that come after all before them.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        if self.has_too_many_names || batch.num_rows() == 0 {
            return Ok(());
        }
        let mut start = 0;
        while start < batch.num_rows() {
            let taken = (GROUP_ROWS - self.group.times.len()).min(batch.num_rows() - start);
            self.gather(&batch.slice(start, taken))?;
            start += taken;
            if self.group.times.len() == GROUP_ROWS {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Adds rows to the group, which has room for them.
    fn gather(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let first = self.group.times.len();
        let times = batch.column(self.places.time);
        let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| unexpected(times))?;
        self.group.times.extend(times.iter().map(|time| time.unwrap_or(NO_TIME)));
        if let Some(name) = self.places.name {
            let names = batch.column(name);
            let names = names.as_string_opt::<i32>().ok_or_else(|| unexpected(names))?;
            self.gather_names(names);
        }
        let array = batch.column(self.places.actor);
        let actors = match self.actors {
            ActorType::Int => array.as_primitive_opt::<Int64Type>().map(BatchActors::Ints),
            ActorType::Text => array.as_string_opt::<i32>().map(BatchActors::Texts),
        };
        let actors = actors.ok_or_else(|| unexpected(array))?;
        let tenants = batch.column(self.places.tenant);
        let dictionary = tenants.as_dictionary_opt::<Int32Type>().ok_or_else(|| unexpected(tenants))?;
        let tenant_names = dictionary.values();
        let tenant_names = tenant_names.as_string_opt::<i32>().ok_or_else(|| unexpected(tenants))?;
        let keys = dictionary.keys().values();
        let tenant = |row: usize| usize::try_from(keys[row]).map_or("", |key| tenant_names.value(key));
        for row in 0..batch.num_rows() {
            let continues = match row {
                0 => first > 0 && tenant(0) == &*self.last_tenant && self.group.actors.is_last(&actors, 0),
                row => {
                    (keys[row] == keys[row - 1] || tenant(row) == tenant(row - 1))
                        && actors.is_same(row, row - 1)
                }
            };
            if !continues {
                self.group.starts.push(u32::try_from(first + row).unwrap_or(u32::MAX));
                self.group.actors.push(&actors, row)?;
            }
        }
        self.last_tenant = Box::from(tenant(batch.num_rows() - 1));
        Ok(())
    }

    fn gather_names(&mut self, names: &StringArray) {
        let mut last: Option<(&str, u16)> = None;
        for name in names {
            let code = match (name, last) {
                (None, _) => NO_NAME,
                (Some(name), Some((known, code))) if name == known => code,
                (Some(name), _) => {
                    let code = self.code(name);
                    last = Some((name, code));
                    code
                }
            };
            self.group.codes.push(code);
        }
    }

    fn code(&mut self, name: &str) -> u16 {
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        if self.names.len() == NAMES_MAX {
            self.has_too_many_names = true;
            return NO_NAME;
        }
        self.names.push(Box::from(name));
        let code = u16::try_from(self.names.len()).unwrap_or(NO_NAME);
        self.codes.insert(Box::from(name), code);
        code
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        let group = std::mem::take(&mut self.group);
        let mut bytes = Vec::new();
        let earliest = group.times.iter().copied().min().unwrap_or(NO_TIME);
        let latest = group.times.iter().copied().max().unwrap_or(NO_TIME);
        let scale = times::write(&group.times, (earliest, latest), &mut bytes);
        let short_codes = group.codes.iter().any(|code| *code > u16::from(u8::MAX));
        if short_codes {
            group.codes.iter().for_each(|code| bytes.put_u16_le(*code));
        } else {
            bytes.extend(group.codes.iter().map(|code| code.to_le_bytes()[0]));
        }
        pad(&mut bytes);
        group.starts.iter().for_each(|start| bytes.put_u32_le(*start));
        pad(&mut bytes);
        group.actors.ints.iter().for_each(|actor| bytes.put_i64_le(*actor));
        group.actors.ends.iter().for_each(|end| bytes.put_u32_le(*end));
        pad(&mut bytes);
        bytes.put_slice(&group.actors.texts);
        pad(&mut bytes);
        // Nobody's rows are the first of a tenant's, and few rows are simultaneous.
        let run_flags = group.run_flags();
        let has_run_flags = run_flags.iter().any(|flags| *flags != 0);
        if has_run_flags {
            bytes.put_slice(&run_flags);
            pad(&mut bytes);
        }
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        self.written.put_u64_le(self.file.written());
        self.written.put_u32_le(count(group.times.len())?);
        self.written.put_u32_le(count(group.starts.len())?);
        self.written.put_u32_le(count(group.actors.texts.len())?);
        self.written.put_u32_le(flag(has_run_flags, HAS_RUN_FLAGS) | flag(short_codes, HAS_SHORT_CODES));
        let Scale { base, tick, grain } = scale.unwrap_or(Scale { base: 0, tick: 0, grain: 0 });
        self.written.put_i64_le(base);
        self.written.put_u32_le(u32::try_from(tick).unwrap_or(0));
        self.written.put_u32_le(u32::try_from(grain).unwrap_or(0));
        self.written.put_i64_le(earliest);
        self.written.put_i64_le(latest);
        self.file.write(&bytes)?;
        self.groups += 1;
        self.rows = self.rows.saturating_add(count(group.times.len())?);
        Ok(())
    }

    /// Ends the file, durable on return save for its name; false where it is of no use, and to be removed.
    /// `checksum` is that of the segment's key file, by which the spine is known to be this segment's.
    pub(crate) fn finish(mut self, id: u64, checksum: u32) -> Result<bool, StoreError> {
        if self.has_too_many_names {
            return Ok(false);
        }
        if !self.group.times.is_empty() {
            self.end_group()?;
        }
        let mut tail = Vec::new();
        for name in self.name_column.iter().chain(&self.names) {
            tail.put_u32_le(count(name.len())?);
            tail.put_slice(name.as_bytes());
        }
        let names_bytes = tail.len();
        tail.put_slice(&self.written);
        self.file.write(&tail)?;
        let checksums = self.file.checksums();
        let mut end = Vec::new();
        checksums.iter().for_each(|checksum| end.put_u32_le(*checksum));
        end.put_slice(MAGIC);
        end.put_u32_le(VERSION);
        end.put_u32_le(checksum);
        end.put_u64_le(id);
        end.put_u32_le(self.rows);
        end.put_u32_le(self.groups);
        end.put_u32_le(count(self.names.len() + usize::from(self.name_column.is_some()))?);
        end.put_u32_le(u32::from(self.name_column.is_some()));
        end.put_u64_le(names_bytes as u64);
        end.put_u32_le(count(checksums.len())?);
        end.put_u32_le(match self.actors {
            ActorType::Int => 0,
            ActorType::Text => 1,
        });
        let footer_start = checksums.len() * 4;
        end.put_bytes(0, FOOTER_BYTES - 4 - (end.len() - footer_start));
        let own = crc32fast::hash(&end);
        end.put_u32_le(own);
        self.file.write(&end)?;
        self.file.sync()?;
        Ok(true)
    }
}

impl Group {
    /// What is said of each run.
    fn run_flags(&self) -> Vec<u8> {
        let ends = self.starts.iter().skip(1).map(|start| *start as usize).chain([self.times.len()]);
        let runs = self.starts.iter().zip(ends).zip(&self.actors.nobody);
        let flags = runs.map(|((start, end), nobody)| {
            let own = &self.times[*start as usize..end];
            let together = own.windows(2).any(|pair| pair[0] == pair[1]);
            (if *nobody { IS_NOBODYS } else { 0 }) | (if together { IS_SIMULTANEOUS } else { 0 })
        });
        flags.collect()
    }
}

impl Actors {
    fn push(&mut self, of: &BatchActors<'_>, row: usize) -> Result<(), StoreError> {
        match of {
            BatchActors::Ints(array) => {
                self.nobody.push(array.is_null(row));
                self.ints.push(if array.is_null(row) { 0 } else { array.value(row) });
            }
            BatchActors::Texts(array) => {
                self.nobody.push(array.is_null(row));
                if array.is_valid(row) {
                    self.texts.extend_from_slice(array.value(row).as_bytes());
                }
                self.ends.push(count(self.texts.len())?);
            }
        }
        Ok(())
    }

    /// Whether the last run is of the actor of this row.
    fn is_last(&self, of: &BatchActors<'_>, row: usize) -> bool {
        let Some(nobody) = self.nobody.last() else { return false };
        match of {
            BatchActors::Ints(array) if array.is_valid(row) => {
                !nobody && self.ints.last() == Some(&array.value(row))
            }
            BatchActors::Texts(array) if array.is_valid(row) => {
                let start = self.ends.iter().rev().nth(1).map_or(0, |end| *end as usize);
                !nobody && self.texts.get(start..) == Some(array.value(row).as_bytes())
            }
            BatchActors::Ints(_) | BatchActors::Texts(_) => *nobody,
        }
    }
}

pub(super) fn pad(bytes: &mut Vec<u8>) {
    debug_assert!(ALIGNMENT.is_power_of_two());
    bytes.resize(aligned(bytes.len()), 0);
}

fn count(number: usize) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::WrongShape { detail: "a spine is too large".to_owned() })
}

fn unexpected(array: &ArrayRef) -> StoreError {
    StoreError::WrongShape {
        detail: format!("a column of {} where a spine needs another", array.data_type()),
    }
}

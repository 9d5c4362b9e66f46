//! What is kept of rows without a key, of several segments, written into those that they become.

use std::iter::Peekable;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::StoreError;
use crate::segment::{ContentEntry, SegmentKeyWriter};
use crate::side_by_side::{no_thread, panicked};

/// Contents that are sorted at a time, about, and blocks of them that wait for being written.
const SORTED_CONTENTS: usize = 32_768;
const BLOCKS_AHEAD: usize = 4;

/// A row without a key, and the piece that it is counted with.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(crate) piece: usize,
    pub(crate) entry: ContentEntry,
}

/// Ascending contents of one input.
pub(crate) struct ContentSource<'a> {
    contents: Peekable<Box<dyn Iterator<Item = Content> + Send + 'a>>,
}

impl<'a> ContentSource<'a> {
    pub(crate) fn new(contents: impl Iterator<Item = Content> + Send + 'a) -> Self {
        let contents: Box<dyn Iterator<Item = Content> + Send + 'a> = Box::new(contents);
        Self { contents: contents.peekable() }
    }
}

/// Writes all contents of some sources, ascending and each once. There are about so many.
pub(crate) fn write_sorted(
    sources: Vec<ContentSource<'_>>,
    entries: usize,
    writers: &mut [Option<SegmentKeyWriter>],
    stop: &AtomicBool,
) -> Result<(), StoreError> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        let thread = std::thread::Builder::new().name("ebbtide-rewrite".to_owned());
        let sorting = thread.spawn_scoped(scope, move || send_sorted(sources, entries, &sender));
        let sorting = sorting.map_err(no_thread)?;
        let written = write_blocks(receiver, writers, stop);
        sorting.join().map_err(panicked)?;
        written
    })
}

/// Sends all contents, ascending and each once, block by block. Fingerprints are spread evenly, so that all which begin
/// with a number of few are about as many, and to sort those costs less than to merge streams one by one.
fn send_sorted(mut sources: Vec<ContentSource<'_>>, entries: usize, to: &SyncSender<Vec<Content>>) {
    let blocks = (entries / SORTED_CONTENTS).max(1) as u128;
    let apart = u128::MAX / blocks;
    for number in 1..=blocks {
        let last = if number == blocks { u128::MAX } else { apart * number };
        let mut block = Vec::with_capacity(SORTED_CONTENTS * 2);
        for source in &mut sources {
            while let Some(content) = source.contents.next_if(|content| content.entry.fingerprint <= last) {
                block.push(content);
            }
        }
        block.sort_unstable_by_key(|content| content.entry.fingerprint);
        block.dedup_by_key(|content| content.entry.fingerprint);
        // Nobody takes more of them once a write has failed.
        if to.send(block).is_err() {
            return;
        }
    }
}

fn write_blocks(
    blocks: Receiver<Vec<Content>>,
    writers: &mut [Option<SegmentKeyWriter>],
    stop: &AtomicBool,
) -> Result<(), StoreError> {
    for block in blocks {
        if stop.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        for content in block {
            if let Some(keys) = &mut writers[content.piece] {
                keys.push_content(content.entry)?;
            }
        }
    }
    Ok(())
}

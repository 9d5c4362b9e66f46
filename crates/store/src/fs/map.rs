//! Files mapped into memory: the one module with `unsafe`.

#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe because another process may cut or rewrite it: the bytes change \
              under a shared reference, or a read past a new end kills the process. Only files that are \
              never written again are mapped (segments, their companions, manifests), they are replaced \
              by rename and removed by unlink, both of which leave a mapping whole, and the folder's \
              lock keeps a second Ebbtide out"
)]

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::Mmap;

/// All bytes of a file that is never written again.
pub(super) fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the file is immutable for as long as it exists, as said above.
    let mapping = unsafe { Mmap::map(file)? };
    Ok(Bytes::from_owner(mapping))
}

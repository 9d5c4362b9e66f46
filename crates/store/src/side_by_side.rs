//! Work that a few threads share.

use std::any::Any;

use crate::StoreError;

/// Items that are worked on side by side.
pub(crate) const AT_ONCE: usize = 2;

/// Does some work for each item, of [so many](AT_ONCE) at once. The answers are in the order of the items.
pub(crate) fn side_by_side<T: Send, R: Send>(
    items: impl Iterator<Item = T>,
    work: impl Fn(T) -> Result<R, StoreError> + Sync,
) -> Result<Vec<R>, StoreError> {
    let (mut items, mut done) = (items, Vec::new());
    while let Some(first) = items.next() {
        let work = &work;
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for item in items.by_ref().take(AT_ONCE - 1) {
                let thread = std::thread::Builder::new().name("ebbtide-rewrite".to_owned());
                threads.push(thread.spawn_scoped(scope, move || work(item)).map_err(no_thread)?);
            }
            done.push(work(first)?);
            for thread in threads {
                done.push(thread.join().map_err(panicked)??);
            }
            Ok::<(), StoreError>(())
        })?;
    }
    Ok(done)
}

pub(crate) fn panicked(_: Box<dyn Any + Send>) -> StoreError {
    StoreError::Failed { reason: "a thread ended in a panic".to_owned() }
}

pub(crate) fn no_thread(error: std::io::Error) -> StoreError {
    StoreError::Failed { reason: format!("a thread cannot start: {error}") }
}

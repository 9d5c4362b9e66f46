//! `ebbtide verify`: whether a data folder is what was written to it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ebbtide_store::Verified;
use ebbtide_store::fs::FileSystem;

use crate::Outcome;
use crate::data::{check_exists, open_folder, store_failure, write_keys};
use crate::failure::{Failure, print};

/// Check the checksums of everything in a data folder.
///
/// And whether each spine says what the rows beside it say.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ebbtide verify --data ./data\n  ebbtide verify --data ./data --repair\n\n\
    Each damage is a line: FILE, the offset in it, and what is wrong. Exit code 1 where there is one, or with \
    --repair where one is left."
)]
pub(crate) struct Verify {
    /// The data folder. No server may hold it.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Take away what is damaged and can be made again: spines, which the next serve makes of the rows. Rows and
    /// keys come back from a backup alone: keys say what no row does, such as which were deleted.
    #[arg(long)]
    repair: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        check_exists(&self.data)?;
        let fs = open_folder(&self.data);
        if self.repair {
            return repair(fs);
        }
        let found = ebbtide_store::verify(&fs).map_err(store_failure)?;
        write_keys(fs)?;
        for damage in &found.damage {
            print(&format!("{damage}\n"))?;
        }
        if found.damage.is_empty() {
            let Verified { files, segments, rows, spines, .. } = found;
            let sound = format!(
                "sound: {files} files, {segments} segments with {rows} rows, {spines} with a spine\n"
            );
            return print(&sound).map(|()| Outcome::Done);
        }
        let only_spines = found.damage.iter().all(|damage| damage.file.extension() == Some("spine".as_ref()));
        let hint = if only_spines {
            "no row is harmed: ebbtide verify --data FOLDER --repair takes the spines away, and the next serve makes them again"
        } else {
            "put the named files back from a backup; what is not damaged can be read meanwhile"
        };
        let count = found.damage.len();
        Err(Failure::new(format_args!("{count} of what is stored is not what was written")).hint(hint))
    }
}

fn repair(fs: Arc<dyn FileSystem>) -> Result<Outcome, Failure> {
    let repaired = ebbtide_store::repair(&fs).map_err(store_failure)?;
    write_keys(fs)?;
    for spine in &repaired.spines {
        print(&format!("{} was damaged and is gone; the next serve makes it again\n", spine.display()))?;
    }
    for damage in &repaired.left {
        print(&format!("{damage}\n"))?;
    }
    match (repaired.spines.len(), repaired.left.len()) {
        (0, 0) => print("sound: nothing to repair\n").map(|()| Outcome::Done),
        (_, 0) => Ok(Outcome::Done),
        (_, left) => Err(Failure::new(format_args!("{left} of what is stored is not what was written"))
            .hint("put the named files back from a backup; what is not damaged can be read meanwhile")),
    }
}

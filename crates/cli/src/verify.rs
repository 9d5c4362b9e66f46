//! `ebbtide verify`: whether a data folder is what was written to it.

use std::path::PathBuf;

use clap::Args;

use crate::Outcome;
use crate::data::{check_exists, open_folder, store_failure, write_keys};
use crate::failure::{Failure, print};

/// Check the checksums of everything in a data folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ebbtide verify --data ./data\n\n\
    Each damage is a line: FILE, the offset in it, and what is wrong. Exit code 1 where there is one.")]
pub(crate) struct Verify {
    /// The data folder. No server may hold it.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        check_exists(&self.data)?;
        let fs = open_folder(&self.data);
        let found = ebbtide_store::verify(&fs).map_err(store_failure)?;
        write_keys(fs)?;
        for damage in &found.damage {
            print(&format!("{damage}\n"))?;
        }
        match found.damage.len() {
            0 => {
                let sound = format!(
                    "sound: {} files, {} segments with {} rows\n",
                    found.files, found.segments, found.rows
                );
                print(&sound).map(|()| Outcome::Done)
            }
            count => Err(Failure::new(format_args!("{count} of what is stored is not what was written"))
                .hint("put the named files back from a backup; what is not damaged can be read meanwhile")),
        }
    }
}

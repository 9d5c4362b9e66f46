//! The dashboard and the scripts for other sites' pages as they were built from `web/`: their files, compressed. No code of the server's is here, and no Node is needed to
//! build it; `make web` makes the files anew, and `make test` says when they are not what a fresh build gives.

/// One file of the dashboard.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Below `/app/`, such as `assets/index-BnFBzOH5.js`; of the scripts for pages of other sites, below `/`.
    pub name: &'static str,
    pub media_type: &'static str,
    /// A hash of its contents.
    pub etag: &'static str,
    /// Its contents, compressed by gzip.
    pub gzip: &'static [u8],
}

impl File {
    /// Whether the name holds a hash of the contents, so that it never names others.
    pub fn is_immutable(&self) -> bool {
        self.name.contains("assets/")
    }
}

/// The page itself, which every address of the dashboard answers with.
pub const PAGE: &str = "index.html";

macro_rules! files {
    ($($name:literal, $media_type:literal, $etag:literal;)*) => {
        &[$(File {
            name: $name,
            media_type: $media_type,
            etag: $etag,
            gzip: include_bytes!(concat!("../dist/", $name, ".gz")),
        }),*]
    };
}

/// All files.
pub const FILES: &[File] = include!("files.rs");

/// The file of that name.
pub fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

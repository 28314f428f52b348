//! A file system that does not answer: a library laid under the process stands in for it, and has whoever opens or looks at
//! a file wait.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::PrivateDir;
use super::process::run;

/// A folder that dies and comes back for whoever was started with [`DeadDisk::environment`].
#[derive(Debug)]
pub(crate) struct DeadDisk {
    library: PrivateDir,
    folder: PathBuf,
}

impl DeadDisk {
    /// Over a folder, which answers at first.
    pub(crate) fn over(folder: &Path) -> Self {
        let library = PrivateDir::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/dead_disk.c");
        run(Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .arg(library.path().join("dead.so"))
            .arg(source));
        Self { library, folder: folder.to_owned() }
    }

    /// What has to stand in a process's environment.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.to_str().expect("the temporary directory is UTF-8").to_owned();
        [("LD_PRELOAD", text(&self.library.path().join("dead.so"))), ("DEAD_DISK", text(&self.folder))]
    }

    /// Nothing is answered from now on.
    pub(crate) fn die(&self) {
        fs::write(self.folder.join("dead"), "").expect("the directory is ours");
    }

    /// All is answered again.
    pub(crate) fn come_back(&self) {
        fs::remove_file(self.folder.join("dead")).expect("it is dead");
    }
}

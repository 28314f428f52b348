//! A folder with everything that the test's configurations name, and the exporter run on them.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Stands in every place a password may stand in, and must not come out anywhere.
pub(crate) const SECRET: &str = "hunter2-in-disguise";

/// What an exporter said before it ended, with `{dir}` for the folder.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

/// The folder; it is removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// With credentials, certificates and a pipe.
    pub(crate) fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        const SCRIPT: &str = "
            set -e
            key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            openssl req -x509 $key -keyout ca-key.pem -out ca.pem -days 30 -subj '/CN=authority'
            openssl req $key -keyout key.pem -out request.pem -subj '/CN=canary'
            printf 'subjectAltName=DNS:canary\\n' > extensions
            openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -set_serial 2 -days 30 \
                -extfile extensions -out cert.pem
            openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -set_serial 3 -days 30 -out old.pem
            openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa-key.pem -out rsa.pem -days 30 -subj '/CN=canary'
            chmod 600 key.pem rsa-key.pem
            mkfifo -m 600 pipe";
        let name =
            format!("mysql-canary-config-{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).expect("the name is new");
        let made = Command::new("sh").args(["-c", SCRIPT]).current_dir(&folder.0).output().expect("sh runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder.write("password", format!("{SECRET}\n").as_bytes());
        folder.write("empty", b"");
        folder.write(
            "orders.cnf",
            format!("[client.orders]\nuser=canary\npassword={SECRET}\n[client]\nuser=canary\n").as_bytes(),
        );
        folder.write("no-user.cnf", format!("[client]\npassword={SECRET}\n").as_bytes());
        folder.write("bad.cnf", format!("[client]\nuser=canary\n{SECRET} is the password\n").as_bytes());
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that nobody else may read.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let file = self.0.join(name);
        fs::write(&file, bytes).expect("the folder is ours");
        fs::set_permissions(file, Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// Lets others read a file, or not.
    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.join(name), Permissions::from_mode(mode)).expect("it is ours");
    }

    /// What `--config.check` says of a file here, with these variables.
    pub(crate) fn check(&self, name: &str, variables: &[(&str, &str)]) -> Said {
        self.run(&[&format!("--config.file={{dir}}/{name}"), "--config.check"], variables)
    }

    /// Runs the exporter until it ends by itself; half a minute is too long.
    pub(crate) fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Said {
        let place = self.0.to_str().expect("the temporary directory is UTF-8");
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "30", env!("CARGO_BIN_EXE_mysql-canary-exporter")]);
        command.args(args.iter().map(|arg| arg.replace("{dir}", place)));
        command.env_remove("MYSQL_CANARY_PASSWORD").env_remove("COLUMNS").envs(variables.iter().copied());
        self.said(command.stdin(Stdio::null()).output().expect("timeout runs"))
    }

    /// The same with this on its standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "30", env!("CARGO_BIN_EXE_mysql-canary-exporter")]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("timeout runs");
        // It may have ended already.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        self.said(child.wait_with_output().expect("it ends"))
    }

    fn said(&self, output: Output) -> Said {
        let place = self.0.to_str().expect("the temporary directory is UTF-8");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(place, "{dir}");
        Said { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the system's temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

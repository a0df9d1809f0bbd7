//! A real MariaDB server.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A server on a Unix socket in a folder of its own, ended on drop.
pub struct MariaDb {
    child: Child,
    dir: tempfile::TempDir,
}

/// The password of the user `keybook`, with everything that an option file could read otherwise.
pub const PASSWORD: &str = r#"p#a"ss\n 'w'"#;

/// For a test's few rows.
const SMALL: &str = "--innodb-buffer-pool-size=16M";

impl MariaDb {
    /// Starts it with a database `d`, a user `keybook`, and a table `t` of three rows.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", dir.path().join("data").display());
        // Servers that share one remove each other's temporary tables.
        let tmp = format!("--tmpdir={}", dir.path().display());
        let made = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ])
            .arg(SMALL)
            .args([&data, &tmp])
            .output()
            .expect("mariadb-server is installed");
        let told = [made.stdout, made.stderr].concat();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&told));
        let child = Command::new("mariadbd")
            .args(["--no-defaults", "--skip-networking", "--user=root"])
            .arg(SMALL)
            .args([&data, &tmp])
            .arg(format!("--socket={}", dir.path().join("s").display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { child, dir };
        server.wait().await;
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        server.root(&format!(
            "CREATE DATABASE d; CREATE USER keybook@localhost IDENTIFIED BY '{password}'; GRANT ALL ON d.* TO keybook@localhost; \
             CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(4000)) ENGINE=InnoDB; INSERT INTO d.t VALUES (1,'a'),(2,'b<>'),(3,NULL)"
        ));
        server
    }

    pub fn socket(&self) -> String {
        self.path("s").to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs SQL as root; its output.
    pub fn root(&self, sql: &str) -> String {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-uroot", "-N", "-B", "-S", &self.socket(), "-e", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn wait(&self) {
        for _ in 0..300 {
            let ping = Command::new("mariadb-admin")
                .args(["--no-defaults", "-uroot", "-S", &self.socket(), "ping"])
                .output()
                .unwrap();
            if ping.status.success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("MariaDB did not come up: {}", fs::read_to_string(self.path("log")).unwrap());
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A folder with a small project, and the command run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub const SMALL: &str = r#"model small

input  x: f32[2]
target kind: class["no", "yes"]
target size: f32[1]

backbone trunk(x) = linear(4) -> relu

head which(trunk) = linear(2)
head much(trunk)  = linear(1)

minimize cross_entropy(which, kind)
       + 0.5 * mse(much, size)
measure  accuracy(which, kind), rmse(much, size)

data d = csv("d.csv", split: [0.5, 0.25, 0.25], seed: 1) {
  x    = columns(["a", "b"]) -> standardize
  kind = column("kind")
  size = column("size") -> standardize
}

train { epochs: 2, batch: 4, optimizer: adam(lr: 0.05) }
"#;

/// The trunk of `small`, frozen under another head.
pub const NEXT: &str = r#"model next

input  x: f32[2]
target size: f32[1]

backbone trunk(x, weights: run(small)) = linear(4) -> relu

freeze trunk

head much(trunk) = linear(1)

minimize mse(much, size)
measure  mae(much, size)

data d = csv("d.csv", split: [0.5, 0.25, 0.25], seed: 1) {
  x    = columns(["a", "b"]) -> standardize
  size = column("size") -> standardize
}

train { epochs: 2, batch: 4 }
"#;

/// 24 rows with both labels; every number is exact in few digits.
pub fn table() -> String {
    let row = |i: i32| {
        let (a, b) = (f64::from(i * 7 % 24 - 12) / 8.0, f64::from(i * 5 % 24 - 11) / 8.0);
        format!("{a},{b},{},{}\n", if a + b > 0.0 { "yes" } else { "no" }, 2.0 * a - b)
    };
    "a,b,kind,size\n".to_string() + &(0..24).map(row).collect::<String>()
}

pub struct Lab {
    dir: TempDir,
}

impl Lab {
    /// An empty folder.
    pub fn empty() -> Lab {
        Lab { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with `small.mtl` and its table.
    pub fn new() -> Lab {
        Lab::empty().write("small.mtl", SMALL).write("d.csv", table())
    }

    /// The same, trained.
    pub fn trained() -> Lab {
        let lab = Lab::new();
        lab.done(&["run", "small.mtl"]);
        lab
    }

    /// A folder with a changed `small.mtl`.
    pub fn with(from: &str, to: &str) -> Lab {
        let lab = Lab::new();
        lab.edit("small.mtl", from, to);
        lab
    }

    pub fn write(self, name: &str, content: impl AsRef<[u8]>) -> Lab {
        self.put(name, content);
        self
    }

    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.put(name, text.replacen(from, to, 1));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a text file")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).env_remove("NO_COLOR");
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the command starts")
    }

    /// Runs what must go well; gives its stdout.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", self.tell(args, &output));
        String::from_utf8(output.stdout).expect("results are UTF-8")
    }

    /// Runs what must fail as the user's mistake and leave no trace; gives what was said.
    pub fn wrong(&self, args: &[&str]) -> String {
        let before = self.files();
        let output = self.run(args);
        let told = self.tell(args, &output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        // A spec that is right has a plan, whatever becomes of its run.
        let after: Vec<_> = self.files().into_iter().filter(|name| !name.starts_with("target")).collect();
        let before: Vec<_> = before.into_iter().filter(|name| !name.starts_with("target")).collect();
        assert_eq!(after, before, "{told}");
        told
    }

    /// Runs what must give JSON, whole and alone.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.run(args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", self.tell(args, &output)))
    }

    /// The command, its exit status and both streams, for snapshots.
    pub fn transcript(&self, args: &[&str]) -> String {
        self.tell(args, &self.run(args))
    }

    fn tell(&self, args: &[&str], output: &Output) -> String {
        let mut text = format!("$ mtlc {}\n", args.join(" "));
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text += &format!("--- {name}\n{}", String::from_utf8_lossy(bytes));
            }
        }
        let status = output.status.code().map_or("killed".into(), |code| code.to_string());
        mask(&(text + &format!("--- exit {status}\n\n")).replace(&self.dir.path().display().to_string(), "[folder]"))
    }

    /// Every file and folder below this one, by its path.
    pub fn files(&self) -> Vec<String> {
        fn list(folder: &Path, root: &Path, to: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                to.push(entry.path().strip_prefix(root).expect("below").to_string_lossy().into_owned());
                if entry.file_type().expect("a type").is_dir() {
                    list(&entry.path(), root, to);
                }
            }
        }
        let mut files = vec![];
        list(self.dir.path(), self.dir.path(), &mut files);
        files.sort();
        files
    }
}

/// Hides what differs between runs and machines: seconds, hashes, and digits behind the second decimal.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        let (token, behind) = rest.split_at(word.max(if word == 0 { first.len_utf8() } else { 0 }));
        rest = behind;
        let decimals = token.split_once('.').map_or(0, |(_, d)| d.len());
        if token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()) {
            masked.push_str("[sha]");
        } else if rest.starts_with(" s\n") || rest.starts_with(" s  best") {
            masked.push_str("[time]");
        } else if decimals > 3 && token.parse::<f64>().is_ok() {
            masked.push_str(&token[..token.len() - decimals + 2]);
        } else {
            masked.push_str(token);
        }
    }
    masked
}

/// Compares with the snapshot of that name in `tests/snapshots`.
pub fn pin(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("cli_{name}"), text));
}

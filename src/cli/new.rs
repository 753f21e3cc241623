//! `mtlc new`: a project that runs as it is, to change from there.

use super::console::Console;
use crate::base::Diagnostic;
use crate::files::write_atomically;
use crate::model::Failure;
use clap::ValueEnum;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The folder to make
    name: PathBuf,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Template::MultiTask)]
    template: Template,
    /// Print the files as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Template {
    /// Three tasks on one trunk, over a table
    MultiTask,
    /// A trunk that is trained, then frozen under new heads
    Transfer,
}

const WDBC: &[u8] = include_bytes!("../../specs/data/wdbc.csv");
const DIGITS: &[u8] = include_bytes!("../../specs/data/digits.csv.gz");
const DATA: &[u8] = include_bytes!("../../specs/data/README.md");
const TUMOUR: &[u8] = include_bytes!("../../specs/tumour.mtl");
const DIGITS_SPEC: &[u8] = include_bytes!("../../specs/digits.mtl");
const DIGITS_TRANSFER: &[u8] = include_bytes!("../../specs/digits_transfer.mtl");

impl Template {
    fn files(self) -> Vec<(&'static str, &'static [u8])> {
        let common = [(".gitignore", &b"/runs/\n/target/\n"[..]), ("data/README.md", DATA)];
        let own = match self {
            Template::MultiTask => vec![
                ("mtlc.yaml", &b"specs:\n  - tumour.mtl\n"[..]),
                ("tumour.mtl", TUMOUR),
                ("data/wdbc.csv", WDBC),
            ],
            Template::Transfer => vec![
                ("mtlc.yaml", &b"# In this order: the second begins with the trunk of the first.\nspecs:\n  - digits.mtl\n  - digits_transfer.mtl\n"[..]),
                ("digits.mtl", DIGITS_SPEC),
                ("digits_transfer.mtl", DIGITS_TRANSFER),
                ("data/digits.csv.gz", DIGITS),
            ],
        };
        own.into_iter().chain(common).collect()
    }
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let place = self.name.display().to_string();
        if self.name.symlink_metadata().is_ok() {
            return Err(Diagnostic::error("it exists already").place(place).help("choose another name").into());
        }
        let files = self.template.files();
        for (name, content) in &files {
            if let Err(wrong) = write_atomically(&self.name.join(name), content) {
                // Half a project is none. What was not made cannot be removed, and the first error is the one to tell.
                let _ = std::fs::remove_dir_all(&self.name);
                return Err(wrong.into());
            }
        }
        if console.json {
            let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
            console.result_json(&json!({ "folder": place, "files": names }));
        } else {
            console.result(format!("made {place}; now: cd {place} && mtlc build && mtlc run"));
        }
        Ok(())
    }
}

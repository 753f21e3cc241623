//! The rules: each takes files and gives every place that breaks it, with the reason.

use super::source::{Fault, File, closing, identifier, line, places, words};
use std::collections::{BTreeMap, BTreeSet};

/// The rooms in import order, as `src/lib.rs` declares them.
pub fn rooms(lib: &str) -> Vec<String> {
    let code = File::new("src/lib.rs", lib).code;
    code.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|l| identifier(l).to_string()).collect()
}

/// Whether a room uses only itself and the rooms above it.
pub fn layers(files: &[File], order: &[String]) -> Vec<Fault> {
    let macros: BTreeMap<&str, &str> = files.iter().flat_map(exported_macros).collect();
    let mut faults = vec![];
    for file in files {
        let Some(room) = file.room() else { continue };
        let Some(own) = order.iter().position(|r| r == room) else { continue };
        let code = file.shipped();
        for (at, used) in from_the_root(&file.path, &code) {
            let meant = macros.get(used).copied().unwrap_or(used);
            let why = match order.iter().position(|r| r == meant) {
                Some(other) if other <= own => continue,
                Some(_) => format!("`{room}` uses `{used}`, and `{meant}` stands below it in src/lib.rs"),
                None => format!("`{used}` is no room of src/lib.rs"),
            };
            faults.push(file.fault(line(&code, at), why));
        }
    }
    faults
}

/// Macros that a file exports at the root of the crate, and its room.
fn exported_macros(file: &File) -> Vec<(&str, &str)> {
    let Some(room) = file.room() else { return vec![] };
    let after = |(at, mark): (usize, &str)| {
        let rest = &file.code[at + mark.len()..];
        let start = rest.find("macro_rules!")? + "macro_rules!".len();
        Some((identifier(rest[start..].trim_start()), room))
    };
    file.code.match_indices("#[macro_export]").filter_map(after).collect()
}

/// Every first segment of a path from the root of the crate: `crate::x`, `crate::{x, y::z}`, or a `super` that leads there.
fn from_the_root<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let module = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = module.split('/').count();
    let mut starts: Vec<usize> = places(code, "crate::").map(|at| at + "crate::".len()).collect();
    // A chain of `super` is taken at its first link; the next ones stand behind `::`.
    for at in places(code, "super::").filter(|&at| !code[..at].ends_with("::")) {
        let chain = code[at..].split("::").take_while(|segment| *segment == "super").count();
        if chain >= depth {
            starts.push(at + chain * "super::".len());
        }
    }
    starts.sort_unstable();
    starts.into_iter().flat_map(|at| heads(code, at)).collect()
}

/// The first segments of the path, or of each path of the group, at `at`.
fn heads(code: &str, at: usize) -> Vec<(usize, &str)> {
    if !code[at..].starts_with('{') {
        return vec![(at, identifier(&code[at..]))];
    }
    let (mut found, mut depth, mut begins) = (vec![], 0, false);
    for (i, c) in code[at..=closing(code, at)].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if begins && !c.is_whitespace() => found.push((at + i, identifier(&code[at + i..]))),
            _ => {}
        }
        begins = depth == 1 && (c == '{' || c == ',' || begins && c.is_whitespace());
    }
    found.retain(|(_, head)| !head.is_empty());
    found
}

/// Whether these names stand in these rooms alone. Tests beside the code may use them too.
pub fn confined(files: &[File], names: &[&str], rooms: &[&str], why: &str) -> Vec<Fault> {
    let mut faults = vec![];
    for file in files.iter().filter(|f| f.path.starts_with("src/") && !f.room().is_some_and(|r| rooms.contains(&r))) {
        let code = file.shipped();
        for name in names {
            let at = places(&code, name).map(|at| line(&code, at));
            faults.extend(at.map(|l| file.fault(l, format!("`{name}` outside of {}: {why}", rooms.join(", ")))));
        }
    }
    faults
}

/// An allocator, which counts for a test: the one thing outside of `kernels/` that cannot be said without `unsafe`.
const ALLOCATOR: &str = "tests/allocations.rs";

/// Whether `unsafe` stands in `kernels/` alone, each behind a comment with its reason.
pub fn unsafe_code(files: &[File]) -> Vec<Fault> {
    let mut faults = vec![];
    for file in files {
        let lines: Vec<&str> = file.text.lines().collect();
        for number in places(&file.code, "unsafe").map(|at| line(&file.code, at)) {
            let comment = |l: &&str| l.starts_with("//") || l.starts_with("#[");
            let mut above = lines[..number - 1].iter().rev().map(|l| l.trim()).take_while(comment);
            // What a function asks of its callers stands in its documentation.
            let reason = if lines[number - 1].contains("unsafe fn") { "/// # Safety" } else { "// SAFETY:" };
            if file.room() != Some("kernels") && file.path != ALLOCATOR {
                faults.push(file.fault(number, "`unsafe` outside of kernels/: put it behind a safe function there"));
            } else if !above.any(|l| l.starts_with(reason)) {
                faults.push(file.fault(number, format!("no `{reason}` above says why this is sound")));
            }
        }
    }
    faults
}

/// Macros that mark work in progress.
pub fn leftovers(files: &[File]) -> Vec<Fault> {
    let mut faults = vec![];
    for file in files {
        for name in ["todo!", "unimplemented!", "dbg!"] {
            let at = places(&file.code, name).map(|at| line(&file.code, at));
            faults.extend(at.map(|l| file.fault(l, format!("`{name}` is for work in progress"))));
        }
    }
    faults
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.ends_with(".rs"))
}

pub fn opens_with_prose(files: &[File]) -> Vec<Fault> {
    let silent = rust(files).filter(|file| !file.text.starts_with("//! "));
    silent
        .map(|file| file.fault(1, "begins without `//!`: say what comes in, what goes out, what always holds"))
        .collect()
}

pub const MOST_LINES: usize = 400;

/// Files that are longer for a reason which their own text does not give.
pub const LONG_FILES: &[(&str, &str)] = &[];

/// A file over 400 lines says why in its opening prose, on a line that begins `//! Over 400 lines`.
pub fn too_long(files: &[File]) -> Vec<Fault> {
    let listed = |file: &&File| !LONG_FILES.iter().any(|(path, _)| *path == file.path);
    let long = rust(files).filter(listed).filter(|file| file.text.lines().count() > MOST_LINES);
    let silent = long.filter(|file| !file.text.lines().any(|l| l.starts_with("//! Over 400 lines")));
    silent
        .map(|file| file.fault(1, "is over 400 lines, and no line `//! Over 400 lines, because …` says why"))
        .collect()
}

/// The file that must declare a module, of the two that may.
fn parent<'a>(file: &File, files: &'a [File]) -> Option<(&'a File, String)> {
    let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let (folder, name) = module.rsplit_once('/')?;
    let candidates = match folder {
        "src" => vec!["src/lib.rs".to_string()],
        "tests" => vec!["tests/all.rs".to_string()],
        _ => vec![format!("{folder}/mod.rs"), format!("{folder}.rs")],
    };
    Some((files.iter().find(|f| candidates.contains(&f.path))?, name.to_string()))
}

/// Whether every file is declared by its parent: what is not declared is never compiled, and a test there never runs.
pub fn declared(files: &[File]) -> Vec<Fault> {
    let roots = ["src/lib.rs", "src/main.rs", "tests/all.rs"];
    let undeclared = rust(files).filter(|file| !roots.contains(&file.path.as_str())).filter(|file| {
        parent(file, files).is_none_or(|(parent, name)| {
            let inline = places(&parent.code, &format!("mod {name};")).next().is_some();
            !inline && !lists(&parent.code, MACROS).contains(name.as_str())
        })
    });
    undeclared.map(|file| file.fault(1, "no module declares this file, so it is never compiled")).collect()
}

/// Macros that declare modules.
const MACROS: &[&str] = &["ops! {", "parts! {"];

/// What opens a list of parts.
const LISTS: &[&str] = &["ops! {", "parts! {", "commands! {", "] = &["];

/// The folders with one idea a file and one list, and the code by which a file shows that it holds such an idea.
const KINDS: &[(&str, &str)] = &[
    ("src/ops/", "impl Operation for"),
    ("src/parts/", "Signature {"),
    ("src/data/", "Signature {"),
    ("src/passes/", "const PASS:"),
    ("src/cli/", "pub struct Args"),
];

/// The words of all lists in some code.
fn lists<'a>(code: &'a str, openings: &[&str]) -> BTreeSet<&'a str> {
    let starts = openings.iter().flat_map(|opening| code.match_indices(opening).map(|(at, o)| at + o.len() - 1));
    starts.flat_map(|open| words(&code[open..=closing(code, open)])).collect()
}

/// Whether every file that holds an idea is named in the list of its folder, without which no spec can name it.
pub fn listed(files: &[File]) -> Vec<Fault> {
    let parts = files.iter().filter(|file| {
        !file.path.ends_with("mod.rs")
            && KINDS.iter().any(|(folder, mark)| file.path.starts_with(folder) && file.code.contains(mark))
    });
    let absent = parts.filter(|file| {
        parent(file, files).is_none_or(|(parent, name)| !lists(&parent.code, LISTS).contains(name.as_str()))
    });
    absent.map(|file| file.fault(1, "is not in the list of its folder's mod.rs, so nothing can name it")).collect()
}

/// Dependencies that no code names. One that only tests use belongs to the dev-dependencies.
pub fn unused_crates(files: &[File], manifest: &str) -> Vec<Fault> {
    let mut section = "";
    let mut faults = vec![];
    for (i, text) in manifest.lines().enumerate() {
        if text.starts_with('[') {
            section = text;
        }
        let (folder, Some((name, _))) = (if section == "[dependencies]" { "src/" } else { "" }, text.split_once(" = "))
        else {
            continue;
        };
        let path = format!("{}::", name.replace('-', "_"));
        let used = || rust(files).any(|f| f.path.starts_with(folder) && places(&f.code, &path).next().is_some());
        if ["[dependencies]", "[dev-dependencies]"].contains(&section) && !used() {
            faults.push(format!("Cargo.toml:{}: nothing in {folder} uses the crate `{name}`", i + 1));
        }
    }
    faults
}

/// Whether each snapshot names a test file that exists, and none is pending. Where insta has put the module before the name
/// (`all__ops__NAME`), a function or literal of the test file must end the name too.
///
/// Other names are put together at run time, so some dead snapshots pass. `.ci/run` finds those, because insta tells which
/// snapshots a whole run has read.
pub fn snapshots(files: &[File]) -> Vec<Fault> {
    let mut faults = vec![];
    for file in files.iter().filter(|f| f.path.contains(".snap")) {
        if !file.path.ends_with(".snap") {
            faults.push(file.fault(1, "a pending snapshot: look at the difference, then accept or delete it"));
            continue;
        }
        let source = file.text.lines().find_map(|l| l.strip_prefix("source: ")).unwrap_or_default();
        let Some(test) = files.iter().find(|f| f.path == source) else {
            faults.push(file.fault(2, format!("its test file `{source}` does not exist")));
            continue;
        };
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".snap");
        let word_ends_it = |word: &str| name.ends_with(&format!("_{}", word.trim_start_matches('_')));
        if name.starts_with("all__") && !words(&test.text).any(word_ends_it) {
            faults.push(file.fault(1, format!("nothing in {source} is called like it: delete it if its test is gone")));
        }
    }
    faults
}

/// Absolute paths that exist on somebody's machine only.
pub fn machine_paths(files: &[File]) -> Vec<Fault> {
    let folders = ["work", "tmp", "root", "home"].map(|name| format!("/{name}/"));
    let mut faults = vec![];
    for file in files {
        for (i, text) in file.text.lines().enumerate() {
            // Behind a letter or a dot it is the middle of a longer path or of an address.
            let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/".contains(c));
            if folders.iter().any(|folder| text.match_indices(folder.as_str()).any(|(at, _)| begins(at))) {
                faults.push(file.fault(i + 1, "names a folder of one machine"));
            }
        }
    }
    faults
}

/// What may stand at the top of the repository, besides what is hidden.
const TOP: &[&str] = &["Cargo.toml", "Cargo.lock", "grammar", "src", "specs", "tests", "README.md", "LICENSE"];

pub fn top(tracked: &[String]) -> Vec<Fault> {
    let strange = tracked.iter().filter(|path| {
        let first = path.split('/').next().unwrap_or_default();
        !first.starts_with('.') && !TOP.contains(&first)
    });
    strange.map(|path| format!("{path}:1: the top holds only {} and what is hidden", TOP.join(", "))).collect()
}

//! Runs that stop, are stopped, and go on.

use super::lab::{Lab, NEXT, pin};
use safetensors::SafeTensors;
use std::process::Stdio;
use std::time::{Duration, Instant};

const RESUME: &[&str] = &["run", "small.mtl", "--resume"];

/// A run of four epochs that stopped after two.
fn stopped() -> Lab {
    let lab = Lab::with("epochs: 2", "epochs: 4");
    lab.done(&["run", "small.mtl", "--stop-after", "2"]);
    lab
}

#[test]
fn a_stopped_run_goes_on() {
    let lab = stopped();
    pin("resumed", &lab.transcript(RESUME));
    let whole = Lab::with("epochs: 2", "epochs: 4");
    whole.done(&["run", "small.mtl"]);
    for file in ["last.safetensors", "weights.safetensors"] {
        let read = |lab: &Lab| std::fs::read(lab.path(&format!("runs/small/1/{file}"))).expect("a file");
        let (resumed, uninterrupted) = (read(&lab), read(&whole));
        let tensors = |bytes: &[u8]| {
            let file = SafeTensors::deserialize(bytes).expect("whole");
            let mut list: Vec<(String, Vec<u8>)> =
                file.iter().map(|(n, t)| (n.to_string(), t.data().to_vec())).collect();
            list.sort();
            list
        };
        assert_eq!(tensors(&resumed), tensors(&uninterrupted), "{file}");
    }
}

#[test]
fn what_cannot_go_on() {
    let changed = |file: &str, from: &str, to: &str| {
        let lab = stopped();
        lab.edit(file, from, to);
        lab
    };
    let damaged = |file: &str, cut: fn(Vec<u8>) -> Vec<u8>| {
        let lab = stopped();
        let bytes = std::fs::read(lab.path(&format!("runs/small/1/{file}"))).expect("a file");
        lab.put(&format!("runs/small/1/{file}"), cut(bytes));
        lab
    };
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let without_state = |bytes: Vec<u8>| {
        // The same length, so the header still fits.
        String::from_utf8_lossy(&bytes[..8]).into_owned().into_bytes().len();
        let text: Vec<u8> = bytes.clone();
        let at = text.windows(10).position(|w| w == b"mtlc.state").expect("the key");
        let mut text = text;
        text[at..at + 10].copy_from_slice(b"mtlc.stale");
        text
    };
    let one_line = |bytes: Vec<u8>| {
        let end = bytes.iter().position(|b| *b == b'\n').expect("a line") + 1;
        bytes[..end].to_vec()
    };
    // A line says how long its epoch took, so its length differs from run to run: the cut is counted from where it begins.
    let in_a_line = |bytes: Vec<u8>| {
        let end = bytes.iter().position(|b| *b == b'\n').expect("a line") + 1;
        bytes[..end + 10].to_vec()
    };
    let finished = Lab::trained();
    let mut text: String = [
        (Lab::new(), "no run"),
        (finished, "finished"),
        (changed("small.mtl", "0.05", "0.06"), "the spec"),
        (changed("d.csv", "yes", "no"), "the data"),
        (damaged("last.safetensors", half), "cut short"),
        (damaged("last.safetensors", |_| vec![]), "empty"),
        (damaged("last.safetensors", without_state), "no state"),
        (damaged("run.json", half), "cut short"),
        (damaged("metrics.jsonl", in_a_line), "cut short"),
        (damaged("metrics.jsonl", one_line), "one line"),
    ]
    .iter()
    .map(|(lab, what)| format!("# {what}\n{}", lab.wrong(RESUME)))
    .collect();
    text += &stopped().wrong(&["run", "small.mtl", "--resume", "--set", "train.epochs=9"]);
    pin("not_resumed", &text);
}

#[test]
fn a_project_goes_on_where_it_stopped() {
    let lab = Lab::new().write("next.mtl", NEXT).write("mtlc.yaml", "specs: [small.mtl, next.mtl]\n");
    lab.done(&["run", "small.mtl"]);
    pin("project_resumed", &(lab.transcript(&["run", "--resume"]) + &lab.transcript(&["run", "--resume"])));
}

#[cfg(target_family = "unix")]
#[test]
fn a_killed_run_leaves_whole_files_and_goes_on() {
    let lab = Lab::with("epochs: 2", "epochs: 100000");
    let folder = lab.path("runs/small/1");
    let epochs = || lab.path("runs/small/1/metrics.jsonl").metadata().map_or(0, |m| m.len());
    for (round, args) in [&["run", "small.mtl"][..], RESUME, RESUME, RESUME].into_iter().enumerate() {
        let before = epochs();
        let mut child = lab.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // Once it writes checkpoints, it is killed at some moment of the next epochs.
        let patience = Instant::now();
        while epochs() <= before {
            assert!(patience.elapsed() < Duration::from_secs(60), "no epoch in a minute");
            assert!(child.try_wait().expect("a status").is_none(), "it ended by itself in round {round}");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(700 * (round as u64 + 1)));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        for file in ["last.safetensors", "weights.safetensors"] {
            if let Ok(bytes) = std::fs::read(folder.join(file)) {
                SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
            }
        }
        for line in lab.read("runs/small/1/metrics.jsonl").lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("a whole line");
        }
        serde_json::from_str::<serde_json::Value>(&lab.read("runs/small/1/run.json")).expect("whole");
        if round == 0 && !folder.join("last.safetensors").exists() {
            // Killed between the first history and the first checkpoint: there is nothing to go on with.
            return;
        }
    }
    let lines = lab.read("runs/small/1/metrics.jsonl").lines().count();
    lab.done(&["run", "small.mtl", "--resume", "--stop-after", &(lines + 2).to_string()]);
    let left: Vec<String> = lab.files().into_iter().filter(|f| f.contains("unfinished")).collect();
    assert!(left.is_empty(), "{left:?}");
    let epochs: Vec<u64> = lab
        .read("runs/small/1/metrics.jsonl")
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("whole")["epoch"].as_u64().expect("a number")
        })
        .collect();
    assert_eq!(epochs, (1..=lines as u64 + 2).collect::<Vec<u64>>(), "no epoch is lost or counted twice");
}

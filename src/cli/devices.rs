//! `mtlc devices`: what there is to compute with, and why the rest cannot be used.

use super::console::{Console, table};
use crate::engine::ENGINES;
use crate::kernels::cpu::{parallel, tile};
use crate::kernels::cuda;
use crate::model::Failure;
use crate::plan::bytes;
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let object = |isa: &tile::Isa| json!({ "name": isa.name, "summary": isa.summary, "available": (isa.available)(), "used": isa.name == tile::chosen().name });
        let kernels: Vec<_> = tile::all().iter().map(object).collect();
        let devices = cuda::devices();
        if console.json {
            let engines: Vec<_> = ENGINES.iter().map(|e| json!({ "name": e.name(), "summary": e.summary() })).collect();
            let cuda = match &devices {
                Ok(list) => {
                    json!({ "devices": list.iter().map(|d| json!({ "name": d.name, "capability": [d.capability.0, d.capability.1], "memory_bytes": d.memory_bytes })).collect::<Vec<_>>() })
                }
                Err(why) => json!({ "devices": [], "reason": why }),
            };
            console.result_json(&json!({ "engines": engines, "cpu": { "threads": parallel::threads(), "kernels": kernels }, "cuda": cuda }));
            return Ok(());
        }
        let mut rows: Vec<Vec<String>> =
            ENGINES.iter().map(|e| vec![format!("engine {}", e.name()), e.summary().into()]).collect();
        rows.push(vec!["cpu".into(), format!("{} threads", parallel::threads())]);
        rows.extend(tile::all().iter().map(|isa| {
            let state = match (isa.available)() {
                true if isa.name == tile::chosen().name => " (used)",
                true => "",
                false => " (not on this machine)",
            };
            vec![format!("kernels {}", isa.name), format!("{}{state}", isa.summary)]
        }));
        match devices {
            Ok(list) => rows.extend(list.iter().enumerate().map(|(i, d)| {
                let (major, minor) = d.capability;
                let about = format!(
                    "{}, compute capability {major}.{minor}, {}; no engine uses it yet",
                    d.name,
                    bytes(d.memory_bytes)
                );
                vec![format!("cuda:{i}"), about]
            })),
            Err(why) => rows.push(vec!["cuda".into(), format!("not usable: {why}")]),
        }
        console.result(table(&rows));
        Ok(())
    }
}

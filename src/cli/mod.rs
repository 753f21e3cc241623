//! The command line: one command a file. This is the only room that prints.
//!
//! Results go to stdout, progress and diagnostics to stderr. The exit status is 0 when all went well, 1 when the user's spec,
//! data or files are wrong, and 2 for a wrong command line or a bug of ours.

mod bench;
mod build;
mod check;
mod compare;
mod console;
mod cost;
mod devices;
mod eval;
mod explain;
mod fmt;
mod machine;
mod new;
mod predict;
mod profile;
mod project;
mod run;
mod sweep;
mod trial;
mod weights;

use clap::{Parser, Subcommand};
use console::Console;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Transfer learning and multi-task learning from one spec.
#[derive(Parser)]
#[command(name = "mtlc", version, about, disable_help_subcommand = true)]
struct Cli {
    /// Threads to compute with [default: as many as the machine runs at once]
    #[arg(long, global = true, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// The instructions to compute with; `mtlc devices` lists them [default: the best of the machine]
    #[arg(long, global = true, value_name = "NAME")]
    kernels: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// Declares the commands: one line each.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($module:ident)),* $(,)?) => {
        #[derive(Subcommand)]
        enum Command {
            $($(#[$doc])* $name($module::Args),)*
        }

        impl Command {
            fn run(&self, console: &Console) -> Result<(), crate::model::Failure> {
                match self {
                    $(Command::$name(args) => args.run(console),)*
                }
            }

            fn json(&self) -> bool {
                match self {
                    $(Command::$name(args) => args.json,)*
                }
            }
        }
    };
}

commands! {
    /// Make a project: a spec, its data and a project file
    New(new),
    /// Say everything that is wrong with a spec
    Check(check),
    /// Put specs into their one canonical layout
    Fmt(fmt),
    /// Check specs and write their plans
    Build(build),
    /// Train what the specs describe
    Run(run),
    /// Measure the newest run of a model
    Eval(eval),
    /// Answer for rows of a file
    Predict(predict),
    /// Measure training steps or answers on random rows
    Bench(bench),
    /// Train several specs under one budget, and hold quality and cost against each other
    Compare(compare),
    /// Train a spec with several weights of its losses, and show what can be had of each task
    Sweep(sweep),
    /// Show what a name means, or what becomes of a spec
    Explain(explain),
    /// Say what files of weights hold
    Weights(weights),
    /// List engines and devices
    Devices(devices),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let console = Console::new(cli.command.json());
    std::panic::set_hook(Box::new(|_| {}));
    let run = || {
        machine::choose(cli.threads, cli.kernels.as_deref())?;
        cli.command.run(&console)
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => {
            if console.finish() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Ok(Err(failure)) => {
            console.failure(&failure);
            console.finish();
            ExitCode::from(1)
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            console.bug(text.unwrap_or("a panic without a message"));
            ExitCode::from(2)
        }
    }
}

//! The `config.json` beside published weights, held against the library backbone that takes them.
//!
//! A wrong epsilon, activation or number of heads fits every tensor and gives wrong features without a word. Where a file says how
//! its weights were made, a difference is an error before they are used.

use crate::base::{Diagnostic, Diagnostics, Result};
use crate::model::Network;
use std::path::Path;

/// No such file is longer.
const LONGEST: u64 = 1 << 20;

/// Fails where the network's library backbones differ from the `config.json` beside the weights, if one lies there.
pub fn check(network: &Network, weights: &Path) -> Result<()> {
    let path = weights.with_file_name("config.json");
    let mut diagnostics = Diagnostics::default();
    for published in &network.published {
        let Some(differences) = published.backbone().config else { continue };
        let place = path.display().to_string();
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        let text = if metadata.len() <= LONGEST { std::fs::read_to_string(&path).ok() } else { None };
        let Some(config) = text.and_then(|text| serde_json::from_str(&text).ok()) else {
            let diagnostic = Diagnostic::error("the file beside the weights is no JSON").place(place);
            diagnostics.push(diagnostic.help("remove it if it does not belong to the weights"));
            continue;
        };
        let found = differences(&published.call.args, &config);
        if found.is_empty() {
            continue;
        }
        let name = published.call.signature.name;
        let diagnostic = Diagnostic::error(format!("the weights were not made for this `{name}`")).place(place);
        let diagnostic = found.into_iter().fold(diagnostic.at(published.call.span), Diagnostic::note);
        diagnostics.push(diagnostic.help("`bert` takes every size as an argument"));
    }
    diagnostics.into_result(())
}

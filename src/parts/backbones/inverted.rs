//! The names that libraries give to networks of inverted residuals.
//!
//! Comes in: for each stage its units, a word each, of the letters of their parts: `e` expand, `d` depthwise, `s` squeeze and
//! excitation, `p` project, such as `"edp edp"`. Goes out: rules. Here a unit is `layer2.0` and its parts are `expand.0` (the
//! convolution), `expand.1` (the norm), `depthwise`, `squeeze.reduce`, `squeeze.expand` and `project`.

use super::Scheme;

pub type Stages = &'static [&'static str];

const STEM: [(&str, &str); 2] = [("conv_stem.*", "stem.0.*"), ("bn1.*", "stem.1.*")];

/// Every unit: its number in the network from 0, its stage, its number there, and the letters of its parts.
fn units(stages: Stages) -> impl Iterator<Item = (usize, usize, usize, &'static str)> {
    let each = stages
        .iter()
        .enumerate()
        .flat_map(|(stage, units)| units.split(' ').enumerate().map(move |(unit, parts)| (stage, unit, parts)));
    each.enumerate().map(|(i, (stage, unit, parts))| (i, stage, unit, parts))
}

fn part(letter: char) -> &'static str {
    match letter {
        'e' => "expand",
        'd' => "depthwise",
        's' => "squeeze",
        _ => "project",
    }
}

/// A scheme of these rules between those of the stem and of what is behind the units.
fn scheme(name: &'static str, rules: Vec<(String, String)>, around: &[(&str, &str)], classes: &'static str) -> Scheme {
    let mut scheme = Scheme::new(name, around, classes);
    scheme.rules.extend(rules);
    scheme
}

/// timm: `blocks.1.0.conv_pw` with norms numbered as they come, and the last 1×1 of a unit that expands as `conv_pwl`.
pub fn timm(stages: Stages, head: &[(&str, &str)], classes: &'static str) -> Scheme {
    let mut rules = vec![];
    for (_, stage, unit, parts) in units(stages) {
        let mut add = |from: &str, to: &str| {
            rules.push((format!("blocks.{stage}.{unit}.{from}.*"), format!("layer{}.{unit}.{to}.*", stage + 1)));
        };
        let mut norms = 0;
        for letter in parts.chars() {
            let name = part(letter);
            if letter == 's' {
                add("se.conv_reduce", "squeeze.reduce");
                add("se.conv_expand", "squeeze.expand");
                continue;
            }
            norms += 1;
            let conv = match letter {
                'd' => "conv_dw",
                'p' if parts.contains('e') => "conv_pwl",
                _ => "conv_pw",
            };
            add(conv, &format!("{name}.0"));
            add(&format!("bn{norms}"), &format!("{name}.1"));
        }
    }
    scheme("timm", rules, &[&STEM, head].concat(), classes)
}

/// Ports of TensorFlow's EfficientNet to PyTorch: `_blocks.0._depthwise_conv`, all units in one row.
pub fn efficientnet_pytorch(stages: Stages) -> Scheme {
    let mut rules = vec![];
    for (i, stage, unit, parts) in units(stages) {
        for letter in parts.chars() {
            let (name, norm) = (part(letter), ["e", "d", "p"].iter().position(|l| l.starts_with(letter)).unwrap_or(0));
            let to = format!("layer{}.{unit}.{name}", stage + 1);
            rules.push((format!("_blocks.{i}._{name}_conv.*"), format!("{to}.0.*")));
            rules.push((format!("_blocks.{i}._bn{norm}.*"), format!("{to}.1.*")));
        }
    }
    let around =
        [("_conv_stem.*", "stem.0.*"), ("_bn0.*", "stem.1.*"), ("_conv_head.*", "head.0.*"), ("_bn1.*", "head.1.*")];
    scheme("efficientnet-pytorch", rules, &around, "_fc.*")
}

/// torchvision: `features.1.conv.0.0`; in the second version (`conv`) the last convolution of a unit and its norm stand beside the
/// others, in the third (`block`) in a part of their own.
pub fn torchvision(stages: Stages, body: &str, head: &[(&str, &str)], classes: &'static str) -> Scheme {
    let mut rules = vec![];
    let mut count = 0;
    for (i, stage, unit, parts) in units(stages) {
        count = i + 1;
        let mut add = |from: String, to: String| {
            let from = format!("features.{}.{body}.{from}.*", i + 1);
            rules.push((from, format!("layer{}.{unit}.{to}.*", stage + 1)));
        };
        for (k, letter) in parts.chars().enumerate() {
            let name = part(letter);
            if letter == 's' {
                add(format!("{k}.fc1"), "squeeze.reduce".into());
                add(format!("{k}.fc2"), "squeeze.expand".into());
            } else if letter == 'p' && body == "conv" {
                add(format!("{k}"), format!("{name}.0"));
                add(format!("{}", k + 1), format!("{name}.1"));
            } else {
                add(format!("{k}.0"), format!("{name}.0"));
                add(format!("{k}.1"), format!("{name}.1"));
            }
        }
    }
    rules.push((format!("features.{}.0.*", count + 1), "head.0.*".into()));
    rules.push((format!("features.{}.1.*", count + 1), "head.1.*".into()));
    let stem = [("features.0.0.*", "stem.0.*"), ("features.0.1.*", "stem.1.*")];
    scheme("torchvision", rules, &[&stem, head].concat(), classes)
}

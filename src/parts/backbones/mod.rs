//! Library backbones: published networks under a name, to be used like a block.
//!
//! The layers of a backbone are text of the language itself, one file a family beside its rules; the model writes them out as it
//! does a spec's own blocks. With them come the names that published files of weights give to the same tensors, and the
//! preparation of data that these weights were trained with. A family is one file and one line in [`FAMILIES`].
//!
//! What always holds: every argument of a backbone is in its signature, and is known by that name in its text.

use crate::base::Source;
use crate::base::signature::{Args, Kind, Param, Signature};
use crate::syntax::ast::{DeclarationKind, File};
use crate::syntax::parse;
use std::sync::OnceLock;

mod bert;
mod efficientnet;
mod inverted;
mod mobilenet;
mod resnet;
mod vit;

/// Networks of one build: their text, and the networks in it.
pub struct Family {
    pub backbones: &'static [Backbone],
    pub text: &'static Text,
}

/// Every family, in the order of the reference.
pub static FAMILIES: &[Family] = &[resnet::FAMILY, mobilenet::FAMILY, efficientnet::FAMILY, vit::FAMILY, bert::FAMILY];

/// A published network. Its layers are the block of its name in its family's text.
pub struct Backbone {
    pub signature: &'static Signature,
    /// What each word of `features` adds behind the last layer: a stage, and the block that is in it.
    pub endings: &'static [(&'static str, Option<Ending>)],
    /// The names of its tensors in published files, with these arguments.
    pub schemes: fn(&Args) -> Vec<Scheme>,
    /// What published weights expect to read.
    pub expects: Expects,
    /// How the `config.json` that lies beside the weights differs from these arguments, a sentence each.
    pub config: Option<fn(&Args, &serde_json::Value) -> Vec<String>>,
}

pub struct Ending {
    pub stage: &'static str,
    pub block: &'static str,
}

/// Blocks of the language, parsed once.
pub struct Text {
    /// The name that messages and `mtlc explain` show.
    pub name: &'static str,
    pub text: &'static str,
    parsed: OnceLock<(Source, File)>,
}

impl Text {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, parsed: OnceLock::new() }
    }

    /// The text and its tree.
    pub fn parsed(&'static self) -> &'static (Source, File) {
        self.parsed.get_or_init(|| {
            let source = Source::new(self.name, self.text);
            let file = parse(&source).unwrap_or_else(|wrong| panic!("bug: {}", wrong.render(Some(&source), false)));
            (source, file)
        })
    }
}

/// How one library names the tensors of a network.
///
/// A rule takes names of the file to paths below the network. A `*` stands for any text, and fills those of the path in their
/// order; `[k/n]` behind a name takes part `k` of `n` along the first axis.
#[derive(Clone, Debug)]
pub struct Scheme {
    pub name: &'static str,
    pub rules: Vec<(String, String)>,
    /// Names that the network has no place for.
    pub unused: Vec<String>,
    /// The names of the layer with the classes that the network was trained for, which a head may take.
    pub classes: Option<&'static str>,
}

impl Scheme {
    /// A scheme of a network that was trained for classes.
    fn new(name: &'static str, rules: &[(&str, &str)], classes: &'static str) -> Self {
        let rules = rules.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
        Self { name, rules, unused: vec![classes.into()], classes: Some(classes) }
    }
}

/// What published weights were trained to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expects {
    /// Images of three channels, red first, of `size` × `size` pixels; of values from 0 to 255 `mean` is subtracted, and the
    /// difference divided by `std`, one for each channel.
    Image { size: usize, mean: [f64; 3], std: [f64; 3] },
    /// Ids of a tokenizer, which lies beside the weights.
    Tokens,
}

impl std::fmt::Display for Expects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expects::Image { size, mean, std } => {
                let normalize = normalize(mean, std);
                write!(f, "f32[3, {size}, {size}], red first, of values from 0 to 255 with `{normalize}`")
            }
            Expects::Tokens => f.write_str("ids of the tokenizer beside the weights, filled up with 0"),
        }
    }
}

/// The step that brings values from 0 to 255 to what weights expect, with one number where all channels have the same.
pub fn normalize(mean: &[f64; 3], std: &[f64; 3]) -> String {
    let written = |numbers: &[f64; 3]| match numbers.iter().all(|x| *x == numbers[0]) {
        true => numbers[0].to_string(),
        false => format!("{numbers:?}"),
    };
    format!("normalize(mean: {}, std: {})", written(mean), written(std))
}

/// Mean and deviation of ImageNet's training images, times 255: what torchvision's weights expect.
const IMAGENET: Expects = Expects::Image { size: 224, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };

/// The argument of networks that read images.
const FEATURES: Param = Param::with(
    "features",
    Kind::Word(&["pooled", "map"]),
    "pooled",
    "what comes out: a vector, or the feature map before it is pooled",
);

/// What `FEATURES` chooses from, for networks that end in a mean over the map.
const POOLED: &[(&str, Option<Ending>)] = &[("pooled", Some(Ending { stage: "pool", block: "pooled" })), ("map", None)];

/// Every backbone, in the order of the reference.
pub fn all() -> impl Iterator<Item = (&'static Backbone, &'static Text)> {
    FAMILIES.iter().flat_map(|family| family.backbones.iter().map(|b| (b, family.text)))
}

/// The backbone of that name, and the text that it stands in.
pub fn find(name: &str) -> Option<(&'static Backbone, &'static Text)> {
    all().find(|(backbone, _)| backbone.signature.name == name)
}

impl Backbone {
    /// Its block, and before it those that it is made of, as the text has them.
    pub fn listing(&self, text: &'static Text) -> String {
        let (source, file) = text.parsed();
        let blocks: Vec<(&str, &str)> = file
            .declarations
            .iter()
            .filter_map(|declaration| match &declaration.kind {
                DeclarationKind::Block { name, .. } => Some((name.text.as_str(), source.slice(declaration.span))),
                _ => None,
            })
            .collect();
        let endings = self.endings.iter().filter_map(|(_, ending)| ending.as_ref()).map(|ending| ending.block);
        let mut shown: Vec<&str> = endings.chain([self.signature.name]).collect();
        let mut next = 0;
        while let Some(name) = shown.get(next) {
            let block = blocks.iter().find(|(n, _)| n == name).map_or("", |(_, block)| block);
            let words = block.split(|c: char| !c.is_alphanumeric() && c != '_');
            let used: Vec<&str> = words.filter(|word| blocks.iter().any(|(n, _)| n == word)).collect();
            used.into_iter().for_each(|word| {
                if !shown.contains(&word) {
                    shown.push(word);
                }
            });
            next += 1;
        }
        let listed = blocks.iter().filter(|(name, _)| shown.contains(name)).map(|(_, block)| *block);
        listed.collect::<Vec<_>>().join("\n\n")
    }

    /// What its argument `features` adds, if anything.
    pub fn ending(&self, args: &Args) -> Option<&'static Ending> {
        let word = args.text("features");
        self.endings.iter().find(|(w, _)| *w == word).and_then(|(_, ending)| ending.as_ref())
    }
}

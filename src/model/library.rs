//! Library backbones, written out: the blocks of their text take the place of the call, which is where messages point.

use super::bind::Scope;
use super::expand::{Block, Expander, Published, Tree};
use crate::base::Diagnostic;
use crate::base::signature::Call;
use crate::parts::backbones::{self, Backbone};
use crate::syntax::ast::DeclarationKind;
use std::cell::Cell;
use std::collections::BTreeMap;

impl Published {
    /// What is known of the network that was used.
    pub fn backbone(&self) -> &'static Backbone {
        backbones::find(self.call.signature.name).expect("the call was bound to a backbone").0
    }
}

impl Expander<'_, '_> {
    /// The layers of a library backbone: the block of its name, and what `features` adds behind it as a stage of its own.
    pub(super) fn backbone(&mut self, call: Call, path: &str) -> Option<Tree> {
        let (backbone, text) = backbones::find(call.signature.name)?;
        let (source, file) = text.parsed();
        let blocks: BTreeMap<String, Block<'static>> = file
            .declarations
            .iter()
            .filter_map(|declaration| match &declaration.kind {
                DeclarationKind::Block { name, params, body } => {
                    Some((name.text.clone(), Block { params, body, name, used: Cell::new(true) }))
                }
                _ => None,
            })
            .collect();
        let scope: Scope = call.args.0.iter().map(|(name, arg)| (name.to_string(), arg.value.clone())).collect();
        let errors = self.binder.diagnostics.0.len();
        let mut inside = Expander::within(self, source, &blocks, call.span);
        let body = inside.body(blocks[call.signature.name].body, path, &scope);
        let ending = backbone.ending(&call.args);
        let ending = ending.map(|e| inside.body(blocks[e.block].body, &format!("{path}.{}", e.stage), &scope));
        self.layers = inside.layers;
        for diagnostic in &mut self.binder.diagnostics.0[errors..] {
            // Places in the library's text mean nothing to whoever reads the spec.
            let inner = std::mem::replace(diagnostic, Diagnostic::error(""));
            *diagnostic = Diagnostic { labels: vec![], ..inner }.at(call.span);
        }
        self.published.push(Published { path: path.into(), call });
        match (body?, ending) {
            (tree, None) => Some(tree),
            (Tree::Chain { path, mut steps }, Some(ending)) => {
                steps.push(ending?);
                Some(Tree::Chain { path, steps })
            }
            (Tree::Layer(_), Some(_)) => None,
        }
    }
}

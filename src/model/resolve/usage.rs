//! What is declared and never used.

use super::Resolver;
use crate::base::{Diagnostic, Span};
use crate::model::{Model, NetworkKind};
use crate::syntax::ast::DeclarationKind;

impl<'a> Resolver<'a> {
    /// What is declared and never used is most likely a slip; where something else is wrong, most likely not.
    pub(super) fn check_use(&mut self, model: &Model) {
        let is_head = |d: &crate::syntax::ast::Declaration| matches!(d.kind, DeclarationKind::Head { .. });
        if !self.file.declarations.iter().any(is_head) {
            let name = self.file.declarations.iter().find(|d| matches!(d.kind, DeclarationKind::Model(_)));
            let diagnostic = Diagnostic::error("the spec has no head").at(name.map_or(Span::default(), |d| d.span));
            let last = model.networks.last().map(|n| &n.name).or(model.inputs.first().map(|i| &i.name));
            let help = format!("add `head NAME({}) = …`, which answers", last.map_or("…", |name| name));
            self.report(diagnostic.help(help));
        }
        let read =
            |name: &str| model.networks.iter().flat_map(|n| &n.sources).any(|s| s.path.split('.').next() == Some(name));
        let mut unused = vec![];
        for block in self.blocks.values().filter(|b| !b.used.get()) {
            unused
                .push((format!("nothing uses the block `{}`, so it is not checked", block.name.text), block.name.span));
        }
        for input in model.inputs.iter().filter(|i| !read(&i.name)) {
            unused.push((format!("nothing reads the input `{}`", input.name), input.span));
        }
        for network in model.networks.iter().filter(|n| n.kind == NetworkKind::Backbone && !read(&n.name)) {
            unused.push((format!("nothing reads the backbone `{}`", network.name), network.span));
        }
        for target in &model.targets {
            let used = model.terms.iter().any(|t| t.target == target.name)
                || model.measures.iter().any(|m| m.target == target.name);
            if !used {
                unused.push((format!("no loss or metric uses the target `{}`", target.name), target.span));
            }
        }
        if !self.binder.diagnostics.has_errors() {
            for (message, span) in unused {
                self.report(Diagnostic::warning(message).at(span));
            }
        }
        for target in &model.targets {
            let given = model.data.iter().any(|d| d.fields.iter().any(|f| f.name == target.name));
            if let Some(term) = model.terms.iter().find(|t| t.target == target.name)
                && !given
                && !model.data.is_empty()
                && !self.has_failed_data
            {
                let diagnostic = Diagnostic::error(format!("no data gives the target `{}`", target.name)).at(term.span);
                self.report(diagnostic.help(format!("add `{} = …` to a `data` block", target.name)));
            }
        }
    }
}

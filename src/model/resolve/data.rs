//! Where the rows come from: sources, and a column with its steps for every field.

use super::Resolver;
use crate::base::Diagnostic;
use crate::base::signature::{Call, PartKind};
use crate::data::step::{KEEP_BOXES, MOVE_PIXELS};
use crate::data::{DataSpec, FieldSpec, Role};
use crate::model::bind::Scope;
use crate::model::{Network, Port};
use crate::syntax::ast::{Expr, ExprKind, Field, Name};

impl<'a> Resolver<'a> {
    pub(super) fn data(
        &mut self,
        declared: &[(&Name, &Expr, &[Field])],
        inputs: &[Port],
        targets: &[Port],
        networks: &[Network],
    ) -> Vec<DataSpec> {
        let mut data: Vec<DataSpec> = vec![];
        for (name, source, fields) in declared {
            if let Some((first, ..)) =
                declared.iter().find(|(first, ..)| first.text == name.text && first.span < name.span)
            {
                let diagnostic = Diagnostic::error(format!("two sources are named `{}`", name.text)).at(name.span);
                self.report(diagnostic.label(first.span, "the first one"));
            }
            let bound = self.binder.part(source, PartKind::Source, &Scope::new());
            let mut specs: Vec<FieldSpec> = vec![];
            for field in *fields {
                let Some(spec) = self.field(field, inputs, targets, networks) else { continue };
                if specs.iter().any(|s| s.name == spec.name) {
                    let first =
                        fields.iter().find(|f| f.name.text == spec.name).map_or(field.name.span, |f| f.name.span);
                    let diagnostic = Diagnostic::error(format!("`{}` is given twice", spec.name)).at(field.name.span);
                    self.report(diagnostic.label(first, "the first one"));
                }
                specs.push(spec);
            }
            if specs.len() == fields.len() {
                for input in inputs.iter().filter(|i| !specs.iter().any(|s| s.name == i.name)) {
                    let message = format!("the data `{}` does not give the input `{}`", name.text, input.name);
                    let diagnostic = Diagnostic::error(message).at(name.span).label(input.span, "declared here");
                    self.report(diagnostic.help(format!("add `{} = …` to its fields", input.name)));
                }
            }
            self.boxes_stay(&specs);
            if specs.len() < fields.len() {
                self.has_failed_data = true;
            }
            if let Some(bound) = bound {
                data.push(DataSpec {
                    name: name.text.clone(),
                    source: bound.call,
                    fields: specs,
                    root: self.root.into(),
                });
            }
        }
        data
    }

    /// Reports steps that would move an image away from its boxes, or boxes from their image.
    fn boxes_stay(&mut self, fields: &[FieldSpec]) {
        for boxes in fields.iter().filter(|f| f.role.is_target() && f.role.field_type().is_boxes()) {
            for step in boxes.steps.iter().filter(|s| !KEEP_BOXES.contains(&s.signature.name)) {
                let message = format!("`{}` does not know boxes, and would make others of them", step.signature.name);
                let diagnostic = Diagnostic::error(message).at(step.span);
                self.report(diagnostic.help("give the boxes in pixels of the input, and leave the step out"));
            }
            for image in fields.iter().filter(|f| !f.role.is_target()) {
                for step in image.steps.iter().filter(|s| MOVE_PIXELS.contains(&s.signature.name)) {
                    let message = format!(
                        "`{}` moves the pixels of `{}`, and the boxes of `{}` would stay where they are",
                        step.signature.name, image.name, boxes.name
                    );
                    let diagnostic = Diagnostic::error(message).at(step.span).label(boxes.span, "the boxes");
                    self.report(diagnostic.help("leave it out; `color` and `cutout` keep every pixel at its place"));
                }
            }
        }
    }

    pub(super) fn field(
        &mut self,
        field: &Field,
        inputs: &[Port],
        targets: &[Port],
        networks: &[Network],
    ) -> Option<FieldSpec> {
        let name = &field.name;
        let port = |ports: &[Port]| ports.iter().find(|p| p.name == name.text).map(|p| p.ty.clone());
        let role = match (port(inputs), port(targets)) {
            (Some(ty), _) => Role::Input(ty),
            (None, Some(ty)) => Role::Target(ty),
            (None, None) => {
                // A name whose type was wrong has its error already.
                if !matches!(self.names.get(&name.text), Some((_, "input" | "target"))) {
                    let known: Vec<&str> = inputs.iter().chain(targets).map(|p| p.name.as_str()).collect();
                    let diagnostic =
                        Diagnostic::error(format!("there is no input or target `{}`", name.text)).at(name.span);
                    self.report(diagnostic.suggest(&name.text, known));
                }
                return None;
            }
        };
        let steps: Vec<&Expr> = match &field.value.kind {
            ExprKind::Chain(steps) => steps.iter().map(|s| &s.expr).collect(),
            _ => vec![&field.value],
        };
        let (first, rest) = steps.split_first()?;
        if let Some(name) = bare_column(first) {
            let diagnostic = Diagnostic::error(format!("`{name}` does not say where values come from")).at(first.span);
            self.report(diagnostic.help(format!("`column(\"{name}\")` is the column of that name")));
            return None;
        }
        let column = self.binder.part(first, PartKind::Column, &Scope::new());
        let steps: Vec<Option<Call>> =
            rest.iter().map(|s| self.binder.part(s, PartKind::Step, &Scope::new()).map(|b| b.call)).collect();
        let steps = steps.into_iter().collect::<Option<Vec<Call>>>()?;
        let steps = self.prepared(steps, role.field_type(), networks)?;
        Some(FieldSpec { name: name.text.clone(), role, column: column?.call, steps, span: field.value.span })
    }
}

/// The name that stands where a column should, if it is no slip of one.
fn bare_column(expr: &Expr) -> Option<String> {
    let name = match &expr.kind {
        ExprKind::Path(path) => path.to_string(),
        ExprKind::Text(text) => text.clone(),
        _ => return None,
    };
    let known: Vec<&str> = crate::data::columns().iter().map(|s| s.name).collect();
    let is_text = matches!(expr.kind, ExprKind::Text(_));
    (is_text || crate::base::diagnostic::closest(&name, known).is_none()).then_some(name)
}

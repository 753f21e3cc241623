//! Inputs and targets: their names and types.

use super::Resolver;
use crate::base::{DType, Diagnostic, Type};
use crate::data::{Classes, FieldType};
use crate::model::Port;
use crate::model::bind::Scope;
use crate::parts;
use crate::syntax::ast::{DeclarationKind, Expr, ExprKind, TypeExpr};

impl<'a> Resolver<'a> {
    pub(super) fn ports(&mut self) -> (Vec<Port>, Vec<Port>) {
        let file = self.file;
        let (mut inputs, mut targets) = (vec![], vec![]);
        for declaration in &file.declarations {
            let (list, name, ty) = match &declaration.kind {
                DeclarationKind::Input(name, ty) => (&mut inputs, name, ty),
                DeclarationKind::Target(name, ty) => (&mut targets, name, ty),
                _ => continue,
            };
            let (written, is_input) = (ty, matches!(declaration.kind, DeclarationKind::Input(..)));
            if let Some(ty) = self.field_type(ty) {
                if is_input && ty.is_boxes() {
                    let diagnostic = Diagnostic::error("no network reads boxes").at(written.span);
                    self.report(
                        diagnostic.help("`boxes` is the type of a target; an input is `f32[…]` or `tokens[…]`"),
                    );
                }
                list.push(Port { name: name.text.clone(), ty, span: declaration.span });
            }
        }
        (inputs, targets)
    }

    /// `f32[…]`, `tokens[n]`, `class[n]` or `class["a", "b"]`, the last two with the positions that have a class each behind, and
    /// `boxes["a", "b"][n]`: at most `n` boxes, each of one of the classes.
    pub(super) fn field_type(&mut self, ty: &TypeExpr) -> Option<FieldType> {
        let name = ty.name.text.as_str();
        if !["f32", "tokens", "class", "boxes"].contains(&name) {
            let diagnostic = Diagnostic::error(format!("there is no type `{name}`")).at(ty.name.span);
            let help = "numbers are `f32[…]`, ids of words or bytes `tokens[…]`, classes `class[…]`, and boxes around objects `boxes[…][…]`";
            self.report(diagnostic.help(help));
            return None;
        }
        let wrong = |what: &str| {
            if name == "boxes" {
                let help = "for example `boxes[\"car\", \"person\"][12]`, at most 12 boxes of cars and persons";
                return Diagnostic::error(what).at(ty.span).help(help);
            }
            Diagnostic::error(what).at(ty.span).help("for example `f32[3, 224, 224]`, `tokens[128]`, `class[10]`, `class[\"cat\", \"dog\"]`, or `class[2][64, 64]` for a class at each pixel")
        };
        let Some((first, rest)) = ty.brackets.split_first().filter(|(first, _)| !first.is_empty()) else {
            self.report(wrong("a type has its sizes in brackets"));
            return None;
        };
        let names: Vec<&str> = first
            .iter()
            .filter_map(|e| if let ExprKind::Text(t) = &e.kind { Some(t.as_str()) } else { None })
            .collect();
        let (classes, dims): (Option<Classes>, Vec<&Expr>) = if name == "class" || name == "boxes" {
            let dims = rest.iter().flatten().collect();
            if names.len() == first.len() {
                if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
                    let first = names.iter().position(|n| *n == names[i]).map_or(ty.span, |k| first[k].span);
                    let message = format!("two classes are named `{}`", names[i]);
                    let diagnostic = Diagnostic::error(message).at(ty.brackets[0][i].span);
                    self.report(diagnostic.label(first, "the first one"));
                }
                (
                    Some(Classes { count: names.len(), names: Some(names.iter().map(ToString::to_string).collect()) }),
                    dims,
                )
            } else if let [count] = &first[..] {
                (Some(Classes { count: self.size(count)?, names: None }), dims)
            } else {
                self.report(wrong(&format!("`{name}` takes a number of classes, or their names in quotes")));
                return None;
            }
        } else {
            (None, first.iter().chain(rest.iter().flatten()).collect())
        };
        if name == "class" && classes.as_ref().is_some_and(|c| c.count < 2) {
            let diagnostic = Diagnostic::error("a target of one class has nothing to tell apart").at(ty.span);
            let help = "yes or no is two classes, `class[\"no\", \"yes\"]`, or a number, `f32[1]` with the loss `bce`";
            self.report(diagnostic.help(help));
        }
        let mut dims = dims.into_iter().map(|e| self.size(e)).collect::<Option<Vec<usize>>>()?;
        if name == "boxes" {
            if dims.len() != 1 {
                self.report(wrong("`boxes` takes its classes in brackets, and then the most boxes of an image"));
                return None;
            }
            // Class, x0, y0, x1, y1.
            dims.push(5);
        }
        if dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).is_none_or(|n| n > parts::cell::MOST_NUMBERS) {
            self.report(Diagnostic::error("one example has more than 2^30 numbers").at(ty.span));
        }
        if dims.len() > 3 {
            self.report(wrong("a value has at most three axes besides the batch"));
        }
        let dtype = if name == "f32" || name == "boxes" { DType::F32 } else { DType::I64 };
        if name == "tokens" && dims.len() != 1 {
            self.report(wrong("`tokens` takes the length of the sequence"));
        }
        Some(FieldType { ty: Type::batched(dtype, &dims), classes, vocabulary: None })
    }

    pub(super) fn size(&mut self, expr: &Expr) -> Option<usize> {
        let n = self.binder.number(expr, &Scope::new())?;
        if n < 1.0 || n.fract() != 0.0 || n > f64::from(1 << 30) {
            self.report(Diagnostic::error("a size is an integer of at least 1").at(expr.span));
            return None;
        }
        Some(n as usize)
    }
}

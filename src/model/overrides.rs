//! Settings changed without touching the spec: `--set train.epochs=3`, or the same line in the project file.

use crate::base::{Diagnostic, Result, Span};
use crate::syntax::ast::{Argument, DeclarationKind, ExprKind, File, Name, Setting};
use crate::syntax::ast::{Declaration, Expr};
use crate::syntax::parser::parse_expression;

/// Applies one `NAME=VALUE` to the tree: `train.X`, `serve.X`, or `data.NAME.ARGUMENT` of a data source.
pub fn override_setting(file: &mut File, assignment: &str) -> Result<()> {
    let place = format!("--set {assignment}");
    let wrong = |what: String| Diagnostic::error(what).place(place.clone());
    let Some((path, text)) = assignment.split_once('=') else {
        return Err(wrong("expected NAME=VALUE".into()).help("for example `train.epochs=3`").into());
    };
    if text.trim().is_empty() {
        return Err(wrong("there is no value behind `=`".into()).help("for example `train.epochs=3`").into());
    }
    let mut value = parse_expression(text).map_err(|_| wrong(format!("`{text}` is no value")))?;
    clear_spans(&mut value);
    match path.trim().split('.').collect::<Vec<_>>()[..] {
        ["train", name] => set(
            file,
            name,
            value,
            |k| if let DeclarationKind::Train(s) = k { Some(s) } else { None },
            DeclarationKind::Train,
        ),
        ["serve", name] => set(
            file,
            name,
            value,
            |k| if let DeclarationKind::Serve(s) = k { Some(s) } else { None },
            DeclarationKind::Serve,
        ),
        ["data", data, name] => {
            let names: Vec<String> = file.declarations.iter().filter_map(data_name).collect();
            let declared = file.declarations.iter_mut().find(|d| data_name(d).as_deref() == Some(data));
            let Some(Declaration { kind: DeclarationKind::Data { source, .. }, .. }) = declared else {
                let diagnostic = wrong(format!("there is no data `{data}`"));
                return Err(diagnostic.suggest(data, names.iter().map(String::as_str)).into());
            };
            set_argument(source, name, value);
            Ok(())
        }
        _ => Err(wrong(format!("`{path}` cannot be set"))
            .help("`train.X`, `serve.X`, `data.NAME.X` and `minimize.TASK` can be set")
            .into()),
    }
}

fn data_name(declaration: &Declaration) -> Option<String> {
    if let DeclarationKind::Data { name, .. } = &declaration.kind { Some(name.text.clone()) } else { None }
}

fn name(text: &str) -> Name {
    Name { text: text.into(), span: Span::NOWHERE }
}

/// Sets one setting in the block that `block` finds, or in a new one.
fn set(
    file: &mut File,
    setting: &str,
    value: Expr,
    block: fn(&mut DeclarationKind) -> Option<&mut Vec<Setting>>,
    new: fn(Vec<Setting>) -> DeclarationKind,
) -> Result<()> {
    let setting = Setting { name: name(setting), value };
    for declaration in &mut file.declarations {
        if let Some(settings) = block(&mut declaration.kind) {
            settings.retain(|s| s.name.text != setting.name.text);
            settings.push(setting);
            return Ok(());
        }
    }
    file.declarations.push(Declaration { kind: new(vec![setting]), span: Span::NOWHERE });
    Ok(())
}

/// Sets a named argument of a data source. Its files are positional, so they are replaced where they stand.
fn set_argument(source: &mut Expr, argument: &str, value: Expr) {
    let ExprKind::Call { name: call, arguments, .. } = &mut source.kind else { return };
    let params = crate::data::sources().into_iter().find(|s| s.name == call.to_string()).map(|s| s.params);
    let position = params.and_then(|p| p.iter().position(|p| p.name == argument));
    let positional = position.and_then(|i| arguments.iter().position(|a| a.name.is_none()).map(|first| first + i));
    if let Some(found) = arguments.iter_mut().find(|a| a.name.as_ref().is_some_and(|n| n.text == argument)) {
        found.value = value;
    } else if let Some(found) = positional.and_then(|i| arguments.get_mut(i)).filter(|a| a.name.is_none()) {
        found.value = value;
    } else {
        arguments.push(Argument { name: Some(name(argument)), value });
    }
}

/// An overriding value has no place in the spec; its diagnostics point at the block instead.
fn clear_spans(expr: &mut Expr) {
    expr.span = Span::NOWHERE;
    match &mut expr.kind {
        ExprKind::List(items) => items.iter_mut().for_each(clear_spans),
        ExprKind::Negate(inner) | ExprKind::Group(inner) => clear_spans(inner),
        ExprKind::Binary { left, right, .. } => {
            clear_spans(left);
            clear_spans(right);
        }
        ExprKind::Call { name, arguments, .. } => {
            name.span = Span::NOWHERE;
            for argument in arguments {
                if let Some(name) = &mut argument.name {
                    name.span = Span::NOWHERE;
                }
                clear_spans(&mut argument.value);
            }
        }
        ExprKind::Path(path) => path.span = Span::NOWHERE,
        _ => {}
    }
}

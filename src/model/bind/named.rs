//! Arguments under names that no table knows, such as those of the data in `weights(drives: 2, marked: 1)`: they are gathered into the
//! list of a [`Kind::Named`].

use super::{Binder, Scope};
use crate::base::Diagnostic;
use crate::base::signature::{Arg, Args, Kind, Param, Signature, Value};
use crate::syntax::ast::Argument;

/// The parameter of that name, or the one that takes arguments of any name.
pub fn parameter(signature: &'static Signature, name: &str) -> Option<&'static Param> {
    let own = signature.params.iter().find(|p| p.name == name && !matches!(p.kind, Kind::Named(_)));
    own.or_else(|| signature.params.iter().find(|p| matches!(p.kind, Kind::Named(_))))
}

impl Binder {
    /// Adds an argument to the list of `param`, whose values are of that kind.
    pub(super) fn named(
        &mut self,
        kind: &Kind,
        param: &'static Param,
        argument: &Argument,
        signature: &'static Signature,
        scope: &Scope,
        args: &mut Args,
    ) {
        let span = argument.value.span;
        let Some(name) = &argument.name else {
            let message = format!("`{}` takes no argument without a name", signature.name);
            return self.report(Diagnostic::error(message).at(span).help(format!("give {}", param.doc)));
        };
        let Some(value) = self.fit(kind, &argument.value, scope, &mut vec![], &name.text, signature) else { return };
        let all = args.0.entry(param.name).or_insert(Arg { value: Value::List(vec![]), span });
        let Value::List(list) = &mut all.value else { return };
        let first = list.iter().find(|other| matches!(&other.value, Value::Named(given, _) if *given == name.text));
        if let Some(first) = first {
            let diagnostic = Diagnostic::error(format!("`{}` is given twice", name.text)).at(name.span);
            let diagnostic = diagnostic.label(first.span, "the first one");
            return self.report(diagnostic);
        }
        list.push(Arg { value: Value::Named(name.text.clone(), Box::new(value)), span: name.span });
    }
}

//! The words of a syntax error: from the rules that the grammar tried to what a person would say.

use super::Rule;
use crate::base::{Diagnostic, diagnostic::closest};
use crate::syntax::scan::{DECLARATIONS, TokenKind};

/// `rules` were tried behind the token `before`, and none of them fits what was found there: a token, or the end.
pub fn message(rules: &[Rule], before: Option<&str>, found: Option<(TokenKind, &str)>) -> Diagnostic {
    let wanted = wanted(rules);
    let found_text = match found {
        Some((_, text)) => format!("`{}`", shorten(text)),
        None => "the end of the declaration".into(),
    };
    match (before, found) {
        (None, Some((TokenKind::Word, word))) if wanted.contains(&DECLARATION) => {
            return Diagnostic::error(format!("expected a declaration, found {found_text}")).suggest(word, DECLARATIONS);
        }
        (None, _) if wanted.contains(&DECLARATION) => {
            return Diagnostic::error(format!("expected a declaration, found {found_text}"))
                .help("a declaration starts with its keyword, such as `input` or `head`");
        }
        (_, Some((TokenKind::Number, text))) if !is_number(text) => {
            return Diagnostic::error(format!("{found_text} is not a number"))
                .help("a number is written like `3`, `0.5` or `1e-3`, with `x`, `ms` or `s` behind a multiple or a time");
        }
        _ => {}
    }
    let behind = before.map_or(String::new(), |text| format!(" after `{}`", shorten(text)));
    let diagnostic = Diagnostic::error(format!("expected {}{behind}, found {found_text}", either(&wanted)));
    match found.map(|(_, text)| text) {
        Some("=") if wanted.contains(&"`:`") => diagnostic.help("a name in a list of settings is followed by `:`"),
        Some("=") if wanted.contains(&"`)`") => diagnostic.help("name an argument with `:`, as in `stride: 2`"),
        Some(":") if wanted.contains(&"`=`") => diagnostic.help("write `=` here"),
        Some(word) if wanted.contains(&DECLARATION) => match closest(word, DECLARATIONS) {
            Some(keyword) if keyword != word => diagnostic.help(format!("did you mean `{keyword}`?")),
            _ => diagnostic.help("steps are joined by `->`"),
        },
        _ if wanted == ["`(`"] => diagnostic.help("write what it reads in parentheses, as in `head label(trunk)`"),
        _ => diagnostic,
    }
}

const DECLARATION: &str = "a new declaration";
const EXPRESSION: &str = "an expression";

/// What to name of all that was tried: the marks that most likely lack, and one word for all that begins an expression.
fn wanted(rules: &[Rule]) -> Vec<&'static str> {
    let has = |rule: Rule| rules.contains(&rule);
    let expression = has(Rule::number) || has(Rule::text) || has(Rule::unary) || has(Rule::chain) || has(Rule::step);
    let closes = has(Rule::close) || has(Rule::close_list);
    let mut words = vec![];
    for &rule in rules {
        let word = match rule {
            Rule::name | Rule::path | Rule::label if expression => continue,
            Rule::name if has(Rule::path) => continue,
            // Behind a whole expression anything may go on; an operator is the least likely to have been forgotten.
            Rule::sum_op | Rule::product_op | Rule::range if rules.len() > 1 => continue,
            Rule::open | Rule::open_brace | Rule::colon | Rule::arguments | Rule::stages if has(Rule::arrow) => continue,
            Rule::arrow if closes => continue,
            Rule::name if has(Rule::arrow) || has(Rule::comma) => continue,
            Rule::key_until | Rule::key_in => continue,
            Rule::name | Rule::setting | Rule::field | Rule::stage | Rule::param => "a name",
            Rule::path | Rule::selector | Rule::tuned | Rule::source => "a name or path",
            Rule::type_expr => "a type such as `f32[3]`",
            Rule::body => "`=`",
            Rule::arrow => "`->`",
            Rule::comma => "`,`",
            Rule::colon => "`:`",
            Rule::equals => "`=`",
            Rule::range => "`..`",
            Rule::open | Rule::arguments | Rule::params => "`(`",
            Rule::close => "`)`",
            Rule::open_list | Rule::brackets | Rule::list if !expression => "`[`",
            Rule::close_list => "`]`",
            Rule::open_brace | Rule::stages | Rule::settings => "`{`",
            Rule::close_brace => "`}`",
            Rule::key_epoch => "`epoch`",
            Rule::until => "`until`",
            Rule::sum_op => "`+`",
            Rule::product_op => "`*`",
            Rule::number if rules.len() == 1 => "a number",
            Rule::EOI | Rule::declaration => DECLARATION,
            _ if expression => EXPRESSION,
            _ => DECLARATION,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    // The order in which the grammar tries things says nothing to a reader; what goes on stands first.
    words.sort_by_key(|word| (*word == DECLARATION, *word == "`{`"));
    words
}

fn either(words: &[&str]) -> String {
    match words {
        [] => "something else".into(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.trim_end_matches("ms").trim_end_matches(['x', 's']);
    digits.parse::<f64>().is_ok() && text.len() - digits.len() <= 2
}

/// A token as far as a message needs it.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.into() } else { text.chars().take(37).collect::<String>() + "…" }
}

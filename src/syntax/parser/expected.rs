//! The words of a syntax error: from the rules that the grammar tried to what a person would say.

use super::Rule;
use crate::base::{Diagnostic, diagnostic::closest};
use crate::syntax::scan::{DECLARATIONS, TokenKind};

/// `rules` were tried behind the token `before`, and none of them fits what was found there: a token, or the end.
pub fn message(rules: &[Rule], before: Option<&str>, found: Option<(TokenKind, &str)>) -> Diagnostic {
    let mut wanted = wanted(rules);
    let found_text = match found {
        Some((_, text)) => format!("`{}`", shorten(text)),
        None => "the end of the declaration".into(),
    };
    match (before, found) {
        (None, Some((TokenKind::Word, word))) if wanted.contains(&DECLARATION) => {
            return Diagnostic::error(format!("expected a declaration, found {found_text}"))
                .suggest(word, DECLARATIONS);
        }
        (None, _) if wanted.contains(&DECLARATION) => {
            return Diagnostic::error(format!("expected a declaration, found {found_text}"))
                .help("a declaration starts with its keyword, such as `input` or `head`");
        }
        (_, Some((TokenKind::Number, text))) if wanted.contains(&EXPRESSION) && !is_number(text) => {
            return Diagnostic::error(format!("{found_text} is not a number")).help(
                "a number is written like `3`, `0.5` or `1e-3`, with `x`, `ms` or `s` behind a multiple or a time",
            );
        }
        _ => {}
    }
    // Only the type of an input or a target is a lone name behind a colon.
    if before == Some(":") && wanted == [NAME] {
        wanted = vec![TYPE];
    }
    let behind = before.map_or(String::new(), |text| format!(" after `{}`", shorten(text)));
    let diagnostic = Diagnostic::error(format!("expected {}{behind}, found {found_text}", either(&wanted)));
    match help(&wanted, before, found.map(|(_, text)| text)) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// What to write instead, as far as it can be told.
fn help(wanted: &[&str], before: Option<&str>, found: Option<&str>) -> Option<String> {
    let wants = |word: &str| wanted.contains(&word);
    Some(match found {
        Some("=") if wants(CLOSE) => "name an argument with `:`, as in `stride: 2`".into(),
        Some("=") if wants(COLON) => "write `:` here".into(),
        Some(":") if wants(EQUALS) => "write `=` here".into(),
        Some("{") if before == Some("=") => "named stages stand in braces without `=`".into(),
        _ if wants(EXPRESSION) => "a value is a number, a text, a list, a name, or a call such as `linear(10)`".into(),
        _ if (wants(CLOSE) || wants(CLOSE_LIST)) && wants(COMMA) => {
            "put `,` between arguments and between the items of a list".into()
        }
        _ if wanted == [CLOSE] => "close the parenthesis, or join what stands in it by an operator or `->`".into(),
        Some(word) if wants(DECLARATION) => match closest(word, DECLARATIONS) {
            Some(keyword) if keyword != word => format!("did you mean `{keyword}`?"),
            _ if word == "." => "a path goes on behind a dot, as in `trunk.layer1`".into(),
            _ if wants(COMMA) && !wants(ARROW) => "put `,` between several".into(),
            _ if wants(ARROW) => "steps are joined by `->`".into(),
            _ => "a declaration starts with its keyword, such as `input` or `head`".into(),
        },
        _ if wants(COLON) => "what a name stands for follows `:`, as in `epochs: 5` or `stem: conv(64, 3)`".into(),
        _ if wanted == [OPEN] => {
            "arguments in parentheses come next, as in `head label(trunk)` or `tune trunk (lr: 0.1x)`".into()
        }
        _ if wants(EPOCH) => "write the epoch that ends it, as in `until epoch 3`".into(),
        _ if wants(PATH) => "write a name, or a path such as `trunk.layer1`".into(),
        _ if wants(TYPE) => "write what the values are, as in `f32[3, 224, 224]` or `class[10]`".into(),
        _ if wants(NAME) => "a name is letters, digits and `_`, and does not start with a digit".into(),
        _ if wants(EQUALS) => "the meaning of a name follows `=`, as in `head label(trunk) = linear(10)`".into(),
        _ if wants(OPEN_BRACE) => "the entries stand in braces, as in `train { epochs: 5 }`".into(),
        _ => return None,
    })
}

const OPEN: &str = "`(`";
const CLOSE: &str = "`)`";
const CLOSE_LIST: &str = "`]`";
const OPEN_BRACE: &str = "`{`";
const COMMA: &str = "`,`";
const COLON: &str = "`:`";
const EQUALS: &str = "`=`";
const EPOCH: &str = "`epoch`";
const ARROW: &str = "`->`";
const TYPE: &str = "a type";
const NAME: &str = "a name";
const PATH: &str = "a name or path";
const DECLARATION: &str = "a new declaration";
const EXPRESSION: &str = "an expression";

/// What to name of all that was tried: the marks that most likely lack, and one word for all that begins an expression.
fn wanted(rules: &[Rule]) -> Vec<&'static str> {
    let has = |rule: Rule| rules.contains(&rule);
    // A rule stands for all that it begins with, so any of these means that an expression may begin here.
    let begins =
        [Rule::number, Rule::text, Rule::unary, Rule::product, Rule::sum, Rule::step, Rule::chain, Rule::argument];
    let expression = begins.iter().any(|rule| has(*rule));
    let closes = has(Rule::close) || has(Rule::close_list);
    let mut words = vec![];
    for &rule in rules {
        let word = match rule {
            Rule::name | Rule::path | Rule::label if expression => continue,
            Rule::name if has(Rule::path) => continue,
            Rule::open | Rule::open_list if expression => continue,
            // Behind a whole expression anything may go on; an operator is the least likely to have been forgotten.
            Rule::sum_op | Rule::product_op | Rule::range if rules.len() > 1 => continue,
            Rule::open | Rule::open_brace | Rule::colon | Rule::arguments | Rule::stages if has(Rule::arrow) => {
                continue;
            }
            Rule::arrow if closes => continue,
            Rule::name if has(Rule::arrow) || has(Rule::comma) => continue,
            Rule::key_until | Rule::key_in => continue,
            Rule::name | Rule::setting | Rule::field | Rule::stage | Rule::param => NAME,
            Rule::path | Rule::selector | Rule::tuned | Rule::kind | Rule::source => PATH,
            Rule::call | Rule::segment if !expression => PATH,
            Rule::type_expr => TYPE,
            Rule::body => EQUALS,
            Rule::arrow => ARROW,
            Rule::comma => COMMA,
            Rule::colon => COLON,
            Rule::equals => EQUALS,
            Rule::range => "`..`",
            Rule::open | Rule::arguments | Rule::params => OPEN,
            Rule::close => CLOSE,
            Rule::open_list | Rule::brackets | Rule::list if !expression => "`[`",
            Rule::close_list => CLOSE_LIST,
            Rule::open_brace | Rule::stages | Rule::settings => OPEN_BRACE,
            Rule::close_brace => "`}`",
            Rule::key_epoch => EPOCH,
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
    words.sort_by_key(|word| (*word == DECLARATION, *word == OPEN_BRACE));
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

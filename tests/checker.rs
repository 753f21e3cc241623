//! What is said about wrong specs: every message, as a person reads it, and that no text whatever makes the compiler panic.

use super::specs::{root, specs_in, stem};
use insta::{Settings, assert_snapshot};
use mtlc::base::Source;
use mtlc::graph::Mode;
use mtlc::lower::lower;
use mtlc::model::Spec;
use mtlc::plan::{Graphs, Plan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the compiler says about a spec, its warnings at least, or `None` when there is nothing to say.
fn told(name: &str, text: &str) -> Option<String> {
    let source = Source::new(name, text);
    let diagnostics = match Spec::of(source.clone(), &root().join("specs"), &[]) {
        Err(failure) => failure.diagnostics,
        Ok(spec) => {
            let lowered = [Mode::Train, Mode::Eval].map(|mode| lower(&spec.model, mode, 0));
            let planned = Graphs::of(&spec.model).map(|graphs| Plan::of(&spec.model, &graphs, ""));
            let wrong = lowered.into_iter().find_map(Result::err).or(planned.err());
            wrong.or_else(|| Some(spec.warnings).filter(|w| !w.0.is_empty()))?
        }
    };
    Some(diagnostics.render(Some(&source), false))
}

#[test]
fn every_wrong_spec_is_told_what_is_wrong() {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("snapshots/wrong");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut accepted = vec![];
    settings.bind(|| {
        for path in specs_in("specs/wrong") {
            let text = std::fs::read_to_string(&path).expect("a spec that can be read");
            assert!(text.starts_with("# "), "{} says in its first line what is wrong", path.display());
            match told(&format!("{}.mtl", stem(&path)), &text) {
                Some(told) => assert_snapshot!(stem(&path), format!("{text}\n{}\n{told}", "-".repeat(80))),
                None => accepted.push(stem(&path)),
            }
        }
    });
    assert!(accepted.is_empty(), "nothing is said about {accepted:?}");
}

/// Every text of a diagnostic follows one form: a lowercase phrase, and no full stop behind it.
#[test]
fn messages_have_one_form() {
    for path in specs_in("specs/wrong") {
        let text = std::fs::read_to_string(&path).expect("a spec that can be read");
        let told = told(&stem(&path), &text).unwrap_or_default();
        for message in told.lines().filter_map(|line| line.strip_prefix("error: ")) {
            assert!(!message.ends_with('.'), "{message}");
            assert!(!message.starts_with(char::is_uppercase), "{message}");
        }
    }
}

/// Words, numbers, marks and quoted texts of a spec, each with the blanks before it.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start().len();
        let (blank, body) = rest.split_at(blanks);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match body.chars().next() {
            None => 0,
            Some('#') => body.find('\n').unwrap_or(body.len()),
            Some('"') => body[1..].find('"').map_or(body.len(), |end| end + 2),
            Some(c) if word(c) => body.find(|c| !word(c)).unwrap_or(body.len()),
            Some(c) => c.len_utf8(),
        };
        tokens.push(format!("{blank}{}", &body[..length]));
        rest = &body[length..];
    }
    tokens
}

/// One to three random edits: a token goes, comes twice, changes places with another, or gives way to a copy of another.
fn mutate(tokens: &[String], random: &mut ChaCha8Rng) -> String {
    let mut tokens = tokens.to_vec();
    for _ in 0..random.gen_range(1..=3) {
        let (a, b) = (random.gen_range(0..tokens.len()), random.gen_range(0..tokens.len()));
        match random.gen_range(0..6) {
            0 | 1 => drop(tokens.remove(a)),
            2 => tokens.insert(a, tokens[a].clone()),
            3 => tokens.swap(a, b),
            4 => tokens[a] = tokens[b].clone(),
            _ => {
                let odd =
                    [" 0", " -1", " 1e300", " 4294967296", " 0.5x", " \"\"", " true", " all", " [", " {", " ->", " é"];
                tokens[a] = odd[random.gen_range(0..odd.len())].into();
            }
        }
    }
    tokens.concat()
}

/// Mutated specs are wrong in ways that nobody thought of. They may be refused or accepted, and nothing else.
#[test]
fn mutated_specs_never_panic() {
    for path in specs_in("specs") {
        let text = std::fs::read_to_string(&path).expect("a spec that can be read");
        let (name, tokens) = (stem(&path), tokens(&text));
        assert_eq!(tokens.concat(), text);
        let mut random = ChaCha8Rng::seed_from_u64(name.bytes().map(u64::from).sum());
        let mut refused = 0;
        for i in 0..300 {
            let mutated = mutate(&tokens, &mut random);
            match catch_unwind(AssertUnwindSafe(|| told(&name, &mutated))) {
                Ok(told) => refused += usize::from(told.is_some()),
                Err(_) => panic!("mutation {i} of {name} panics:\n{mutated}"),
            }
        }
        assert!((60..300).contains(&refused), "{refused} of 300 mutations of {name} were refused");
    }
}

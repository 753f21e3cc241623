//! `agreement`: English-like sentences, made and not read, in half of which one verb does not agree with its subject.
//!
//! Row `i` depends on `seed` and `i` alone, so more rows leave the first ones as they are. Every row has all labels:
//!
//! | column | holds |
//! |---|---|
//! | `text` | the words, one space between them |
//! | `words` | their ids `[length]`, in a vocabulary of [`VOCABULARY`] with 0 for padding |
//! | `wrong` | `[length]`: 1 at the verb that does not agree, 0 at other words, none at padding |
//! | `phrase` | `[length]`: a tag of noun and verb phrases: 0 outside, 1 and 2 a noun phrase begins and goes on, 3 and 4 a verb phrase |
//! | `correct` | 1 when all verbs agree, else 0 |
//! | `number` | 1 when the subject of the sentence is in the plural, else 0 |

mod sentence;

use super::{File, LIMIT, SPLIT, SourceKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::base::{Diagnostic, Result};
use crate::data::number::{Element, Numbers};
use crate::data::table::{Column, Store, Table};
use indexmap::IndexMap;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sentence::{OUTSIDE, SHORTEST, Sentence, vocabulary};
use sha2::{Digest, Sha256};

/// Words, and one id for padding.
pub const VOCABULARY: usize = 110;

/// No more words than this are made: 2 GB of them.
const MOST_WORDS: usize = 1 << 28;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "agreement",
        kind: PartKind::Source,
        summary: "made sentences, half of which have one verb that does not agree with its subject; columns `text`, `words` (ids, 0 for padding, a vocabulary of 110), `wrong` and `phrase` (a class at each word), `correct`, `number`",
        params: &[
            Param::with("rows", Kind::Count, "2000", "how many sentences"),
            Param::with("length", Kind::Count, "16", "words of a sentence with its padding, at least 6"),
            SPLIT,
            Param::with("seed", Kind::Whole, "0", "of the sentences, and of the shuffle that splits by shares"),
            LIMIT,
        ],
    },
    paths: &[],
    read,
};

fn read(args: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    if let Some(file) = files.first() {
        let message = "`agreement` makes its sentences, and reads no file";
        return Err(file.broken(message).help("predict without `--input`, or with a source that reads files").into());
    }
    let (rows, length, seed) = (args.size("rows"), args.size("length"), args.size("seed"));
    let wrong = |name: &str, message: String, help: &str| {
        let diagnostic = Diagnostic::error(message).help(help);
        args.span(name).into_iter().fold(diagnostic, Diagnostic::at)
    };
    if length < SHORTEST {
        let message = format!("a sentence of `agreement` may have {SHORTEST} words, and `length` is {length}");
        return Err(wrong("length", message, "give room for 6 words at least; 16 is usual").into());
    }
    if rows.saturating_mul(length) > MOST_WORDS {
        let message = format!("{rows} sentences of {length} words are more than 2^28 words");
        return Err(wrong("rows", message, "make fewer").into());
    }
    hash.update(format!("agreement 1, rows {rows}, length {length}, seed {seed}"));
    let known = vocabulary();
    let (mut text, mut ends) = (String::new(), vec![]);
    let (mut words, mut faults, mut phrases, mut correct, mut number) = (vec![], vec![], vec![], vec![], vec![]);
    for row in 0..rows {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        random.set_stream(row as u64);
        let sentence = Sentence::draw(&mut random, length);
        text += &sentence.words.join(" ");
        ends.push(text.len());
        for place in 0..length {
            let id = sentence.words.get(place).and_then(|word| known.iter().position(|w| w == word));
            words.push(id.map_or(0, |id| id as u8 + 1));
            let fault = id.map(|_| i8::from(sentence.wrong == Some(place)));
            faults.push(fault.unwrap_or(-1) as u8);
            phrases.push(id.map_or(-1, |_| sentence.phrases.get(place).copied().unwrap_or(OUTSIDE)) as u8);
        }
        correct.push(u8::from(sentence.wrong.is_none()));
        number.push(u8::from(sentence.is_plural));
    }
    let name = PART.signature.name;
    let column =
        |dims: &[usize], store: Store| Column { file: name.into(), rows, dims: dims.to_vec(), store, classes: None };
    let bytes = |bytes: Vec<u8>, element: Element| Store::Numbers(Numbers::new(element, false, bytes, 0));
    let columns: IndexMap<String, Column> = [
        ("text", column(&[1], Store::Text { text, ends })),
        ("words", column(&[length], bytes(words, Element::Unsigned(1)))),
        ("wrong", column(&[length], bytes(faults, Element::Signed(1)))),
        ("phrase", column(&[length], bytes(phrases, Element::Signed(1)))),
        ("correct", column(&[1], bytes(correct, Element::Unsigned(1)))),
        ("number", column(&[1], bytes(number, Element::Unsigned(1)))),
    ]
    .into_iter()
    .map(|(name, column)| (name.to_string(), column))
    .collect();
    Ok(Table { kind: "agreement", name: name.into(), columns, lines: vec![], folds: None, test_from: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_as_large_as_is_said() {
        assert_eq!(vocabulary().len() + 1, VOCABULARY);
        assert!(PART.signature.summary.contains(&format!("a vocabulary of {VOCABULARY}")));
    }

    #[test]
    fn sentences_fit_and_a_wrong_verb_is_the_only_one() {
        for length in [SHORTEST, 9, 16, 40] {
            let (mut wrong, mut clauses) = (0, 0);
            for row in 0..500 {
                let mut random = ChaCha8Rng::seed_from_u64(1);
                random.set_stream(row);
                let sentence = Sentence::draw(&mut random, length);
                assert!(sentence.words.len() <= length && sentence.words.len() == sentence.phrases.len());
                wrong += usize::from(sentence.wrong.is_some());
                clauses += usize::from(sentence.words.contains(&"that"));
            }
            assert!((200..300).contains(&wrong), "{wrong} of 500 are wrong");
            assert_eq!(clauses > 50, length >= 9, "{clauses} clauses in {length} words");
        }
    }
}

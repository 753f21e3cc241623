//! `word_labels`: a label for each word becomes one for the first piece of each word, as taggers on word pieces are trained
//! (Devlin et al. 2018, arXiv 1810.04805).
//!
//! Two cells come in: a text and its labels, both with spaces between. What leaves has a cell for each token that `wordpiece` makes of
//! that text with the same arguments: a word's label where the word begins, and none where it goes on, at `[CLS]`, `[SEP]` and
//! padding. Words that the length cuts off lose their labels.

use super::wordpiece::{self, LENGTH, LOWERCASE, VOCABULARY};
use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::draw::Row;
use crate::data::form::{Cell, Example, Fault, Form, FormKind};
use serde_json::Value as Json;
use tokenizers::Tokenizer;

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "word_labels",
        kind: PartKind::Step,
        summary: "from `columns([\"text\", \"labels\"])`, with a label for each word and spaces between, a label for the first piece of each word, and none for other tokens",
        params: &[VOCABULARY, LENGTH, LOWERCASE],
    },
    make,
};

struct WordLabels {
    tokenizer: Tokenizer,
    length: usize,
    hash: String,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if *form != Form::new(FormKind::Cells, &[2]) {
        return Err(Fault::new(format!("`word_labels` takes two cells, a text and its labels, and got {form}"))
            .help("begin with both: `columns([\"text\", \"labels\"])`"));
    }
    let length = args.size("length");
    let (tokenizer, hash) = wordpiece::open(args, field, length)?;
    Ok((Box::new(WordLabels { tokenizer, length, hash }), Form::new(FormKind::Cells, &[length])))
}

impl Step for WordLabels {
    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Example::Cells { cells, .. } = example else { return Ok(example) };
        let [text, labels] = &cells[..] else { return Ok(Example::Missing) };
        if *labels == Cell::Empty {
            return Ok(Example::Missing);
        }
        let (text, labels) = (text.text(), labels.text());
        let words: Vec<&str> = text.split_whitespace().collect();
        let labels: Vec<&str> = labels.split_whitespace().collect();
        if words.len() != labels.len() {
            let message = format!("the numbers of words and labels differ: {} and {}", words.len(), labels.len());
            return Err(Fault::new(message).help("give one label for each word, with spaces between").element(1));
        }
        let encoding = self.tokenizer.encode(words, true).map_err(|error| Fault::new(error.to_string()))?;
        let mut before = None;
        let mut cells: Vec<Cell> = vec![];
        for word in encoding.get_word_ids() {
            let begins = word.filter(|_| *word != before).and_then(|word| labels.get(word as usize));
            cells.push(begins.map_or(Cell::Empty, |label| Cell::Text((*label).into())));
            before = *word;
        }
        cells.resize(self.length, Cell::Empty);
        Ok(Example::Cells { dims: vec![self.length], cells })
    }

    fn state(&self) -> Json {
        Json::from(self.hash.as_str())
    }

    fn restore(&mut self, state: &Json) -> bool {
        state.as_str() == Some(&self.hash)
    }
}

//! `wordpiece`: text as the word pieces of BERT (Wu et al. 2016, arXiv 1609.08144; Devlin et al. 2018, arXiv 1810.04805).
//!
//! The vocabulary is a `vocab.txt`, one piece a line, or a `tokenizer.json`, which also says how text is cleaned and cut into
//! words. Tokens are `[CLS]`, the pieces, `[SEP]`, and then `[PAD]` up to the length; a longer text loses its last pieces.
//! Whatever padding and truncation a `tokenizer.json` asks for, `length` decides. The work is done by the `tokenizers` crate.

use super::{Field, Made, Step, StepKind};
use crate::base::Diagnostics;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::Row;
use crate::data::form::{Cell, Example, Fault, Form, FormKind};
use crate::data::source::File;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, PaddingDirection, PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "wordpiece",
        kind: PartKind::Step,
        summary: "text as word pieces, as BERT and its kin read it: `[CLS]`, the pieces, `[SEP]`, then padding",
        params: &[VOCABULARY, LENGTH, LOWERCASE],
    },
    make,
};

/// The parameters of whatever cuts text into word pieces.
pub const VOCABULARY: Param = Param::required(
    "vocabulary",
    Kind::Text,
    "a `vocab.txt` or `tokenizer.json`; a relative path starts at the folder of the spec",
);
pub const LENGTH: Param = Param::required("length", Kind::Count, "tokens per example; longer texts are cut");
pub const LOWERCASE: Param = Param::with(
    "lowercase",
    Kind::Flag,
    "true",
    "whether a `vocab.txt` is of lower-case pieces without accents; a `tokenizer.json` says it itself",
);

/// What a vocabulary must hold.
const SPECIAL: [&str; 4] = [PAD, UNKNOWN, FIRST, SEPARATOR];
const PAD: &str = "[PAD]";
const UNKNOWN: &str = "[UNK]";
const FIRST: &str = "[CLS]";
const SEPARATOR: &str = "[SEP]";

struct Wordpiece {
    tokenizer: Tokenizer,
    length: usize,
    /// SHA-256 of the vocabulary's file: another file gives other tokens.
    hash: String,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if *form != Form::new(FormKind::Cells, &[1]) {
        return Err(Fault::new(format!("`wordpiece` takes one cell of text, and got {form}")));
    }
    let length = args.size("length");
    let (tokenizer, hash) = open(args, field, length)?;
    Ok((Box::new(Wordpiece { tokenizer, length, hash }), Form::new(FormKind::Tokens, &[length])))
}

/// The tokenizer that the arguments name, which cuts and fills up to the length, and the SHA-256 of its file in hex.
pub fn open(args: &Args, field: &Field, length: usize) -> Result<(Tokenizer, String), Fault> {
    if length < 3 {
        return Err(Fault::new("a text of word pieces has at least 3 tokens: `[CLS]`, one piece, `[SEP]`"));
    }
    let file = File::new(args.text("vocabulary"), field.root);
    let mut hash = Sha256::new();
    let bytes = file.read(&mut hash).map_err(|wrong| unreadable(&file, wrong))?;
    let mut tokenizer = read(&file.name, &bytes, args.flag("lowercase"))?;
    for piece in SPECIAL {
        if tokenizer.token_to_id(piece).is_none() {
            return Err(Fault::new(format!("the vocabulary `{}` has no piece `{piece}`", file.name))
                .help(format!("a vocabulary of word pieces holds {}", SPECIAL.join(", "))));
        }
    }
    let most = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
    if let Some(vocabulary) = field.ty.vocabulary.filter(|&n| n <= most) {
        let message = format!("`{}` has ids up to {most}, and the embedding has {vocabulary} rows", file.name);
        return Err(Fault::new(message).help(format!("give the embedding a vocabulary of {}", most + 1)));
    }
    let truncation = TruncationParams { max_length: length, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(|error| broken(&file.name, &error.to_string()))?;
    let pad_id = tokenizer.token_to_id(PAD).unwrap_or(0);
    tokenizer.with_padding(Some(PaddingParams {
        strategy: PaddingStrategy::Fixed(length),
        direction: PaddingDirection::Right,
        pad_id,
        pad_token: PAD.into(),
        ..Default::default()
    }));
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((tokenizer, hash))
}

/// The tokenizer of a vocabulary's file, whichever of the two it is.
fn read(name: &str, bytes: &[u8], lowercase: bool) -> Result<Tokenizer, Fault> {
    if bytes.first() == Some(&b'{') {
        return Tokenizer::from_bytes(bytes).map_err(|error| broken(name, &error.to_string()));
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err(broken(name, "it is no UTF-8 text"));
    }
    let vocabulary = WordPiece::read_bytes(bytes).map_err(|error| broken(name, &error.to_string()))?;
    let model = WordPiece::builder().vocab(vocabulary).unk_token(UNKNOWN.into()).build();
    let mut tokenizer = Tokenizer::new(model.map_err(|error| broken(name, &error.to_string()))?);
    let id = |piece: &str| (piece.to_string(), tokenizer.token_to_id(piece).unwrap_or(0));
    let processing = BertProcessing::new(id(SEPARATOR), id(FIRST));
    // Wherever a text holds one of these as it stands here, it is that piece.
    let special = SPECIAL.into_iter().chain(["[MASK]"]).filter(|piece| tokenizer.token_to_id(piece).is_some());
    let special: Vec<AddedToken> = special.map(|piece| AddedToken::from(piece, true)).collect();
    // Chinese characters are words of their own, and accents go where capitals go, as in the reference implementation.
    let whole = tokenizer
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(processing))
        .with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase)))
        .map(|_| ())
        .and_then(|()| tokenizer.add_special_tokens(special));
    whole.map_err(|error| broken(name, &error.to_string()))?;
    Ok(tokenizer)
}

fn broken(name: &str, why: &str) -> Fault {
    Fault::new(format!("`{name}` is no vocabulary of word pieces: {why}"))
        .help("it is the `vocab.txt` or the `tokenizer.json` that came with the weights")
}

fn unreadable(file: &File, wrong: Diagnostics) -> Fault {
    let first = wrong.0.into_iter().next();
    let why = first.as_ref().map_or("", |d| d.message.as_str());
    let fault = Fault::new(format!("cannot read the vocabulary `{}`: {why}", file.name));
    match first.and_then(|d| d.help.into_iter().next()) {
        Some(help) => fault.help(help),
        None => fault,
    }
}

impl Step for Wordpiece {
    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Example::Cells { cells, .. } = example else { return Ok(example) };
        let text = cells.first().map(Cell::text).unwrap_or_default();
        let encoding = self.tokenizer.encode_fast(text, true).map_err(|error| Fault::new(error.to_string()))?;
        let mut data: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        data.truncate(self.length);
        Ok(Example::Ids { dims: vec![self.length], data })
    }

    fn state(&self) -> Json {
        Json::from(self.hash.as_str())
    }

    fn restore(&mut self, state: &Json) -> bool {
        state.as_str() == Some(&self.hash)
    }
}

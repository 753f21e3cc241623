//! Sentences whose verbs agree with their subjects in number, or, one verb of them, do not.
//!
//! In come a generator and the most words that fit; out comes a sentence. Between a subject and its verb may stand nouns of the
//! other number: a prepositional phrase, or a clause with a verb of its own. So the word before a verb does not say its number
//! (Linzen et al. 2016, arXiv 1611.01368).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// Singular and plural.
type Pair = [&'static str; 2];

const NOUNS: &[Pair] = &[
    ["author", "authors"],
    ["baker", "bakers"],
    ["child", "children"],
    ["cat", "cats"],
    ["doctor", "doctors"],
    ["driver", "drivers"],
    ["farmer", "farmers"],
    ["friend", "friends"],
    ["horse", "horses"],
    ["judge", "judges"],
    ["king", "kings"],
    ["lawyer", "lawyers"],
    ["man", "men"],
    ["neighbour", "neighbours"],
    ["pilot", "pilots"],
    ["sister", "sisters"],
    ["teacher", "teachers"],
    ["woman", "women"],
    ["wolf", "wolves"],
    ["writer", "writers"],
];
const INTRANSITIVE: &[Pair] = &[
    ["sleeps", "sleep"],
    ["laughs", "laugh"],
    ["waits", "wait"],
    ["sings", "sing"],
    ["runs", "run"],
    ["arrives", "arrive"],
    ["leaves", "leave"],
    ["works", "work"],
];
const TRANSITIVE: &[Pair] = &[
    ["sees", "see"],
    ["knows", "know"],
    ["likes", "like"],
    ["follows", "follow"],
    ["helps", "help"],
    ["fears", "fear"],
    ["visits", "visit"],
    ["calls", "call"],
];
const BE: Pair = ["is", "are"];
const HAVE: Pair = ["has", "have"];
const PARTICIPLES: &[&str] = &["slept", "laughed", "waited", "sung", "arrived", "worked"];
const ADJECTIVES: &[&str] = &["old", "young", "quiet", "tired", "happy", "tall", "clever", "famous"];
const ADVERBS: &[&str] = &["often", "today", "again", "quietly", "together", "here"];
const PREPOSITIONS: &[&str] = &["near", "behind", "beside", "with", "of", "without"];
/// Most determiners go with either number, so that the noun has to be read.
const DETERMINERS: [&[&str]; 2] = [&["the", "the", "the", "this", "every"], &["the", "the", "the", "these", "some"]];
const THAT: &str = "that";
const AND: &str = "and";

/// The fewest words that hold every kind of main clause.
pub const SHORTEST: usize = 6;

/// What stands at a word.
pub const OUTSIDE: i8 = 0;
const NOUN_BEGINS: i8 = 1;
const NOUN_INSIDE: i8 = 2;
const VERB_BEGINS: i8 = 3;
const VERB_INSIDE: i8 = 4;

/// Every word, in the order of their ids, which begin at 1.
pub fn vocabulary() -> Vec<&'static str> {
    let pairs = [NOUNS, INTRANSITIVE, TRANSITIVE, &[BE, HAVE]].concat();
    let singles = [PARTICIPLES, ADJECTIVES, ADVERBS, PREPOSITIONS, &[THAT, AND]].concat();
    let all = pairs.into_iter().flatten().chain(singles).chain(DETERMINERS.concat());
    all.fold(vec![], |mut words, word| {
        if !words.contains(&word) {
            words.push(word);
        }
        words
    })
}

#[derive(Debug, Default)]
pub struct Sentence {
    pub words: Vec<&'static str>,
    /// Noun phrases and verb phrases, a tag for each word.
    pub phrases: Vec<i8>,
    /// Whether the main subject is in the plural.
    pub is_plural: bool,
    /// The verb that does not agree.
    pub wrong: Option<usize>,
    /// Where each verb stands, and what it would be in the other number; that of the main clause is the last.
    verbs: Vec<(usize, &'static str)>,
}

struct Chance<'a>(&'a mut ChaCha8Rng);

impl Chance<'_> {
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[(self.0.next_u64() % list.len() as u64) as usize]
    }

    /// Whether something happens that does so `n` times of ten.
    fn tenths(&mut self, n: u64) -> bool {
        self.0.next_u64() % 10 < n
    }
}

impl Sentence {
    /// A sentence of at most so many words, which are at least [`SHORTEST`]; half of them have a wrong verb.
    pub fn draw(random: &mut ChaCha8Rng, most: usize) -> Self {
        let mut chance = Chance(random);
        let mut sentence = Self { is_plural: chance.tenths(5), ..Self::default() };
        // The main clause takes at most three words behind the subject.
        sentence.subject(&mut chance, most - 3);
        sentence.predicate(&mut chance, most);
        if chance.tenths(5) {
            // The verb of the main clause half of the time, else any.
            let last = *sentence.verbs.last().expect("the predicate has a verb");
            let (place, other) = if chance.tenths(5) { last } else { chance.of(&sentence.verbs) };
            sentence.words[place] = other;
            sentence.wrong = Some(place);
        }
        sentence
    }

    fn push(&mut self, word: &'static str, phrase: i8) {
        self.words.push(word);
        self.phrases.push(phrase);
    }

    fn noun_phrase(&mut self, chance: &mut Chance, is_plural: bool, adjective: bool) {
        self.push(chance.of(DETERMINERS[usize::from(is_plural)]), NOUN_BEGINS);
        if adjective {
            self.push(chance.of(ADJECTIVES), NOUN_INSIDE);
        }
        self.push(chance.of(NOUNS)[usize::from(is_plural)], NOUN_INSIDE);
    }

    fn verb(&mut self, pair: Pair, is_plural: bool) {
        self.verbs.push((self.words.len(), pair[usize::from(!is_plural)]));
        self.push(pair[usize::from(is_plural)], VERB_BEGINS);
    }

    /// The subject with what follows it, in so many words; two joined nouns are a plural.
    fn subject(&mut self, chance: &mut Chance, most: usize) {
        let is_plural = self.is_plural;
        if is_plural && most >= 5 && chance.tenths(2) {
            for joined in [false, true] {
                if joined {
                    self.push(AND, OUTSIDE);
                }
                let number = chance.tenths(3);
                self.noun_phrase(chance, number, false);
            }
        } else {
            let adjective = most >= 3 && chance.tenths(3);
            self.noun_phrase(chance, is_plural, adjective);
        }
        // The noun that a clause belongs to is the last one that a phrase named.
        let mut last = is_plural;
        while most - self.words.len() >= 3 && self.verbs.is_empty() {
            let number = chance.tenths(5);
            match chance.0.next_u64() % 10 {
                0..4 => {
                    self.push(chance.of(PREPOSITIONS), OUTSIDE);
                    self.noun_phrase(chance, number, false);
                    last = number;
                }
                // A clause whose subject is the noun before it, or a noun of its own.
                4..6 if most - self.words.len() >= 4 => {
                    self.push(THAT, OUTSIDE);
                    self.verb(chance.of(TRANSITIVE), last);
                    self.noun_phrase(chance, number, false);
                }
                6..8 if most - self.words.len() >= 4 => {
                    self.push(THAT, OUTSIDE);
                    self.noun_phrase(chance, number, false);
                    self.verb(chance.of(TRANSITIVE), number);
                }
                _ => break,
            }
        }
    }

    fn predicate(&mut self, chance: &mut Chance, most: usize) {
        let is_plural = self.is_plural;
        match chance.0.next_u64() % 4 {
            0 => {
                self.verb(BE, is_plural);
                self.push(chance.of(ADJECTIVES), VERB_INSIDE);
            }
            1 => {
                self.verb(HAVE, is_plural);
                self.push(chance.of(PARTICIPLES), VERB_INSIDE);
            }
            2 => {
                self.verb(chance.of(TRANSITIVE), is_plural);
                let number = chance.tenths(5);
                self.noun_phrase(chance, number, false);
            }
            _ => self.verb(chance.of(INTRANSITIVE), is_plural),
        }
        if self.words.len() < most && chance.tenths(3) {
            self.push(chance.of(ADVERBS), OUTSIDE);
        }
    }
}

//! Whether features are cached in an epoch, by the settings `cache` and `variants` of `train`; see [`frozen`].
//!
//! All that is decided here follows from the spec and the epoch, never from what a machine has: a run that is resumed decides as
//! it did before, and ends with the same bits. Which inputs are drawn anew each epoch is known from the steps of their chains.

use super::features::{Caching, Number, paths};
use super::flop;
use crate::base::{Diagnostic, Result};
use crate::graph::{Graph, Mode};
use crate::lower::lower;
use crate::model::Model;
use crate::passes::frozen::{self, Cut, Terms, WORTH};

/// What is cached in an epoch, counted from 0.
///
/// A cache or variants that the spec demands and that cannot be are an error in the first epoch. Later a freeze may have ended.
pub fn caching(model: &Model, epoch: u64) -> Result<Caching> {
    let [train, eval] = [lower(model, Mode::Train, epoch)?, lower(model, Mode::Eval, 0)?];
    of_graphs(model, epoch, [&train, &eval])
}

/// The same, where the graphs are there as lowering made them.
pub fn of_graphs(model: &Model, epoch: u64, [train, eval]: [&Graph; 2]) -> Result<Caching> {
    let variants = model.train.has("variants").then(|| model.train.size("variants") as u64);
    let (number, demanded) = match model.train.text("cache") {
        "off" if variants.is_some() => {
            let why = "variants are kept in the cache, and `cache: off` keeps nothing".into();
            let fault = fault(model, "variants", why, "leave `variants` out: then every epoch draws anew");
            return Err(model.train.span("cache").into_iter().fold(fault, Diagnostic::at).into());
        }
        "off" => return Ok(Caching::Off("`cache: off`".into())),
        "bf16" => (Number::Bf16, true),
        word => (Number::F32, word == "f32"),
    };
    let asked = Asked { model, epoch, train, eval, number, demanded, lasts: lasts(model, epoch) };
    match variants {
        None => asked.once(),
        Some(variants) => asked.in_variants(variants),
    }
}

/// What is asked about an epoch.
struct Asked<'a> {
    model: &'a Model,
    epoch: u64,
    train: &'a Graph,
    eval: &'a Graph,
    number: Number,
    /// Whether to cache also where it does not pay.
    demanded: bool,
    /// For how many epochs what is frozen in this one is frozen so.
    lasts: u64,
}

impl Asked<'_> {
    fn cut(&self, demanded: bool, worth: u64, random: &dyn Fn(&str) -> bool) -> std::result::Result<Cut, String> {
        frozen::cut(self.train, self.eval, &Terms { bytes: self.number.bytes() as u64, demanded, worth, random })
    }

    /// Whether some input is drawn anew each epoch.
    fn draws(&self) -> bool {
        self.model.inputs.iter().any(|input| self.model.is_drawn(&input.name))
    }

    /// Whether the stored values are other ones in each variant.
    fn varies(&self, cut: &Cut) -> bool {
        cut.inputs().any(|input| self.model.is_drawn(input))
    }

    /// The cut where it pays, if so many of the epochs save nothing since they compute variants, or else why not.
    fn paying(&self, variants: u64, random: &dyn Fn(&str) -> bool) -> std::result::Result<Cut, String> {
        if self.lasts < 2 {
            return Err("what is frozen is frozen so for one epoch only".into());
        }
        let saving = self.lasts.saturating_sub(variants);
        if saving == 0 {
            return Err(format!(
                "{variants} variants save nothing where what is frozen is so for {} epochs",
                self.lasts
            ));
        }
        // Every epoch reads what only these need not compute.
        let cut = self.cut(false, WORTH.saturating_mul(self.lasts).div_ceil(saving), random)?;
        let saved = u128::from(cut.features.flops()) * u128::from(saving) / u128::from(self.lasts);
        let whole = self.train.step_flops();
        if saved * WORTHWHILE < u128::from(whole) {
            return Err(format!("it would save {} of the {} of a training step", flop(saved as u64), flop(whole)));
        }
        Ok(cut)
    }

    /// Each row has one value; nothing that is drawn is cached.
    fn once(&self) -> Result<Caching> {
        let cut = |random: &dyn Fn(&str) -> bool| match self.demanded {
            true => self.cut(true, WORTH, random),
            false => self.paying(0, random),
        };
        let why = match cut(&|input| self.model.is_drawn(input)) {
            Ok(cut) => return Ok(Caching::On { cut: cut.into(), number: self.number, variants: None }),
            Err(why) => why,
        };
        let chance_alone = self.draws() && cut(&|_| false).is_ok();
        if self.demanded && self.epoch == 0 {
            let help = if chance_alone {
                "`variants: 4` draws 4 variants of each training row and caches those"
            } else {
                "freeze what is to be computed once, or write `cache: auto`"
            };
            return Err(fault(self.model, "cache", format!("no features can be cached: {why}"), help).into());
        }
        let help = if chance_alone { "; `variants: 4` caches 4 variants of each training row" } else { "" };
        Ok(Caching::Off(format!("{why}{help}")))
    }

    /// Each training row has so many values. What the spec says is held against all that can be cached, not only what pays.
    fn in_variants(&self, variants: u64) -> Result<Caching> {
        let possible = self.cut(true, WORTH, &|_| false);
        if let (0, Some(wrong)) = (self.epoch, self.without_variants(&possible)) {
            return Err(wrong.into());
        }
        let chosen = match possible {
            possible if self.demanded => possible,
            Ok(cut) if self.varies(&cut) => self.paying(variants, &|_| false),
            _ => self.paying(0, &|_| false),
        };
        Ok(match chosen {
            Ok(cut) => {
                let variants = Some(variants).filter(|_| self.varies(&cut));
                Caching::On { cut: cut.into(), number: self.number, variants }
            }
            Err(why) => Caching::Off(why),
        })
    }

    /// Why there can be no variants of anything, if so.
    fn without_variants(&self, possible: &std::result::Result<Cut, String>) -> Option<Diagnostic> {
        let wrong = |why, help| Some(fault(self.model, "variants", why, help));
        match possible {
            _ if !self.draws() => wrong(
                "there are no variants: no input is prepared at random in training rows".into(),
                "leave `variants` out, or put a random step such as `flip` into the chain of an input",
            ),
            Err(why) => {
                wrong(format!("no variants can be cached: {why}"), "leave `variants` out: then every epoch draws anew")
            }
            Ok(cut) if !self.varies(cut) => wrong(
                format!("there are no variants of {}: none of its inputs is prepared at random", paths(&cut.values)),
                "leave `variants` out",
            ),
            Ok(_) => None,
        }
    }
}

/// Unasked, a file is written where it saves at least one part in so many of a training step.
const WORTHWHILE: u128 = 10;

/// A fault at a setting of `train`.
fn fault(model: &Model, setting: &str, message: String, help: &str) -> Diagnostic {
    model.train.span(setting).into_iter().fold(Diagnostic::error(message), Diagnostic::at).help(help)
}

/// For how many epochs of the whole run what is frozen in this one is frozen so.
fn lasts(model: &Model, epoch: u64) -> u64 {
    let ends = model.turns();
    let since = ends.iter().copied().filter(|end| *end <= epoch).max().unwrap_or(0);
    let until = ends.into_iter().find(|end| *end > epoch).unwrap_or(u64::MAX);
    until.min(model.train.size("epochs") as u64).saturating_sub(since)
}

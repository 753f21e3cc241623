//! A machine for the pickles that `torch.save` writes: bytes in, a graph of values out. It never runs code.
//!
//! A pickle is a program for a stack machine that may name any function of Python and call it. This machine knows the names of
//! [`globals`] alone, and calls mean what is written here. Steps are bounded by the bytes, values by [`Machine::cells`], so memory
//! is bounded by a small multiple of the file; values refer to each other by number, so a graph may be deep or have circles without
//! any recursion. Opcodes: Python's `pickletools.py`, protocols 2 to 5, without those that only other writers use.

mod globals;
mod value;

pub use globals::Global;
pub use value::{Graph, Node, TensorView, Value};

use super::shown;
use crate::base::{Diagnostic, Result};
use std::collections::HashMap;

/// The most that sizes of a tensor can be in number; PyTorch allows 64.
const MOST_AXES: usize = 64;

/// The most values that a pickle may keep, some hundred megabytes; one for each byte is already more than honest ones do.
/// Thousands of tensors take less than a million.
const MOST_CELLS: usize = 4 << 20;

/// Runs one pickle from `start` on; what it makes goes into `graph`. Gives its value and where it ends.
pub fn run<'a>(bytes: &'a [u8], start: usize, graph: &mut Graph<'a>) -> Result<(Value<'a>, usize)> {
    let cells = (bytes.len() - start.min(bytes.len()) + 4096).min(MOST_CELLS);
    let mut machine = Machine { bytes, at: start, stack: vec![], marks: vec![], memo: HashMap::new(), graph, cells };
    let value = machine.run()?;
    Ok((value, machine.at))
}

struct Machine<'a, 'g> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    graph: &'g mut Graph<'a>,
    /// How many more values may be kept.
    cells: usize,
}

impl<'a> Machine<'a, '_> {
    fn wrong(&self, what: &str) -> Diagnostic {
        super::formats::damaged(format!("the pickle is damaged at byte {}: {what}", self.at))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.wrong("it ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64> {
        let mut word = [0; 8];
        word[..N].copy_from_slice(self.take(N)?);
        Ok(u64::from_le_bytes(word))
    }

    /// As many bytes as a number of `N` bytes says.
    fn counted<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let count = self.number::<N>()?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn text(&self, bytes: &'a [u8]) -> Result<Value<'a>> {
        Ok(Value::Text(std::str::from_utf8(bytes).map_err(|_| self.wrong("a text is no UTF-8"))?))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(1024).position(|&b| b == b'\n');
        let line = self.take(end.ok_or_else(|| self.wrong("a name has no end"))?)?;
        self.at += 1;
        Ok(std::str::from_utf8(line).map_err(|_| self.wrong("a name is no UTF-8"))?)
    }

    fn keep(&mut self, count: usize) -> Result<()> {
        let left = self.cells.checked_sub(count);
        self.cells = left.ok_or_else(|| self.wrong("it makes more values than a pickle of weights does"))?;
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        // What is popped again is kept by whoever popped it, so the stack has a bound of its own.
        if self.stack.len() > MOST_CELLS / 4 {
            return Err(self.wrong("its stack is too high").into());
        }
        self.stack.push(value);
        Ok(())
    }

    fn node(&mut self, node: Node<'a>) -> Result<()> {
        self.keep(1)?;
        let value = self.graph.add(node);
        self.push(value)
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.wrong("its stack is empty").into());
        }
        Ok(self.stack.pop().unwrap_or(Value::None))
    }

    /// What was pushed since the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>> {
        let mark = self.marks.pop().ok_or_else(|| self.wrong("there is no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn last(&self) -> Result<Value<'a>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        Ok(self.stack.get(floor..).and_then(<[_]>::last).copied().ok_or_else(|| self.wrong("its stack is empty"))?)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let Some(global) = globals::find(module, name) else {
            let message =
                format!("the pickle asks for `{}`, which no file of weights needs", shown(&format!("{module}.{name}")));
            return Err(Diagnostic::error(message)
                .note("nothing of it was run: mtlc reads the tensors of a pickle and never calls what it names")
                .help("in a place where you trust the file, load it with PyTorch and save `model.state_dict()` alone")
                .into());
        };
        self.node(Node::Global(global))
    }

    fn run(&mut self) -> Result<Value<'a>> {
        loop {
            match self.take(1)?[0] {
                0x80 => {
                    if !(2..=5).contains(&self.number::<1>()?) {
                        return Err(self.wrong("its protocol is none of 2 to 5").into());
                    }
                }
                0x95 => drop(self.take(8)?),
                b'.' => return self.pop(),
                b'(' => {
                    self.keep(1)?;
                    self.marks.push(self.stack.len());
                }
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_mark()?),
                b'2' => self.last().and_then(|value| self.push(value))?,
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'K' => self.number::<1>().and_then(|n| self.push(Value::Int(n as i64)))?,
                b'M' => self.number::<2>().and_then(|n| self.push(Value::Int(n as i64)))?,
                b'J' => self.number::<4>().and_then(|n| self.push(Value::Int(i64::from(n as u32 as i32))))?,
                0x8a => self.counted::<1>().and_then(|digits| self.push(integer(digits)))?,
                0x8b => self.counted::<4>().and_then(|digits| self.push(integer(digits)))?,
                b'G' => {
                    let bits = self.number::<8>()?.swap_bytes();
                    self.push(Value::Float(f64::from_bits(bits)))?;
                }
                b'X' => self.counted::<4>().and_then(|b| self.text(b)).and_then(|text| self.push(text))?,
                0x8c => self.counted::<1>().and_then(|b| self.text(b)).and_then(|text| self.push(text))?,
                0x8d => self.counted::<8>().and_then(|b| self.text(b)).and_then(|text| self.push(text))?,
                // Texts of Python 2, and bytes.
                b'U' | b'C' => self.counted::<1>().and_then(|b| self.push(text_or_bytes(b)))?,
                b'T' | b'B' => self.counted::<4>().and_then(|b| self.push(text_or_bytes(b)))?,
                0x8e | 0x96 => self.counted::<8>().and_then(|b| self.push(Value::Bytes(b)))?,
                b']' => self.node(Node::Sequence(vec![]))?,
                b')' => self.node(Node::Sequence(vec![]))?,
                b'}' => self.node(Node::Dict(vec![]))?,
                0x8f => self.node(Node::Opaque)?,
                b't' | b'l' => {
                    let items = self.pop_mark()?;
                    self.keep(items.len())?;
                    self.node(Node::Sequence(items))?;
                }
                b'd' => {
                    let items = self.pop_mark()?;
                    self.keep(items.len())?;
                    self.node(Node::Dict(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()))?;
                }
                0x91 => {
                    self.pop_mark()?;
                    self.node(Node::Opaque)?;
                }
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => self.pop_mark().and_then(|items| self.append(items))?,
                // What a set holds is passed over.
                0x90 => drop(self.pop_mark()?),
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set(vec![key, value])?;
                }
                b'u' => self.pop_mark().and_then(|items| self.set(items))?,
                b'q' => self.number::<1>().and_then(|n| self.remember(n))?,
                b'r' => self.number::<4>().and_then(|n| self.remember(n))?,
                0x94 => self.remember(self.memo.len() as u64)?,
                b'h' => self.number::<1>().and_then(|n| self.recall(n))?,
                b'j' => self.number::<4>().and_then(|n| self.recall(n))?,
                // A global by lines, and the same with a call, as protocol 0 has it.
                b'c' | b'i' => {
                    let module = self.line()?;
                    let name = self.line()?;
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (module, name) else {
                        return Err(self.wrong("a name is no text").into());
                    };
                    self.global(module, name)?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.graph.storage(id).ok_or_else(|| self.wrong("a storage is not described"))?;
                    self.node(storage)?;
                }
                b'R' | 0x81 => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.call(function, arguments)?;
                }
                0x92 => {
                    self.pop()?;
                    let (arguments, class) = (self.pop()?, self.pop()?);
                    self.call(class, arguments)?;
                }
                // Attributes, such as the `_metadata` of a state dictionary, change no tensor.
                b'b' => drop(self.pop()?),
                other => {
                    let what = format!("the opcode {other:#04x} is none that `torch.save` writes");
                    return Err(self.wrong(&what).into());
                }
            }
        }
    }

    fn tuple(&mut self, count: usize) -> Result<()> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let from = self.stack.len().checked_sub(count).filter(|&from| from >= floor);
        let from = from.ok_or_else(|| self.wrong("its stack is empty"))?;
        self.keep(count)?;
        let items = self.stack.split_off(from);
        self.node(Node::Sequence(items))
    }

    fn append(&mut self, mut more: Vec<Value<'a>>) -> Result<()> {
        self.keep(more.len())?;
        let to = self.last()?;
        match self.graph.get_mut(to) {
            Some(Node::Sequence(items)) => items.append(&mut more),
            Some(Node::Opaque) => {}
            _ => return Err(self.wrong("it appends to what is no list").into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value<'a>>) -> Result<()> {
        self.keep(items.len())?;
        let to = self.last()?;
        match self.graph.get_mut(to) {
            Some(Node::Dict(pairs)) => pairs.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            Some(Node::Opaque) => {}
            _ => return Err(self.wrong("it sets an item of what is no dictionary").into()),
        }
        Ok(())
    }

    fn remember(&mut self, number: u64) -> Result<()> {
        self.keep(1)?;
        let value = self.last()?;
        self.memo.insert(number as u32, value);
        Ok(())
    }

    fn recall(&mut self, number: u64) -> Result<()> {
        let value = self.memo.get(&(number as u32)).copied();
        let value = value.ok_or_else(|| self.wrong("it recalls what it never kept"))?;
        self.push(value)
    }

    /// Does what a call of a known global means.
    fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<()> {
        let wrong = |machine: &Self, what: &str| Err(machine.wrong(what).into());
        let Some(Node::Global(global)) = self.graph.get(function) else {
            return wrong(self, "it calls what is no function");
        };
        let global = *global;
        // No function of the list has more arguments.
        let Some(arguments) = self.graph.sequence(arguments).map(|all| all[..all.len().min(9)].to_vec()) else {
            return wrong(self, "it calls a function without a tuple of arguments");
        };
        let first = arguments.first().copied();
        match global {
            Global::Opaque => self.node(Node::Opaque),
            Global::Dict => {
                let pairs = first.and_then(|list| self.graph.sequence(list)).unwrap_or_default();
                let pair = |pair: &Value<'a>| match self.graph.sequence(*pair) {
                    Some([key, value]) => Some((*key, *value)),
                    _ => None,
                };
                let pairs: Vec<_> = pairs.iter().take(self.cells).filter_map(pair).collect();
                self.keep(2 * pairs.len())?;
                self.node(Node::Dict(pairs))
            }
            Global::Sequence => {
                let items = first.and_then(|list| self.graph.sequence(list)).unwrap_or_default();
                let items: Vec<_> = items.iter().copied().take(self.cells).collect();
                self.keep(items.len())?;
                self.node(Node::Sequence(items))
            }
            Global::Parameter => match first {
                Some(tensor) if matches!(self.graph.get(tensor), Some(Node::Tensor(_))) => self.push(tensor),
                _ => wrong(self, "a parameter has no tensor"),
            },
            Global::Tensor | Global::TypedTensor => match self.tensor(&arguments, global == Global::TypedTensor) {
                Some(tensor) => {
                    self.keep(2 * tensor.dims.len())?;
                    self.node(Node::Tensor(Box::new(tensor)))
                }
                None => wrong(self, "a tensor is not described"),
            },
            // It makes tensors of another class, never calls of itself.
            Global::FromType => match arguments[..] {
                [function, _, arguments, ..]
                    if !matches!(self.graph.get(function), Some(Node::Global(Global::FromType))) =>
                {
                    self.call(function, arguments)
                }
                _ => wrong(self, "a tensor is not described"),
            },
            Global::Storage(_) | Global::Type(_) => wrong(self, "it calls what is no function"),
        }
    }

    /// A tensor out of `(storage, offset, sizes, strides, …)`; where it is typed, its type stands behind two more.
    fn tensor(&self, arguments: &[Value<'a>], typed: bool) -> Option<TensorView> {
        let [storage, offset, dims, strides, rest @ ..] = arguments else { return None };
        let Node::Storage(storage) = self.graph.get(*storage)? else { return None };
        let sizes = |list: Value<'a>| -> Option<Vec<usize>> {
            let list = self.graph.sequence(list)?;
            let size = |n: &Value| if let Value::Int(n) = n { usize::try_from(*n).ok() } else { None };
            list.iter().take(MOST_AXES + 1).map(size).collect()
        };
        let (dims, strides) = (sizes(*dims)?, sizes(*strides)?);
        let Value::Int(offset) = offset else { return None };
        let offset = usize::try_from(*offset).ok()?.checked_add(storage.offset)?;
        let own = self.graph.storages[storage.index].dtype;
        let dtype = match rest.get(2).and_then(|dtype| self.graph.get(*dtype)) {
            Some(Node::Global(Global::Type(dtype))) if typed => *dtype,
            _ if typed => return None,
            _ => own?,
        };
        let fits = dims.len() == strides.len() && dims.len() <= MOST_AXES;
        fits.then_some(TensorView { storage: storage.index, offset, dims, strides, dtype })
    }
}

/// An integer in little-endian two's complement; one that 64 bits do not hold stays as its bytes.
fn integer(digits: &[u8]) -> Value<'_> {
    if digits.len() > 8 {
        return Value::Bytes(digits);
    }
    let sign = if digits.last().is_some_and(|&b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut word = [sign; 8];
    word[..digits.len()].copy_from_slice(digits);
    Value::Int(i64::from_le_bytes(word))
}

fn text_or_bytes(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text)
}

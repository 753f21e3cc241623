//! Rust files as text: the code of a file apart from its comments and literals, and what a line says.
//!
//! Nothing here understands Rust beyond that. Every answer keeps the line numbers of the file.

use std::path::Path;

/// A file of the repository.
pub struct File {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments and the contents of literals blanked, line by line as long as it was.
    pub code: String,
}

/// A breach of a rule: `src/ops/add.rs:3: why`.
pub type Fault = String;

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), code: blank_literals(text) }
    }

    /// The folder under `src/`, if the file is in one.
    pub fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }

    pub fn fault(&self, line: usize, why: impl std::fmt::Display) -> Fault {
        format!("{}:{line}: {why}", self.path)
    }

    /// The code without modules and items marked `#[cfg(test)]`.
    pub fn shipped(&self) -> String {
        let mut code = self.code.clone();
        while let Some(start) = code.find("#[cfg(test)]") {
            let end = match code[start..].find(['{', ';']).map(|i| start + i) {
                Some(open) if code.as_bytes()[open] == b'{' => closing(&code, open),
                Some(end) => end,
                None => code.len() - 1,
            };
            code.replace_range(start..=end, &blank(&code[start..=end]));
        }
        code
    }
}

/// The place of the bracket that closes the one at `open`, or the end.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    code.len() - 1
}

/// Where `needle` stands as whole words: byte offsets.
pub fn places<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back().is_some_and(word) && needle.starts_with(word);
        let after = code[at + needle.len()..].chars().next().is_some_and(word) && needle.ends_with(word);
        !before && !after
    })
}

/// The line of a byte offset, from 1.
pub fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The identifier at the start of some code, which may be empty.
pub fn identifier(code: &str) -> &str {
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    &code[..end]
}

/// Every identifier of some code.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn blank(text: &str) -> String {
    text.chars().flat_map(|c| std::iter::repeat_n(if c == '\n' { '\n' } else { ' ' }, c.len_utf8())).collect()
}

/// The text with comments and the contents of strings and characters as spaces.
fn blank_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest, 1),
            'r' | 'b' if !word => raw_string(rest).unwrap_or(0),
            '\'' => character(rest),
            _ => 0,
        };
        let (taken, kept) = if length == 0 { (c.len_utf8(), true) } else { (length, false) };
        code += &if kept { rest[..taken].to_string() } else { blank(&rest[..taken]) };
        rest = &rest[taken..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += step.0;
        at += step.1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a string whose contents begin at `start`.
fn string(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The length of `r"…"`, `r#"…"#`, `b"…"` or `br"…"`, or `None` when the text begins with none.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = text.len() - text.trim_start_matches(['b', 'r']).len();
    let hashes = text[prefix..].bytes().take_while(|b| *b == b'#').count();
    if prefix > 2 || !text[prefix + hashes..].starts_with('"') {
        return None;
    }
    if !text[..prefix].contains('r') {
        return (hashes == 0).then(|| string(text, prefix + 1));
    }
    let contents = prefix + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[contents..].find(&end).map_or(text.len(), |i| contents + i + end.len()))
}

/// The length of a character; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(0, |i| 3 + i + 1),
        (Some(_), Some((i, '\''))) => i + 1,
        _ => 0,
    }
}

/// Every file below a folder of the repository that is text, sorted by path.
pub fn walk(root: &Path, folder: &str, found: &mut Vec<File>) {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(folder)).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let path = format!("{folder}/{}", entry.file_name().unwrap().to_string_lossy());
        if entry.is_dir() {
            walk(root, &path, found);
        } else if let Ok(text) = std::fs::read_to_string(&entry) {
            let code = if path.ends_with(".rs") { blank_literals(&text) } else { String::new() };
            found.push(File { path, text, code });
        }
    }
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let text = "a('x', '\\'', \"u \\\" // v\", b\"w\", r#\"x \" y\"#) // z\n/* b /* c */ d */ e: &'static str = 'f' ;";
    let code = File::new("a.rs", text).code;
    assert_eq!(words(&code).collect::<Vec<_>>(), ["a", "e", "static", "str"]);
    assert_eq!(code.len(), text.len());
    assert_eq!(line(&code, code.find('e').unwrap()), 2);
    let shipped = File::new("a.rs", "a\n#[cfg(test)]\nmod tests { b { c } }\nd\n#[cfg(test)]\nuse e;\nf").shipped();
    assert_eq!(words(&shipped).collect::<Vec<_>>(), ["a", "d", "f"]);
}

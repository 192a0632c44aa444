//! Whether keywords may stand in JSON text.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

const WINDOW: usize = 3;
/// As many patterns as vector instructions can look for at once.
const MOST_SPELLINGS: usize = 64;
/// How a letter outside ASCII whose lower case begins with an ASCII one is written: as it is, or escaped.
const ODD_LETTERS: [&[u8]; 2] = [b"\xe2\x84\xaa", b"\xc4\xb0"];
const ODD_ESCAPES: [&[u8]; 3] = [b"\\u212a", b"\\u212A", b"\\u0130"];

/// Finds keywords in JSON, in any case and behind escapes by number; some that are none too, but never too few.
///
/// `literals`: in lower case, of characters that JSON writes as themselves, three at least.
#[pyclass(frozen, module = "khien._native")]
pub struct Keywords {
    literals: Vec<Vec<u8>>,
    /// By spelling of a window: the literals that have it, and how far from their beginning.
    windows: Vec<Vec<(usize, usize)>>,
    quick: Option<Searcher>,
    whole: Option<AhoCorasick>,
}

#[pymethods]
impl Keywords {
    #[new]
    fn new(literals: Vec<String>) -> PyResult<Self> {
        let literals: Vec<Vec<u8>> = literals.into_iter().map(String::into_bytes).collect();
        if literals.iter().any(|literal| literal.len() < WINDOW || !literal.is_ascii()) {
            return Err(PyValueError::new_err("a keyword is too short, or not ASCII"));
        }
        let mut spellings: Vec<[u8; WINDOW]> = Vec::new();
        let mut windows: Vec<Vec<(usize, usize)>> = Vec::new();
        for (number, literal) in literals.iter().enumerate() {
            let at = rarest(literal);
            for spelling in cases([literal[at], literal[at + 1], literal[at + 2]]) {
                let nth = spellings.iter().position(|known| *known == spelling).unwrap_or(spellings.len());
                if nth == spellings.len() {
                    spellings.push(spelling);
                    windows.push(Vec::new());
                }
                windows[nth].push((number, at));
            }
        }
        let quick = if spellings.len() <= MOST_SPELLINGS {
            Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(&spellings).build()
        } else {
            None
        };
        let whole = match quick {
            Some(_) => None,
            None => Some(
                AhoCorasick::builder()
                    .ascii_case_insensitive(true)
                    .kind(Some(AhoCorasickKind::DFA))
                    .build(&literals)
                    .map_err(|error| PyValueError::new_err(error.to_string()))?,
            ),
        };
        Ok(Keywords { literals, windows, quick, whole })
    }

    /// Whether a keyword may stand in the data.
    #[pyo3(name = "occur")]
    fn may_occur(&self, data: &[u8]) -> bool {
        self.occur(data)
    }
}

impl Keywords {
    pub fn occur(&self, data: &[u8]) -> bool {
        self.stand(data)
            || memchr::memmem::find_iter(data, b"\\u").any(|at| {
                let escape = &data[at..data.len().min(at + 6)];
                ODD_ESCAPES.contains(&escape) || is_safe_code(escape)
            })
            || (!data.is_ascii() && ODD_LETTERS.iter().any(|letter| memchr::memmem::find(data, letter).is_some()))
    }

    /// Whether a literal stands in the data as it is, in any case.
    fn stand(&self, data: &[u8]) -> bool {
        if let Some(quick) = &self.quick {
            let mut rest = 0;
            while let Some(hit) = quick.find_in(data, (rest..data.len()).into()) {
                let windows = &self.windows[hit.pattern().as_usize()];
                if windows.iter().any(|&(number, at)| self.stands(data, number, hit.start(), at)) {
                    return true;
                }
                rest = hit.start() + 1;
            }
        }
        self.whole.as_ref().map_or(false, |whole| whole.is_match(data))
    }

    /// Whether a literal stands where its window was found.
    fn stands(&self, data: &[u8], number: usize, start: usize, at: usize) -> bool {
        let literal = &self.literals[number];
        start
            .checked_sub(at)
            .and_then(|begin| data.get(begin..begin + literal.len()))
            .map_or(false, |text| text.eq_ignore_ascii_case(literal))
    }
}

/// Whether an escape by number stands for a character that keywords are made of.
fn is_safe_code(escape: &[u8]) -> bool {
    let code = escape
        .strip_prefix(b"\\u00")
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u8::from_str_radix(digits, 16).ok());
    code.map_or(false, |byte| byte.is_ascii_alphanumeric() || b" _.:-".contains(&byte))
}

/// Where the window of a literal begins that texts hold least often, counting all its spellings.
fn rarest(literal: &[u8]) -> usize {
    let weight = |at: usize| literal[at..at + WINDOW].iter().map(|&byte| commonness(byte)).product::<u32>();
    (0..=literal.len() - WINDOW).min_by_key(|&at| weight(at)).unwrap_or(0)
}

fn commonness(byte: u8) -> u32 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 24,
        b'j' | b'q' | b'x' | b'z' | b'k' | b'v' => 6,
        b'a'..=b'z' => 12,
        b' ' | b'.' | b'-' | b'0'..=b'9' => 8,
        _ => 3,
    }
}

/// A window in all ways to write its letters.
fn cases(window: [u8; WINDOW]) -> Vec<[u8; WINDOW]> {
    let mut found = vec![window];
    for at in 0..WINDOW {
        if window[at].is_ascii_lowercase() {
            for nth in 0..found.len() {
                let mut other = found[nth];
                other[at] = other[at].to_ascii_uppercase();
                found.push(other);
            }
        }
    }
    found
}

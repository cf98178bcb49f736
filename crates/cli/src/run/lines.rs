//! Lines of a file of any length, in bounded memory.

use std::fmt;
use std::io::{self, BufRead};

/// The longest line that is read. A model reads a few hundred tokens, and tokenizing takes some 700 bytes of memory per
/// character, so that a longer line is a mistake and would be an expensive one.
pub(super) const LONGEST_LINE: usize = 1 << 20;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadLine {
    /// Longer than [`LONGEST_LINE`].
    TooLong,
    /// Not UTF-8 from this byte of the line, counted from 1.
    NotUtf8 { byte: usize },
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadLine::TooLong => write!(f, "longer than {} MiB; split the text", LONGEST_LINE >> 20),
            BadLine::NotUtf8 { byte } => {
                write!(f, "not UTF-8 at byte {byte} of the line; save the file as UTF-8")
            }
        }
    }
}

/// A line, with its number from 1.
pub(super) type Line = (u64, Result<String, BadLine>);

/// Reads lines, and counts them and their bytes.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    longest: usize,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, longest: LONGEST_LINE, number: 0, bytes: 0 }
    }

    /// How many bytes were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the line read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The first byte that is no space, of what is to be read next; `None` at the end, or after too many spaces.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        let ahead = self.reader.fill_buf()?;
        let ahead = ahead.strip_prefix(BYTE_ORDER_MARK).unwrap_or(ahead);
        Ok(ahead.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
    }

    /// The next line without its end (`\n` or `\r\n`) and without a byte order mark; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        let mut read_any = false;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            read_any = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            too_long |= line.len() + part.len() > self.longest;
            if !too_long {
                line.extend_from_slice(part);
            }
            let used = end.map_or(available.len(), |end| end + 1);
            self.reader.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        if !read_any {
            return Ok(None);
        }
        self.number += 1;
        let text = if too_long { Err(BadLine::TooLong) } else { text_of(line, self.number == 1) };
        Ok(Some((self.number, text)))
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn text_of(mut line: Vec<u8>, is_first: bool) -> Result<String, BadLine> {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if is_first && line.starts_with(BYTE_ORDER_MARK) {
        line.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(line).map_err(|error| BadLine::NotUtf8 { byte: error.utf8_error().valid_up_to() + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn read(bytes: &[u8], longest: usize) -> Vec<Line> {
        // A tiny buffer, so that lines come in parts.
        let mut lines = Lines { longest, ..Lines::new(BufReader::with_capacity(3, bytes)) };
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line);
        }
        assert_eq!(lines.bytes(), bytes.len() as u64);
        all
    }

    fn good(number: u64, text: &str) -> Line {
        (number, Ok(text.to_owned()))
    }

    #[test]
    fn lines_end_as_on_any_system_and_the_last_need_not() {
        assert_eq!(read(b"one\r\n\ntwo words", 99), [good(1, "one"), good(2, ""), good(3, "two words")]);
        assert_eq!(read(b"one\n", 99), [good(1, "one")]);
        assert_eq!(read(b"", 99), []);
    }

    #[test]
    fn a_long_line_is_skipped_whole() {
        let lines = read(b"ok\n0123456789\nfine", 9);
        assert_eq!(lines, [good(1, "ok"), (2, Err(BadLine::TooLong)), good(3, "fine")]);
        assert_eq!(read(b"012345678\n", 9), [good(1, "012345678")]);
    }

    #[test]
    fn bytes_that_are_no_text_spoil_only_their_line() {
        let lines = read(b"ok\nab\xffc\n\xe5\x85\xb5\n", 99);
        assert_eq!(lines, [good(1, "ok"), (2, Err(BadLine::NotUtf8 { byte: 3 })), good(3, "兵")]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(read(b"\xef\xbb\xbfone\ntwo", 99), [good(1, "one"), good(2, "two")]);
        let mut lines = Lines::new(&b"\xef\xbb\xbf {\"text\""[..]);
        assert_eq!(lines.peek().unwrap(), Some(b'{'));
    }
}

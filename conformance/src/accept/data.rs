//! The documents that devices are held to.
//!
//! One JSON object per line: `{"text", "label", "entities": [{"type", "start", "end", "text"}]}`. The label and the
//! entities may be missing, and then no task score can be computed; anything malformed is refused with its line, since a
//! line that is passed over changes every figure on the page that is signed.

use super::{Error, Result};
use crate::golden::sha256;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A field's type and its characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its type, such as `PER`.
    pub kind: String,
    /// Its first character, in Unicode scalar values.
    pub start: usize,
    /// One past its last.
    pub end: usize,
}

/// A document with what is right about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its line in the file, from 1.
    pub line: usize,
    /// The text.
    pub text: String,
    /// The right class, where known.
    pub label: Option<String>,
    /// The fields that are in it, where known.
    pub fields: Option<Vec<Field>>,
}

/// A file of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSet {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// Its first documents, as many as were asked for.
    pub documents: Vec<Document>,
    /// Whether there are more in the file.
    pub is_cut: bool,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    label: Option<String>,
    entities: Option<Vec<Entity>>,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    start: usize,
    end: usize,
    text: Option<String>,
}

impl TestSet {
    /// Reads a file's first `limit` documents, or all; blank lines are none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Line`] for the first line that is no document; [`Error::NoDocuments`].
    pub fn read(path: &Path, limit: Option<usize>) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let bad = |line: usize, reason: String| Error::Line { path: path.to_owned(), line, reason };
        let mut documents = Vec::new();
        let mut is_cut = false;
        let content = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        for (line, bytes) in (1..).zip(content.split(|byte| *byte == b'\n')) {
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            if limit.is_some_and(|limit| documents.len() >= limit) {
                is_cut = true;
                break;
            }
            let text = std::str::from_utf8(bytes)
                .map_err(|error| bad(line, format!("not UTF-8 at byte {}", error.valid_up_to() + 1)))?;
            documents.push(document(line, text).map_err(|reason| bad(line, reason))?);
        }
        if documents.is_empty() {
            return Err(Error::NoDocuments { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), sha256: sha256(&bytes), documents, is_cut })
    }
}

fn document(line: usize, text: &str) -> std::result::Result<Document, String> {
    let parsed: Line = serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        // The line that the parser counts is always the first.
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        format!("{what}; expected {{\"text\": \"...\", \"label\": \"...\"}} or \"entities\"")
    })?;
    if parsed.text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    let field = |entity: Entity| {
        let length = entity.end.checked_sub(entity.start).filter(|length| *length > 0);
        let characters = parsed.text.chars().count();
        let length = length.filter(|_| entity.end <= characters).ok_or_else(|| {
            format!(
                "the {} at {}..{} is no part of a text of {characters} characters",
                entity.kind, entity.start, entity.end
            )
        })?;
        if let Some(said) = &entity.text {
            let there: String = parsed.text.chars().skip(entity.start).take(length).collect();
            if *said != there {
                return Err(format!(
                    "the {} at {}..{} is `{there}`, not `{said}`; positions count characters, not bytes",
                    entity.kind, entity.start, entity.end
                ));
            }
        }
        Ok(Field { kind: entity.kind, start: entity.start, end: entity.end })
    };
    let fields = parsed.entities.map(|entities| entities.into_iter().map(field).collect());
    let fields = fields.transpose()?;
    Ok(Document { line, text: parsed.text, label: parsed.label, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], limit: Option<usize>) -> Result<TestSet> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.jsonl");
        std::fs::write(&path, bytes).unwrap();
        TestSet::read(&path, limit)
    }

    #[test]
    fn documents_come_with_their_lines_and_what_is_right() {
        let text = "\u{feff}{\"text\": \"王伟在\", \"entities\": [{\"type\": \"PER\", \"start\": 0, \"end\": 2, \"text\": \"王伟\"}]}\r\n\
                    \n{\"text\": \"b\", \"label\": \"x\"}";
        let set = read(text.as_bytes(), None).unwrap();
        let field = Field { kind: "PER".into(), start: 0, end: 2 };
        assert_eq!((set.documents[0].line, &set.documents[0].fields), (1, &Some(vec![field])));
        assert_eq!((set.documents[1].line, set.documents[1].label.as_deref()), (3, Some("x")));
        assert!(!set.is_cut);
    }

    #[test]
    fn a_limit_leaves_the_digest_that_of_the_file() {
        let text = b"{\"text\": \"a\"}\n{\"text\": \"b\"}\n";
        let (whole, part) = (read(text, None).unwrap(), read(text, Some(1)).unwrap());
        assert_eq!((part.documents.len(), part.is_cut), (1, true));
        assert_eq!(whole.sha256, part.sha256);
    }

    #[test]
    fn a_malformed_line_is_named() {
        for (line, part) in [
            ("{\"text\": \"a\"", "EOF"),
            ("[1]", "expected {\"text\""),
            ("{\"label\": \"x\"}", "missing field `text`"),
            ("{\"text\": \" \"}", "empty"),
            (
                "{\"text\": \"ab\", \"entities\": [{\"type\": \"A\", \"start\": 1, \"end\": 3}]}",
                "2 characters",
            ),
            ("{\"text\": \"ab\", \"entities\": [{\"type\": \"A\", \"start\": 1, \"end\": 1}]}", "1..1"),
            (
                "{\"text\": \"ab\", \"entities\": [{\"type\": \"A\", \"start\": 0, \"end\": 1, \"text\": \"b\"}]}",
                "`a`, not `b`",
            ),
        ] {
            let error =
                read(format!("{{\"text\": \"a\"}}\n{line}\n").as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains("line 2: ") && error.contains(part), "{error}");
        }
        let error = read(b"{\"text\": \"\xff\"}", None).unwrap_err().to_string();
        assert!(error.contains("line 1: not UTF-8 at byte 11"), "{error}");
    }

    #[test]
    fn a_file_without_documents_is_refused() {
        assert!(matches!(read(b"\n \n", None), Err(Error::NoDocuments { .. })));
    }
}

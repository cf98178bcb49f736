//! How often answers are right.
//!
//! * **Class accuracy**: documents with the right class.
//! * **Tag accuracy**: tokens, without those that the tokenizer adds, with the right tag. A token that starts inside a field
//!   has the field's `I-` tag, or `B-` where the field starts with it; all others have `O`.
//! * **Field F1**: a field counts as found only with its exact type, first and last character.

use super::data::Field;
use serde::Serialize;

/// What was right, of one document or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Documents with a known class.
    pub documents: usize,
    /// Those of the right class.
    pub right_classes: usize,
    /// Tokens with a known tag.
    pub tokens: usize,
    /// Those with the right tag.
    pub right_tags: usize,
    /// Fields that there are.
    pub fields: usize,
    /// Fields that were found.
    pub found_fields: usize,
    /// Those of the found that there are.
    pub right_fields: usize,
}

impl Tally {
    /// Counts a document's class.
    pub fn add_class(&mut self, right: &str, class: Option<&str>) {
        self.documents += 1;
        self.right_classes += usize::from(class == Some(right));
    }

    /// Counts a document's tags and fields. `tags` has each token's first character and its tag, if it got one.
    pub fn add_fields<'a>(
        &mut self,
        right: &[Field],
        tags: impl IntoIterator<Item = (usize, Option<&'a str>)>,
        found: &[Field],
    ) {
        for (start, tag) in tags {
            self.tokens += 1;
            self.right_tags += usize::from(tag == Some(right_tag(start, right).as_str()));
        }
        self.fields += right.len();
        self.found_fields += found.len();
        self.right_fields += found.iter().filter(|field| right.contains(field)).count();
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.right_classes += other.right_classes;
        self.tokens += other.tokens;
        self.right_tags += other.right_tags;
        self.fields += other.fields;
        self.found_fields += other.found_fields;
        self.right_fields += other.right_fields;
    }

    /// The share of documents of the right class, 0 to 1; 0 of none.
    pub fn class_accuracy(&self) -> f64 {
        ratio(self.right_classes, self.documents)
    }

    /// The share of tokens with the right tag.
    pub fn tag_accuracy(&self) -> f64 {
        ratio(self.right_tags, self.tokens)
    }

    /// The share of found fields that there are.
    pub fn precision(&self) -> f64 {
        ratio(self.right_fields, self.found_fields)
    }

    /// The share of fields that were found.
    pub fn recall(&self) -> f64 {
        ratio(self.right_fields, self.fields)
    }

    /// The harmonic mean of precision and recall.
    pub fn field_f1(&self) -> f64 {
        ratio(2 * self.right_fields, self.fields + self.found_fields)
    }
}

fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}

/// The right tag of a token whose first character is `start`.
pub fn right_tag(start: usize, fields: &[Field]) -> String {
    match fields.iter().find(|field| (field.start..field.end).contains(&start)) {
        Some(field) if field.start == start => format!("B-{}", field.kind),
        Some(field) => format!("I-{}", field.kind),
        None => "O".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &str, start: usize, end: usize) -> Field {
        Field { kind: kind.to_owned(), start, end }
    }

    #[test]
    fn a_field_begins_at_its_first_character() {
        let fields = [field("PER", 2, 4), field("AMT", 4, 6)];
        let tags: Vec<String> = (0..7).map(|start| right_tag(start, &fields)).collect();
        assert_eq!(tags, ["O", "O", "B-PER", "I-PER", "B-AMT", "I-AMT", "O"]);
    }

    #[test]
    fn only_an_exact_field_counts() {
        let right = [field("PER", 0, 2), field("AMT", 3, 5)];
        let tags = ["B-PER", "I-PER", "O", "B-AMT", "O", "O"];
        let found = [field("PER", 0, 2), field("AMT", 3, 4), field("ORG", 3, 5)];
        let mut tally = Tally::default();
        tally.add_fields(&right, tags.iter().enumerate().map(|(at, tag)| (at, Some(*tag))), &found);
        let expected = Tally {
            tokens: 6,
            right_tags: 5,
            fields: 2,
            found_fields: 3,
            right_fields: 1,
            ..Tally::default()
        };
        assert_eq!(tally, expected);
        assert_eq!((tally.precision(), tally.recall(), tally.field_f1()), (1.0 / 3.0, 0.5, 0.4));
    }

    #[test]
    fn no_answer_is_not_right() {
        let mut tally = Tally::default();
        tally.add_class("x", None);
        tally.add_class("x", Some("x"));
        assert_eq!((tally.documents, tally.right_classes, tally.class_accuracy()), (2, 1, 0.5));
    }
}

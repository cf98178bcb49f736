use super::flips::SHOWN_CHARACTERS;
use super::*;
use crate::accept::TaskError;
use lockstep_runtime::tensor::HostTensor;

/// Three labels; in tags, two tokens of two characters each and one that the tokenizer added.
struct Toy {
    kind: Kind,
    labels: Vec<String>,
}

impl Toy {
    fn new(kind: Kind, labels: [&str; 3]) -> Self {
        Self { kind, labels: labels.map(str::to_owned).to_vec() }
    }
}

impl Task for Toy {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn output(&self) -> &str {
        "logits"
    }

    fn inputs(
        &self,
        _documents: &[usize],
    ) -> std::result::Result<Vec<(&'static str, HostTensor)>, TaskError> {
        Ok(Vec::new())
    }

    fn tokens(&self, _document: usize) -> &[Option<(usize, usize)>] {
        &[None, Some((0, 2)), Some((2, 4))]
    }

    /// A field of four characters if the second token begins one and the third continues it.
    fn fields(&self, _document: usize, logits: &[f64]) -> std::result::Result<Vec<Field>, TaskError> {
        let found = logits[4] > 0.0 && logits[8] > 0.0;
        Ok(found.then(|| Field { kind: "PER".into(), start: 0, end: 4 }).into_iter().collect())
    }
}

fn document(label: Option<&str>, fields: Option<Vec<Field>>) -> Document {
    Document { line: 7, text: "abcd".into(), label: label.map(str::to_owned), fields }
}

fn found(comparing: Comparing<'_>) -> Found {
    comparing.found(&Policy::default(), 1.96)
}

#[test]
fn a_flip_has_both_answers_with_their_margins() {
    let toy = Toy::new(Kind::Class, ["x", "y", "z"]);
    let mut comparing = Comparing::new(&toy);
    for _ in 0..2 {
        comparing.add(&document(Some("x"), None), [&[3.0, 1.0, 0.0], &[3.0, 1.25, 0.0]]).unwrap();
    }
    comparing.add(&document(Some("x"), None), [&[1.0, 0.5, 0.0], &[1.0, 1.5, 0.0]]).unwrap();
    comparing.add(&document(Some("y"), None), [&[4.0, 1.0, 0.0], &[0.0, 1.0, 0.0]]).unwrap();
    let found = found(comparing);
    assert_eq!((found.flip_count, found.agreement.unwrap().same), (2, 2));
    let [near, far] = found.flips.as_slice() else { panic!("{:?}", found.flips) };
    assert_eq!((near.trusted.as_deref(), near.candidate.as_deref()), (Some("x"), Some("y")));
    assert_eq!(
        (near.trusted_margin, near.candidate_margin, near.deviation),
        (Some(0.5), Some(0.5), Some(1.0))
    );
    // Usual is 1 (of 0.25, 0.25, 1, 4 the upper median): a margin of 0.5 is within twice that, one of 3 is not.
    assert_eq!((found.similarity.usual_error, near.near_tie, far.near_tie), (1.0, true, false));
    let test = found.mcnemar.unwrap();
    assert_eq!((test.gained, test.lost, found.scores[0].difference_points), (1, 1, 0.0));
}

#[test]
fn an_output_that_is_no_number_is_no_answer() {
    let toy = Toy::new(Kind::Class, ["x", "y", "z"]);
    let mut comparing = Comparing::new(&toy);
    comparing.add(&document(Some("x"), None), [&[3.0, 1.0, 0.0], &[3.0, f64::NAN, 0.0]]).unwrap();
    let found = found(comparing);
    assert_eq!(found.similarity.cosine_percent, None);
    assert_eq!((found.similarity.largest_error, found.similarity.not_finite), (None, [0, 1]));
    assert_eq!((found.flip_count, found.flips[0].candidate.as_deref()), (1, None));
    assert_eq!(found.mcnemar.unwrap().lost, 1);
}

#[test]
fn tags_are_compared_token_by_token_and_fields_whole() {
    let toy = Toy::new(Kind::Tags, ["O", "B-PER", "I-PER"]);
    let mut comparing = Comparing::new(&toy);
    let right = Some(vec![Field { kind: "PER".into(), start: 0, end: 4 }]);
    let all = [9.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    // The added token differs, which is no answer; so does the last one, which is.
    let part = [0.0, 9.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0];
    comparing.add(&document(None, right.clone()), [&all, &part]).unwrap();
    let found = found(comparing);
    let place = TokenPlace { start: 2, end: 4, text: "cd".into() };
    assert_eq!((found.flip_count, found.flips[0].token.as_ref()), (1, Some(&place)));
    assert_eq!(found.flips[0].right.as_deref(), Some("I-PER"));
    let percents = |at: usize| (found.scores[at].trusted_percent, found.scores[at].candidate_percent);
    assert_eq!((percents(0), percents(1)), ((100.0, 50.0), (100.0, 0.0)));
    assert_eq!(found.unknown_labels, 0);
}

#[test]
fn vectors_have_a_similarity_and_no_answers() {
    let toy = Toy::new(Kind::Vector, ["", "", ""]);
    let mut comparing = Comparing::new(&toy);
    comparing.add(&document(Some("x"), None), [&[3.0, 4.0], &[4.0, -3.0]]).unwrap();
    let found = found(comparing);
    assert_eq!(found.similarity.cosine_percent, Some(0.0));
    assert_eq!((found.agreement, found.mcnemar, found.labelled), (None, None, 0));
}

#[test]
fn a_long_text_is_shown_around_the_token() {
    let text: String = ('a'..='z').chain('a'..='z').chain('a'..='z').collect();
    assert_eq!(shortened(&text, 0).chars().count(), SHOWN_CHARACTERS + 1);
    let shown = shortened(&text, 40);
    assert!(shown.starts_with("…q") && shown.ends_with('…'), "{shown}");
    assert_eq!(shortened("a\nb", 0), "a b");
}

#[test]
fn a_class_that_the_model_does_not_know_counts_as_unlabelled() {
    let toy = Toy::new(Kind::Class, ["x", "y", "z"]);
    let mut comparing = Comparing::new(&toy);
    comparing.add(&document(Some("w"), None), [&[3.0, 1.0, 0.0], &[3.0, 1.0, 0.0]]).unwrap();
    let found = found(comparing);
    assert_eq!((found.labelled, found.unknown_labels, found.scores.len()), (0, 1, 0));
}

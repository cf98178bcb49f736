//! Who runs a model, and in which order it was asked for. One model runs once at a time: the documents forbid two
//! streams at once, and say that an error is reported.
//!
//! A run that was asked for earlier on another stream and has not ended when a later one begins was not made to come
//! first: that is the mistake, and it is found whether or not the two meet in time. Runs that an event or a wait puts in
//! order have ended by then.

use crate::meta::executor::Fault;
use crate::runtime::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Our reading of "an error is reported".
const CONCURRENT: i32 = 507_011;

/// The runs of a model that have not ended.
#[derive(Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    given: u64,
    /// The stream's number, if any, by the turn's.
    pending: BTreeMap<u64, Option<i32>>,
    is_over: bool,
}

/// One run, from when it is asked for until it has ended or was given up.
pub(super) struct Turn {
    turns: Arc<Turns>,
    number: u64,
    stream: Option<i32>,
}

impl Turns {
    /// A turn on a stream, or on the calling thread; `None` after [`end`](Self::end).
    pub(super) fn take(self: &Arc<Self>, stream: Option<i32>) -> Option<Turn> {
        let mut state = lock(&self.0);
        if state.is_over {
            return None;
        }
        state.given += 1;
        let number = state.given;
        state.pending.insert(number, stream);
        Some(Turn { turns: self.clone(), number, stream })
    }

    /// Gives no more turns; `false`, and nothing changes, while a run has not ended.
    pub(super) fn end(&self) -> bool {
        let mut state = lock(&self.0);
        state.is_over |= state.pending.is_empty();
        state.is_over
    }
}

impl Turn {
    /// # Errors
    /// 507011 if a run that was asked for earlier, elsewhere, has not ended.
    pub(super) fn begin(&self) -> Result<(), Fault> {
        let state = lock(&self.turns.0);
        let earlier = state.pending.range(..self.number).map(|(_, stream)| *stream);
        let name =
            |stream: Option<i32>| stream.map_or("a synchronous call".to_owned(), |at| format!("stream {at}"));
        match earlier.into_iter().find(|stream| stream.is_none() || *stream != self.stream) {
            None => Ok(()),
            Some(other) => Err(Fault::new(
                CONCURRENT,
                format!(
                    "the same model still runs on {}: one model must not run twice at a time; wait for it, or load the \
                     model twice with one weight memory",
                    name(other)
                ),
            )),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.turns.0).pending.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_stream_take_turns_and_others_collide() {
        let turns = Arc::new(Turns::default());
        let take = |stream| turns.take(stream).expect("not over");
        let (first, same, other) = (take(Some(1)), take(Some(1)), take(Some(2)));
        assert_eq!((first.begin(), same.begin()), (Ok(()), Ok(())));
        assert!(other.begin().expect_err("collides").text.contains("stream 1"));
        drop((first, same));
        assert_eq!(other.begin(), Ok(()));
        // Two synchronous calls are two threads.
        let (call, another) = (take(None), take(None));
        drop(other);
        assert_eq!(call.begin(), Ok(()));
        assert_eq!(another.begin().expect_err("collides").code, CONCURRENT);
        assert!(!turns.end());
        drop((call, another));
        assert!(turns.end() && turns.take(None).is_none());
    }
}

//! Where weights lie: in the model, or in a file of their own where the model would be larger than protobuf allows.

use crate::messages::{EntryProto, TensorProto};
use crate::tensor::{EXTERNAL, code, to_message};
use lockstep_graph::HostTensor;
use std::io::{self, Write};

/// The name of the file with the weights of a model that is too large for one.
pub const WEIGHTS_FILE: &str = "model.weights";

/// Readers of protobuf take messages below 2 GiB; what is not weights takes far less than the rest.
pub(super) const LARGEST_FILE: usize = (2 << 30) - (64 << 20);

/// Tensors below this many bytes, such as shapes, stay in the model, where compilers look at them.
const SMALLEST: usize = 1024;

/// Where a tensor begins in the file, so that it can be mapped: on a page.
const PAGE: usize = 4096;

/// Tensors in another file, in order.
#[derive(Debug, Default)]
pub(super) struct External {
    tensors: Vec<HostTensor>,
}

impl External {
    pub(super) fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    pub(super) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut at = 0usize;
        for tensor in &self.tensors {
            let start = at.next_multiple_of(PAGE);
            stream.write_all(&vec![0; start - at])?;
            stream.write_all(tensor.bytes())?;
            at = start + tensor.bytes().len();
        }
        Ok(())
    }
}

/// Initializers as messages, and those whose elements lie elsewhere.
pub(super) fn placed(
    initializers: Vec<(String, HostTensor)>,
    largest: usize,
) -> (Vec<TensorProto>, External) {
    let whole = initializers.iter().fold(0usize, |sum, (_, tensor)| sum.saturating_add(tensor.bytes().len()));
    let (mut messages, mut external, mut at) = (Vec::new(), External::default(), 0usize);
    for (name, tensor) in initializers {
        let length = tensor.bytes().len();
        if whole <= largest || length < SMALLEST {
            messages.push(to_message(&name, &tensor));
            continue;
        }
        let start = at.next_multiple_of(PAGE);
        let entry = |key: &str, value: String| EntryProto { key: key.to_owned(), value };
        messages.push(TensorProto {
            dims: tensor.shape().iter().map(|&extent| extent as i64).collect(),
            data_type: code(tensor.dtype()),
            name,
            data_location: EXTERNAL,
            external_data: vec![
                entry("location", WEIGHTS_FILE.to_owned()),
                entry("offset", start.to_string()),
                entry("length", length.to_string()),
            ],
            ..TensorProto::default()
        });
        at = start + length;
        external.tensors.push(tensor);
    }
    (messages, external)
}

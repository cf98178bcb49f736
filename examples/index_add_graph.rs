//! Build a graph by hand and run it: sums of rows by group, with `index_add`.
//!
//! In the graph `IndexAdd` gives a new tensor; that the CPU adds in place here, since nothing else reads the zeros, is the
//! planner's affair. `cargo run -p lockstep-examples --example index_add_graph`

use lockstep_cpu::CpuBackend;
use lockstep_runtime::graph::{DType, Dim, GraphBuilder, TensorType};
use lockstep_runtime::{Backend, Session, tensor::HostTensor};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = GraphBuilder::new();
    let rows = Dim::symbol("rows");
    let values = builder.input("values", TensorType::new(DType::F32, [rows.clone(), Dim::from(2)]))?;
    let group = builder.input("group", TensorType::new(DType::I64, [rows]))?;
    let zeros = builder.fill("zeros", DType::F32, 0.0, &[Dim::from(3), Dim::from(2)])?;
    let sums = builder.index_add("sums", 0, zeros, group, values)?;
    builder.output("sums", sums)?;
    let graph = builder.finish()?;

    let session = Session::builder(graph).device(CpuBackend::default().open(0)?).build()?;
    let values = HostTensor::from_slice(&[4, 2], &[1f32, 10., 2., 20., 3., 30., 4., 40.])?;
    let group = HostTensor::from_slice(&[4], &[2i64, 0, 2, 2])?;
    let result = session.run(&[("values", &values), ("group", &group)])?;
    #[allow(clippy::print_stdout)]
    {
        println!("{:?}", result.output("sums")?.as_slice::<f32>()?);
    }

    // An index outside the groups is an error that names it, and nothing is written.
    let outside = HostTensor::from_slice(&[4], &[0i64, 1, 2, 3])?;
    if let Err(error) = session.run(&[("values", &values), ("group", &outside)]) {
        #[allow(clippy::print_stdout)]
        {
            println!("{error}");
        }
    }
    Ok(())
}

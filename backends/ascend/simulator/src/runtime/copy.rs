//! Copies and fills. The direction follows from the pointers; only pinned memory is copied behind the
//! caller's back.

use crate::exports::exports;
use crate::meta::executor::Fault;
use crate::runtime::blocks::{self, Block, Home, Place};
use crate::runtime::context::Context;
use crate::runtime::errors::Failure;
use crate::runtime::stream::{self, Stream};
use crate::runtime::worker::Task;
use crate::runtime::{capture, context, lock, memory};
use core::ffi::c_void;
use lockstep_ascend_abi::{aclrtMemcpyKind, aclrtStream};
use std::sync::Arc;

/// What the device says when a copy's memory is gone.
const DMA_FAULT: i32 = 507_013;

/// One side of a copy.
struct End {
    address: usize,
    kind: Kind,
    block: Option<Arc<Block>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Device,
    Pinned,
    Pageable,
}

impl End {
    /// # Errors
    /// 107000 if `bytes` are not there, or `device` may not reach them.
    fn new(address: usize, bytes: usize, device: i32, name: &str) -> Result<Self, Failure> {
        let wrong = |text: String| Failure::refused(format!("{name}: {text}"));
        match blocks::place(address, bytes) {
            Place::Block(block) => {
                memory::check_reach(device, &block).map_err(wrong)?;
                let kind = if block.home == Home::Host { Kind::Pinned } else { Kind::Device };
                Ok(Self { address, kind, block: Some(block) })
            }
            Place::Registered => Ok(Self { address, kind: Kind::Pinned, block: None }),
            Place::Pageable => Ok(Self { address, kind: Kind::Pageable, block: None }),
            Place::Wrong(text) => Err(wrong(text)),
        }
    }

    /// Keeps its block for the copy.
    fn hold(&self) -> Result<Option<blocks::Use>, Fault> {
        let Some(block) = &self.block else { return Ok(None) };
        let held = blocks::hold(block);
        held.map(Some).ok_or_else(|| {
            Fault::new(DMA_FAULT, format!("the copy's memory, {}, was freed before it ran", block.describe()))
        })
    }
}

/// Rows of bytes, or one row.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    height: usize,
    dst_pitch: usize,
    src_pitch: usize,
}

impl Shape {
    fn row(width: usize) -> Self {
        Self { width, height: 1, dst_pitch: width, src_pitch: width }
    }

    fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Bytes from the first to the last.
    ///
    /// # Errors
    /// 107000 if rows overlap or there are too many.
    fn span(&self, pitch: usize) -> Result<usize, Failure> {
        if self.width > pitch {
            return Err(Failure::refused(format!("width {} is more than pitch {pitch}", self.width)));
        }
        let rows = (self.height - 1).checked_mul(pitch).and_then(|rows| rows.checked_add(self.width));
        rows.ok_or_else(|| Failure::refused("height and pitch are too large"))
    }
}

/// A copy that was checked.
struct Transfer {
    dst: End,
    src: End,
    shape: Shape,
}

impl Transfer {
    fn new(
        dst: *mut c_void,
        src: *const c_void,
        shape: Shape,
        kind: aclrtMemcpyKind,
        device: i32,
    ) -> Result<Self, Failure> {
        if kind.name().is_none() {
            return Err(Failure::refused(format!("kind is {kind:?}")));
        }
        let dst = End::new(dst.expose_provenance(), shape.span(shape.dst_pitch)?, device, "dst")?;
        let src = End::new(src.expose_provenance(), shape.span(shape.src_pitch)?, device, "src")?;
        Ok(Self { dst, src, shape })
    }

    fn run(&self) -> Result<(), Fault> {
        let _held = (self.dst.hold()?, self.src.hold()?);
        let dst: *mut u8 = core::ptr::with_exposed_provenance_mut(self.dst.address);
        let src: *const u8 = core::ptr::with_exposed_provenance(self.src.address);
        for row in 0..self.shape.height {
            // SAFETY: ACL's ranges were checked and are held; of others, C's caller promises that they are
            // valid until the copy is done. Overlap is allowed.
            unsafe {
                core::ptr::copy(
                    src.wrapping_add(row * self.shape.src_pitch),
                    dst.wrapping_add(row * self.shape.dst_pitch),
                    self.shape.width,
                );
            }
        }
        Ok(())
    }

    fn is_pageable(&self) -> bool {
        self.dst.kind == Kind::Pageable || self.src.kind == Kind::Pageable
    }
}

fn check_pointers(dst: *const c_void, src: *const c_void) -> Result<(), Failure> {
    match (dst.is_null(), src.is_null()) {
        (true, _) => Err(Failure::null("dst")),
        (_, true) => Err(Failure::null("src")),
        _ => Ok(()),
    }
}

fn check_count(count: usize, maximum: usize) -> Result<(), Failure> {
    match count > maximum {
        true => Err(Failure::refused(format!("count is {count}, more than the destination's {maximum}"))),
        false => Ok(()),
    }
}

fn synchronous(
    what: &str,
    dst: *mut c_void,
    src: *const c_void,
    shape: Shape,
    kind: aclrtMemcpyKind,
) -> Result<(), Failure> {
    let context = context::current()?;
    capture::refuse_synchronous(what)?;
    if shape.is_empty() {
        return Ok(());
    }
    let transfer = Transfer::new(dst, src, shape, kind, context.device)?;
    transfer.run().map_err(|fault| Failure::new(fault.code, fault.text))
}

fn asynchronous(
    dst: *mut c_void,
    src: *const c_void,
    shape: Shape,
    kind: aclrtMemcpyKind,
    (stream, context): (Arc<Stream>, Arc<Context>),
) -> Result<(), Failure> {
    if shape.is_empty() {
        return Ok(());
    }
    let transfer = Transfer::new(dst, src, shape, kind, context.device)?;
    if transfer.dst.kind != Kind::Device && transfer.src.kind != Kind::Device {
        return Err(Failure::new(207_000, "an asynchronous copy from host to host is not supported"));
    }
    let waits = transfer.is_pageable();
    if waits && let Some(capture) = &*lock(&stream.capture) {
        let text = "a copy with pageable host memory is synchronous, and cannot be captured";
        capture.invalidate(text);
        return Err(Failure::new(107_030, text));
    }
    let run = Arc::new(move || transfer.run());
    let number = stream.submit(Task { name: "aclrtMemcpyAsync", is_unconditional: false, run });
    if waits && let Some(number) = number {
        stream.queue.wait_for(number, None);
    }
    Ok(())
}

/// Bytes of a block, for a fill.
fn filled(dev_ptr: *mut c_void, count: usize, device: i32) -> Result<Option<End>, Failure> {
    if count == 0 {
        return Ok(None);
    }
    let end = End::new(dev_ptr.expose_provenance(), count, device, "devPtr")?;
    match end.kind {
        Kind::Pageable => Err(Failure::refused("devPtr is not memory that ACL allocated or registered")),
        _ => Ok(Some(end)),
    }
}

fn fill(end: &End, value: i32, count: usize) -> Result<(), Fault> {
    let _held = end.hold()?;
    // SAFETY: the range was checked and is held.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(end.address).write_bytes(value as u8, count) };
    Ok(())
}

exports! { runtime;
    fn aclrtMemcpy(
        dst: *mut c_void, dest_max: usize, src: *const c_void, count: usize, kind: aclrtMemcpyKind,
    ) {
        check_pointers(dst, src)?;
        check_count(count, dest_max)?;
        synchronous("aclrtMemcpy", dst, src, Shape::row(count), kind)
    }

    fn aclrtMemcpyAsync(
        dst: *mut c_void, dest_max: usize, src: *const c_void, count: usize, kind: aclrtMemcpyKind,
        stream: aclrtStream,
    ) {
        check_pointers(dst, src)?;
        let stream = stream::resolve(stream)?;
        check_count(count, dest_max)?;
        asynchronous(dst, src, Shape::row(count), kind, stream)
    }

    fn aclrtMemcpy2d(
        dst: *mut c_void, dpitch: usize, src: *const c_void, spitch: usize, width: usize, height: usize,
        kind: aclrtMemcpyKind,
    ) {
        check_pointers(dst, src)?;
        let shape = Shape { width, height, dst_pitch: dpitch, src_pitch: spitch };
        synchronous("aclrtMemcpy2d", dst, src, shape, kind)
    }

    fn aclrtMemcpy2dAsync(
        dst: *mut c_void, dpitch: usize, src: *const c_void, spitch: usize, width: usize, height: usize,
        kind: aclrtMemcpyKind, stream: aclrtStream,
    ) {
        check_pointers(dst, src)?;
        let stream = stream::resolve(stream)?;
        let shape = Shape { width, height, dst_pitch: dpitch, src_pitch: spitch };
        asynchronous(dst, src, shape, kind, stream)
    }

    fn aclrtMemset(dev_ptr: *mut c_void, max_count: usize, value: i32, count: usize) {
        check_pointers(dev_ptr, dev_ptr)?;
        let context = context::current()?;
        capture::refuse_synchronous("aclrtMemset")?;
        check_count(count, max_count)?;
        let Some(end) = filled(dev_ptr, count, context.device)? else { return Ok(()) };
        fill(&end, value, count).map_err(|fault| Failure::new(fault.code, fault.text))
    }

    fn aclrtMemsetAsync(
        dev_ptr: *mut c_void, max_count: usize, value: i32, count: usize, stream: aclrtStream,
    ) {
        check_pointers(dev_ptr, dev_ptr)?;
        let (stream, context) = stream::resolve(stream)?;
        check_count(count, max_count)?;
        let Some(end) = filled(dev_ptr, count, context.device)? else { return Ok(()) };
        let run = Arc::new(move || fill(&end, value, count));
        stream.submit(Task { name: "aclrtMemsetAsync", is_unconditional: false, run });
        Ok(())
    }
}

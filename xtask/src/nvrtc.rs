//! NVRTC through its C interface.

use crate::Outcome;
use crate::sources::Source;
use libloading::Library;
use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

type Program = *mut c_void;

/// The compiler, loaded.
#[derive(Debug)]
pub struct Nvrtc {
    library: Library,
}

/// What a source is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// PTX, for every GPU from sm_80 on.
    Ptx,
    /// Machine code of one architecture, such as `sm_90`.
    Cubin(&'static str),
}

/// The options that all compile with: no contraction of products and sums but where the source says `fmaf`, and the exact
/// divisions, roots and subnormals that are the default.
pub const OPTIONS: &str = "--fmad=false --std=c++17";

/// Whose PTX is committed: a newer compiler's needs a newer driver.
pub const VERSION: (c_int, c_int) = (12, 0);

impl Nvrtc {
    /// Loads the library of that path.
    ///
    /// # Errors
    /// What the loader says, and a library of another version than [`VERSION`].
    pub fn load(path: &Path) -> Outcome<Self> {
        let place = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        // SAFETY: the library's initialisers are its own; it looks for its builtins in its own folder.
        let library = unsafe { Library::new(path) }.map_err(|error| match error.source() {
            Some(reason) => place(&reason),
            None => place(&error),
        })?;
        let nvrtc = Self { library };
        let found = nvrtc.version().map_err(|error| place(&error))?;
        if found != VERSION {
            let (major, minor) = found;
            let expected = format!("expected {}.{}, which the committed PTX is of", VERSION.0, VERSION.1);
            return Err(place(&format!("NVRTC {major}.{minor}, {expected}")).into());
        }
        Ok(nvrtc)
    }

    fn version(&self) -> Outcome<(c_int, c_int)> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the type is that of NVRTC's interface, and both places live through the call.
        unsafe {
            let version =
                self.library.get::<unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int>(b"nvrtcVersion")?;
            self.check(version(&mut major, &mut minor))?;
        }
        Ok((major, minor))
    }

    /// The output of the compiler: PTX text, or a cubin; and what it said.
    ///
    /// # Errors
    /// The compiler's messages.
    pub fn compile(&self, source: &Source, target: Target) -> Outcome<(Vec<u8>, String)> {
        let text = CString::new(source.text.as_str())?;
        let name = CString::new(format!("{}.cu", source.name))?;
        let strings = |values: Vec<&str>| values.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
        let headers = strings(source.headers.iter().map(|(_, text)| text.as_str()).collect())?;
        let names = strings(source.headers.iter().map(|(name, _)| name.as_str()).collect())?;
        let architecture = match target {
            Target::Ptx => "--gpu-architecture=compute_80".to_owned(),
            Target::Cubin(name) => format!("--gpu-architecture={name}"),
        };
        let mut options: Vec<&str> = OPTIONS.split(' ').collect();
        options.push(&architecture);
        if target != Target::Ptx {
            options.push("--ptxas-options=-v");
        }
        let options = strings(options)?;
        let pointers =
            |strings: &[CString]| -> Vec<*const c_char> { strings.iter().map(|s| s.as_ptr()).collect() };
        // SAFETY: the functions have the types of NVRTC's interface; strings and pointers live through the calls; the program
        // is created before it is used and destroyed once, at the end.
        unsafe {
            let mut program: Program = ptr::null_mut();
            let create = self.library.get::<unsafe extern "C" fn(
                *mut Program,
                *const c_char,
                *const c_char,
                c_int,
                *const *const c_char,
                *const *const c_char,
            ) -> c_int>(b"nvrtcCreateProgram")?;
            let (texts, includes) = (pointers(&headers), pointers(&names));
            self.check(create(
                &mut program,
                text.as_ptr(),
                name.as_ptr(),
                texts.len() as c_int,
                texts.as_ptr(),
                includes.as_ptr(),
            ))?;
            let compile =
                self.library.get::<unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int>(
                    b"nvrtcCompileProgram",
                )?;
            let options = pointers(&options);
            let compiled = self.check(compile(program, options.len() as c_int, options.as_ptr()));
            let log = self.read(program, b"nvrtcGetProgramLogSize", b"nvrtcGetProgramLog");
            let log = log.map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned());
            let output = match target {
                Target::Ptx => self.read(program, b"nvrtcGetPTXSize", b"nvrtcGetPTX"),
                Target::Cubin(_) => self.read(program, b"nvrtcGetCUBINSize", b"nvrtcGetCUBIN"),
            };
            let destroy =
                self.library.get::<unsafe extern "C" fn(*mut Program) -> c_int>(b"nvrtcDestroyProgram")?;
            destroy(&mut program);
            let log = log?;
            compiled.map_err(|error| format!("{}.cu: {error}\n{log}", source.name))?;
            let mut output = output?;
            if target == Target::Ptx && output.last() == Some(&0) {
                output.pop();
            }
            Ok((output, log))
        }
    }

    /// What a pair of functions, one for the size and one for the bytes, gives.
    ///
    /// # Safety
    /// The program lives, and the names are of such a pair.
    unsafe fn read(&self, program: Program, size_name: &[u8], name: &[u8]) -> Outcome<Vec<u8>> {
        // SAFETY: the caller's promise; the buffer has the size that the first function gives.
        unsafe {
            let size = self.library.get::<unsafe extern "C" fn(Program, *mut usize) -> c_int>(size_name)?;
            let get = self.library.get::<unsafe extern "C" fn(Program, *mut c_char) -> c_int>(name)?;
            let mut bytes = 0;
            self.check(size(program, &mut bytes))?;
            let mut found = vec![0_u8; bytes];
            self.check(get(program, found.as_mut_ptr().cast()))?;
            Ok(found)
        }
    }

    fn check(&self, code: c_int) -> Outcome<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: gives a static string for every code.
        let text = unsafe {
            let say =
                self.library.get::<unsafe extern "C" fn(c_int) -> *const c_char>(b"nvrtcGetErrorString")?;
            CStr::from_ptr(say(code)).to_string_lossy().into_owned()
        };
        Err(text.into())
    }
}

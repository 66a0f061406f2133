//! The names of one file's code.

use std::{
    fs::File,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    sync::Arc,
};

use blazesym::symbolize::{
    CodeInfo, Input, Symbolized, Symbolizer,
    source::{Elf, Source},
};

use super::{
    chain::{BEGINNING, Before, Call, Known, LONGEST_CALL, call, keeps_frame},
    image::{Image, Segment},
};
use crate::{entry::Native, event::Spot, kernel::symbols::SymbolError};

/// Characters of a name that are kept: what templates are called has no end.
const LONGEST_NAME: usize = 200;
/// Functions inlined into each other that are told.
const MOST_INLINED: usize = 16;

/// A file whose code can be named.
pub(super) struct Names {
    file: File,
    image: Image,
    /// Reads the copy in [`Image`], which it has by its descriptor.
    symbols: Option<(Symbolizer, Source<'static>)>,
}

/// A function at an address.
struct Function {
    /// The innermost of what is inlined there, and the function itself last.
    frames: Vec<(String, Line)>,
    begin: u64,
}

/// A source file and a line in it.
type Line = Option<(Arc<str>, u32)>;

impl Names {
    /// Takes what it needs of the file.
    pub(super) fn of(file: File) -> Result<Self, SymbolError> {
        let image = Image::of(&file)?;
        let symbols = image.copy.as_ref().map(|copy| {
            let mut source = Elf::new(format!("/proc/self/fd/{}", copy.as_raw_fd()));
            source.debug_syms = image.has_lines;
            let symbolizer = Symbolizer::builder()
                .enable_auto_reload(false)
                .enable_code_info(image.has_lines)
                .enable_inlined_fns(image.has_lines)
                .build();
            (symbolizer, Source::Elf(source))
        });
        Ok(Self {
            file,
            image,
            symbols,
        })
    }

    /// Bytes that it holds.
    pub(super) fn size(&self) -> u64 {
        self.image.size
    }

    /// What is known of an address: the one that a thread was at, or else one that it returns to, which
    /// is behind the call that it is at.
    pub(super) fn look_up(&self, spot: &Spot, is_first: bool) -> Known {
        let address = self.address(spot.offset);
        let before = match address {
            Some(address) if !is_first => self.before(spot, address),
            _ => Before::NoCall,
        };
        let at = address.map(|address| if is_first { address } else { address - 1 });
        let nameless = Native {
            file: Some(Arc::clone(&spot.file.path)),
            at: spot.offset,
            ..Native::default()
        };
        match at.and_then(|at| self.function(at)) {
            None => Known {
                frames: vec![nameless],
                begin: None,
                keeps: false,
                before,
            },
            Some(function) => Known {
                begin: self.offset(function.begin),
                keeps: self.keeps_frame(function.begin),
                frames: function
                    .frames
                    .into_iter()
                    .map(|(name, line)| {
                        let (source, line) = line.unzip();
                        Native {
                            function: Some(name.into()),
                            source,
                            line,
                            ..nameless.clone()
                        }
                    })
                    .collect(),
                before,
            },
        }
    }

    /// The call that returns to an address.
    fn before(&self, spot: &Spot, address: u64) -> Before {
        let mut code = [0; LONGEST_CALL];
        let start = spot.offset.checked_sub(LONGEST_CALL as u64);
        let read = start.and_then(|start| self.file.read_exact_at(&mut code, start).ok());
        let call = match (read, self.image.machine) {
            (Some(()), Some(machine)) => call(machine, &code, address),
            _ => None,
        };
        match call {
            None => Before::NoCall,
            Some(Call::Computed) => Before::Call,
            Some(Call::Of(callee)) => self
                .callee(spot, callee)
                .map_or(Before::Call, Before::CallOf),
        }
    }

    fn keeps_frame(&self, begin: u64) -> bool {
        let mut code = [0; BEGINNING];
        let offset = self.offset(begin);
        let read = offset.and_then(|offset| self.file.read_at(&mut code, offset).ok());
        let known = read.zip(self.image.machine);
        known.is_some_and(|(length, machine)| keeps_frame(machine, &code[..length]))
    }

    /// The function that begins at an address.
    fn callee(&self, spot: &Spot, address: u64) -> Option<Native> {
        let function = self.function(address)?;
        let (name, _) = function.frames.into_iter().next_back()?;
        (function.begin == address).then_some(Native {
            file: Some(Arc::clone(&spot.file.path)),
            at: self.offset(address)?,
            function: Some(name.into()),
            ..Native::default()
        })
    }

    fn address(&self, offset: u64) -> Option<u64> {
        let mut segments = self.image.segments.iter();
        segments.find_map(|segment: &Segment| {
            let within = offset.checked_sub(segment.offset)?;
            (within > 0 && within < segment.size).then(|| segment.address.checked_add(within))?
        })
    }

    fn offset(&self, address: u64) -> Option<u64> {
        let mut segments = self.image.segments.iter();
        segments.find_map(|segment: &Segment| {
            let within = address.checked_sub(segment.address)?;
            (within < segment.size).then(|| segment.offset.checked_add(within))?
        })
    }

    /// The function that an address is in, if a symbol says from where to where it goes.
    fn function(&self, address: u64) -> Option<Function> {
        let (symbolizer, source) = self.symbols.as_ref()?;
        let found = symbolizer.symbolize_single(source, Input::VirtOffset(address));
        let Ok(Symbolized::Sym(symbol)) = found else {
            return None;
        };
        let is_within = symbol.size.is_some_and(|size| symbol.offset < size);
        if !is_within || symbol.name.is_empty() {
            return None;
        }
        let inlined = symbol.inlined.iter().rev().take(MOST_INLINED);
        let mut frames: Vec<_> = inlined
            .map(|inner| (shortened(&inner.name), line(inner.code_info.as_ref())))
            .collect();
        frames.push((shortened(&symbol.name), line(symbol.code_info.as_deref())));
        Some(Function {
            frames,
            begin: symbol.addr,
        })
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn line(code: Option<&CodeInfo<'_>>) -> Line {
    let code = code?;
    let path = code.to_path();
    Some((path.to_string_lossy().into(), code.line?))
}

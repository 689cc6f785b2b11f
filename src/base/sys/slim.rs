//! A static program without what the C library would never use: 190 KB less.
//!
//! In glibc's archive a time zone is read with the whole of `scanf`, and a failed assertion is told in the user's language,
//! which takes translations, character sets and the loading of modules. Functions of these names in the program itself are
//! found first, and the archive's stay out: how static programs are linked, and all that the rest of the library calls.

use std::ffi::c_int;

/// Reads by a format of `sscanf`: white space, other characters as they are, `%hu`, `%lx` and `%n` (bytes read so far, not
/// counted). `store` is given the number of the place, the letter that says its width (`h`, `l`, `n`) and the value. The number
/// of values, or -1 when the text ended before the first.
fn scan(text: &[u8], format: &[u8], store: &mut dyn FnMut(usize, u8, u64)) -> c_int {
    let (mut at, mut place, mut count) = (0, 0, 0);
    let mut format = format.iter().copied();
    let blank = |at: &mut usize| {
        while text.get(*at).is_some_and(u8::is_ascii_whitespace) {
            *at += 1;
        }
    };
    while let Some(wanted) = format.next() {
        if wanted.is_ascii_whitespace() {
            blank(&mut at);
            continue;
        }
        if wanted != b'%' {
            if text.get(at) != Some(&wanted) {
                break;
            }
            at += 1;
            continue;
        }
        let letter = format.next().unwrap_or(0);
        if letter == b'n' {
            store(place, b'n', at as u64);
            place += 1;
            continue;
        }
        let radix = match (letter, format.next()) {
            (b'h', Some(b'u')) => 10,
            (b'l', Some(b'x')) => 16,
            _ => break,
        };
        blank(&mut at);
        let digit = |at: usize| char::from(*text.get(at)?).to_digit(radix);
        let Some(mut value) = digit(at).map(u64::from) else {
            break;
        };
        at += 1;
        while let Some(digit) = digit(at) {
            value = value.wrapping_mul(radix.into()).wrapping_add(digit.into());
            at += 1;
        }
        store(place, letter, value);
        (place, count) = (place + 1, count + 1);
    }
    match count == 0 && at == text.len() {
        true => -1,
        false => count,
    }
}

#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64",
    target_feature = "crt-static",
    not(test)
))]
#[allow(
    clippy::cast_possible_truncation,
    reason = "as the C library cuts a number that is too large"
)]
mod instead {
    use super::*;
    use std::ffi::{CStr, c_char, c_void};

    /// As the archive's, which has any number of places: here pointers are handed over in the same way whether a function takes a
    /// fixed number of them or not, and only those that the format names are touched.
    ///
    /// # Safety
    ///
    /// As for `sscanf`; at most six places.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __isoc99_sscanf(
        text: *const c_char,
        format: *const c_char,
        a: *mut c_void,
        b: *mut c_void,
        c: *mut c_void,
        d: *mut c_void,
        e: *mut c_void,
        f: *mut c_void,
    ) -> c_int {
        // SAFETY: both are texts that end in a zero byte, as for `sscanf`.
        let (text, format) = unsafe { (CStr::from_ptr(text), CStr::from_ptr(format)) };
        let places = [a, b, c, d, e, f];
        scan(
            text.to_bytes(),
            format.to_bytes(),
            &mut |n, width, value| {
                let Some(place) = places.get(n) else { return };
                // SAFETY: the caller has a place of this width for each that the format names.
                unsafe {
                    match width {
                        b'h' => place.cast::<u16>().write(value as u16),
                        b'n' => place.cast::<c_int>().write(value as c_int),
                        _ => place.cast::<u64>().write(value),
                    }
                }
            },
        )
    }

    /// The same under its name from glibc 2.38 on.
    ///
    /// # Safety
    ///
    /// As for `sscanf`; at most six places.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __isoc23_sscanf(
        text: *const c_char,
        format: *const c_char,
        a: *mut c_void,
        b: *mut c_void,
        c: *mut c_void,
        d: *mut c_void,
        e: *mut c_void,
        f: *mut c_void,
    ) -> c_int {
        // SAFETY: handed on as it is.
        unsafe { __isoc99_sscanf(text, format, a, b, c, d, e, f) }
    }

    /// A text of the library in the user's language: as it is.
    #[unsafe(no_mangle)]
    extern "C" fn __dcgettext(_: *const c_char, text: *const c_char, _: c_int) -> *const c_char {
        text
    }

    #[unsafe(no_mangle)]
    extern "C" fn dcgettext(_: *const c_char, text: *const c_char, _: c_int) -> *const c_char {
        text
    }

    /// The library found its own memory in disorder: it is told on the error output, and the program ends.
    ///
    /// # Safety
    ///
    /// `what` ends in a zero byte.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __assert_fail(
        what: *const c_char,
        _: *const c_char,
        _: u32,
        _: *const c_char,
    ) -> ! {
        // SAFETY: a text that ends in a zero byte; `write` and `abort` take no other memory.
        unsafe {
            for part in [c"the C library failed: ".as_ptr(), what, c"\n".as_ptr()] {
                libc::write(2, part.cast(), libc::strlen(part));
            }
            libc::abort()
        }
    }

    /// # Safety
    ///
    /// `what` ends in a zero byte.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __assert_fail_base(
        _: *const c_char,
        what: *const c_char,
        file: *const c_char,
        line: u32,
        function: *const c_char,
    ) -> ! {
        // SAFETY: handed on as it is.
        unsafe { __assert_fail(what, file, line, function) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formats of glibc, 2.36 and 2.41: its `tzset` and `pthread_getattr_np`.
    #[test]
    fn what_the_library_reads() {
        let offset = "%hu%n:%hu%n:%hu%n";
        for (text, format, count, want) in [
            ("5:45", offset, 2, "h5 n1 h45 n4"),
            ("5", offset, 1, "h5 n1"),
            ("05:30:15,M3", offset, 3, "h5 n2 h30 n5 h15 n8"),
            ("5:", offset, 1, "h5 n1"),
            ("", offset, -1, ""),
            ("x", offset, 0, ""),
            ("M10.5.0/3", "M%hu.%hu.%hu%n", 3, "h10 h5 h0 n7"),
            ("M10.5", "M%hu.%hu.%hu%n", 2, "h10 h5"),
            ("J60", "M%hu.%hu.%hu%n", 0, ""),
            (
                "7ffc00a0-7ffCFF00 rw-p 0 00:00 0 [stack]\n",
                "%lx-%lx",
                2,
                "l7ffc00a0 l7ffcff00",
            ),
            (" 1f", " %lx", 1, "l1f"),
            ("1", "%d", 0, ""),
        ] {
            let mut got = Vec::new();
            let told = scan(
                text.as_bytes(),
                format.as_bytes(),
                &mut |place, width, value| {
                    assert_eq!(place, got.len());
                    let width = char::from(width);
                    got.push(match width {
                        'l' => format!("{width}{value:x}"),
                        _ => format!("{width}{value}"),
                    });
                },
            );
            assert_eq!((told, got.join(" ").as_str()), (count, want), "{text}");
        }
    }
}

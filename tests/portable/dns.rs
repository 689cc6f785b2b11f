//! A name server that knows one name, on UDP. Every question for another name is answered "no such name".

use std::net::{IpAddr, UdpSocket};

/// Answers on `place` (address and port) for as long as the process lives.
pub fn serve(place: &str, name: &'static str, address: IpAddr) {
    let socket = UdpSocket::bind(place).unwrap_or_else(|e| panic!("name server on {place}: {e}"));
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut question) {
            if let Some(answer) = answer(&question[..n], name, address) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// `None` for what is no question.
fn answer(question: &[u8], name: &str, address: IpAddr) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend(label.bytes());
    }
    wire.push(0);
    let rest = question.get(12..)?;
    let end = rest.iter().position(|&b| b == 0)? + 5;
    let asked = rest.get(..end)?;
    let known = asked[..end - 4].eq_ignore_ascii_case(&wire);
    let (kind, data) = match address {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (28, ip.octets().to_vec()),
    };
    let fits = known && asked[end - 4..end - 2] == [0, kind];
    // Response, recursion desired and available; code 3 for an unknown name.
    let mut out = question[..2].to_vec();
    out.extend([
        0x81,
        if known { 0x80 } else { 0x83 },
        0,
        1,
        0,
        u8::from(fits),
        0,
        0,
        0,
        0,
    ]);
    out.extend(asked);
    if fits {
        // The name of the question, class IN, a minute to live.
        out.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
        out.push(u8::try_from(data.len()).ok()?);
        out.extend(data);
    }
    Some(out)
}

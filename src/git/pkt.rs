//! The framing of git's protocols: [pkt-line](https://git-scm.com/docs/protocol-common#_pkt_line_format)
//! and the side band in it.

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// `0000`: the end of a section.
    Flush,
    /// Content.
    Data(&'a [u8]),
}

/// Bytes that are not frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer is not git's protocol")]
pub(super) struct NotPkt;

/// Appends a frame with content.
///
/// Content is far below the 65,516 bytes that fit, as ours are commands and object ids.
pub(super) fn put(out: &mut Vec<u8>, content: &str) {
    out.extend_from_slice(format!("{:04x}{content}", content.len() + 4).as_bytes());
}

/// Appends a flush.
pub(super) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Takes the first frame off a buffer: its content and how many bytes it took, or `None` when the
/// buffer does not hold a whole frame yet.
pub(super) fn take(buffer: &[u8]) -> Result<Option<(Frame<'_>, usize)>, NotPkt> {
    let Some(prefix) = buffer.get(..4) else { return Ok(None) };
    let digits = std::str::from_utf8(prefix).map_err(|_error| NotPkt)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(NotPkt);
    }
    match usize::from_str_radix(digits, 16) {
        Ok(0) => Ok(Some((Frame::Flush, 4))),
        Ok(length) if length >= 4 => {
            Ok(buffer.get(4..length).map(|content| (Frame::Data(content), length)))
        }
        _ => Err(NotPkt),
    }
}

/// All frames of a complete buffer.
pub(super) fn frames(mut buffer: &[u8]) -> Result<Vec<Frame<'_>>, NotPkt> {
    let mut frames = Vec::new();
    while !buffer.is_empty() {
        let (frame, length) = take(buffer)?.ok_or(NotPkt)?;
        frames.push(frame);
        buffer = &buffer[length..];
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_and_read() {
        let mut out = Vec::new();
        put(&mut out, "want x\n");
        flush(&mut out);
        assert_eq!(out, b"000bwant x\n0000");
        assert_eq!(frames(&out), Ok(vec![Frame::Data(b"want x\n"), Frame::Flush]));
        assert_eq!(take(b"000bwant"), Ok(None));
        assert_eq!(take(b"00"), Ok(None));
        for bad in [&b"zzzz"[..], b"0001", b"+004", b"<htm"] {
            assert_eq!(take(bad), Err(NotPkt), "{bad:?}");
        }
        assert_eq!(frames(b"000bwant"), Err(NotPkt));
    }
}

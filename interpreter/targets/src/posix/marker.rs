//! Finds our own lines in a stream that a login shell's start-up files and a command write to as well.

/// What a line of ours says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The command begins, in this process group since this tick (proc(5), field 22).
    Begin { pid: u32, started: String },
    /// It ended with this status; `recorded` is false when its receipt could not be completed.
    End { status: i32, recorded: bool },
    /// It was not run, because its receipt says that it began before.
    Twice,
    /// It was not run, because somebody asked for its receipt before and was told that it never began.
    Never,
    /// It was not run, because its receipt could not be written.
    Unrecorded,
    /// It was not run, because its shell has no process group of its own.
    NoGroup,
}

/// What a stream consists of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What came before the command: start-up files, sudo's complaints.
    Noise(Vec<u8>),
    /// What the command wrote.
    Data(Vec<u8>),
    /// One of our lines.
    Mark(Mark),
}

/// Takes one stream apart.
pub(crate) struct Demarcator {
    prefix: Vec<u8>,
    pending: Vec<u8>,
    begun: bool,
}

/// Longer than any line of ours.
const LONGEST: usize = 256;

impl Demarcator {
    pub fn new(nonce: &str) -> Self {
        Self { prefix: format!("\u{1e}{nonce}:").into_bytes(), pending: Vec::new(), begun: false }
    }

    /// Takes bytes as they come; gives back what can be told already.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.extend_from_slice(bytes);
        // Everything before `start` is out; everything before `search` is no line of ours.
        let (mut start, mut search) = (0, 0);
        loop {
            let rest = buffer.get(search..).unwrap_or_default();
            let Some(found) = rest.iter().position(|b| *b == 0x1e) else {
                self.emit(buffer.get(start..), &mut pieces);
                start = buffer.len();
                break;
            };
            let at = search + found;
            let rest = buffer.get(at..).unwrap_or_default();
            let known = rest.len().min(self.prefix.len());
            let line_end = rest.iter().take(LONGEST).position(|b| *b == b'\n');
            if rest.get(..known) != self.prefix.get(..known) || (line_end.is_none() && rest.len() > LONGEST) {
                // The byte is the command's own.
                search = at + 1;
                continue;
            }
            self.emit(buffer.get(start..at), &mut pieces);
            start = at;
            let Some(end) = line_end else { break };
            pieces.extend(self.mark(rest.get(..end).unwrap_or_default()).map(Piece::Mark));
            start = at + end + 1;
            search = start;
        }
        self.pending = buffer.split_off(start);
        pieces
    }

    /// What is left when the stream ends.
    pub fn finish(&mut self) -> Option<Piece> {
        let mut pieces = Vec::new();
        let rest = std::mem::take(&mut self.pending);
        self.emit(Some(&rest), &mut pieces);
        pieces.pop()
    }

    fn emit(&self, bytes: Option<&[u8]>, pieces: &mut Vec<Piece>) {
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            let bytes = bytes.to_vec();
            pieces.push(if self.begun { Piece::Data(bytes) } else { Piece::Noise(bytes) });
        }
    }

    fn mark(&mut self, line: &[u8]) -> Option<Mark> {
        let text = std::str::from_utf8(line.get(self.prefix.len()..)?).ok()?;
        let mut fields = text.split(':');
        match (fields.next()?, fields.next()) {
            ("begin", Some(pid)) => {
                self.begun = true;
                Some(Mark::Begin { pid: pid.parse().ok()?, started: fields.next()?.to_owned() })
            }
            ("end", Some(status)) => {
                Some(Mark::End { status: status.parse().ok()?, recorded: fields.next().is_none() })
            }
            ("refused", Some("twice")) => Some(Mark::Twice),
            ("refused", Some("never")) => Some(Mark::Never),
            ("refused", Some("unrecorded")) => Some(Mark::Unrecorded),
            ("refused", Some("group")) => Some(Mark::NoGroup),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the text through in chunks of every size; noise, data and marks must come out the same.
    fn take_apart(text: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, Vec<Mark>) {
        let mut demarcator = Demarcator::new("abc");
        let (mut noise, mut data, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        let pieces: Vec<Piece> = text.chunks(size).flat_map(|chunk| demarcator.feed(chunk)).collect();
        for piece in pieces.into_iter().chain(demarcator.finish()) {
            match piece {
                Piece::Noise(bytes) => noise.extend(bytes),
                Piece::Data(bytes) => data.extend(bytes),
                Piece::Mark(mark) => marks.push(mark),
            }
        }
        (noise, data, marks)
    }

    #[test]
    fn marks_are_found_wherever_the_stream_is_cut() {
        let text = b"motd\x1eabd\n\x1eabc:begin:12:345\nhello\x1e \x1eab no newline\x1eabc:end:143\ntail";
        for size in 1..text.len() {
            let (noise, data, marks) = take_apart(text, size);
            assert_eq!(noise, b"motd\x1eabd\n");
            assert_eq!(data, b"hello\x1e \x1eab no newlinetail");
            let begin = Mark::Begin { pid: 12, started: "345".into() };
            assert_eq!(marks, [begin, Mark::End { status: 143, recorded: true }]);
        }
    }

    #[test]
    fn a_lost_receipt_and_refusals_are_told() {
        let text = b"\x1eabc:refused:twice\n\x1eabc:refused:unrecorded\n\x1eabc:refused:never\n\x1eabc:end:0:unrecorded\n";
        let (_, _, marks) = take_apart(text, 7);
        assert_eq!(
            marks,
            [Mark::Twice, Mark::Unrecorded, Mark::Never, Mark::End { status: 0, recorded: false }]
        );
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut demarcator = Demarcator::new("abc");
        let mut text = b"\x1eabc:".to_vec();
        text.resize(10_000, b'x');
        demarcator.feed(&text);
        assert!(demarcator.pending.len() <= LONGEST);
    }
}

//! Writes log lines beside the work: a bounded queue, and one thread that writes it to standard error.
//!
//! Nobody may be reading standard error: a pipe holds 64 KiB, and then a write blocks. Only the thread of the queue blocks
//! on it. What does not fit into the queue is dropped and counted, and one line says so when the lines flow again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines wait at most.
const MAX_BYTES: usize = 1 << 20;

/// The queue. Clones share it.
#[derive(Debug, Clone)]
pub struct LineQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<QueuedLines>,
    /// A line was queued, or the thread finished one.
    changed: Condvar,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct QueuedLines {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The thread has taken a line and is writing it.
    writing: bool,
    /// How many lines were dropped since the last report.
    unreported: u64,
}

impl LineQueue {
    /// Creates a queue and the thread that writes its lines to `sink`. `report` is called on that thread once lines flow
    /// again after some were dropped, with their number; what it logs is queued like any other line.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        dropped: IntCounter,
        sink: impl Write + Send + 'static,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), dropped };
        let queue = Self(Arc::new(shared));
        let writer = queue.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_lines(sink, report))?;
        Ok(queue)
    }

    fn state(&self) -> MutexGuard<'_, QueuedLines> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line, which ends with a line break. Drops and counts it if there is no room. Never blocks on IO.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.bytes + line.len() > MAX_BYTES {
            state.unreported += 1;
            self.0.dropped.inc();
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        self.0.changed.notify_all();
    }

    /// Waits until every queued line is written, at most `bound`. Returns whether they are.
    pub fn flush(&self, bound: Duration) -> bool {
        let is_pending = |state: &mut QueuedLines| state.writing || !state.lines.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.state(), bound, is_pending);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Returns how many lines were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> &IntCounter {
        &self.0.dropped
    }

    /// Writes lines for as long as the process lives.
    fn write_lines(&self, mut sink: impl Write, report: impl Fn(u64)) {
        loop {
            let line = self.next_line();
            // There is no other place to report a failed write.
            let _ = sink.write_all(&line);
            let dropped = self.finish_line(line.len());
            if dropped > 0 {
                report(dropped);
            }
        }
    }

    fn next_line(&self) -> Vec<u8> {
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.writing = true;
                return line;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a line was written. Returns how many lines are to be reported as dropped: none while others wait.
    fn finish_line(&self, length: usize) -> u64 {
        let mut state = self.state();
        state.writing = false;
        state.bytes -= length;
        self.0.changed.notify_all();
        if state.lines.is_empty() { std::mem::take(&mut state.unreported) } else { 0 }
    }
}

/// Hands each line whole to a [`LineQueue`].
#[derive(Debug)]
pub struct LineWriter(LineQueue);

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LineQueue {
    type Writer = LineWriter;

    fn make_writer(&'w self) -> LineWriter {
        LineWriter(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a line only when the test lets it.
    struct Gate {
        opened: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.opened.recv();
            let _ = self.written.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_takes_are_dropped_and_counted_and_reported_once_they_flow_again() {
        let (open, opened) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        let (reported, reports) = mpsc::channel();
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let report = move |number| reported.send(number).unwrap();
        let queue = LineQueue::start(dropped.clone(), Gate { opened, written }, report).unwrap();
        let line = vec![b'x'; MAX_BYTES / 4];
        for _ in 0..7 {
            queue.push(&line);
        }
        assert_eq!(dropped.get(), 3, "four lines fit, also the one that is being written");
        assert!(!queue.flush(Duration::from_millis(10)), "a flush ends although nobody takes the lines");
        for _ in 0..4 {
            open.send(()).unwrap();
            assert_eq!(lines.recv().unwrap().len(), line.len());
        }
        assert_eq!(reports.recv().unwrap(), 3);
        open.send(()).unwrap();
        queue.push(b"again\n");
        assert_eq!(lines.recv().unwrap(), b"again\n");
        assert!(queue.flush(Duration::from_secs(60)));
        assert!(reports.try_recv().is_err(), "what was reported is not reported again");
        assert_eq!(dropped.get(), 3);
    }
}

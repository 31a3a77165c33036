//! How far a command is, on a terminal: shown once it has taken two seconds, and never where standard error is no terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done sooner shows no progress.
const SHOWN_AFTER: Duration = Duration::from_secs(2);
/// How often the time that has passed is drawn anew.
const TICK: Duration = Duration::from_millis(500);

/// Shows the progress of a command on standard error until it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins something of which `total` parts have to be done, such as 400 checks.
    pub(super) fn of(what: &'static str, total: u64) -> Self {
        Self::begin(what, Some(total), "{msg}: {pos} of {len}, {elapsed} so far, about {eta} to go")
    }

    /// Begins something whose length in bytes is known roughly.
    pub(super) fn of_bytes(what: &'static str, total: u64) -> Self {
        Self::begin(what, Some(total), "{msg}: {binary_bytes} of about {binary_total_bytes}, about {eta} to go")
    }

    /// Begins something of which only the time that it takes can be shown.
    pub(super) fn waiting(what: &'static str) -> Self {
        Self::begin(what, None, "{msg}: {elapsed} so far")
    }

    fn begin(what: &'static str, total: Option<u64>, template: &'static str) -> Self {
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| std::io::stderr().is_terminal());
        let Some(runtime) = runtime else { return Self { bar: None } };
        let bar = bar(what, total, template);
        let shown = bar.clone();
        runtime.spawn(async move {
            tokio::time::sleep(SHOWN_AFTER).await;
            show(&shown, ProgressDrawTarget::stderr());
        });
        Self { bar: Some(bar) }
    }

    /// Returns whether anything will be shown.
    pub(super) const fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// One more part is done.
    pub(super) fn step(&self) {
        self.bar.iter().for_each(|bar| bar.inc(1));
    }

    /// So many parts are done.
    pub(super) fn at(&self, done: u64) {
        self.bar.iter().for_each(|bar| bar.set_position(done));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Returns a bar that is not shown yet. Its estimates count from now.
fn bar(what: &'static str, total: Option<u64>, template: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_message(what);
    // Each template is a constant, and a test draws it.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show(bar: &ProgressBar, target: ProgressDrawTarget) {
    if !bar.is_finished() {
        bar.set_draw_target(target);
        // At once, and not when the thread that ticks gets its first turn.
        bar.force_draw();
        bar.enable_steady_tick(TICK);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal that keeps what is written to it.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn progress_says_what_is_done_how_far_it_is_and_how_long_it_will_take() {
        let paper = Paper::default();
        let shown = bar("checks", Some(400), "{msg}: {pos} of {len}, {elapsed} so far, about {eta} to go");
        shown.inc(100);
        show(&shown, ProgressDrawTarget::term_like(Box::new(paper.clone())));
        let text = paper.0.lock().unwrap().clone();
        assert!(text.contains("checks: 100 of 400") && text.contains("to go"), "{text}");
        shown.finish_and_clear();
    }

    #[test]
    fn what_is_over_before_is_never_shown() {
        let paper = Paper::default();
        let done = bar("copy", Some(1), "{msg}");
        done.finish_and_clear();
        show(&done, ProgressDrawTarget::term_like(Box::new(paper.clone())));
        assert_eq!(*paper.0.lock().unwrap(), "");
    }

    #[tokio::test]
    async fn nothing_is_shown_where_standard_error_is_no_terminal() {
        // The output of a test is captured or is a terminal; both agree with what is shown.
        assert_eq!(Progress::of("checks", 1).is_shown(), io::stderr().is_terminal());
    }
}

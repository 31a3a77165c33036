//! For tests: a dispatcher and its store without sockets or waiting, and all that follows at once from what happens to it.

use meetwatch::clock::{Mono, Now};
use meetwatch::delivery::step::{Command, Core, Input};
use meetwatch::model::EndpointName;
use meetwatch::store::{Claimed, Db};

/// What every such test has, each in its own place.
pub(crate) struct Parts<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) db: &'a mut Db,
    pub(crate) now: Now,
    /// When the dispatcher wants to be woken.
    pub(crate) wake_at: &'a mut Option<Mono>,
}

/// A dispatcher in a world that a test has made up.
pub(crate) trait Stage {
    fn parts(&mut self) -> Parts<'_>;

    /// An attempt is under way from now on; its end is another input.
    fn begin_attempt(&mut self, endpoint: EndpointName, claimed: Claimed);

    /// Whether the store fails this time.
    fn exchange_fails(&mut self) -> bool {
        false
    }

    /// Takes a step, and every step that what came of it calls for.
    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Parts { core, now, wake_at, .. } = self.parts();
            let step = core.step(now, input);
            *wake_at = step.wake_at;
            for command in step.commands {
                match command {
                    Command::Exchange(_) if self.exchange_fails() => inputs.push(Input::ExchangeFailed),
                    Command::Exchange(request) => {
                        let Parts { db, now, .. } = self.parts();
                        inputs.push(Input::Exchanged(db.write(request, now.wall).unwrap()));
                    }
                    Command::Send { endpoint, claimed } => self.begin_attempt(endpoint, *claimed),
                    Command::Note(_) | Command::Turned(_) | Command::Left(_) => {}
                }
            }
        }
    }
}

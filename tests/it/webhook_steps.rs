//! For tests: a dispatcher's step and all that follows from it at once.

use meetwatch::webhook::step::{Command, Input, Step};

/// A dispatcher in a world that a test has made up.
pub(crate) trait Stage {
    /// Has the dispatcher take one step now, and notes when it wants to be woken.
    fn ask(&mut self, input: Input) -> Step;

    /// Does what the dispatcher asks for; returns what it is told of that at once.
    fn obey(&mut self, command: Command) -> Option<Input>;

    /// Takes a step, and every step that what came of it calls for.
    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for command in self.ask(input).commands {
                inputs.extend(self.obey(command));
            }
        }
    }
}

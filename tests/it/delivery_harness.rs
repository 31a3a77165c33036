//! A harness for tests: the dispatcher's core on a store, without sockets and in virtual time.

use meetwatch::clock::{Mono, Now};
use meetwatch::delivery::report::EndpointReport;
use meetwatch::delivery::step::{Core, DispatchCommand, DispatchInput};
use meetwatch::model::EndpointName;
use meetwatch::store::{Claimed, Db};

/// What the harness needs of a test.
pub(crate) struct Parts<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) db: &'a mut Db,
    pub(crate) now: Now,
    /// When to step the dispatcher again.
    pub(crate) wake_at: &'a mut Option<Mono>,
}

/// A test that runs the dispatcher's core.
pub(crate) trait Stage {
    fn parts(&mut self) -> Parts<'_>;

    /// Begins an attempt. The test ends it with another input.
    fn begin_attempt(&mut self, endpoint: EndpointName, claimed: Claimed);

    /// Returns whether the store fails this time.
    fn exchange_fails(&mut self) -> bool {
        false
    }

    /// Takes a report about an endpoint.
    fn reported(&mut self, _: EndpointReport) {}

    /// Steps the core, and carries out the commands until none is left.
    fn step(&mut self, input: DispatchInput) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Parts { core, now, wake_at, .. } = self.parts();
            let step = core.step(now, input);
            *wake_at = step.wake_at;
            for command in step.commands {
                match command {
                    DispatchCommand::Exchange(_) if self.exchange_fails() => inputs.push(DispatchInput::ExchangeFailed),
                    DispatchCommand::Exchange(request) => {
                        let Parts { db, now, .. } = self.parts();
                        inputs.push(DispatchInput::Exchanged(db.write(request, now.wall).unwrap()));
                    }
                    DispatchCommand::Send { endpoint, claimed } => self.begin_attempt(endpoint, *claimed),
                    DispatchCommand::ReportEndpoint(report) => self.reported(report),
                    DispatchCommand::ReportAttempt(_) | DispatchCommand::Forget(_) => {}
                }
            }
        }
    }
}

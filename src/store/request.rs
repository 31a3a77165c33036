//! The write operations of the store, each with the type of its reply.
//!
//! [`WriteRequest`] is the one list of them. [`WriteRequest::new`] pairs an operation with the receiver of its reply. A
//! backend executes a group of requests in one transaction, puts each result into its [`Pending`], and the writer
//! delivers the replies once the transaction is durable.

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::admin::AdminRequest;
use super::clock_check::{ClockCheck, ClockDoubt};
use super::error::WriteError;
use super::forget::ForgetRequest;
use super::outbox::{OutboxReply, OutboxRequest};
use super::prune::{PruneRequest, Pruned};
use super::rows::Commit;

/// A write operation: executed whole, or not at all.
pub trait Operation: std::fmt::Debug + Send + Sized + 'static {
    /// What a successful execution answers.
    type Output: std::fmt::Debug + Send + 'static;

    /// Wraps an operation into the variant of [`WriteRequest`] that is its own.
    fn into_request(pending: Pending<Self>) -> WriteRequest;
}

/// What the writer gets for an operation: the reply, or why nothing was written.
pub type OperationResult<O> = Result<<O as Operation>::Output, WriteError>;

/// An operation on its way through the writer.
#[derive(Debug)]
pub struct Pending<O: Operation> {
    pub operation: O,
    /// The wall clock when the operation was handed over.
    pub now: Timestamp,
    /// Set by the backend; `None` until it executed the operation.
    pub result: Option<OperationResult<O>>,
    caller: oneshot::Sender<OperationResult<O>>,
}

impl<O: Operation> Pending<O> {
    fn deliver(self) {
        if let Some(result) = self.result {
            // The caller may have gone; ignore the send error.
            let _ = self.caller.send(result);
        }
    }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $variant:ident($operation:ty) -> $reply:ty;)+) => {
        /// One write operation with the place of its reply.
        #[derive(Debug)]
        pub enum WriteRequest {
            $($(#[$doc])* $variant(Box<Pending<$operation>>),)+
        }

        $(impl Operation for $operation {
            type Output = $reply;

            fn into_request(pending: Pending<Self>) -> WriteRequest {
                WriteRequest::$variant(Box::new(pending))
            }
        })+

        impl WriteRequest {
            /// Returns why the operation failed; `None` where it succeeded or was not executed yet.
            #[must_use]
            pub fn error(&self) -> Option<&WriteError> {
                match self {
                    $(Self::$variant(pending) => pending.result.as_ref()?.as_ref().err(),)+
                }
            }

            /// Replaces the result with a failure: the transaction that held it was not committed.
            pub fn fail(&mut self, error: &WriteError) {
                match self {
                    $(Self::$variant(pending) => pending.result = Some(Err(error.clone())),)+
                }
            }

            /// Sends the result to the caller. Without a result the caller's receiver is closed.
            pub fn deliver(self) {
                match self {
                    $(Self::$variant(pending) => pending.deliver(),)+
                }
            }
        }
    };
}

requests! {
    /// Writes what an observation found: entities, events, deliveries.
    Commit(Commit) -> ();
    /// One round of the dispatcher with the outbox.
    Exchange(OutboxRequest) -> OutboxReply;
    /// Deletes some of what is older than the retention.
    Prune(PruneRequest) -> Pruned;
    /// Checks whether the wall clock is plausible; `None` if it is.
    CheckClock(ClockCheck) -> Option<ClockDoubt>;
    /// Changes the outbox for an operator or the configuration; answers how many deliveries changed.
    Admin(AdminRequest) -> u64;
    /// One step of forgetting a person.
    Forget(ForgetRequest) -> ();
}

impl WriteRequest {
    /// Pairs an operation with the receiver of its reply.
    #[must_use]
    pub fn new<O: Operation>(operation: O, now: Timestamp) -> (Self, oneshot::Receiver<OperationResult<O>>) {
        let (caller, reply) = oneshot::channel();
        (O::into_request(Pending { operation, now, result: None, caller }), reply)
    }
}

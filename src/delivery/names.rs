//! How much an endpoint learns about who was present.

crate::string_enum! {
    /// How much an endpoint learns about who was present, with the value of the configuration key `names`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub enum Names {
        /// Everything.
        #[default]
        Full = "full",
        /// The initials of the name, and ids that are meaningless elsewhere.
        Initials = "initials",
        /// A pseudonymous name, user and address, the same for the same person, meaningless elsewhere.
        Pseudonym = "pseudonym",
        /// Ids that are meaningless elsewhere.
        None = "none",
    }
}

//! The people of a world, and how a seed generates them.

use fastrand::Rng;

use crate::model::ParticipantKind;

/// The key of a person in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonKey(pub(super) u32);

/// A person, a room device or a telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimPerson {
    pub kind: ParticipantKind,
    /// The name that others see. Guests type it themselves.
    pub display_name: String,
    /// The address of the account, if there is one.
    pub email: Option<String>,
    /// From which source the People API knows the account.
    pub directory: KnownFrom,
    /// The numeric account id. If empty, the world generates one. Ignored unless `kind` is signed in.
    pub account: String,
}

/// From which source the People API knows an account, and so which `sources` a request must name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KnownFrom {
    /// The organizer's own Workspace domain.
    #[default]
    DomainProfile,
    /// A contact that the organizer once wrote to.
    OtherContact,
    /// A profile with a name and no address.
    Profile,
    /// The People API does not know the account: 404.
    Nowhere,
}

impl SimPerson {
    /// A Google account of the organizer's domain.
    #[must_use]
    pub fn signed_in(display_name: &str, email: &str) -> Self {
        Self { email: Some(email.to_owned()), ..Self::of(ParticipantKind::SignedIn, display_name) }
    }

    /// A guest, by the name they typed.
    #[must_use]
    pub fn anonymous(display_name: &str) -> Self {
        Self::of(ParticipantKind::Anonymous, display_name)
    }

    /// A telephone, by its partly hidden number.
    #[must_use]
    pub fn phone(number: &str) -> Self {
        Self::of(ParticipantKind::Phone, number)
    }

    /// A participant of a kind that the API does not document yet: none of the three users is set.
    #[must_use]
    pub fn unknown() -> Self {
        Self::of(ParticipantKind::Unknown, "")
    }

    /// The same person, known from elsewhere.
    #[must_use]
    pub fn known_from(self, directory: KnownFrom) -> Self {
        Self { directory, ..self }
    }

    fn of(kind: ParticipantKind, display_name: &str) -> Self {
        Self {
            kind,
            display_name: display_name.to_owned(),
            email: None,
            directory: KnownFrom::default(),
            account: String::new(),
        }
    }
}

const GIVEN: [&str; 24] = [
    "Ada",
    "Bo",
    "Chiara",
    "Dmitri",
    "Eszter",
    "Fátima",
    "Grace",
    "Håkon",
    "Inés",
    "Jürgen",
    "Kofi",
    "Lê",
    "Malala",
    "Nils",
    "Oluwaseun",
    "Priya",
    "Quentin",
    "Rosalía",
    "Søren",
    "Tomáš",
    "Uma",
    "Víctor",
    "Wren",
    "Zoë",
];
const FAMILY: [&str; 24] = [
    "Lovelace",
    "Andersen",
    "Rossi",
    "Иванов",
    "Kovács",
    "Haddad",
    "Hopper",
    "Ødegård",
    "García",
    "Müller",
    "Mensah",
    "Nguyễn",
    "Yousafzai",
    "O’Brien",
    "Adeyemi",
    "श्रीवास्तव",
    "Lefèvre",
    "Muñoz",
    "Kierkegaard",
    "Dvořák",
    "山田",
    "Ångström",
    "de la Cruz",
    "van der Berg",
];
const GUESTS: [&str; 16] = [
    "Sam (guest)",
    "iPad",
    "José 🎧",
    "Notetaker",
    "田中",
    "مريم",
    "Lena’s phone",
    "anna k",
    "Галя",
    "Consultant",
    "guest",
    "Zürich office",
    // Names that take effect in a destination that does not escape them.
    "<b>Bob</b>",
    "=1+1",
    "<!channel>",
    "Eve \u{202e}evE",
];

/// Returns a generated account: most belong to the organizer's domain, some do not.
pub(super) fn colleague(number: usize, random: &mut Rng) -> SimPerson {
    let given = GIVEN[random.usize(..GIVEN.len())];
    let family = FAMILY[random.usize(..FAMILY.len())];
    let display_name = format!("{given} {family}");
    match random.u32(..100) {
        0..4 => SimPerson { email: None, ..SimPerson::signed_in(&format!("Room {number}"), "") }
            .known_from(KnownFrom::Nowhere),
        4..14 => SimPerson::signed_in(&display_name, &format!("visitor{number}@partner.example.org"))
            .known_from(KnownFrom::OtherContact),
        14..20 => SimPerson { email: None, ..SimPerson::signed_in(&display_name, "") }.known_from(KnownFrom::Profile),
        _ => SimPerson::signed_in(&display_name, &format!("person{number}@example.com")),
    }
}

/// Returns a generated person without an account.
pub(super) fn stranger(random: &mut Rng, unknown_kinds: bool) -> SimPerson {
    match random.u32(..100) {
        0..30 => SimPerson::phone(&format!("+{} ••• •••{:02}", random.u32(1..99), random.u32(..100))),
        30..38 if unknown_kinds => SimPerson::unknown(),
        _ => SimPerson::anonymous(GUESTS[random.usize(..GUESTS.len())]),
    }
}

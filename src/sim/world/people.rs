//! The people of a world, and the cast that a seed makes up.

use fastrand::Rng;

use crate::model::ParticipantKind;

/// Which person. Keys belong to one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonKey(pub(super) u32);

/// Somebody, or a room device, or a telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub kind: ParticipantKind,
    /// What others see. Guests type it themselves.
    pub display_name: String,
    /// The address of the account, for those who have one.
    pub email: Option<String>,
    /// Where the People API knows the account from.
    pub directory: Directory,
    /// The numeric account id. Empty asks the world to make one up; ignored unless `kind` is signed in.
    pub account: String,
}

/// Where the People API knows an account from, and so which `sources` must be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Directory {
    /// The organizer's own Workspace domain.
    #[default]
    DomainProfile,
    /// Somebody the organizer once wrote to.
    OtherContact,
    /// A profile with a name and no address.
    Profile,
    /// Nobody: 404.
    Nowhere,
}

impl Person {
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
    pub fn known_from(self, directory: Directory) -> Self {
        Self { directory, ..self }
    }

    fn of(kind: ParticipantKind, display_name: &str) -> Self {
        Self {
            kind,
            display_name: display_name.to_owned(),
            email: None,
            directory: Directory::default(),
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
    // Names that act, where a sink forgets to escape.
    "<b>Bob</b>",
    "=1+1",
    "<!channel>",
    "Eve \u{202e}evE",
];

/// An account of the seed's cast: most of the organizer's domain, some from outside.
pub(super) fn colleague(number: usize, random: &mut Rng) -> Person {
    let given = GIVEN[random.usize(..GIVEN.len())];
    let family = FAMILY[random.usize(..FAMILY.len())];
    let display_name = format!("{given} {family}");
    match random.u32(..100) {
        0..4 => {
            Person { email: None, ..Person::signed_in(&format!("Room {number}"), "") }.known_from(Directory::Nowhere)
        }
        4..14 => Person::signed_in(&display_name, &format!("visitor{number}@partner.example.org"))
            .known_from(Directory::OtherContact),
        14..20 => Person { email: None, ..Person::signed_in(&display_name, "") }.known_from(Directory::Profile),
        _ => Person::signed_in(&display_name, &format!("person{number}@example.com")),
    }
}

/// Somebody without an account.
pub(super) fn stranger(random: &mut Rng, unknown_kinds: bool) -> Person {
    match random.u32(..100) {
        0..30 => Person::phone(&format!("+{} ••• •••{:02}", random.u32(1..99), random.u32(..100))),
        30..38 if unknown_kinds => Person::unknown(),
        _ => Person::anonymous(GUESTS[random.usize(..GUESTS.len())]),
    }
}

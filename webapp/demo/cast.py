"""Who plays in the sample data: two companies, their people, services and customers."""

from dataclasses import dataclass

from webapp.models.user import Role

PASSWORD = "lockstep-demo"  # noqa: S105 - the demo's, printed at its start


@dataclass(frozen=True)
class Person:
    email: str
    name: str
    role: Role


@dataclass(frozen=True)
class Offer:
    """A service and its event type; `is_on_calcom` False: nobody made one yet."""

    name: str
    slug: str
    minutes: int
    price_cents: int
    is_on_calcom: bool = True


@dataclass(frozen=True)
class Troupe:
    """A company with everything that belongs to it."""

    slug: str
    name: str
    locale: str
    time_zone: str
    currency: str
    people: tuple[Person, ...]
    offers: tuple[Offer, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    customers: int
    bookings_a_day: int
    phone_prefix: str

    @property
    def calcom_email(self) -> str:
        return f"calcom@{self.slug}.test"

    @property
    def api_key(self) -> str:
        return f"cal_demo_{self.slug}"

    @property
    def webhook_token(self) -> str:
        return f"demo-{self.slug}"

    @property
    def webhook_secret(self) -> str:
        return f"demo-secret-{self.slug}"

    @property
    def phone_token(self) -> str:
        return f"demo-{self.slug}"

    @property
    def retell_key(self) -> str:
        return f"key_demo_{self.slug}"


SONNENSCHEIN = Troupe(
    slug="sonnenschein",
    name="Praxis Sonnenschein",
    locale="de",
    time_zone="Europe/Berlin",
    currency="EUR",
    people=(
        Person("admin@sonnenschein.test", "Anna Sonnenschein", Role.ADMIN),
        Person("manager@sonnenschein.test", "Markus Weber", Role.MANAGER),
        Person("staff@sonnenschein.test", "Svenja Klein", Role.STAFF),
    ),
    offers=(
        Offer("Erstgespräch", "erstgespraech", 45, 9000),
        Offer("Behandlung", "behandlung", 30, 6500),
        Offer("Kontrolle", "kontrolle", 15, 3500),
        Offer("Hausbesuch", "hausbesuch", 60, 12000),
        Offer("Telefonberatung", "telefonberatung", 15, 2000, is_on_calcom=False),
    ),
    first_names=(
        "Lena", "Jonas", "Marie", "Paul", "Sophie", "Felix", "Emma", "Lukas", "Hannah",
        "Maximilian", "Ayşe", "Mehmet", "Clara", "Tobias", "Greta", "Anton", "Zoë", "Björn",
        "Ingrid", "Jürgen",
    ),
    last_names=(
        "Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz",
        "Hoffmann", "Yılmaz", "Koch", "Bauer", "Richter", "Klein", "Wolf", "Schröder", "Neumann",
        "Schwarz", "Leutheusser-Schnarrenberger",
    ),
    customers=80,
    bookings_a_day=10,
    phone_prefix="+4930555",
)  # fmt: skip

BLAU = Troupe(
    slug="blau",
    name="Salon Blau",
    locale="en",
    time_zone="Europe/London",
    currency="GBP",
    people=(Person("admin@blau.test", "Beatrice Blau", Role.ADMIN),),
    offers=(
        Offer("Haircut", "haircut", 30, 4200),
        Offer("Colour", "colour", 90, 9500),
        Offer("Beard trim", "beard-trim", 15, 1800),
    ),
    first_names=(
        "Oliver", "Amelia", "George", "Isla", "Noah", "Ava", "Arthur", "Mia", "Leo", "Ivy",
    ),
    last_names=(
        "Smith", "Jones", "Taylor", "Brown", "Williams", "Wilson", "Johnson", "Davies", "Patel",
        "Wright",
    ),
    customers=25,
    bookings_a_day=2,
    phone_prefix="+4420555",
)  # fmt: skip

TROUPES = (SONNENSCHEIN, BLAU)

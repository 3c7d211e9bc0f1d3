"""The settings of access: who may do what, and how people show who they are."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from surefoot.config.section import Location, Names, Section

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those with a public key: none that takes the key of whoever checks, and not `none`."""


class OidcSettings(Section):
    """An identity provider, whose tokens say who somebody is. Without `issuer` there is none."""

    issuer: str | None = Field(
        default=None,
        description="What its tokens call themselves issued by, as `https://login.acme.example`.",
    )
    audience: str | None = Field(
        default=None, description="For whom tokens have to be: the name of this server at the provider."
    )
    jwks_url: str | None = Field(
        default=None, description="Where its keys are; without it what the provider itself says (discovery)."
    )
    algorithms: Names = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description=f"The only algorithms of signatures that are taken, of {', '.join(ALGORITHMS)}.",
    )
    user_claim: str = Field(
        default="sub",
        description="The claim that names the user; `user:` goes before it. One that nobody chooses for himself: of "
        "`email` the provider has to say that it is verified, too.",
    )
    organisation_claim: str | None = Field(
        default=None,
        description="The claim that names the organisation; without it all are of `organisation`. A token that does "
        "not name one, or another one than is recorded here, opens nothing.",
    )
    organisation: str = Field(
        default="", description="The organisation of all whose tokens are not asked for one."
    )
    groups_claim: str | None = Field(
        default="groups", description="The claim with names of groups; `group:` goes before each."
    )
    leeway: float = Field(default=30.0, ge=0, le=300, description="Seconds by which clocks may differ.")
    cache: float = Field(default=3600.0, ge=60, description="Seconds for which the provider's keys are kept.")

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _https(cls, value: str | None) -> str | None:
        is_local = value is not None and value.startswith(("http://127.0.0.1:", "http://localhost:"))
        if value is not None and not value.startswith("https://") and not is_local:
            raise ValueError("an address of https://: whoever can change it on its way says who people are")
        return value

    @field_validator("algorithms")
    @classmethod
    def _with_public_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if other := sorted(set(value) - set(ALGORITHMS)):
            raise ValueError(f"{other[0]!r} is none of {', '.join(ALGORITHMS)}")
        return value

    @model_validator(mode="after")
    def _for_somebody(self) -> OidcSettings:
        if self.issuer is not None and not self.audience:
            raise ValueError(
                "say audience too: a token that is meant for another service must not open this one"
            )
        return self


class AccessSettings(Section):
    """Who may do what. Where only the owner of this machine's account asks, he may do everything."""

    project: str | None = Field(
        default=None, description="The name of this project in scopes; without it that of its folder."
    )
    roles: Mapping[str, Names] = Field(
        default={},
        description="Roles of your own, by the permissions that they have, as "
        '`reviewer = ["dataset:*", "trace:read"]`.',
    )
    confine: bool = Field(
        default=False,
        description="Whether runs outside of `surefoot serve` need an approved version of their flow, too, and are "
        "bounded to what that declares to use.",
    )
    refresh: float = Field(
        default=2.0,
        gt=0,
        le=5,
        description="Seconds after which a process looks again who may do what: that long a token that was revoked "
        "elsewhere may go on working, 5 at most.",
    )
    token_days: float = Field(
        default=90.0, gt=0, description="Days after which a new token ends, if it says nothing."
    )
    heads: Location | None = Field(
        default=None,
        description="Where signed heads of the audit are written: a file to which lines are added, on another disk "
        "than the ledger, or `/dev/stderr` for whoever collects that. They show where the newest rows were cut off.",
    )
    heads_every: int = Field(
        default=100, ge=1, description="After how many rows of the audit a head is signed."
    )

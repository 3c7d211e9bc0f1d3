"""Models: the hook under SDK clients, connections, endpoints and aliases, retries, prices, and the embedded model."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.models.chain.addresses import Addresses as Addresses
    from surefoot.models.chain.answers import ends_in_error as ends_in_error
    from surefoot.models.chain.bounds import Load as Load
    from surefoot.models.chain.bounds import capped as capped
    from surefoot.models.chain.connections import Connection as Connection
    from surefoot.models.chain.connections import Credential as Credential
    from surefoot.models.chain.connections import Opened as Opened
    from surefoot.models.chain.connections import Target as Target
    from surefoot.models.chain.connections import available as available
    from surefoot.models.chain.connections import connection_of as connection_of
    from surefoot.models.chain.connections import names_by_address as names_by_address
    from surefoot.models.chain.connections import resolve as resolve
    from surefoot.models.chain.endpoints import PLACEHOLDER_KEY as PLACEHOLDER_KEY
    from surefoot.models.chain.endpoints import CallTarget as CallTarget
    from surefoot.models.chain.endpoints import Endpoint as Endpoint
    from surefoot.models.chain.endpoints import Endpoints as Endpoints
    from surefoot.models.chain.endpoints import Policy as Policy
    from surefoot.models.chain.endpoints import Route as Route
    from surefoot.models.chain.endpoints import policy as policy
    from surefoot.models.chain.guarding import CallGuard as CallGuard
    from surefoot.models.chain.guarding import Guards as Guards
    from surefoot.models.chain.limits import Admission as Admission
    from surefoot.models.chain.limits import Breakers as Breakers
    from surefoot.models.chain.limits import Budgets as Budgets
    from surefoot.models.chain.prices import Price as Price
    from surefoot.models.chain.prices import PriceList as PriceList
    from surefoot.models.chain.prices import rates_of as rates_of
    from surefoot.models.chain.retries import Retries as Retries
    from surefoot.models.chain.retry_budget import RetryBudget as RetryBudget
    from surefoot.models.chain.stated import Stated as Stated
    from surefoot.models.chain.stated import stated_target as stated_target
    from surefoot.models.chain.vendors import KEY_VARIABLES as KEY_VARIABLES
    from surefoot.models.chain.vendors import VENDORS as VENDORS
    from surefoot.models.chain.weighing import Weight as Weight
    from surefoot.models.chain.weighing import weigh as weigh
    from surefoot.models.fakes import Cassette as Cassette
    from surefoot.models.fakes import ModelRequest as ModelRequest
    from surefoot.models.fakes import RecordedCall as RecordedCall
    from surefoot.models.fakes import Recording as Recording
    from surefoot.models.fakes import Script as Script
    from surefoot.models.fakes import cassettes as cassettes
    from surefoot.models.fakes import readable as readable
    from surefoot.models.fakes import recorded as recorded
    from surefoot.models.fakes import scripted as scripted
    from surefoot.models.generating.answering import Escalation as Escalation
    from surefoot.models.generating.apart import asked_apart as asked_apart
    from surefoot.models.generating.checks import Agreement as Agreement
    from surefoot.models.generating.checks import Confidence as Confidence
    from surefoot.models.generating.checks import Judge as Judge
    from surefoot.models.generating.choices import Call as Call
    from surefoot.models.generating.choices import Fallback as Fallback
    from surefoot.models.generating.embedding import embed as embed
    from surefoot.models.generating.estimating import TokenEstimate as TokenEstimate
    from surefoot.models.generating.estimating import estimated as estimated
    from surefoot.models.generating.generate import Reply as Reply
    from surefoot.models.generating.generate import generate as generate
    from surefoot.models.generating.prompting import Template as Template
    from surefoot.models.generating.prompting import templates as templates
    from surefoot.models.generating.router import Router as Router
    from surefoot.models.generating.tiers import Tier as Tier
    from surefoot.models.generating.tiers import Tiered as Tiered
    from surefoot.models.generating.trials import Trial as Trial
    from surefoot.models.generating.trials import trying as trying
    from surefoot.models.generating.using import Using as Using
    from surefoot.models.sdk.clients import ClientSettings as ClientSettings
    from surefoot.models.sdk.clients import build_client as build_client
    from surefoot.models.sdk.clients import client_settings as client_settings
    from surefoot.models.sdk.clients import is_client as is_client
    from surefoot.models.sdk.clients import is_client_class as is_client_class
    from surefoot.models.sdk.clients import provider_of as provider_of
    from surefoot.models.sdk.forwarding import SPOKEN as SPOKEN
    from surefoot.models.sdk.forwarding import Forwarded as Forwarded
    from surefoot.models.sdk.forwarding import Spoken as Spoken
    from surefoot.models.sdk.forwarding import forward as forward
    from surefoot.models.sdk.forwarding import is_over as is_over
    from surefoot.models.sdk.forwarding import speaking as speaking
    from surefoot.models.sdk.hook import install as install
    from surefoot.models.sdk.hook import is_installed as is_installed
    from surefoot.models.sdk.hook import uninstall as uninstall
    from surefoot.models.sdk.wrapped import autolog as autolog
    from surefoot.models.sdk.wrapped import http_client as http_client
    from surefoot.models.sdk.wrapped import wrap as wrap
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "chain.answers": ["ends_in_error"],
            "chain.bounds": ["Load", "capped"],
            "chain.addresses": ["Addresses"],
            "chain.connections": [
                "Connection",
                "Credential",
                "Opened",
                "Target",
                "available",
                "connection_of",
                "names_by_address",
                "resolve",
            ],
            "chain.endpoints": [
                "PLACEHOLDER_KEY",
                "CallTarget",
                "Endpoint",
                "Endpoints",
                "Policy",
                "Route",
                "policy",
            ],
            "chain.guarding": ["CallGuard", "Guards"],
            "chain.limits": ["Admission", "Breakers", "Budgets"],
            "chain.prices": ["Price", "PriceList", "rates_of"],
            "chain.retries": ["Retries"],
            "chain.retry_budget": ["RetryBudget"],
            "chain.stated": ["Stated", "stated_target"],
            "chain.vendors": ["KEY_VARIABLES", "VENDORS"],
            "chain.weighing": ["Weight", "weigh"],
            "fakes": [
                "Cassette",
                "ModelRequest",
                "RecordedCall",
                "Recording",
                "Script",
                "cassettes",
                "readable",
                "recorded",
                "scripted",
            ],
            "generating.answering": ["Escalation"],
            "generating.apart": ["asked_apart"],
            "generating.checks": ["Agreement", "Confidence", "Judge"],
            "generating.choices": ["Call", "Fallback"],
            "generating.embedding": ["embed"],
            "generating.estimating": ["TokenEstimate", "estimated"],
            "generating.generate": ["Reply", "generate"],
            "generating.prompting": ["Template", "templates"],
            "generating.router": ["Router"],
            "generating.tiers": ["Tier", "Tiered"],
            "generating.trials": ["Trial", "trying"],
            "generating.using": ["Using"],
            "sdk.clients": [
                "ClientSettings",
                "build_client",
                "client_settings",
                "is_client",
                "is_client_class",
                "provider_of",
            ],
            "sdk.forwarding": ["SPOKEN", "Forwarded", "Spoken", "forward", "is_over", "speaking"],
            "sdk.hook": ["install", "is_installed", "uninstall"],
            "sdk.wrapped": ["autolog", "http_client", "wrap"],
        },
    )

"""Keys of vendors by the forms that they document: a beginning that ordinary text does not have, and the rest."""

from __future__ import annotations

import re

from surefoot.guards.privacy.rule import LEFT, SECRET, Rule

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# What is behind the beginning has no end that is looked for: a key in a sentence is followed by a full stop.
_FORMS: dict[str, tuple[str, str]] = {
    # Models
    "openai": ("sk-", r"[A-Za-z0-9_-]{20,}"),
    "openai-long": (r"sk-(?:proj|svcacct|admin|ant)-", r"[A-Za-z0-9_-]{20,}"),
    "huggingface": ("hf_", r"[A-Za-z0-9]{30,}"),
    "huggingface-org": ("api_org_", r"[A-Za-z0-9]{30,}"),
    "groq": ("gsk_", r"[A-Za-z0-9]{40,}"),
    "xai": ("xai-", r"[A-Za-z0-9]{60,}"),
    "perplexity": ("pplx-", r"[A-Za-z0-9]{40,}"),
    "cerebras": ("csk-", r"[a-z0-9]{40,}"),
    "nvidia": ("nvapi-", r"[A-Za-z0-9_-]{60,}"),
    "together": ("tgp_v1_", r"[A-Za-z0-9_-]{40,}"),
    "fireworks": ("fw_", r"[A-Za-z0-9]{22,}"),
    "replicate": ("r8_", r"[A-Za-z0-9]{37,}"),
    "elevenlabs": ("sk_", r"[0-9a-f]{48}"),
    "voyage": ("pa-", r"[A-Za-z0-9_-]{43}"),
    "jina": ("jina_", r"[A-Za-z0-9_-]{40,}"),
    "tavily": ("tvly-", r"[A-Za-z0-9-]{20,}"),
    "firecrawl": ("fc-", r"[0-9a-f]{32}"),
    "pinecone": ("pcsk_", r"[A-Za-z0-9_]{40,}"),
    "langsmith": ("lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    "wandb": ("wandb_v1_", r"[A-Za-z0-9_-]{40,}"),
    # Clouds
    "aws": (r"(?:AKIA|ASIA|ABIA|ACCA)", r"[0-9A-Z]{16}"),
    "aws-bedrock": ("ABSK", r"[A-Za-z0-9+/]{100,}={0,2}"),
    "google": ("AIza", r"[A-Za-z0-9_-]{35}"),
    "google-oauth": (r"ya29\.", r"[A-Za-z0-9_-]{20,}"),
    "google-client": ("GOCSPX-", r"[A-Za-z0-9_-]{24,}"),
    "google-refresh": ("1//0", r"[A-Za-z0-9_-]{30,}"),
    "azure-client": (r"[A-Za-z0-9_~.]{3}[0-9]Q~", r"[A-Za-z0-9_~.-]{31,34}"),
    "azure-storage": ("AccountKey=", r"[A-Za-z0-9+/]{40,}={0,2}"),
    "azure-sas": ("sig=", r"[A-Za-z0-9%+/_-]{40,}(?:={1,2}|%3[dD])?"),
    "alibaba": ("LTAI", r"[A-Za-z0-9]{12,26}"),
    "tencent": ("AKID", r"[A-Za-z0-9]{28,40}"),
    "yandex": ("AQVN", r"[A-Za-z0-9_-]{35,}"),
    "digitalocean": (r"do[opr]_v1_", r"[0-9a-f]{64}"),
    "heroku": ("HRKU-", r"[A-Za-z0-9_-]{36,}"),
    "fly": (r"(?:fo1_|fm1[ar]_|fm2_)", r"[A-Za-z0-9+/_-]{40,}={0,3}"),
    "vercel": (r"(?:vercel_blob_rw_|vc[pirak]_)", r"[A-Za-z0-9_]{24,}"),
    "netlify": (r"nf[pcoub]_", r"[A-Za-z0-9]{36,}"),
    "supabase": (r"(?:sbp_|sb_secret_)", r"[A-Za-z0-9_-]{20,}"),
    "neon": ("napi_", r"[a-z0-9]{40,}"),
    "planetscale": (r"pscale_(?:tkn|pw|oauth)_", r"[A-Za-z0-9_.=-]{30,}"),
    "databricks": ("dapi", r"[0-9a-f]{32}(?:-[0-9])?"),
    "cloudflare": (r"v1\.0-", r"[0-9a-f]{24}-[0-9a-f]{100,}"),
    "scaleway": ("tk-us-", r"[A-Za-z0-9_-]{48}"),
    "tailscale": ("tskey-", r"[a-z]+-[A-Za-z0-9]{8,}-[A-Za-z0-9]{16,}"),
    "yandex-iam": (r"t1\.", r"[A-Za-z0-9_-]{30,}\.[A-Za-z0-9_-]{60,}"),
    # Where secrets are kept
    "vault": (r"hv[sbr]\.", r"[A-Za-z0-9_-]{24,}"),
    "terraform": (r"[A-Za-z0-9]{14}\.atlasv1\.", r"[A-Za-z0-9_=-]{60,}"),
    "pulumi": ("pul-", r"[0-9a-f]{40}"),
    "doppler": (r"dp\.(?:ct|pt|sa|scim|st|audit)\.", r"[A-Za-z0-9_.-]{40,}"),
    "1password": ("ops_eyJ", r"[A-Za-z0-9+/_-]{100,}={0,3}"),
    "age": ("AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),
    # Code and what is built of it
    "github": (r"gh[oprsu]_", r"[A-Za-z0-9]{36,}"),
    "github-fine": ("github_pat_", r"[A-Za-z0-9_]{22,}"),
    "gitlab": (r"(?:glpat|gldt|glrt|glcbt|glptt|glft|glsoat|glimt|glagent|gloas)-", r"[A-Za-z0-9_.-]{20,}"),
    "gitlab-runner": ("GR1348941", r"[A-Za-z0-9_-]{20,}"),
    "bitbucket": ("ATBB", r"[A-Za-z0-9_=-]{28,}"),
    "atlassian": (r"AT[AC]TT3", r"[A-Za-z0-9_=-]{60,}"),
    "npm": ("npm_", r"[A-Za-z0-9]{36,}"),
    "pypi": ("pypi-", r"AgE[A-Za-z0-9_-]{40,}"),
    "rubygems": ("rubygems_", r"[0-9a-f]{48}"),
    "crates": ("cio", r"[A-Za-z0-9]{32}"),
    "nuget": ("oy2", r"[a-z0-9]{43}"),
    "clojars": ("CLOJARS_", r"[0-9a-z]{60}"),
    "docker": (r"dckr_[op]at_", r"[A-Za-z0-9_-]{20,}"),
    "artifactory": ("AKCp", r"[A-Za-z0-9]{60,}"),
    "circleci": (r"CCI(?:PAT|PRJ)_", r"[A-Za-z0-9_]{30,}"),
    "buildkite": (r"bk[a-z]{1,2}_", r"[0-9a-f]{40}"),
    "sonar": (r"sq[apu]_", r"[0-9a-f]{40}"),
    "sourcegraph": ("sgp_", r"(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}"),
    "prefect": (r"pn[bu]_", r"[A-Za-z0-9]{36}"),
    "postman": ("PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    "readme": ("rdme_", r"[a-z0-9]{70}"),
    # Watching
    "sentry": (r"sntry[su]_", r"[A-Za-z0-9+/=_-]{40,}"),
    "newrelic": (r"NR(?:AK|JS|II|IQ)-", r"[A-Za-z0-9_-]{19,}"),
    "grafana": (r"glsa_", r"[A-Za-z0-9]{32}_[0-9a-fA-F]{8}"),
    "grafana-cloud": ("glc_", r"[A-Za-z0-9+/]{32,}={0,3}"),
    "dynatrace": (r"dt0[a-z][0-9]{2}\.", r"[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    "honeycomb": (r"hc[abcx](?:ik|mk|lk)_", r"[a-z0-9]{50,}"),
    # Ours: tokens of `surefoot serve`
    "surefoot": ("sft_", r"[0-9A-Za-z]{49}"),
    # Money
    "stripe": (r"[rs]k_(?:live|test|prod)_", r"[A-Za-z0-9]{16,}"),
    "webhook": ("whsec_", r"[A-Za-z0-9+/]{24,}={0,2}"),
    "square": (r"(?:sq0[a-z]{3}-|EAAA)", r"[A-Za-z0-9_-]{22,}"),
    "braintree": (r"access_token\$(?:production|sandbox)\$", r"[0-9a-z]{16}\$[0-9a-f]{32}"),
    "plaid": (r"access-(?:sandbox|development|production)-", _UUID),
    "razorpay": (r"rzp_(?:live|test)_", r"[A-Za-z0-9]{14,}"),
    "flutterwave": (r"FLWSECK(?:_TEST)?-", r"[0-9A-Za-z]{12,}(?:-X)?"),
    "shopify": (r"shp(?:at|ca|pa|ss)_", r"[0-9a-fA-F]{32}"),
    "easypost": (r"EZ[AT]K", r"[A-Za-z0-9]{54}"),
    "shippo": (r"shippo_(?:live|test)_", r"[0-9a-f]{40}"),
    "duffel": (r"duffel_(?:live|test)_", r"[A-Za-z0-9_=-]{43}"),
    # Messages
    "slack": (r"xox[abceoprs](?:\.xox[bp])?-", r"[A-Za-z0-9-]{10,}"),
    "slack-app": (r"xapp-", r"[0-9]-[A-Z0-9]{6,}-[0-9]+-[a-zA-Z0-9]{16,}"),
    "slack-hook": (r"hooks\.slack\.com/(?:services|workflows|triggers)/", r"[A-Za-z0-9/+_-]{30,}"),
    "discord-hook": (r"discord(?:app)?\.com/api/webhooks/", r"[0-9]{16,20}/[A-Za-z0-9_-]{40,}"),
    "discord": (r"[MNO][A-Za-z0-9_-]{23,25}\.", r"[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"),
    "telegram": (r"[0-9]{8,10}:AA", r"[A-Za-z0-9_-]{32,}"),
    "twilio": ("SK", r"[0-9a-f]{32}"),
    "sendgrid": (r"SG\.", r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "mailgun": (r"(?:key|pubkey)-", r"[0-9a-f]{32}"),
    "mailchimp": (r"[0-9a-f]{32}-us", r"[0-9]{1,2}"),
    "brevo": ("xkeysib-", r"[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    "resend": ("re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    "teams-hook": (r"webhook\.office\.com/webhookb2/", r"[A-Za-z0-9@/-]{60,}"),
    # Work
    "linear": (r"lin_(?:api|oauth)_", r"[A-Za-z0-9]{40,}"),
    "notion": ("ntn_", r"[A-Za-z0-9]{40,}"),
    "notion-old": ("secret_", r"[A-Za-z0-9]{43}"),
    "airtable": (r"pat[A-Za-z0-9]{14}\.", r"[0-9a-f]{64}"),
    "figma": (r"fig[dour]h?_", r"[A-Za-z0-9_-]{40,}"),
    "dropbox": (r"sl\.", r"[A-Za-z0-9_-]{100,}"),
    "typeform": ("tfp_", r"[A-Za-z0-9_.-]{40,}"),
    "contentful": ("CFPAT-", r"[A-Za-z0-9_-]{43}"),
    "hubspot": (r"pat-(?:na|eu|ap)[0-9]-", _UUID),
    "launchdarkly": (r"(?:api|sdk|mob)-", _UUID),
    "mapbox": (r"sk\.eyJ", r"[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{16,}"),
    "facebook": ("EAA", r"[A-Za-z0-9]{80,}"),
    "twitter": ("AAAAAAAAAAAAAAAAAAAA", r"[A-Za-z0-9%]{30,}"),
    "adafruit": ("aio_", r"[A-Za-z0-9]{28}"),
    "frameio": ("fio-u-", r"[A-Za-z0-9_=-]{64}"),
}

# Beginnings that stand in ordinary text too: a digit in the first so many signs, as random keys have, tells them apart.
_COMMON = {"openai", "voyage", "crates", "nuget", "azure-sas", "facebook", "teams-hook", "tavily", "slack"}


_DIGIT = re.compile("[0-9]")


def _has_digit(text: str) -> int:
    return len(text) if _DIGIT.search(text) else 0


def _has_variety(text: str) -> int:
    """A run of one letter, or a name of several words, is no key."""
    if _DIGIT.search(text):
        return len(text)
    words = text[3:].replace("_", "-").split("-")
    longest = max(words, key=len)
    has_mixed = longest != longest.lower() and longest != longest.upper()
    return len(text) if has_mixed and len(longest) >= 16 else 0


# A beginning that is letters may stand right behind a number.
_BESIDE = r"(?:^|[^A-Za-z]|\\[nrtbf])"

_UNMISTAKABLE = {"openai-long", "github", "github-fine"}
"""Beginnings that are found wherever they stand, also right behind a letter."""


def _beside(name: str, begin: str) -> str:
    if name in _UNMISTAKABLE:
        return ""
    return LEFT if begin[0] == "[" else _BESIDE


VENDORS: tuple[Rule, ...] = tuple(
    Rule(
        SECRET,
        name,
        f"{begin}[A-Za-z0-9_-]" if name != "twilio" else "SK[0-9a-f]{4}",
        f"{_beside(name, begin)}({begin}{rest})",
        (_has_variety if name == "openai" else _has_digit) if name in _COMMON else None,
    )
    for name, (begin, rest) in _FORMS.items()
)
"""One rule for each form."""

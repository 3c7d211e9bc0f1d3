"""What child processes see of the environment: what they need to run, and no key of anybody's."""

from __future__ import annotations

import os
from collections.abc import Mapping

_NEEDED = frozenset(
    (
        *(
            "PATH",
            "HOME",
            "LANG",
            "LANGUAGE",
            "TZ",
            "TMPDIR",
            "TEMP",
            "TMP",
            "USER",
            "LOGNAME",
            "SHELL",
            "TERM",
        ),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT"),
        *(
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "SOURCE_DATE_EPOCH",
            "COVERAGE_PROCESS_START",
        ),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    )
)
_FAMILIES = ("LC_", "PYTHON", "GGML_")
# An installer has settings of its own, among them where it finds packages and by which proxy.
_OF_INSTALLERS = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_", "CURL_CA_", "GIT_SSL_")
_PROXIES = frozenset(("http_proxy", "https_proxy", "no_proxy", "all_proxy", "netrc"))


def child_environment(*, is_installer: bool = False, **more: str) -> dict[str, str]:
    """The variables for a child process: those of an allow-list, and `more`.

    is_installer: those of pip, uv and proxies too, which may hold a credential of an index of packages.
    """
    given: Mapping[str, str] = os.environ
    families = (*_FAMILIES, *_OF_INSTALLERS) if is_installer else _FAMILIES
    kept = {
        name: value
        for name, value in given.items()
        if name in _NEEDED or name.startswith(families) or (is_installer and name.lower() in _PROXIES)
    }
    return kept | more

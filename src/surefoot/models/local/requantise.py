"""The language model's weights from Q4_1 to Q8_0, once: from the larger form a CPU reads prompts much faster."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from surefoot.errors import ModelUnavailable
from surefoot.models.local.weights import SMOLLM2, cache_folder, locate, require

# llama.cpp's number for "mostly Q8_0" in the metadata key general.file_type.
_FILE_TYPE_Q8_0 = 7
# Derived by the writer itself, or given to its constructor.
_WRITTEN_ANYWAY = frozenset({"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture"})

Progress = Callable[[int, int], None]
"""Called with the number of tensors that are done, and of all."""


def model_path(*, progress: Progress | None = None) -> Path:
    """The embedded language model as Q8_0, made from the installed file at first use (some seconds, 145 MB).

    Raises `MissingExtra` if the weights are not installed, `ModelUnavailable` if the cache folder cannot hold
    them.
    """
    source = locate(SMOLLM2)
    target = cache_folder() / f"smollm2-135m-instruct.Q8_0.{SMOLLM2.sha256[:12]}.gguf"
    return requantise(source, target, progress=progress)


def requantise(source: Path, target: Path, *, progress: Progress | None = None) -> Path:
    """Write `source` to `target` with its Q4_1 tensors as Q8_0; all else stays. Returns `target`.

    A target that exists is kept. It appears whole or not at all, also after a crash, and processes that ask at
    once wait for the one that writes. Raises `ModelUnavailable` if it cannot be written.
    """
    if target.exists():
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(target.name + ".lock")):
            if not target.exists():
                try:
                    _convert(source, part, progress)
                    part.replace(target)
                finally:
                    with suppress(OSError):
                        part.unlink(missing_ok=True)
    except OSError as error:
        raise ModelUnavailable(_explain(error, target)) from error
    return target


def _explain(error: OSError, target: Path) -> str:
    what = f"the embedded model could not be prepared at {target}: {error.strerror or error}"
    # numpy reports a short write without a number.
    if error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{what}; it needs about 145 MB: free some space, or set SUREFOOT_CACHE to a folder that has it"
        )
    return f"{what}; set SUREFOOT_CACHE to a folder that can be written"


@contextmanager
def _locked(path: Path) -> Generator[None]:
    import fcntl

    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert(source: Path, part: Path, progress: Progress | None) -> None:
    gguf = require("gguf")
    quants = require("gguf.quants")
    before, after = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(part, reader.fields["general.architecture"].contents())
    try:
        writer.data_alignment = reader.alignment
        _copy_metadata(gguf, reader, writer)
        for tensor in reader.tensors:
            _announce(gguf, writer, tensor, after if tensor.tensor_type == before else tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, tensor in enumerate(reader.tensors, start=1):
            data = tensor.data
            if tensor.tensor_type == before:
                data = quants.quantize(quants.dequantize(data, before), after)
            writer.write_tensor_data(data)
            if progress is not None:
                progress(done, len(reader.tensors))
        writer.flush()
        # Renamed before its data is on the disk, the file could be whole in name only after a power cut.
        for file in writer.fout:
            os.fsync(file.fileno())
    finally:
        writer.close()


def _copy_metadata(gguf: Any, reader: Any, writer: Any) -> None:
    for field in reader.fields.values():
        if field.name in _WRITTEN_ANYWAY:
            continue
        is_array = field.types[0] == gguf.GGUFValueType.ARRAY
        value = _FILE_TYPE_Q8_0 if field.name == "general.file_type" else field.contents()
        writer.add_key_value(field.name, value, field.types[0], field.types[-1] if is_array else None)


def _announce(gguf: Any, writer: Any, tensor: Any, kind: Any) -> None:
    import numpy as np

    # A GGUF shape has the fastest-changing dimension first, numpy has it last.
    shape = tuple(int(n) for n in reversed(tensor.shape))
    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        writer.add_tensor_info(tensor.name, shape, tensor.data.dtype, tensor.data.nbytes)
        return
    block, size = gguf.GGML_QUANT_SIZES[kind]
    row_bytes = (*shape[:-1], shape[-1] // block * size)
    writer.add_tensor_info(
        tensor.name, row_bytes, np.dtype(np.uint8), int(np.prod(row_bytes)), raw_dtype=kind
    )

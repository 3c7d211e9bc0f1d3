"""Q4_1 to Q8_0 on a small file of the same make: what changes, what stays, and that half a file is never seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from surefoot.errors import ModelUnavailable
from surefoot.models.local.requantise import requantise

Q4_1 = gguf.GGMLQuantizationType.Q4_1
Q8_0 = gguf.GGMLQuantizationType.Q8_0
TOKENS = ["<s>", "</s>", "ü", "日本"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.gguf"
    chance = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("general.file_type", 3)
    writer.add_string("tokenizer.chat_template", "{{ messages }}\n")
    writer.add_array("tokenizer.ggml.tokens", TOKENS)
    writer.add_array("tokenizer.ggml.token_type", [3, 3, 1, 1])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_float32("llama.rope.freq_base", 100000.0)
    for name, kind in (("a.weight", Q4_1), ("b.weight", Q8_0), ("c.weight", Q4_1)):
        values = chance.normal(size=(48, 256)).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("norm.weight", chance.normal(size=(256,)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(path: Path) -> dict[str, gguf.ReaderTensor]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def metadata(path: Path) -> dict[str, object]:
    return {field.name: field.contents() for field in gguf.GGUFReader(path).fields.values()}


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_q4_1_tensors_become_q8_0_and_keep_their_values(source: Path, tmp_path: Path) -> None:
    before, after = tensors(source), tensors(requantise(source, tmp_path / "target.gguf"))
    assert list(after) == list(before)
    assert {name: tensor.tensor_type.name for name, tensor in after.items()} == {
        "a.weight": "Q8_0",
        "b.weight": "Q8_0",
        "c.weight": "Q8_0",
        "norm.weight": "F32",
    }
    for name in ("a.weight", "c.weight"):
        was = gguf.quants.dequantize(before[name].data, Q4_1)
        now = gguf.quants.dequantize(after[name].data, Q8_0)
        assert now.shape == was.shape
        # Q8_0 has 127 steps from zero to the largest value of a block of 32 and rounds to the nearest; the width
        # of a step is a half-precision number, itself rounded by up to 1 in 2048.
        largest = np.abs(was).reshape(48, 8, 32).max(axis=2, keepdims=True)
        assert (np.abs(now - was).reshape(48, 8, 32) <= largest * (0.5 / 127 + 1 / 2048)).all()


def test_other_tensors_and_all_metadata_but_the_file_type_stay(source: Path, tmp_path: Path) -> None:
    target = requantise(source, tmp_path / "target.gguf")
    before, after = tensors(source), tensors(target)
    for name in ("b.weight", "norm.weight"):
        assert after[name].data.tobytes() == before[name].data.tobytes()
        assert after[name].shape.tolist() == before[name].shape.tolist()
    assert metadata(target) == {**metadata(source), "general.file_type": 7}
    assert metadata(target)["tokenizer.ggml.tokens"] == TOKENS


def test_a_target_that_exists_is_kept_and_progress_is_told_of_work_only(source: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    target = requantise(
        source, tmp_path / "new" / "target.gguf", progress=lambda done, of: told.append((done, of))
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    first = target.stat()
    requantise(source, target, progress=lambda done, of: told.append((done, of)))
    assert len(told) == 4
    assert target.stat() == first


def test_two_processes_at_once_do_the_work_once(source: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from surefoot.models.local.requantise import requantise\n"
        "requantise(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda done, of: print(done))"
    )
    both = [child(code, source, tmp_path / "target.gguf") for _ in range(2)]
    outputs = sorted(one.communicate(timeout=60) for one in both)
    assert outputs == [("", ""), ("1\n2\n3\n4\n", "")]


def test_a_process_that_is_killed_leaves_no_file_that_looks_whole(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    code = (
        "import os, signal, sys; from pathlib import Path; from surefoot.models.local.requantise import requantise\n"
        "requantise(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    killed = child(code, source, target)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    assert not target.exists()
    assert set(tensors(requantise(source, target))) == {"a.weight", "b.weight", "c.weight", "norm.weight"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "source.gguf",
        "target.gguf",
        "target.gguf.lock",
    ]


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from surefoot.errors import ModelUnavailable\n"
        "from surefoot.models.local.requantise import requantise\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: requantise(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except ModelUnavailable as error: print(error)"
    )
    output, errors = child(code, source, tmp_path / "target.gguf").communicate(timeout=60)
    assert "free some space, or set SUREFOOT_CACHE" in output, errors
    assert str(tmp_path / "target.gguf") in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.gguf", "target.gguf.lock"]


def test_a_cache_folder_that_cannot_be_made_is_a_clear_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="set SUREFOOT_CACHE to a folder that can be written"):
        requantise(source, tmp_path / "file" / "target.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "source.gguf"]

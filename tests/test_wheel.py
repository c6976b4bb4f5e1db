"""The built extension: what it asks of the machine that loads it."""

import importlib.util
import re
import shutil
import subprocess

import pytest

needs_readelf = pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
# Of torch, only what its CPU build also has; CUDA's runtime is inside.
ALLOWED = re.compile(r"libtorch_cpu\.so|lib(stdc\+\+|m|c|gcc_s|dl|rt|pthread)\.so\.\d+|ld-linux.*")


def dynamic_section():
    spec = importlib.util.find_spec("fastsynth._C")
    assert spec and spec.origin
    done = subprocess.run(["readelf", "-dW", "--dyn-syms", spec.origin], capture_output=True, text=True, check=True)
    return spec.origin, done.stdout


@needs_readelf
def test_it_needs_nothing_that_a_cpu_only_torch_lacks():
    origin, text = dynamic_section()
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    assert origin.endswith(".abi3.so") and "libtorch_cpu.so" in needed
    assert [name for name in needed if not ALLOWED.fullmatch(name)] == []
    assert "RPATH" not in text and "RUNPATH" not in text


@needs_readelf
def test_it_keeps_to_the_stable_abis():
    """CPython's limited API, by the few functions that are used, and torch's C shim: nothing of libtorch's C++."""
    _, text = dynamic_section()
    undefined = re.findall(r" UND (\S+?)(?:@\S+)?(?: |$)", text, re.M)
    python = {name for name in undefined if name.startswith(("Py", "_Py"))}
    assert python == {"PyModule_Create2", "PyUnicode_FromStringAndSize"}
    assert [name for name in undefined if re.search(r"_ZN?K?\d*(2at|3c10|5torch)", name)] == []
    assert any(name.startswith("torch_") or name.startswith("aoti_torch_") for name in undefined)

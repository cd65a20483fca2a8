"""Precisions where a processor has no instructions for it."""

import logging

import torch

from mutdet.proposals import precision
from mutdet.proposals.precision import arithmetic, computed_dtype

CPU = torch.device("cpu")


def product(precision):
    with arithmetic(precision, CPU):
        return torch.ones(2, 3) @ torch.full((3, 2), 1.0 + 2**-12)


def test_arithmetic_is_that_asked_for(bfloat16_is_computed):
    assert product("bfloat16").dtype == torch.bfloat16
    assert product("float32").dtype == torch.float32
    assert [computed_dtype(name, "cuda") for name in ("float32", "bfloat16", "float16")] == [torch.float32, torch.bfloat16, torch.float16]


def test_a_processor_without_bfloat16_computes_float32_and_the_log_says_so_once(no_bfloat16, caplog):
    caplog.set_level(logging.WARNING, "mutdet")
    for _ in range(2):
        assert torch.equal(product("bfloat16"), product("float32"))
    assert [record.message.split(":")[0] for record in caplog.records] == ["precision bfloat16 is computed in float32"]
    assert torch.backends.cpu.get_cpu_capability() in caplog.text


def test_a_graphics_card_is_not_the_processor(no_bfloat16):
    assert computed_dtype("bfloat16", "cuda") == torch.bfloat16


def test_the_answer_is_that_of_the_library_that_computes(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not precision._processor_computes_bfloat16()

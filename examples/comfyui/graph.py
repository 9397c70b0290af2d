"""Reads from the graph of nodes what made an image: its prompt, model and settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Nodes by id, as ComfyUI hands them to a node that asks for PROMPT. An input is a value or a link, [id, output].
Graph = dict[str, Any]

# Inputs by which a sampler is told what to draw, the surest first.
_CONDITIONING = ("positive", "guider", "conditioning")
_TEXTS = ("text", "prompt", "text_g", "t5xxl", "clip_l")
_MODELS = ("ckpt_name", "unet_name", "model_name")
_SETTINGS = {
    "seed": ("seed", "noise_seed"),
    "steps": ("steps",),
    "cfg": ("cfg",),
    "sampler_name": ("sampler_name",),
    "scheduler": ("scheduler",),
}
# Inputs that lead to no prompt, or to the wrong one.
_NO_PROMPT = re.compile("negative|model|clip|vae|control_net|image|pixels|latent")
_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)$", re.IGNORECASE)


@dataclass(frozen=True)
class Origin:
    """What is known of how an image was made; empty where the graph does not tell."""

    prompt: str
    #: The file it was loaded from, without folders and extension.
    model: str
    settings: dict[str, Any]


def origin(graph: Graph, saver: str) -> Origin:
    """What made the image that arrives at the node `saver`."""
    # The sampler farthest upstream began the image; those after it refine or enlarge.
    samplers = [node for node in _upstream(graph, saver) if _conditioning(graph[node])]
    if not samplers:
        return Origin("", "", {})
    sampler = samplers[-1]
    prompt = _find(graph, _conditioning(graph[sampler]), _TEXTS, lambda name: not _NO_PROMPT.search(name))
    model = _find(graph, sampler, _MODELS, lambda name: name.startswith(("model", "guider", "unet")))
    settings = {name: _find(graph, sampler, inputs) for name, inputs in _SETTINGS.items()}
    return Origin(
        str(prompt or "").strip(),
        _MODEL_FILE.sub("", re.split(r"[/\\]", str(model or ""))[-1]),
        {name: value for name, value in settings.items() if value is not None},
    )


def _is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _conditioning(node: dict[str, Any]) -> str:
    """The node that tells a sampler what to draw; empty where the node is no sampler."""
    links = [node["inputs"].get(name) for name in _CONDITIONING if "sampler" in node["class_type"].lower()]
    return next((link[0] for link in links if _is_link(link)), "")


def _upstream(graph: Graph, start: str, follow: Callable[[str], bool] = lambda _: True) -> Iterator[str]:
    """The node and those that feed it, the nearest first, through the inputs that may be followed."""
    found = [start]
    for node in found:
        if node not in graph:
            continue
        yield node
        for name, value in graph[node]["inputs"].items():
            if _is_link(value) and follow(name) and value[0] not in found:
                found.append(value[0])


def _find(graph: Graph, start: str, names: tuple[str, ...], follow: Callable[[str], bool] = lambda _: True) -> Any:
    """The nearest value of an input with one of these names."""
    for node in _upstream(graph, start, follow):
        for name in names:
            value = graph[node]["inputs"].get(name)
            if _is_link(value):
                # Comes from a node that may hold nothing else.
                value = _find(graph, value[0], (*names, "value"), follow)
            if isinstance(value, str | int | float):
                return value
    return None

"""Writes down how an image was made, in the form of A1111 that most programs read, to be put into its file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: A1111's names for what parameters call otherwise, in its order.
_NAMES = {
    "Steps": ("steps", "num_inference_steps"),
    "Sampler": ("sampler", "sampler_name"),
    "Schedule type": ("scheduler",),
    "CFG scale": ("cfg", "cfg_scale", "guidance_scale"),
    "Seed": ("seed", "noise_seed"),
}
_KNOWN = {name for names in _NAMES.values() for name in names}
_ELSEWHERE = {"negative_prompt", "width", "height", "prompt", "model"}
#: Longer ones are no settings.
_MAX_VALUE_CHARS = 256


def generation_text(prompt: str, model: str, parameters_json: str) -> str:
    """Returns prompt, negative prompt, and a line of settings; empty where there is nothing to tell."""
    parameters = _object(parameters_json)
    settings = [*_settings(parameters)]
    if settings and model:
        settings.append(("Model", model))
    negative = parameters.get("negative_prompt")
    lines = [
        prompt,
        f"Negative prompt: {negative}" if isinstance(negative, str) and negative else "",
        ", ".join(f"{name}: {_quoted(value)}" for name, value in settings),
    ]
    return "\n".join(line for line in lines if line)


def _object(text: str) -> Mapping[str, Any]:
    try:
        parameters = json.loads(text or "{}")
    except ValueError:
        # The daemon says so.
        return {}
    return parameters if isinstance(parameters, dict) else {}


def _settings(parameters: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, ours in _NAMES.items():
        if (value := next((parameters[key] for key in ours if _is_setting(parameters.get(key))), None)) is not None:
            yield name, value
    if all(isinstance(parameters.get(side), int) for side in ("width", "height")):
        yield "Size", f"{parameters['width']}x{parameters['height']}"
    for name, value in parameters.items():
        if name not in _KNOWN | _ELSEWHERE and _is_setting(value):
            yield name, value


def _is_setting(value: object) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= _MAX_VALUE_CHARS


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text

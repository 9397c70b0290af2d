"""As much of ComfyUI as a node pack sees: loads it, and runs its saving node as the end of a real workflow.

Usage: comfyui_host.py PACK TEMP; each line of stdin is {"file": PATH, "inputs": {…}}, an image that ComfyUI saved and the
node's own inputs; each line of stdout is what the node gave to the
page, or {"error": …}.
"""

import importlib.util
import json
import sys
import types

import numpy as np
from PIL import Image

pack, temp = sys.argv[1:]
CLASS = "SaveImageToImageStorage"


class Tensor:
    """What the node uses of a torch.Tensor."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __iter__(self):
        return map(Tensor, self.array)

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> np.ndarray:
        return self.array


def module(name: str, **members: object) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


def load_pack() -> types.ModuleType:
    # As ComfyUI does: named by its path, with __init__.py as its beginning.
    spec = importlib.util.spec_from_file_location(pack.replace(".", "_x_"), f"{pack}/__init__.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def run(node_class: type, file: str, inputs: dict) -> dict:
    image = Image.open(file)
    graph = json.loads(image.text["prompt"])
    workflow = json.loads(image.text["workflow"])
    kinds = {node["class_type"]: node_id for node_id, node in graph.items()}
    node_id = kinds.get("SaveImage") or kinds["PreviewImage"]
    graph[node_id]["class_type"] = CLASS
    known = {"PROMPT": graph, "EXTRA_PNGINFO": {"workflow": workflow}}
    hidden = {name: known[kind] for name, kind in node_class.INPUT_TYPES()["hidden"].items()}
    pixels = Tensor(np.asarray(image.convert("RGB"), dtype=np.float32)[np.newaxis] / 255)
    try:
        return getattr(node_class(), node_class.FUNCTION)(images=pixels, **inputs, **hidden)
    except Exception as error:
        return {"error": str(error)}


module("folder_paths", get_temp_directory=lambda: temp)
module("comfy")
module("comfy.cli_args", args=types.SimpleNamespace(disable_metadata=False))
node_class = load_pack().NODE_CLASS_MAPPINGS[CLASS]
assert node_class.OUTPUT_NODE
for line in sys.stdin:
    print(json.dumps(run(node_class, **json.loads(line))), flush=True)

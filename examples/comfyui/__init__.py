"""The node pack as ComfyUI loads it from custom_nodes."""

from .save_image import SaveImageToImageStorage

NODE_CLASS_MAPPINGS = {"SaveImageToImageStorage": SaveImageToImageStorage}
NODE_DISPLAY_NAME_MAPPINGS = {"SaveImageToImageStorage": "Save Image (ImageStorage)"}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

"""The built-in pack: its manifest. Importing it imports no node.

NAME      what its kinds begin with
TITLE     what a person calls it
NODES     the modules with its nodes, in palette order
HOOKS     what else the runtime may ask of it, as "module:function"
FILES     files that come with it: kind of file → name → path inside this folder
"""

NAME = "core"
TITLE = "Latent Loom"
NODES = (
    "nodes.checkpoint",
    "nodes.quantized",
    "nodes.lora",
    "nodes.text",
    "nodes.language",
    "nodes.reference",
    "nodes.conditioning",
    "nodes.latent",
    "nodes.latent_file",
    "nodes.sigmas",
    "nodes.model_options",
    "nodes.speed",
    "nodes.placement",
    "nodes.sampler",
    "nodes.vae",
    "nodes.image_file",
    "nodes.image",
    "nodes.mask",
    "nodes.primitive",
    "nodes.strings",
    "nodes.logic",
)
HOOKS = {
    "machine": "nodes.machine:machine",
    "tensors": "nodes.machine:TensorFile",
    "read_workflow": "nodes.parameters_text:read_workflow",
    "inspect": "nodes.models.family:inspect",
    "starter": "nodes.workflows:starter",
}
STARTERS = {f"starter/{name}": f"models/starter/{name}" for name in ("flux1", "auraflow", "lumina", "flux2")}
FILES = {
    **dict.fromkeys(("checkpoint", "model", "text_encoder", "vae"), STARTERS),  # each has all of them
    "workflow": {
        name: f"workflows/{name}.json"
        for name in ("starter", "img2img", "inpaint", "two_prompts", "again", "auraflow", "lumina", "flux2", "edit")
    },
}

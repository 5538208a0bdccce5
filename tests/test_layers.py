"""Imports run downward only: read from the source itself, so that one inside a function counts too."""

import ast
from pathlib import Path

import srgan

ROOT = Path(srgan.__file__).parent

ALLOWED = {
    "errors": set(),
    "atomic": {"errors"},
    "memory": set(),
    "threads": set(),
    "weights": {"errors"},
    "image": {"errors", "atomic", "threads"},
    "models": {"errors", "atomic", "weights"},
    "losses": {"errors", "image", "models"},
    "metrics": {"errors", "image", "models"},
    "data": {"errors", "atomic", "threads", "image"},
    "perceptual": {"errors", "atomic", "models", "metrics"},
    "training": {"errors", "atomic", "memory", "weights", "image", "models", "losses", "metrics", "data", "perceptual"},
    "inference": {"errors", "atomic", "threads", "weights", "image"},
    "inference.torch": {"errors", "threads", "weights", "image", "models"},
    "bulk": {"errors", "atomic", "threads", "weights", "image", "inference"},
    "web": {"errors", "memory", "weights", "image", "inference"},
    "evaluation": {"errors", "atomic", "threads", "weights", "image", "metrics", "data", "inference"},
    "export": {"errors", "atomic", "weights", "models", "training", "inference"},
}
"""What a layer may import, beside itself and what is above the tree (__init__, cli and so on: anything)."""

TORCH_FREE = ("errors", "atomic", "memory", "threads", "weights", "image", "inference", "bulk", "web")
HEAVY = {"torch", "safetensors", "onnx"}


def modules() -> dict[str, Path]:
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(module: str) -> str:
    return module if module in ALLOWED else module.split(".")[0]


def test_imports_run_downward_only() -> None:
    wrong = []
    for module, path in modules().items():
        own = layer(module)
        if own not in ALLOWED:
            continue
        allowed = ALLOWED[own] | {own, own.split(".")[0], "__version__"}
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "srgan" and len(parts) > 1 and parts[1] not in allowed:
                wrong.append(f"{module} imports {name}")

    assert wrong == []


def test_what_upscales_names_no_torch_but_in_the_torch_runtime() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in modules().items()
        if module.split(".")[0] in TORCH_FREE and module not in ("inference.torch", "inference.runtime")
        for name in imports(path)
        if name.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_the_choice_of_a_runtime_imports_torch_in_one_function_alone() -> None:
    tree = ast.parse(modules()["inference.runtime"].read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    naming = [
        function.name
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import) and node.names[0].name == "torch"
    ]
    assert naming == ["_torch_has_cuda"]
    assert not [node for node in tree.body if isinstance(node, ast.Import) and node.names[0].name == "torch"]


def test_every_layer_of_the_table_exists() -> None:
    tops = {module.split(".")[0] for module in modules()}
    assert {name.split(".")[0] for name in ALLOWED} <= tops


def test_no_module_imports_what_imports_it() -> None:
    known = {module.removesuffix(".__init__"): path for module, path in modules().items() if module != "__init__"}
    names = {module: {name.removeprefix("srgan.") for name in imports(path)} for module, path in known.items()}
    needs = {
        module: {part for name in wanted for part in (name, name.rpartition(".")[0]) if part in known} - {module}
        for module, wanted in names.items()
    }
    assert "inference.network" in needs["inference.windows"]
    while free := {module for module, others in needs.items() if not others & needs.keys()}:
        needs = {module: others for module, others in needs.items() if module not in free}
    assert needs == {}

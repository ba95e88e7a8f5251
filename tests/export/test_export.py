"""Models taken away: every format gives the network's logits, elsewhere too."""

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from safetensors import safe_open
from torch import nn

import scalesearch as package
from scalesearch.cli import main
from scalesearch.export import Exported, ExportOptions, export
from scalesearch.export.check import compare, example_images
from scalesearch.export.python import class_name, python_source
from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.blocks import build_network
from scalesearch.networks.blocks.blocks import BLOCKS
from scalesearch.networks.blocks.init import INITS
from scalesearch.networks.files import dump_model, find_model
from scalesearch.networks.models import build_model
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.zoo import find
from tests.cli.test_cli import refused
from tests.conftest import Command
from tests.networks.test_weights import golden, shapes

ROOT = Path(__file__).parents[2]
MEMBER = "results/reference/efficientnet-first-version-2x/family/efficientnet_b0_phi1.yaml"
# maps above 32 px take torch's kernels in eval mode, smaller ones those of nets/fast.py
EXPORTED = {
    "efficientnet_b0": 96,
    "resnet50": 128,
    "mobilenet_v2": 64,
    str(ROOT / MEMBER): 64,
}


def exported(model: str, folder: Path, *formats: str, **options: Any) -> Exported:
    """A model's files in that folder, and what the export says of them."""
    return export(ExportOptions(model, formats, folder, **options))


Away = Callable[[str], tuple[Path, Exported]]


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Away:
    """A function of a model: the folder that it was exported to in every format, and what of it."""
    formats = ("onnx", "pt2", "safetensors", "python")

    @cache
    def folder(model: str) -> tuple[Path, Exported]:
        path = tmp_path_factory.mktemp("away")
        return path, exported(model, path, *formats, resolution=EXPORTED[model])

    return folder


@torch.no_grad()
@pytest.mark.xdist_group("away")
@pytest.mark.parametrize("model", EXPORTED, ids=lambda name: Path(name).stem)
def test_an_export_gives_the_logits_of_the_network(model: str, away: Away) -> None:
    (folder, said), px, name = away(model), EXPORTED[model], Path(model).stem
    network = package.build(str(folder)).eval()
    images = example_images(3, px, 9)
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
    for n in (1, 3, 8):  # three is neither of the batches that the export itself looked at
        logits = network(images[9 - n :]).numpy()
        assert 0.1 < np.abs(logits).max() < 10, "logits of which 1e-4 says something"
        (found,) = session.run(None, {"images": images[9 - n :].numpy()})
        np.testing.assert_allclose(found, logits, rtol=0, atol=1e-4)
    assert all(check.difference <= 1e-4 for check in said.checked.values())
    for format in ("onnx", "pt2", "safetensors", "py"):
        card = (folder / f"{name}.{format}.md").read_text()
        for words in (f"{said.flops:,}", "multiply-adds", f"{px} px", "nothing was trained"):
            assert words in card
        assert "Tan & Le" in card or "He et al." in card or "Sandler" in card
        assert ("Scaled from efficientnet_b0 by depth" in card) == (model == str(ROOT / MEMBER))
    assert "onnxruntime 1." in (folder / f"{name}.onnx.md").read_text()


ELSEWHERE = """
import importlib, sys
sys.modules["scalesearch"] = None  # importing it is an error
import numpy, torch, safetensors.torch
torch.set_num_threads(1)
for folder, name, kind in zip(*[iter(sys.argv[1:])] * 3):
    sys.path.insert(0, folder)
    images = torch.from_numpy(numpy.load(f"{folder}/images.npy"))
    network = getattr(importlib.import_module(name), kind)().eval()
    network.load_state_dict(safetensors.torch.load_file(f"{folder}/{name}.safetensors"))
    program = torch.export.load(f"{folder}/{name}.pt2").module()
    with torch.no_grad():
        numpy.save(f"{folder}/py.npy", network(images).numpy())
        numpy.save(f"{folder}/pt2.npy", program(images).numpy())
"""


@torch.no_grad()
@pytest.mark.xdist_group("away")
def test_exports_work_where_there_is_no_scalesearch(away: Away) -> None:
    arguments = []
    for model, px in EXPORTED.items():
        folder, name = away(model)[0], Path(model).stem
        np.save(folder / "images.npy", example_images(3, px, 9).numpy())
        arguments += [str(folder), name, class_name(find_model(model))]
    command = [sys.executable, "-I", "-c", ELSEWHERE, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for model, px in EXPORTED.items():
        folder = away(model)[0]
        logits = package.build(str(folder)).eval()(example_images(3, px, 9)).numpy()
        for format in ("py", "pt2"):
            found = np.load(folder / f"{format}.npy")
            np.testing.assert_allclose(found, logits, rtol=0, atol=1e-4)


SMALL = {
    **{name: (0.25, 0) for name in ("googlenet", "mobilenet_v1", "resnext50_32x4d")},
    **{name: (0.25, 0) for name in ("efficientnet_v2_b0", "resnet18", "mobilenet_v2")},
    **{name: (0.125, 0) for name in ("alexnet", "vgg11", "vgg11_bn")},
    "inception_v3": (0.25, 107),
    "lenet5": (1.0, 0),
}


# what only auxiliary heads have in the zoo, in an arch whose name is a class's of the package
POOLS = Arch(
    name="even pool",
    resolution=32,
    stem=(Stage(block="conv", width=8),),
    stages=(Stage(block="even_pool", kernel=7), Stage(block="adaptive_pool", kernel=4)),
)


def small(name: str) -> Arch:
    if name == "even_pool":
        return POOLS
    width, px = SMALL[name]
    arch = replace(find(name), auxiliary=(), resolution=px or (64 if width < 1 else 32))
    return scale_arch(arch, Scale(width=width), f"small {name}")


def test_the_small_models_have_every_block_and_every_initialisation() -> None:
    archs = [small(name) for name in (*SMALL, "even_pool")]
    rows = [row for arch in archs for _, part in arch.parts for row in part]
    inner = [row for outer in rows for branch in outer.branches for row in branch]
    assert {row.block for row in (*rows, *inner)} == BLOCKS.keys()
    assert {arch.init for arch in archs} == INITS.keys()


@pytest.mark.parametrize("name", [*SMALL, "even_pool"])
def test_a_python_file_draws_the_same_weights_and_gives_the_same_logits(
    name: str, tmp_path: Path
) -> None:
    arch = small(name)
    (tmp_path / "small.yaml").write_text(dump_model(arch))
    said = exported(str(tmp_path / "small.yaml"), tmp_path / "out", "python")
    path = Path(said.files[0])
    assert path.name == f"{arch.name.replace(' ', '_')}.py"
    source = path.read_text()
    module: dict[str, Any] = {}
    code = compile(source, str(path), "exec")
    exec(code, module)
    torch.manual_seed(3)
    theirs: nn.Module = module[class_name(arch)]()
    torch.manual_seed(3)
    ours = build_network(arch)
    mine = ours.state_dict()
    assert [*theirs.state_dict()] == [*mine]
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, mine[key]), key
    images = example_images(arch.channels, arch.resolution, 2)
    # in double precision: in training, batch norm of two images multiplies what rounding leaves
    images = images.double()
    torch.manual_seed(4)
    logits = ours.double().train()(images)
    torch.manual_seed(4)
    torch.testing.assert_close(theirs.double().train()(images), logits, rtol=1e-6, atol=1e-6)
    assert all(len(line) <= 100 for line in source.splitlines())
    for check in (["format", "--check"], ["check", "--select", "E,F,I,UP,B,SIM,RUF,C90"]):
        command = [sys.executable, "-m", "ruff", *check, "--isolated", "--line-length", "100", path]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout


def test_a_name_cannot_break_out_of_a_file_or_its_folder(tmp_path: Path) -> None:
    hostile = '../../x"""\nimport os; os.abort()\n"""<script>|`\\'
    path = tmp_path / "in.yaml"
    path.write_text(dump_model(replace(find("resnet18"), name=hostile, resolution=32)))
    said = exported(str(path), tmp_path / "out", "python")
    assert {Path(file).parent for file in said.files} == {tmp_path / "out"}
    tree = ast.parse(Path(said.files[0]).read_text())
    assert {type(node) for node in tree.body} <= {
        *(ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.ClassDef, ast.FunctionDef),
    }
    assert [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import)] == ["import torch"]
    assert "<script>" not in Path(said.files[1]).read_text()
    said = exported(str(path), tmp_path / "out", "safetensors")
    again = find_model(str(tmp_path / "out"))
    assert again.name == hostile and isinstance(build_model(again), nn.Module)
    infinite = replace(find("resnet18"), norm_eps=float("inf"))
    with pytest.raises(ValueError, match="must be finite, got inf"):
        python_source(infinite, ())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0", "googlenet"])
def test_torchvision_takes_the_weights_by_its_names(name: str, tmp_path: Path) -> None:
    options = {"resolution": 64, "names": "torchvision"}
    said = exported(name, tmp_path, "safetensors", **options)
    (path, _) = map(Path, said.files)
    with safe_open(path, "pt") as file:
        found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        assert file.metadata()["flops"] == str(said.flops)
    theirs = {k: v for k, v in shapes(golden(name)["layers"]).items() if not k.startswith("aux")}
    last = {k for k in theirs if k.startswith(("fc.", "classifier."))}
    assert found.keys() == theirs.keys()
    for key in theirs.keys() - last:  # the golden files have ten classes
        assert found[key] == theirs[key], key
    back = exported(name, tmp_path / "ours", "safetensors", resolution=64, weights=path)
    assert back.checked["safetensors"].difference == 0
    again = package.build(str(tmp_path / "ours" / f"{name}.yaml")).eval()
    reference = package.build(name)
    package.load_torchvision(reference, torch_file(path))
    images = example_images(3, 64)
    assert compare("read back", reference.eval(), again, images).difference == 0


def torch_file(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file."""
    from safetensors.torch import load_file

    return load_file(path)


OWN = """
import torch
from torch import nn


def plain(depth, width, resolution):
    layers = [nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""


def test_a_function_of_ones_own(scalesearch: Command, tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(OWN)
    own = ("python:my_net:plain", "--resolution", 20)
    found = scalesearch("export", *own, "--format", "onnx,safetensors", "--out", "away")
    assert (found.returncode, found.stderr) == (0, "")
    wrote = [line[6:] for line in found.stdout.splitlines() if line.startswith("wrote ")]
    names = ("onnx", "onnx.md", "safetensors", "yaml", "safetensors.md")
    assert wrote == [f"away/plain.{name}" for name in names]
    refused(scalesearch("export", *own, "--format", "python"), "Python code already")
    again = scalesearch("cost", "away", "--json")
    assert json.loads(again.stdout)["resolution"] == 20


class Touch:
    """Unpickled, it writes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("touched", "w"))


def typed(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """A command's exit code, stdout and stderr, run in this process: imports take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["scalesearch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_bad_options_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no(words: str, *options: object, model: str = "resnet18") -> None:
        code, out, err = typed(capsys, "export", model, "--resolution", 32, *options)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("error: ") and words in err

    monkeypatch.chdir(tmp_path)
    Path("a.safetensors").write_bytes(pickle.dumps({"weight": Touch()}))
    Path("mine.py").write_text("years of work")
    narrow = replace(scale_arch(find("resnet18"), Scale(width=0.25)), classes=10, name="narrow")
    Path("narrow.yaml").write_text(dump_model(narrow))
    exported("narrow.yaml", Path("narrow"), "safetensors", resolution=32)
    weights = ("--weights", "narrow/narrow.safetensors")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    no("--format must be onnx, pt2, safetensors or python, got 'onxx'", "--format", "onxx")
    no(
        "--names torchvision is for the format safetensors alone",
        "--format",
        "pt2",
        "--names",
        "torchvision",
    )
    no("--names must be scalesearch or torchvision", "--format", "safetensors", "--names", "timmy")
    no("--weights have no place in the format python", "--format", "python", "--weights", "x")
    no("mine.py is there already", "--format", "python", "--out", "mine.py")
    no("must lie in a folder", "--format", "python", "--out", "mine.py/x")
    no("must be a safetensors file", "--format", "pt2", "--weights", "a.safetensors")
    no("must be a readable file", "--format", "pt2", "--weights", "none.safetensors")
    no("must be of shape (1000,), got (10,)", "--format", "pt2", *weights)
    no("must have 'stages.10.layers.0.0.weight'", "--format", "pt2", *weights, model="resnet34")
    no("must have 'head.0.0.weight'", "--format", "pt2", *weights, model="mobilenet_v2")
    no("--out must be a folder, or a .pt2 file", "--format", "pt2", "--out", "net.onnx")
    no("--out must be a folder, or a", "--format", "pt2,python", "--out", "net.pt2")
    no("did you mean 'resnet18'", "--format", "pt2", model="resnet19")
    no("its .safetensors beside it, got 0", "--format", "pt2", model=str(tmp_path))
    no("too small", "--format", "pt2", model="alexnet")
    options = ("--format", "safetensors", "--names", "torchvision")
    no("torchvision has no lenet5", *options, model="lenet5")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from scalesearch.cli import main\n"
        "sys.argv = ['scalesearch', 'export', 'resnet18', '--format', 'onnx']\n"
        "main()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    refused(found, "needs onnxruntime: pip install 'scalesearch[export]'")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_not_the_network_is_refused() -> None:
    network = build_network(replace(find("resnet18"), resolution=32)).eval()
    images = example_images(3, 32)

    def off(x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(x)
        return logits + 1e-3 * logits.abs().max()

    compare("itself", network, network, images)
    with pytest.raises(ValueError, match=r"to 0\.0001 of the largest, got a difference"):
        compare("another", network, off, images)
    with pytest.raises(ValueError, match="got a difference of nan"):
        compare("another", network, lambda x: network(x) * torch.nan, images)
    with pytest.raises(ValueError, match="must give logits"):
        compare("another", network, lambda x: network(x)[:, :3], images)


def test_a_folder_with_two_models_is_ambiguous(tmp_path: Path) -> None:
    for name in ("resnet18", "mobilenet_v2"):
        exported(name, tmp_path, "safetensors", resolution=32)
    with pytest.raises(ValueError, match="beside it, got 2: name the YAML file"):
        package.build(str(tmp_path))
    assert yaml.safe_load((tmp_path / "resnet18.yaml").read_text())["resolution"] == 32
    torch.testing.assert_close(
        package.build(str(tmp_path / "resnet18.yaml")).state_dict(),
        torch_file(tmp_path / "resnet18.safetensors"),
        rtol=0,
        atol=0,
    )

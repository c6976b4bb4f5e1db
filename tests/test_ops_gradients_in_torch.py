"""What torch asks of the operators' gradients: registration, compilation, layouts, precision, refusals, emptiness."""

import copy

import pytest
import torch
from gradient_cases import CASES, FACES, IDS, INT, ONE_OF_EACH, OPS, by, gradients, leaves, rand, same_bits, triangles
from torch.testing._internal.optests import aot_autograd_check

import fastsynth as fs
from fastsynth.ops import Fragments


def call(name, arguments):
    return getattr(OPS, CASES[name][0])(*arguments)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_any_layout_of_the_gradient(name):
    op, arguments = CASES[name]
    arguments = leaves(arguments)
    out = call(name, arguments)
    given = rand(*out.shape)
    expected = torch.autograd.grad(out, by(name, arguments), given, retain_graph=True)
    turned = given.transpose(0, -1).contiguous().transpose(0, -1)
    assert same_bits(torch.autograd.grad(out, by(name, arguments), turned, retain_graph=True), expected)
    ones = torch.autograd.grad(out, by(name, arguments), torch.ones_like(out), retain_graph=True)
    assert same_bits(torch.autograd.grad(out.sum(), by(name, arguments)), ones)  # an expanded number


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_is_not_wanted_is_not_made(name):
    """Each gradient alone is the same as among others."""
    op, arguments = CASES[name]
    together = gradients(name)
    for i, expected in enumerate(together):
        arguments = copy.deepcopy(CASES[name][1])
        leaf = by(name, arguments)[i].requires_grad_()
        out = call(name, arguments)
        (alone,) = torch.autograd.grad(out, leaf, rand(*out.shape, seed=5) - 0.5)
        assert same_bits([alone], [expected])


def public(name, arguments):
    """The functions that users call, with what may be differentiated."""
    if name == "transform":
        return fs.ops.transform(*arguments)
    if name == "interpolate":
        attributes, faces, ids, weights = arguments
        return fs.ops.interpolate(attributes, faces, Fragments(ids, weights, weights[..., 0]))
    if name == "texture trilinear":
        return fs.ops.texture(*arguments[:3])
    if name == "blur":
        return fs.ops.blur(*arguments)
    if name == "convolve":
        return fs.ops.convolve(*arguments)
    if name == "poisson":
        return fs.ops.poisson(*arguments[:2], arguments[2] != 0)
    if name == "rasterize":
        return torch.cat([each.flatten() for each in fs.ops.rasterize(*arguments)[1:]])
    linear, exposure, balance, noise, *_ = arguments
    return fs.ops.develop(linear, exposure, balance, noise, torch.tensor([3, 4]))


def public_case(name):
    if name == "rasterize":
        clip, faces, _ = triangles("large")
        return clip.requires_grad_(), faces, (30, 41)
    return leaves(CASES[name][1])


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "rasterize"])
def test_compiled_whole(name):
    arguments = public_case(name)

    def loss(*arguments):
        return public(name, arguments).square().sum()

    leaf = by(name, arguments)[:4]
    expected = torch.autograd.grad(loss(*arguments), leaf)
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(*arguments), leaf), expected)


# opcheck looks at the gradients of tensors that it has copied.
looks_at_copies = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@looks_at_copies
@pytest.mark.parametrize("name", CASES)
def test_registration(name):
    op, arguments = CASES[name][0], leaves(CASES[name][1])
    if op == "develop" and arguments[4].numel():
        arguments[4].requires_grad_(False)
    torch.library.opcheck(getattr(OPS, op).default, arguments)


@looks_at_copies
def test_registration_of_rasterize():
    clip, faces, _ = triangles("large")
    arguments = clip.requires_grad_(), faces, torch.empty(0, 2, dtype=INT), 30, 41, 0
    op = OPS.rasterize.default
    torch.library.opcheck(op, arguments, test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))
    # Its ids come first, and opcheck would add floats to a sum of whole numbers.
    aot_autograd_check(lambda *a: op(*a)[1:], arguments, {}, dynamic=True)


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "rasterize"])
def test_no_second_derivative(name):
    arguments = public_case(name)
    first = torch.autograd.grad(public(name, arguments).square().sum(), by(name, arguments)[0], create_graph=True)[0]
    op = CASES[name][0] if name in CASES else name
    with pytest.raises(NotImplementedError, match=rf"fastsynth.{op}: its gradient is not differentiable a second time"):
        first.sum().backward()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_no_vmap(name):
    op, arguments = CASES[name]
    first, *rest = arguments
    many = [torch.stack([t, t]) for t in first] if isinstance(first, list) else torch.stack([first, first])
    with pytest.raises(NotImplementedError, match=rf"fastsynth.{op}: torch.vmap is not supported"):
        torch.vmap(lambda x: getattr(OPS, op)(x, *rest))(many)


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "rasterize"])
def test_half_precision_is_refused_and_autocast_changes_nothing(name):
    arguments = public_case(name)
    leaf = by(name, arguments)[0]
    with torch.autocast("cpu", torch.bfloat16):
        out = public(name, arguments)
    assert out.dtype == torch.float32
    assert same_bits([out.detach()], [public(name, arguments).detach()])
    halved = [each.bfloat16() if each is leaf else each for each in arguments]
    halved[0] = [each.bfloat16() for each in halved[0]] if isinstance(halved[0], list) else halved[0]
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(TypeError, match=r"must be torch.float32, but is torch.bf"),
    ):
        public(name, halved)


EMPTY = {
    "no image": lambda: fs.ops.transform(rand(5, 3).requires_grad_(), torch.empty(0, 4, 4).requires_grad_()),
    "no vertex": lambda: fs.ops.transform(torch.empty(0, 3).requires_grad_(), rand(2, 4, 4).requires_grad_()),
    "no face": lambda: fs.ops.rasterize(rand(1, 3, 4).requires_grad_(), torch.empty(0, 3, dtype=INT), (4, 5)).depth,
    "no channel": lambda: fs.ops.interpolate(
        torch.empty(2, 4, 0).requires_grad_(),
        FACES,
        Fragments(IDS, rand(2, 9, 23, 2).requires_grad_(), rand(2, 9, 23)),
    ),
    "no place": lambda: fs.ops.texture(rand(1, 3, 3, 2).requires_grad_(), torch.empty(0, 4, 4, 2).requires_grad_()),
    "no picture": lambda: fs.ops.blur(torch.empty(0, 3, 4, 4).requires_grad_(), torch.empty(0).requires_grad_(), 2),
    "no light": lambda: fs.ops.develop(
        torch.empty(0, 3, 4, 4).requires_grad_(), torch.empty(0).requires_grad_(), torch.empty(0, 3).requires_grad_()
    ),
}


@pytest.mark.parametrize("case", EMPTY)
def test_empty(case):
    out = EMPTY[case]()
    pending = [out.grad_fn]
    leaf = []
    while pending:
        node = pending.pop()
        leaf += [node.variable] if hasattr(node, "variable") else []
        pending += [each for each, _ in node.next_functions if each is not None]
    out.sum().backward()
    assert leaf and all(t.grad is not None and t.grad.shape == t.shape and (t.grad == 0).all() for t in leaf)

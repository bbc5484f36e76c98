"""The mixed convolution against the plain sum of convolutions of PyTorch."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv1d, conv2d

from dasha import DashaError
from dasha.errors import InvalidArgumentError
from dasha.search import _choice, _plan, _waves, choose_method, mixed_convolution

METHODS = ("separate", "direct", "frequency", "auto")


def plain_sum(x, weights, coefficients, *, dilations, stride=1, groups=1):
    """The definition: every position of ``padding="same"``, then every ``stride``-th of them."""
    convolve = conv1d if x.ndim == 3 else conv2d
    strides = (stride,) * (x.ndim - 2) if isinstance(stride, int) else stride
    total = 0
    for i, weight in enumerate(weights):
        for j, d in enumerate(dilations):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch warns that even kernels copy the input
                y = convolve(x, weight[j], padding="same", dilation=d, groups=groups)
            total = total + coefficients[i, j] * y
    return total[(..., *(slice(None, None, s) for s in strides))]


def make(
    *, size, kernel_sizes, dilations, batch=2, groups=1, inputs=1, outputs=1, dtype=torch.float64, device="cpu", seed=0
):
    """Arguments with ``inputs`` and ``outputs`` channels per group."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype).requires_grad_()

    x = normal(batch, groups * inputs, *size)
    weights = [normal(len(dilations), groups * outputs, inputs, *[k] * len(size)) for k in kernel_sizes]
    return x, weights, normal(len(kernel_sizes), len(dilations))


def with_gradients(function, x, weights, coefficients, **options):
    y = function(x, weights, coefficients, **options)
    inputs = [t for t in (x, *weights, coefficients) if t.requires_grad]
    direction = torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device).view(y.shape)
    return [y, *torch.autograd.grad(y, inputs, direction)]


def compare(arguments, *, method, tolerance=1e-10, **options):
    expected = with_gradients(plain_sum, *arguments, **options)
    actual = with_gradients(mixed_convolution, *arguments, method=method, **options)
    for result, reference in zip(actual, expected, strict=True):
        assert result.shape == reference.shape
        assert result.dtype == reference.dtype
        scale = reference.abs().max().clamp(min=1.0) if reference.numel() else 1.0
        torch.testing.assert_close(result / scale, reference / scale, rtol=0, atol=tolerance)


@st.composite
def cases(draw):
    dimensions = draw(st.sampled_from([1, 2]))
    few = st.integers(1, 3)
    return {
        "size": tuple(draw(st.integers(1, 24 if dimensions == 1 else 9)) for _ in range(dimensions)),
        "kernel_sizes": draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)),
        "dilations": draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)),
        "stride": tuple(draw(few) for _ in range(dimensions)),
        "batch": draw(st.integers(0, 3)),
        "groups": draw(few),
        "inputs": draw(few),
        "outputs": draw(few),
        "method": draw(st.sampled_from(["separate", "direct", "frequency"])),
    }


@given(cases())
@settings(max_examples=120, deadline=None)
def test_equals_the_plain_sum(case):
    options = {name: case.pop(name) for name in ("stride", "method")}
    compare(make(**case), dilations=case["dilations"], groups=case["groups"], **options)


LARGE = [
    {"size": (500,), "kernel_sizes": (3, 5, 7, 9, 11), "dilations": (1, 3, 5, 7), "groups": 4},
    {"size": (333,), "kernel_sizes": (3, 4), "dilations": (1, 200), "inputs": 3, "outputs": 4, "stride": 2},
    {"size": (40, 56), "kernel_sizes": (3, 5, 7, 9), "dilations": (1, 3, 7, 15), "groups": 3, "outputs": 2},
    {"size": (12, 180), "kernel_sizes": (9,), "dilations": (1, 15), "inputs": 4, "outputs": 3},
    {"size": (180, 5), "kernel_sizes": (2, 5), "dilations": (3,), "groups": 2, "stride": (1, 2)},
]


def without_stride(case):
    return {name: value for name, value in case.items() if name != "stride"}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("case", LARGE, ids=lambda case: "x".join(map(str, case["size"])))
def test_equals_the_plain_sum_on_larger_inputs(case, dtype, tolerance):
    options = {"dilations": case["dilations"], "stride": case.get("stride", 1), "groups": case.get("groups", 1)}
    arguments = make(**without_stride(case), dtype=dtype)
    for method in ("direct", "frequency") if len(case["size"]) == 1 else ("frequency",):
        compare(arguments, method=method, tolerance=tolerance, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("length", "kernel", "dilation", "stride"), [(101, 9, 7, 2), (64, 4, 15, 2), (128, 11, 7, 3)])
def test_strided_wide_kernels_have_right_gradients_in_float32(method, length, kernel, dilation, stride):
    options = {"size": (length,), "kernel_sizes": (kernel,), "dilations": (dilation,), "inputs": 32, "outputs": 32}
    steps = {"dilations": (dilation,), "stride": stride}
    expected = with_gradients(plain_sum, *make(**options), **steps)
    actual = with_gradients(mixed_convolution, *make(**options, dtype=torch.float32), method=method, **steps)
    for result, reference in zip(actual, expected, strict=True):
        assert float((result - reference).detach().abs().max()) <= 1e-4 * float(reference.detach().abs().max())


def test_a_batch_of_several_portions(monkeypatch):
    monkeypatch.setitem(_plan._PORTION, "cpu", 1)
    for channels in ({"groups": 3}, {"inputs": 4, "outputs": 3}):
        arguments = make(size=(20,), kernel_sizes=(3, 5), dilations=(1, 4), batch=5, **channels)
        compare(arguments, method="frequency", dilations=(1, 4), groups=channels.get("groups", 1))


DENSE = {
    "stride 2": {"size": (15, 22), "kernel_sizes": (3, 5, 4), "inputs": 3, "outputs": 5, "stride": 2},
    "strides": {"size": (13, 10), "kernel_sizes": (2, 7), "inputs": 4, "outputs": 3, "stride": (1, 3)},
    "groups and strides": {
        "size": (9, 11),
        "kernel_sizes": (3, 6),
        "groups": 2,
        "inputs": 3,
        "outputs": 4,
        "stride": 2,
    },
    "groups": {"size": (7, 8), "kernel_sizes": (5,), "groups": 3, "inputs": 4, "outputs": 3},
    "field larger than the input": {"size": (4, 3), "kernel_sizes": (9,), "inputs": 5, "outputs": 2},
    "one row": {"size": (1, 19), "kernel_sizes": (3,), "inputs": 4, "outputs": 4, "stride": (2, 1)},
    "one column": {"size": (19, 1), "kernel_sizes": (3,), "inputs": 4, "outputs": 4, "stride": (1, 2)},
    "long": {"size": (5, 331), "kernel_sizes": (3, 4), "groups": 2, "inputs": 3, "outputs": 3, "stride": 2},
    "sequence": {"size": (41,), "kernel_sizes": (3, 8), "groups": 2, "inputs": 3, "outputs": 4, "stride": 3},
    "long sequence": {"size": (701,), "kernel_sizes": (3, 8), "groups": 2, "inputs": 3, "outputs": 4, "stride": 2},
}


@pytest.mark.parametrize("portion", [1, 2**12, 2**22])
@pytest.mark.parametrize("case", DENSE.values(), ids=DENSE)
def test_dense_layers_in_any_portions_equal_the_separate_convolutions(monkeypatch, case, portion):
    monkeypatch.setitem(_plan._PORTION, "cpu", portion)
    options = {"dilations": (1, 3, 15), "stride": case.get("stride", 1), "groups": case.get("groups", 1)}
    arguments = make(**without_stride(case), dilations=(1, 3, 15), batch=3)
    expected = with_gradients(mixed_convolution, *arguments, method="separate", **options)
    actual = with_gradients(mixed_convolution, *arguments, method="frequency", **options)
    for result, reference in zip(actual, expected, strict=True):
        torch.testing.assert_close(
            result, reference, rtol=0, atol=1e-10 * max(1.0, reference.detach().abs().max().item())
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(5,), (3, 4)])
def test_gradcheck(method, size):
    x, weights, coefficients = make(size=size, kernel_sizes=(2, 3), dilations=(1, 2), batch=1, outputs=2)

    def function(x, coefficients, *weights):
        return mixed_convolution(x, weights, coefficients, dilations=(1, 2), stride=2, method=method)

    assert torch.autograd.gradcheck(function, (x, coefficients, *weights))


SECOND = {
    "sequence": {"size": (20,), "stride": 2, "groups": 1},
    "image": {"size": (9, 7), "stride": (1, 3), "groups": 2},
}


def penalised(case, method):
    """Gradients of a result and of the gradients of all its inputs."""
    options = {"dilations": (1, 3), "stride": case["stride"], "groups": case["groups"], "method": method}
    x, weights, coefficients = make(
        size=case["size"], groups=case["groups"], kernel_sizes=(3, 4, 5), dilations=(1, 3), inputs=2, outputs=2
    )
    inputs = [x, *weights, coefficients]
    y = mixed_convolution(x, weights, coefficients, **options)
    first = torch.autograd.grad(y.sin().sum(), inputs, create_graph=True)
    return torch.autograd.grad(y.mean() + sum(gradient.pow(2).sum() for gradient in first), inputs)


@pytest.mark.parametrize("method", ["direct", "frequency", "auto"])
@pytest.mark.parametrize("case", SECOND.values(), ids=SECOND)
def test_second_derivatives_equal_those_of_the_separate_convolutions(method, case):
    for result, reference in zip(penalised(case, method), penalised(case, "separate"), strict=True):
        torch.testing.assert_close(result, reference, rtol=1e-9, atol=1e-9)


def test_second_derivatives_where_kernels_are_made_from_the_input():
    x, weights, coefficients = make(size=(9,), kernel_sizes=(3, 5), dilations=(1, 2))

    def second(method):
        own = [weight * x.mean() for weight in weights]
        y = mixed_convolution(x, own, coefficients, dilations=(1, 2), method=method)
        (first,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), x)[0]

    torch.testing.assert_close(second("frequency"), second("separate"), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_by_transforms_of_functions(method):
    x, weights, coefficients = make(size=(9,), kernel_sizes=(3, 5), dilations=(1, 2))

    def function(x, method):
        return mixed_convolution(x, weights, coefficients, dilations=(1, 2), method=method).sin().sum()

    def slope(x, method):
        return torch.func.grad(function)(x, method).pow(2).sum()

    for way in (function, slope):
        result, reference = (torch.func.grad(way)(x.detach(), name) for name in (method, "separate"))
        torch.testing.assert_close(result, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("needed", ["x", "weights", "coefficients", "one weight", "none"])
def test_any_subset_of_gradients(method, needed):
    x, weights, coefficients = make(size=(9,), kernel_sizes=(3, 5), dilations=(1, 2))
    x.requires_grad_(needed == "x")
    coefficients.requires_grad_(needed == "coefficients")
    for i, weight in enumerate(weights):
        weight.requires_grad_(needed == "weights" or (needed == "one weight" and i == 1))
    if needed != "none":
        compare((x, weights, coefficients), method=method, dilations=(1, 2))
    assert mixed_convolution(x, weights, coefficients, dilations=(1, 2), method=method).requires_grad == (
        needed != "none"
    )


@pytest.mark.parametrize("method", METHODS)
def test_inputs_of_any_layout(method):
    x, weights, coefficients = make(size=(6, 8), kernel_sizes=(3, 4), dilations=(1, 2), inputs=2, outputs=3)
    options = {"dilations": (1, 2)}
    expected = plain_sum(x, weights, coefficients, **options)
    last = x.to(memory_format=torch.channels_last)
    for layout in (last, x.detach().repeat_interleave(2, -1)[..., ::2], x.transpose(2, 3).contiguous().transpose(2, 3)):
        turned = [w.transpose(-1, -2).contiguous().transpose(-1, -2) for w in weights]
        y = mixed_convolution(layout, turned, coefficients.T.contiguous().T, method=method, **options)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    y = mixed_convolution(x[:1].expand(4, -1, -1, -1), weights, coefficients, method=method, **options)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    (wanted,) = torch.autograd.grad(4 * plain_sum(x[:1], weights, coefficients, **options).sum(), x)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_returns_what_a_convolution_does(method, dtype):
    x, weights, coefficients = make(size=(30,), kernel_sizes=(3, 5), dilations=(1, 4), groups=4, dtype=torch.float32)
    expected = with_gradients(plain_sum, x, weights, coefficients, dilations=(1, 4), groups=4)
    x = x.detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = with_gradients(mixed_convolution, x, weights, coefficients, dilations=(1, 4), groups=4, method=method)
    assert actual[0].dtype == torch.bfloat16
    assert [t.dtype for t in actual[1:]] == [dtype, torch.float32, torch.float32, torch.float32]
    for result, reference in zip(actual, expected, strict=True):
        assert (result.float() - reference).abs().max() < 0.05 * reference.abs().max()


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_without_autocast(method):
    x, weights, coefficients = make(size=(30,), kernel_sizes=(3, 5), dilations=(1, 4), dtype=torch.bfloat16)
    y = mixed_convolution(x, weights, coefficients.float(), dilations=(1, 4), method=method)
    expected = plain_sum(x.float(), [w.float() for w in weights], coefficients.float(), dilations=(1, 4))
    assert y.dtype == torch.bfloat16
    assert (y.float() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("method", ["separate", "frequency", "auto"])
def test_compiled(method):
    x, weights, coefficients = make(size=(30,), kernel_sizes=(3, 5), dilations=(1, 4), groups=2)

    def function(x, weights, coefficients):
        return 2 * mixed_convolution(torch.relu(x), weights, coefficients, dilations=(1, 4), groups=2, method=method)

    compiled = torch.compile(function, backend="aot_eager")
    for result, reference in zip(
        with_gradients(compiled, x, weights, coefficients),
        with_gradients(function, x, weights, coefficients),
        strict=True,
    ):
        torch.testing.assert_close(result, reference)


def test_after_inference_the_same_case_trains():
    _waves._constant.cache_clear()
    _choice.fastest.cache_clear()
    arguments = make(size=(13,), kernel_sizes=(3,), dilations=(2,))
    for method in METHODS:
        with torch.inference_mode():
            mixed_convolution(*arguments, dilations=(2,), method=method)
        compare(arguments, method=method, dilations=(2,))


def test_keeps_no_spectra_for_the_backward_pass():
    x, weights, coefficients = make(size=(32, 32), kernel_sizes=(3, 9), dilations=(1, 7), groups=8, batch=4)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        mixed_convolution(x, weights, coefficients, dilations=(1, 7), groups=8, method="frequency")
    assert sum(kept) < x.numel() + 10 * sum(weight.numel() for weight in weights)


def test_the_choice_is_kept_and_leaves_the_random_numbers_alone():
    _choice.fastest.cache_clear()
    arguments = make(size=(50,), kernel_sizes=(3, 5), dilations=(1, 3), dtype=torch.float32)
    state = torch.get_rng_state()
    chosen = choose_method(*arguments, dilations=(1, 3))
    assert chosen in METHODS[:3]
    assert torch.equal(torch.get_rng_state(), state)
    misses = _choice.fastest.cache_info().misses
    assert choose_method(*arguments, dilations=(1, 3)) == chosen
    assert _choice.fastest.cache_info().misses == misses
    assert torch.equal(
        mixed_convolution(*arguments, dilations=(1, 3)),
        mixed_convolution(*arguments, dilations=(1, 3), method=chosen),
    )


def test_nothing_is_timed_in_deterministic_runs(monkeypatch):
    monkeypatch.setattr(_choice, "_seconds", lambda *_: pytest.fail("timed"))
    _choice.fastest.cache_clear()
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        large = make(size=(64, 64), kernel_sizes=(3, 9), dilations=(1, 15), groups=4)
        assert choose_method(*large, dilations=(1, 15), groups=4) == "frequency"
        small = make(size=(20,), kernel_sizes=(1,), dilations=(1,))
        assert choose_method(*small, dilations=(1,)) in ("separate", "direct")
    finally:
        torch.use_deterministic_algorithms(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 9)}, r"x is torch.float32 of shape \(3, 9\), but must be real floating-point numbers"),
        ({"x": torch.zeros(2, 4, 0)}, r"x is .* with at least one channel and one position"),
        ({"x": torch.zeros(2, 4, 9, dtype=torch.int64)}, r"x is torch.int64"),
        ({"weights": []}, r"weights has shapes \[\], but must hold one tensor per kernel size"),
        ({"weights": [torch.zeros(4, 4, 3)]}, r"weights has shapes \[\(4, 4, 3\)\]"),
        ({"weights": [torch.zeros(2, 4, 4, 3), torch.zeros(3, 4, 4, 5)]}, r"weights\[1\] has shape \(3, 4, 4, 5\)"),
        ({"weights": [torch.zeros(2, 4, 4, 3).double()] * 2}, r"weights\[0\] is torch.float64 on cpu, but x is"),
        ({"weights": [torch.zeros(2, 4, 4, 3, device="meta")] * 2}, r"weights\[0\] is torch.float32 on meta"),
        ({"coefficients": torch.zeros(2, 3)}, r"coefficients is .* shape \(2, 3\), but must be .* = \(2, 2\)"),
        ({"coefficients": torch.zeros(2, 2, device="meta")}, r"coefficients is on meta, .* coefficients.to\('cpu'\)"),
        ({"dilations": ()}, r"dilations is empty"),
        ({"dilations": (1, 0)}, r"dilations\[1\] is 0, but must be an integer of at least 1"),
        ({"stride": 0}, r"stride is 0"),
        ({"stride": (1, 2)}, r"stride is \(1, 2\), but must be one integer, or 1 for"),
        ({"groups": 3}, r"groups is 3, but must divide the 4 channels of x and the 4 output channels"),
        ({"groups": 0}, r"groups is 0"),
        ({"method": "fft"}, r"method is 'fft', but must be 'auto' or one of 'separate', 'direct', 'frequency'"),
    ],
)
def test_errors(change, message):
    arguments = {
        "x": torch.zeros(2, 4, 9),
        "weights": [torch.zeros(2, 4, 4, 3), torch.zeros(2, 4, 4, 5)],
        "coefficients": torch.zeros(2, 2),
        "dilations": (1, 2),
    } | change
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        mixed_convolution(arguments.pop("x"), arguments.pop("weights"), arguments.pop("coefficients"), **arguments)
    assert isinstance(caught.value, DashaError)


@pytest.mark.gpu
@pytest.mark.parametrize("case", LARGE, ids=lambda case: "x".join(map(str, case["size"])))
def test_on_a_gpu(case):
    options = {"dilations": case["dilations"], "stride": case.get("stride", 1), "groups": case.get("groups", 1)}
    arguments = make(**without_stride(case), device="cuda")
    for method in ("frequency", "auto"):
        compare(arguments, method=method, **options)
    x, weights, coefficients = make(**without_stride(case), dtype=torch.float32, device="cuda")
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cuda", dtype=dtype):
            y = mixed_convolution(x, weights, coefficients, method="frequency", **options)
        expected = plain_sum(x, weights, coefficients, **options)
        assert y.dtype == dtype
        assert (y.float() - expected).abs().max() < 0.02 * expected.abs().max()

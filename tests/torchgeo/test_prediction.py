"""Scenes that are mapped tile by tile: no pixel is missing, and no seam shows."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("torchgeo")

from dasha.errors import DashaWarning, InvalidArgumentError
from torchgeo_dasha.prediction.decision import decision_of
from torchgeo_dasha.prediction.network import TileNetwork
from torchgeo_dasha.prediction.output import write_raster
from torchgeo_dasha.prediction.run import map_scene, predict_file
from torchgeo_dasha.prediction.scene import open_scene
from torchgeo_dasha.prediction.windows import cells, stretches


@pytest.fixture(scope="module")
def network():
    """Three convolutions, so that a pixel depends on those up to 3 away."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(2, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3, padding=1),
    ]
    return torch.inference_mode()(nn.Sequential(*layers).eval().__call__)


@pytest.fixture
def scene_file(tmp_path, write_tif):
    pixels = np.random.default_rng(0).normal(size=(2, 301, 283)).astype("float32")
    return write_tif(tmp_path / "scene.tif", pixels)


def mapped(source, out, predict_tile, **options):
    with open_scene(source, None) as scene:
        return map_scene(scene, predict_tile, out, **options)


@pytest.mark.parametrize("length", [1, 7, 32, 33, 63, 64, 65, 100, 257])
@pytest.mark.parametrize(("tile", "overlap"), [(32, 0), (32, 1), (32, 8), (32, 16), (32, 31), (64, 48), (1, 0)])
def test_weights_of_tiles_add_up_to_1_everywhere(length, tile, overlap):
    total = np.zeros(length)
    places = stretches(length, tile, overlap)
    for place in places:
        assert 0 <= place.start < place.stop <= length
        assert place.stop - place.start == min(tile, length)
        total[place.start : place.stop] += place.weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    for place, following in pairwise(places):
        margin = overlap // 4
        assert not following.weight[:margin].any()
        assert not place.weight[len(place.weight) - margin :].any()


@pytest.mark.parametrize("length", [1, 7, 32, 33, 100])
@pytest.mark.parametrize(("tile", "overlap"), [(32, 0), (32, 8), (32, 31), (5, 2)])
def test_cells_cover_every_pixel_once(length, tile, overlap):
    covered = np.zeros(length, int)
    for cell in cells(length, tile, overlap):
        assert 0 <= cell.start < cell.stop <= length
        assert cell.start + cell.inner.stop <= cell.stop
        covered[cell.start + cell.inner.start : cell.start + cell.inner.stop] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(("tile", "overlap"), [(64, 16), (64, 40), (128, 12), (320, 80)])
def test_stitched_equals_the_whole_scene(scene_file, tmp_path, network, read_tif, tile, overlap):
    """The margin, a quarter of the overlap, is no less than the reach of the network: not even seams differ."""
    pixels = torch.from_numpy(read_tif(scene_file)[0])
    whole = network(pixels[None]).softmax(1)[0].numpy()
    options = {"tile": tile, "overlap": overlap, "batch_size": 3}
    mapped(scene_file, tmp_path / "p.tif", network, is_probability=True, **options)
    stitched = read_tif(tmp_path / "p.tif")[0]
    inside = (slice(None), slice(0, 301), slice(0, 283))
    if tile > 283:  # mirrored pixels stand where the network itself would see zeros
        inside = (slice(None), slice(0, 298), slice(0, 280))
    np.testing.assert_allclose(stitched[inside], whole[inside], atol=2e-6)
    mapped(scene_file, tmp_path / "c.tif", network, **options)
    classes = read_tif(tmp_path / "c.tif")[0]
    assert (classes[0][inside[1:]] == whole[inside].argmax(0)).mean() > 0.9999


def test_without_margin_only_borders_of_tiles_differ(scene_file, tmp_path, network, read_tif):
    whole = network(torch.from_numpy(read_tif(scene_file)[0])[None]).softmax(1)[0].numpy()
    mapped(scene_file, tmp_path / "p.tif", network, is_probability=True, tile=64, overlap=0)
    stitched = read_tif(tmp_path / "p.tif")[0]
    assert not np.isnan(stitched).any()
    same = np.isclose(stitched, whole, atol=2e-6).all(0)
    assert not same.all()
    for start in range(0, 192, 64):
        assert same[start + 3 : start + 61, 3:61].all()


def test_the_file_lies_where_the_scene_lies(scene_file, tmp_path, network, read_tif):
    done = mapped(scene_file, tmp_path / "c.tif", network, tile=64, class_names=("a", "b", "c", "d"))
    classes, profile, names = read_tif(tmp_path / "c.tif")
    before = read_tif(scene_file)[1]
    assert (profile["crs"], profile["transform"]) == (before["crs"], before["transform"])
    assert (profile["dtype"], profile["nodata"], profile["tiled"], profile["compress"]) == (
        "uint8",
        255,
        True,
        "deflate",
    )
    assert (classes.shape, classes.max(), names) == ((1, 301, 283), 3, ("class",))
    assert (done.kind, done.overlap, done.as_dict()["height"]) == ("segmentation", 16, 301)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", "scene.tif"]


def test_pixels_without_data_stay_without(tmp_path, write_tif, read_tif, network):
    pixels = np.random.default_rng(0).normal(size=(2, 150, 150)).astype("float32")
    pixels[:, :70, :100] = -1e6
    pixels[0, 100:, 100:] = np.nan  # the other band has data there
    write_tif(tmp_path / "scene.tif", pixels, nodata=-1e6)
    seen = []

    def predict(tiles):
        seen.append(len(tiles))
        return network(tiles.nan_to_num(0))

    mapped(tmp_path / "scene.tif", tmp_path / "c.tif", predict, tile=32, overlap=8, batch_size=4)
    classes = read_tif(tmp_path / "c.tif")[0][0]
    assert ((classes == 255) == (pixels == -1e6).all(0)).all()
    assert sum(seen) - 1 < 36  # tiles without any data cost nothing; the first call asks for the shape
    mapped(tmp_path / "scene.tif", tmp_path / "p.tif", predict, tile=32, is_probability=True)
    assert np.isnan(read_tif(tmp_path / "p.tif")[0][:, 0, 0]).all()


@pytest.mark.parametrize(("overlap", "stride"), [(0, 16), (6, 10)])
def test_patches(tmp_path, write_tif, read_tif, overlap, stride):
    """The class of a patch is how bright it is."""
    block = np.random.default_rng(0).integers(1, 4, (5, 7))
    pixels = np.kron(block, np.ones((16, 16), int))[None, :75, :105].astype("uint8")
    pixels[:, :16, :16] = 0
    write_tif(tmp_path / "scene.tif", pixels, nodata=0)

    def predict(tiles):
        return -((tiles.nanmean((1, 2, 3))[:, None] - torch.arange(4.0)) ** 2)

    done = mapped(tmp_path / "scene.tif", tmp_path / "c.tif", predict, tile=16, overlap=overlap)
    classes, profile, _ = read_tif(tmp_path / "c.tif")
    assert classes.shape == (1, -(-75 // stride), -(-105 // stride)) == (1, done.height, done.width)
    assert profile["transform"].a == 10 * stride
    assert (profile["transform"].c, profile["transform"].f) == (500_000, 5_000_000)
    assert classes[0, 0, 0] == 255
    if overlap == 0:
        assert (classes[0, :4, :6].ravel()[1:] == block[:4, :6].ravel()[1:]).all()
    assert (classes == 255).sum() == 1


def test_outputs_that_stand_for_themselves():
    labels = decision_of(torch.zeros(1, 3), is_sigmoid=True, names=("a", "b", "c"), is_probability=False)
    assert (labels.bands, labels.band_names, labels.kind) == (3, ("a", "b", "c"), "labels")
    binary = decision_of(torch.zeros(1, 1, 4, 4), is_sigmoid=True, names=("no", "yes"), is_probability=True)
    assert (binary.bands, binary.band_names) == (1, ("yes",))
    found = binary.result(np.float32([[[0.2, 0.7]]]), np.array([[False, True]]))
    assert found[0, 0, 0] == np.float32(0.2)
    assert np.isnan(found[0, 0, 1])
    plain = decision_of(torch.zeros(1, 1), is_sigmoid=True, names=(), is_probability=False)
    assert plain.result(np.float32([[[0.2, 0.7]]]), np.array([[False, False]])).tolist() == [[[0, 1]]]
    assert decision_of(torch.zeros(1, 300), is_sigmoid=False, names=(), is_probability=False).nodata == 65535
    with pytest.warns(DashaWarning, match="4 outputs, but there are names of 2 classes, which are left out"):
        nameless = decision_of(torch.zeros(1, 4), is_sigmoid=False, names=("a", "b"), is_probability=True)
    assert nameless.band_names == ("0", "1", "2", "3")
    with pytest.raises(InvalidArgumentError, match=r"outputs of shape \(1, 2, 3\), but classes"):
        decision_of(torch.zeros(1, 2, 3), is_sigmoid=False, names=(), is_probability=False)


def test_a_network_gets_normalised_tiles_of_its_own_size():
    seen = []
    network = TileNetwork(
        lambda x: seen.append(x) or x, torch.device("cpu"), (1.0, 2.0), (2.0, 4.0), (1.0, 2.0), (2.0, 2.0)
    )
    tiles = torch.tensor([3.0, 6.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4).clone()
    tiles[0, 0] = torch.nan
    outputs = network(tiles)
    assert seen[0].shape == (1, 2, 8, 8)
    assert seen[0][0, :, 0, 0].tolist() == [0.0, 1.0]
    assert outputs.shape == (1, 2, 4, 4)
    with pytest.raises(InvalidArgumentError, match="the network turns 4 × 4 pixels into 2 × 2"):
        TileNetwork(lambda x: x[..., ::2, ::2], torch.device("cpu"), (0,), (1,), (0,))(tiles)


def test_what_cannot_be_done(scene_file, tmp_path, network, write_tif):
    for options, message in [
        ({"tile": 8, "overlap": 8}, "tile=8 and overlap=8"),
        ({"tile": 8, "batch_size": 0}, "batch_size is 0"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            mapped(scene_file, tmp_path / "c.tif", network, **options)
    with pytest.raises(InvalidArgumentError, match="is the scene itself"):
        mapped(scene_file, scene_file, network, tile=64)
    with pytest.raises(InvalidArgumentError, match="cannot be written: its folder does not exist; make it"):
        mapped(scene_file, tmp_path / "none" / "c.tif", network, tile=64)
    with pytest.raises(InvalidArgumentError, match="has bands 1 to 2, but bands="), open_scene(scene_file, [3]):
        pass
    for bands in (np.array([1.0]), "1"):
        with pytest.raises(InvalidArgumentError, match=r"bands=\S+ must be a list of whole numbers from 1"):
            predict_file(scene_file, tmp_path / "c.tif", tmp_path / "never read.ckpt", bands=bands)
    waves = write_tif(tmp_path / "waves.tif", np.ones((2, 8, 8), "complex64"))
    with pytest.raises(InvalidArgumentError, match=r"waves\.tif holds complex numbers; convert them to bands of real"):
        mapped(waves, tmp_path / "c.tif", network, tile=8)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InvalidArgumentError, match=r"text\.tif cannot be read as a raster"):
        mapped(tmp_path / "text.tif", tmp_path / "c.tif", network, tile=64)


def test_what_lay_beside_an_earlier_file_goes_with_it(scene_file, tmp_path, network, write_tif, read_tif):
    rasterio = pytest.importorskip("rasterio")
    out = write_tif(tmp_path / "c.tif", np.full((1, 301, 283), 9, "uint8"))
    with rasterio.Env(TIFF_USE_OVR="YES"), rasterio.open(out, "r+") as file:
        file.build_overviews([2, 4])
    for suffix in (".msk", ".aux.xml"):
        out.with_name(out.name + suffix).write_text("of the earlier map")
    assert (tmp_path / "c.tif.ovr").is_file()
    mapped(scene_file, out, network, tile=64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", "scene.tif"]
    with rasterio.open(out) as file:
        assert file.overviews(1) == []
        assert file.read(1, out_shape=(75, 70)).max() < 9


def test_a_place_that_cannot_be_written_is_refused_at_once(scene_file, tmp_path, network, monkeypatch):
    for out, message in [
        (tmp_path, r"out='\S+' is a folder; name a file, such as \S+map\.tif"),
        (tmp_path / "none" / "c.tif", "its folder does not exist"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            predict_file(scene_file, out, tmp_path / "never read.ckpt")
        with pytest.raises(InvalidArgumentError, match=message):
            mapped(scene_file, out, network, tile=64)
    (checkpoint := tmp_path / "fields.ckpt").write_text("trained")
    (linked := tmp_path / "linked.tif").symlink_to(checkpoint)
    for out, given, message in [
        (checkpoint, checkpoint, r"fields\.ckpt' is the checkpoint itself; choose another file"),
        (linked, checkpoint, r"linked\.tif' is the checkpoint itself"),
        (linked, tmp_path, r"linked\.tif' leads to \S+fields\.ckpt, which does not end in \.tif or \.tiff, but"),
        (tmp_path / "c.png", checkpoint, r"c\.png' does not end in \.tif .* name it so, such as \S+c\.tif"),
        (tmp_path / "plan.json", tmp_path, r"plan\.json' does not end in"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            predict_file(scene_file, out, given)
    assert checkpoint.read_text() == "trained"
    checkpoint.unlink()
    linked.unlink()
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(PermissionError("busy")))
    with pytest.raises(InvalidArgumentError, match=r"out='\S+c\.tif' cannot be written: busy"):
        mapped(scene_file, tmp_path / "c.tif", network, tile=64)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_a_failure_leaves_an_earlier_file(scene_file, tmp_path, network):
    out = tmp_path / "c.tif"
    out.write_text("earlier")

    def predict(tiles):
        if tiles.any():
            raise RuntimeError("out of memory")
        return network(tiles)

    with pytest.raises(RuntimeError, match="out of memory"):
        mapped(scene_file, out, predict, tile=64)
    assert out.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", "scene.tif"]
    scene_file.write_bytes(scene_file.read_bytes()[:-5000])
    with pytest.raises(InvalidArgumentError, match="cannot be read at rows"):
        mapped(scene_file, out, network, tile=64)


def test_polynomials_instead_of_a_transform(tmp_path, write_tif, network):
    rasterio = pytest.importorskip("rasterio")
    from rasterio.transform import RPCTransformer

    line, sample, one = ([1.0 if place == at else 0.0 for place in range(20)] for at in (2, 1, 0))
    ground = {
        f"{axis}_{name}": value for axis in ("height", "lat", "long") for name, value in (("off", 0.0), ("scale", 1.0))
    }
    image = {"line_off": 20.0, "line_scale": 20.0, "samp_off": 24.0, "samp_scale": 24.0}
    polynomials = rasterio.rpc.RPC(
        line_num_coeff=line, line_den_coeff=one, samp_num_coeff=sample, samp_den_coeff=one, **ground, **image
    )
    path = write_tif(
        tmp_path / "scene.tif", np.ones((2, 40, 48), "float32"), transform=None, crs=None, rpcs=polynomials
    )
    mapped(path, tmp_path / "pixels.tif", network, tile=8)
    mapped(path, tmp_path / "patches.tif", lambda x: network(x).mean((2, 3)), tile=8)
    with rasterio.open(path) as scene, rasterio.open(tmp_path / "pixels.tif") as pixels:
        assert pixels.rpcs.to_gdal() == scene.rpcs.to_gdal()
    with rasterio.open(tmp_path / "patches.tif") as patches:
        found = patches.rpcs
    assert (found.line_scale, found.samp_scale) == (2.5, 3.0)
    with RPCTransformer(polynomials) as scene, RPCTransformer(found) as patches:
        # the middle of the patch of rows 8 to 15, columns 16 to 23
        np.testing.assert_allclose(patches.xy(1, 2), scene.xy(11.5, 19.5), rtol=1e-6)


def test_points_instead_of_a_transform(tmp_path, write_tif, network, read_tif):
    rasterio = pytest.importorskip("rasterio")
    points = [rasterio.control.GroundControlPoint(row, col, 10 + col, 50 - row) for row in (0, 40) for col in (0, 40)]
    path = write_tif(tmp_path / "scene.tif", np.ones((2, 40, 40), "float32"), transform=None, gcps=points)
    mapped(path, tmp_path / "c.tif", lambda x: network(x).mean((2, 3)), tile=8)
    with rasterio.open(tmp_path / "c.tif") as file:
        assert [(point.row, point.col) for point in file.gcps[0]] == [(0, 0), (0, 5), (5, 0), (5, 5)]
    with (
        open_scene(path, None) as scene,
        pytest.raises(AssertionError, match="rows are missing"),
        write_raster(tmp_path / "x.tif", scene, bands=1, dtype="uint8", nodata=255),
    ):
        pass

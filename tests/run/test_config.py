"""The configuration refuses what it does not know, and two different ones never share a key."""

from pathlib import Path

import pytest

from surveyfit.errors import InputError
from surveyfit.run.config import Config, load_config


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown configuration key 'tresh'.*thresh"):
        Config.from_dict({"tresh": 4})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thresh", "five"),
        ("thresh", -1.0),
        ("tile", 1.5),
        ("tile", 10),
        ("dtype", "float16"),
        ("noise_type", "sigma"),
        ("gain", 0),
        ("beam", [1.0, 2.0, 0.0]),
        ("model_error", True),
        ("mask_bits", "SAT"),
        ("gamma", "fitted"),
        ("gamma", 0.0),
        ("hdu", 1),
    ],
)
def test_a_wrong_value_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InputError, match=key):
        Config.from_dict({key: value})


def test_gamma_is_a_number_or_asked_to_be_fitted() -> None:
    assert Config.from_dict({"gamma": "fit"}).gamma == "fit"
    assert Config.from_dict({"gamma": 1}).gamma == 1


def test_a_configuration_survives_json() -> None:
    config = Config(mask_bits=("SAT", "3"), beam=(3.0, 2.0, 10.0), thresh=4.0)
    assert Config.from_dict(config.to_dict()) == config


def test_every_field_changes_the_key() -> None:
    changes = Config(
        hdu="1",
        plane=1,
        thresh=4.0,
        filter_fwhm=2.0,
        cell=32,
        noise="a",
        background="b",
        mask="c",
        noise_type="weight",
        mask_bits=("1",),
        inject="d",
        gain=2.0,
        saturate=9.0,
        zeropoint=1.0,
        beam=(2.0, 1.0, 0.0),
        gamma=2.0,
        model_error=0.1,
        dtype="float64",
        tile=512,
        halo=64,
    ).to_dict()
    assert set(changes) == set(Config().to_dict())
    keys = {Config.from_dict({name: value}).key() for name, value in changes.items()}
    assert len(keys) == len(changes)
    assert Config().key() not in keys


@pytest.mark.parametrize("text", ["thresh = ", "\x00\xff"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "options.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"options\.toml: not TOML"):
        load_config(path)

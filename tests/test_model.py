"""The notebook's network: weights saved there load here, and both compute the same."""

import pytest
import torch
from notebook import Net

from alexnet_cli.models.alexnet import AlexNet
from alexnet_cli.models.catalogue import variants


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    theirs = Net().eval()
    ours = AlexNet().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


def test_gives_the_notebooks_log_probabilities(pair):
    ours, theirs = pair
    images = torch.rand(2, 3, 227, 227)
    with torch.no_grad():
        with pytest.warns(UserWarning, match="Implicit dimension choice"):
            expected = theirs(images)
        assert torch.equal(ours(images), expected)


def test_its_probabilities_add_up_to_one_over_the_classes(pair):
    with torch.no_grad():
        log_probabilities = pair[0](torch.rand(3, 3, 227, 227))
    assert log_probabilities.shape == (3, 1000)
    assert torch.allclose(log_probabilities.exp().sum(dim=1), torch.ones(3))


def test_state_dict_has_the_notebooks_keys_in_order(pair):
    ours, theirs = pair
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert next(iter(ours.state_dict())) == "architecture.0.weight"


def test_the_catalogue_finds_it_first_and_loads_its_class():
    first = next(iter(variants().values()))
    assert first.name == "alexnet"
    assert type(first.build()) is AlexNet

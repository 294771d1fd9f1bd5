"""K-means over frames."""

import weakref

import pytest
import torch

from speechbrain_ext.models import AcousticTokenizer


def blobs(number=600, clusters=6, size=5, seed=0):
    """Frames about well separated centers, and which one."""
    generator = torch.Generator().manual_seed(seed)
    centers = 10 * torch.randn(clusters, size, generator=generator)
    labels = torch.randint(clusters, (number,), generator=generator)
    noise = torch.randn(number, size, generator=generator)
    return centers[labels] + 0.3 * noise, labels, centers


def fit(tokenizer, batches, seed=0):
    return tokenizer.fit(batches, torch.Generator().manual_seed(seed))


def test_it_finds_clusters_that_are_there():
    frames, labels, centers = blobs()
    tokenizer = AcousticTokenizer(6, 5)
    assert fit(tokenizer, frames.split(50) * 3) == 6
    found = tokenizer(frames)
    pairs = set(zip(found.tolist(), labels.tolist(), strict=True))
    assert len(pairs) == 6
    nearest = torch.cdist(centers, tokenizer.centroids).amin(1)
    assert nearest.max() < 0.2


def test_labels_are_those_of_the_nearest_centroid():
    tokenizer = AcousticTokenizer(7, 4)
    tokenizer.centroids.normal_()
    frames = torch.randn(3, 11, 4)
    expected = torch.cdist(frames, tokenizer.centroids[None]).argmin(-1)
    assert torch.equal(tokenizer(frames), expected)
    assert torch.equal(tokenizer(frames.half()), tokenizer(frames.half()))


def test_the_same_seed_gives_the_same_centroids():
    batches = blobs(number=300)[0].split(30)
    first, again, other = (AcousticTokenizer(9, 5) for _ in range(3))
    for tokenizer, seed in ((first, 1), (again, 1), (other, 2)):
        fit(tokenizer, batches, seed)
    assert torch.equal(first.centroids, again.centroids)
    assert not torch.equal(first.centroids, other.centroids)


def test_an_empty_cluster_begins_anew():
    """The first batches show one cluster only; later ones show two more."""
    near = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    far = near + torch.tensor([100.0, 0.0])
    both = torch.cat((near, far))
    tokenizer = AcousticTokenizer(4, 2)
    fit(tokenizer, [near] * 2 + [far] * 60 + [both] * 20)
    assert len(tokenizer(both).unique()) == 4
    assert len(tokenizer(far).unique()) > 1


def test_batches_are_not_kept():
    """All frames of a large corpus do not fit into memory."""
    given, most = [], 0

    def batches():
        nonlocal most
        for _ in range(40):
            frames = torch.randn(30, 2)
            given.append(weakref.ref(frames))
            most = max(most, sum(batch() is not None for batch in given))
            yield frames

    fit(AcousticTokenizer(3, 2), batches())
    assert len(given) == 40
    assert most <= 5  # two that it begins with, and those in hand


def test_equal_frames_do_no_harm():
    tokenizer = AcousticTokenizer(3, 2)
    assert fit(tokenizer, [torch.ones(30, 2)] * 40) == 1
    assert tokenizer.centroids.isfinite().all()


def test_centroids_are_state_and_no_parameters():
    tokenizer = AcousticTokenizer(3, 2)
    assert not list(tokenizer.parameters())
    assert "centroids" in tokenizer.state_dict()
    frames = torch.randn(4, 2, requires_grad=True)
    assert not tokenizer(frames).requires_grad


def test_too_few_frames_or_tokens():
    with pytest.raises(ValueError, match="5 frames for 6 tokens"):
        fit(AcousticTokenizer(6, 2), [torch.zeros(5, 2)])
    with pytest.raises(ValueError, match="num_tokens is 1"):
        AcousticTokenizer(1, 2)

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch):
    """Collect every figure that is written."""
    written = []
    savefig = Figure.savefig

    def save(figure, *arguments, **options):
        written.append(figure)
        return savefig(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return written

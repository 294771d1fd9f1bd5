"""Loading the separators of a pool."""

import pytest
from estimator_folders import write_estimator
from hub_folders import LAYOUTS, write_folder

from speechbrain_ext.hub.separators import load_separator


def test_another_rate_or_kind_is_told(tmp_path):
    write_folder(tmp_path / "one", *LAYOUTS["conv_tasnet"])
    path = tmp_path / "one/hyperparams.yaml"
    text = path.read_text()
    assert "sample_rate: 8000" in text
    options = {"folder": tmp_path, "sample_rate": 8000}
    assert load_separator("one", **options) is not None
    path.write_text(text.replace("sample_rate: 8000", "sample_rate: 16000"))
    with pytest.raises(ValueError, match="works at 16000 Hz, and sample_rate"):
        load_separator("one", **options)
    write_estimator(tmp_path / "estimator")
    with pytest.raises(ValueError, match="estimator holds no separator"):
        load_separator("estimator", **options)
    with pytest.raises(FileNotFoundError, match="no separator .*two"):
        load_separator("two", **options)

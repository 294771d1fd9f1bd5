"""The name of `speechbrain-ext publish` in earlier releases."""

from speechbrain_ext.commands.program import run_as

if __name__ == "__main__":
    run_as("python -m speechbrain_ext.hub", "publish")

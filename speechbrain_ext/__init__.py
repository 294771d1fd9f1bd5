"""SpeechBrain recipes for learning from recordings that were never clean.

The library under the recipes: losses, data on the fly, corpora, models,
training helpers and evaluation.  See README.md of the project.
"""

__version__ = "0.1.0"

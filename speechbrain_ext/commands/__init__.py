"""The program `speechbrain-ext`: its commands, and the options they share.

Nothing here imports torch before a command needs it.
"""

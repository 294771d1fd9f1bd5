"""The program `speechbrain-ext`: see `speechbrain_ext.commands.program`."""

from speechbrain_ext.commands.program import main

if __name__ == "__main__":
    main()

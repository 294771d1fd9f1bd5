"""How much SpeechBrain's maintainers can read: what they merged of late."""

# added lines and files of a branch
LONGEST_LIBRARY = 2500
LONGEST_RECIPE = 2200
MOST_FILES = 14
# lines of a train.py
LONGEST_TRAIN = 350
LONGEST_STAGED_TRAIN = 500
# bytes of a file
LARGEST_FILE = 1024 * 1024

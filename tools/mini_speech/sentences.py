"""Texts of the `mini` corpus: a small grammar and free sentences.

Everything here was written for this project and carries its license.  The
grammar is deliberately tiny (62 words), so that a recognizer can be trained on
a CPU in minutes; the free sentences give the separation and enhancement
recipes sounds that the grammar lacks.
"""

NAMES = ["anna", "ben", "clara", "david", "emma", "frank", "grace", "henry"]
VERBS = ["bought", "found", "carried", "painted", "sold", "washed", "moved"]
NUMBERS = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]
COLOURS = ["red", "green", "blue", "yellow", "white", "black", "brown", "grey"]
THINGS = [
    "boxes",
    "chairs",
    "apples",
    "bottles",
    "books",
    "candles",
    "baskets",
    "lamps",
    "shoes",
]
PREPOSITIONS = ["near", "behind", "under", "beside", "outside"]
PLACES = [
    "station",
    "garden",
    "kitchen",
    "bridge",
    "market",
    "school",
    "river",
    "window",
]
TIMES = ["today", "yesterday", "this morning", "last night", "again", "early"]

# The first 40 are spoken in the train split and by the users, the other 20 in
# valid and test: no free text of the training voices is heard in evaluation.
FREE_SENTENCES = [
    "The kettle was still warm when she came back from the shop.",
    "Nobody told me that the meeting had been moved to Thursday.",
    "A thin layer of ice covered the pond behind our house.",
    "He keeps an old radio on the shelf above the workbench.",
    "We should leave before the rain gets any heavier.",
    "The baker on the corner opens at half past five.",
    "I have never seen so many geese on one small field.",
    "Could you hold the ladder while I fix the gutter?",
    "Her brother plays the cello in a youth orchestra.",
    "The last bus had gone, so we walked along the canal.",
    "There is a strange rattle whenever I turn the key.",
    "They sat by the fire and told stories until midnight.",
    "My glasses must be somewhere under this pile of paper.",
    "The doctor asked him to breathe slowly and keep still.",
    "A fox crossed the road just ahead of our car.",
    "Please speak up, the line is rather poor tonight.",
    "The choir will sing two short pieces after the break.",
    "Fresh paint takes about four hours to dry in this weather.",
    "She folded the map and put it into her coat pocket.",
    "The children built a dam of stones across the stream.",
    "I would rather take the stairs than wait for the lift.",
    "An orange cat sleeps on the roof of the garage.",
    "We grow beans and onions on the sunny side.",
    "The judge thanked the witness and closed the session.",
    "You can hear the sea from the upper bedroom.",
    "His handwriting is so small that I need a lens.",
    "The museum is free on the first Sunday of each month.",
    "Someone left a wet umbrella leaning against the door.",
    "It took three men to lift the piano onto the truck.",
    "The recipe calls for butter, but oil works just as well.",
    "Our neighbours are building a shed out of old doors.",
    "The pilot announced a short delay because of fog.",
    "I owe you an answer, and here it is.",
    "The clock in the hall runs five minutes fast.",
    "She teaches chemistry at the college near the park.",
    "Do not touch the fence, it was painted an hour ago.",
    "The wind pushed the gate open and shut all night.",
    "We found a coin from the year my father was born.",
    "He whistled softly while he sharpened the knives.",
    "The train crosses the valley on a tall stone viaduct.",
    "Every autumn the leaves block the drain in our yard.",
    "The nurse wrote the number on the back of her hand.",
    "Could we meet a little later, perhaps at quarter to nine?",
    "A row of poplars marks the edge of the estate.",
    "The printer jams whenever the paper is damp.",
    "They voted twice and still could not agree on a name.",
    "Her suitcase was too heavy for the overhead rack.",
    "The soup needs salt and a squeeze of lemon.",
    "An engineer checked each bolt along the walkway.",
    "I dreamt about a house with far too many rooms.",
    "The goalkeeper slipped, and the ball rolled over the line.",
    "Snow muffled every sound in the narrow street.",
    "You will find spare batteries in the second drawer.",
    "The actor forgot his words and began to laugh.",
    "We share one garden with the people upstairs.",
    "A pair of swallows nests above the stable door.",
    "The library closes early during the holidays.",
    "He sold his boat and bought a piece of forest.",
    "The engine coughed twice before it started.",
    "Somebody should water the plants while we are away.",
]
TRAINING_FREE_SENTENCES = FREE_SENTENCES[:40]
EVALUATION_FREE_SENTENCES = FREE_SENTENCES[40:]


def grammar_sentence(generator):
    """One sentence of the grammar, in lower case without punctuation.

    Arguments
    ---------
    generator : random.Random
        Source of the choices.

    Returns
    -------
    sentence : str
        For example "clara painted seven yellow chairs behind the station
        today".
    """
    slots = [
        NAMES,
        VERBS,
        NUMBERS,
        COLOURS,
        THINGS,
        PREPOSITIONS,
        ["the"],
        PLACES,
        TIMES,
    ]
    return " ".join(generator.choice(slot) for slot in slots)


def vocabulary():
    """Sort the words of the grammar.

    Returns
    -------
    words : list of str
    """
    sentences = (
        NAMES
        + VERBS
        + NUMBERS
        + COLOURS
        + THINGS
        + PREPOSITIONS
        + PLACES
        + TIMES
        + ["the"]
    )
    return sorted({word for entry in sentences for word in entry.split()})

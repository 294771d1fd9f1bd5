"""Files that a stranger might send, and a judge of what becomes of them.

`case` has the words, `judge` runs one case in a process of its own,
`runners` gives a case to the package, and each other module holds the cases
of one kind.
"""

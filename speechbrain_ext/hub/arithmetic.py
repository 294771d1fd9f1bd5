"""The arithmetic of `!ref <kernel_size> // 2`."""

import ast
import operator

LONGEST = 200
OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def evaluate(text: str) -> object:
    """Evaluate text that is a sum, product, ... of numbers.

    As in HyperPyYAML, what is no arithmetic (a path, a name) stays text.

    Arguments
    ---------
    text : str
        After references have been replaced, of at most `LONGEST` characters:
        without powers, results have no more digits than that.

    Returns
    -------
    value : int, float, bool, None or str
        The result, or the text itself.

    Raises
    ------
    ValueError
        If it is arithmetic, but cannot be calculated.

    Example
    -------
    >>> evaluate("16 // 2"), evaluate("results/1234"), evaluate("1/4")
    (8, 'results/1234', 0.25)
    """
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} characters")
    try:
        return calculate(ast.parse(text, mode="eval").body)
    except (SyntaxError, LookupError):
        return text
    except (ArithmeticError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"it cannot be calculated ({error})") from error


def calculate(tree: ast.AST) -> object:
    """Calculate a tree; a LookupError says that it is no arithmetic."""
    if isinstance(tree, ast.Constant):
        kinds = (str, int, float, bool, type(None))
        if not isinstance(tree.value, kinds):
            raise LookupError
        return tree.value
    if not isinstance(tree, ast.BinOp):
        raise LookupError
    operation = OPERATIONS[type(tree.op)]
    sides = calculate(tree.left), calculate(tree.right)
    if not all(type(side) in (int, float) for side in sides):
        raise TypeError("only numbers are calculated with")
    return operation(*sides)

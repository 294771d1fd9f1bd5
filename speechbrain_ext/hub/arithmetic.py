"""The arithmetic of `!ref <a> * 2`, on numbers of bounded size."""

import ast
import operator

LARGEST = 10**15
LARGEST_EXPONENT = 64
OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def evaluate(text: str) -> object:
    """Evaluate text that is a sum, product, ... of numbers.

    As in HyperPyYAML, what is no arithmetic (a path, a name) stays text.
    Unlike there, only numbers are calculated with: text times a number, or a
    power of a power, could fill the memory.

    Arguments
    ---------
    text : str
        After references have been replaced.

    Returns
    -------
    value : int, float, bool, None or str
        The result, or the text itself.

    Raises
    ------
    ValueError
        If it is arithmetic, but not of numbers of bounded size.

    Example
    -------
    >>> evaluate("16 // 2"), evaluate("results/1234"), evaluate("1/4")
    (8, 'results/1234', 0.25)
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return text
    except (RecursionError, MemoryError, ValueError) as error:
        raise ValueError("it is too deep for arithmetic") from error
    if isinstance(tree, ast.Constant):
        plain = tree.value is None or isinstance(
            tree.value, str | int | float | bool
        )
        return tree.value if plain else text
    return calculate(tree) if is_arithmetic(tree) else text


def is_arithmetic(tree: ast.AST) -> bool:
    """Tell whether a tree has nothing but operations and constants."""
    if isinstance(tree, ast.BinOp):
        known = type(tree.op) in OPERATIONS
        return known and is_arithmetic(tree.left) and is_arithmetic(tree.right)
    return isinstance(tree, ast.Constant)


def calculate(tree: ast.AST) -> int | float:
    """Calculate a tree of which `is_arithmetic` holds."""
    if isinstance(tree, ast.Constant):
        value = tree.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("arithmetic is done with numbers only")
    else:
        left, right = calculate(tree.left), calculate(tree.right)
        if isinstance(tree.op, ast.Pow) and abs(right) > LARGEST_EXPONENT:
            raise ValueError(f"an exponent is above {LARGEST_EXPONENT}")
        try:
            value = OPERATIONS[type(tree.op)](left, right)
        except ArithmeticError as error:
            raise ValueError(f"it cannot be calculated ({error})") from error
        if isinstance(value, complex):
            raise ValueError("its result is not a real number")
    if abs(value) > LARGEST:
        raise ValueError(f"a number is above {LARGEST:.0e}")
    return value

"""Restrictions of a search space: Python expressions over parameters, as Kernel Tuner has them, without eval.

Numbers, strings, names of parameters, + - * / // %, comparisons (chained ones too), and, or, not. Everything
else (calls, attributes, indices) is refused with its place.
"""

import ast
import operator

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class RestrictionError(Exception):
    """An expression that is not understood, or that has no value."""


class Restriction:
    """One expression, checked against the names of the parameters when it is made."""

    def __init__(self, text, names):
        self.text = text
        try:
            self._body = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            raise RestrictionError(f"restriction '{text}', column {error.offset}: {error.msg}") from None
        self._check(self._body, names)

    def holds(self, values):
        """Whether it is true for `values`, a dict of all parameters."""
        try:
            return bool(self._value(self._body, values))
        except (ArithmeticError, TypeError) as error:
            raise RestrictionError(f"restriction '{self.text}' has no value for {values}: {error}") from None

    def _check(self, node, names):
        if isinstance(node, ast.Name):
            if node.id not in names:
                raise self._refuse(node, f"there is no parameter {node.id}")
        elif isinstance(node, ast.Constant):
            if not isinstance(node.value, (bool, int, float, str)):
                raise self._refuse(node, "not a number or text")
        elif isinstance(node, (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare)):
            signs = node.ops if isinstance(node, ast.Compare) else [node.op]
            if not isinstance(node, ast.BoolOp) and any(type(sign) not in _OPERATORS for sign in signs):
                raise self._refuse(node, "an operator that restrictions do not have")
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self._check(child, names)
        else:
            raise self._refuse(node, "restrictions are made of numbers, parameters and operators")

    def _refuse(self, node, why):
        return RestrictionError(f"restriction '{self.text}', column {node.col_offset + 1}: {why}")

    def _value(self, node, values):
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp):
            return _OPERATORS[type(node.op)](self._value(node.operand, values))
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](self._value(node.left, values), self._value(node.right, values))
        if isinstance(node, ast.BoolOp):
            meets = all if isinstance(node.op, ast.And) else any
            return meets(self._value(part, values) for part in node.values)
        left = self._value(node.left, values)
        for sign, part in zip(node.ops, node.comparators):
            right = self._value(part, values)
            if not _OPERATORS[type(sign)](left, right):
                return False
            left = right
        return True

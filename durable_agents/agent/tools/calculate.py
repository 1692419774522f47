"""The tool `calculate`: exact arithmetic, which models are poor at."""

from datetime import timedelta

from pydantic import BaseModel, Field

from durable_agents.agent.arithmetic import MAX_CHARS, evaluate
from durable_agents.agent.tool import Tool, ToolArguments, ToolContext, shortened


class CalculateArguments(ToolArguments):
    """What to work out."""

    expression: str = Field(
        min_length=1,
        max_length=MAX_CHARS,
        description='Arithmetic, as "(3 + 4) * 2.5", "sqrt(2) ** 3", "12.5 % of 2480".',
    )


class Calculation(BaseModel):
    """An expression and what it comes to; a whole number comes without a point."""

    expression: str
    value: int | float


async def calculate(arguments: CalculateArguments, context: ToolContext) -> Calculation:
    """Work out an expression.

    Raises:
        ToolArgumentsError: It is not arithmetic, or has no usable result.
    """
    return Calculation(expression=arguments.expression, value=evaluate(arguments.expression))


CALCULATE = Tool(
    name="calculate",
    description=(
        "Work out an arithmetic expression exactly. Knows + - * / // % ** and parentheses, "
        "sqrt, abs, round, min, max, floor, ceil, exp, log, log2, log10, sin, cos, tan, asin, "
        "acos, atan, degrees, radians, pi, e, and percentages as in '12.5 % of 2480'. "
        "Decimal point, no thousands separators, no units."
    ),
    arguments=CalculateArguments,
    run=calculate,
    timeout=timedelta(seconds=5),
    about=lambda arguments: shortened(arguments.expression),
)

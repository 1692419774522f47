import pytest

from durable_agents.agent.tool import ToolContext
from durable_agents.agent.toolbox import parse_arguments, render_result
from durable_agents.agent.tools.calculate import CALCULATE
from durable_agents.models.errors import ToolArgumentsError


async def test_a_calculation_is_told_with_its_expression(world: ToolContext) -> None:
    arguments = parse_arguments(CALCULATE, '{"expression": "12.5 % of 2480"}')

    result = await CALCULATE.run(arguments, world)

    assert render_result(CALCULATE, result) == '{"expression":"12.5 % of 2480","value":310}'


async def test_a_fraction_stays_one(world: ToolContext) -> None:
    arguments = parse_arguments(CALCULATE, '{"expression": "7 / 2"}')

    result = await CALCULATE.run(arguments, world)

    assert render_result(CALCULATE, result) == '{"expression":"7 / 2","value":3.5}'


async def test_nonsense_is_a_mistake_in_the_arguments(world: ToolContext) -> None:
    arguments = parse_arguments(CALCULATE, '{"expression": "two apples"}')

    with pytest.raises(ToolArgumentsError, match="cannot be read as arithmetic"):
        await CALCULATE.run(arguments, world)


@pytest.mark.parametrize("expression", ["", "  ", "1+" * 300 + "1"])
def test_an_expression_that_is_empty_or_endless_does_not_fit(expression: str) -> None:
    with pytest.raises(ToolArgumentsError, match="'expression'"):
        parse_arguments(CALCULATE, f'{{"expression": "{expression}"}}')

"""LangGraph: ten nodes in a row, each of which puts 1 KiB into the state; `durability="sync"`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from benchmarks.contenders.serving import STEPS, Round, arguments, in_flight, payload, serve_async, unique


class State(TypedDict):
    run: int
    value: dict[str, Any]


def node(number: int) -> Callable[[State], Any]:
    async def make(state: State) -> dict[str, Any]:
        return {"value": payload(number + state["run"])}

    return make


def graph() -> StateGraph[State]:
    built = StateGraph(State)
    names = [f"step_{number}" for number in range(STEPS)]
    for number, name in enumerate(names):
        built.add_node(name, node(number))
    for before, after in zip([START, *names], [*names, END], strict=True):
        built.add_edge(before, after)
    return built


@asynccontextmanager
async def saver(folder: Path, url: str) -> AsyncGenerator[Any]:
    if url:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from psycopg.rows import dict_row
        from psycopg_pool import AsyncConnectionPool

        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        async with AsyncConnectionPool(url, min_size=20, max_size=20, kwargs=options, open=False) as pool:
            made = AsyncPostgresSaver(pool)
            await made.setup()
            yield made
    else:
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.db")) as made:
            yield made


async def main(folder: Path, url: str) -> None:
    async with saver(folder, url) as checkpointer:
        compiled = graph().compile(checkpointer=checkpointer)

        async def run() -> None:
            config: Any = {"configurable": {"thread_id": unique()}}
            await compiled.ainvoke({"run": 0, "value": {}}, config, durability="sync")

        async def one_at_a_time(number: int) -> dict[str, float]:
            with Round() as taken:
                for _ in range(number):
                    await run()
            return taken.result(number * STEPS)

        async def concurrent(number: int) -> dict[str, float]:
            with Round() as taken:
                await in_flight(run, number)
            return taken.result(number * STEPS)

        await serve_async({"sequential": one_at_a_time, "concurrent": concurrent})


if __name__ == "__main__":
    asyncio.run(main(*arguments()))

"""LangChain and LangGraph as their own documentation uses them, inside flows."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain_core.callbacks import UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from surefoot import flow


class Joke(BaseModel):
    """A joke to tell."""

    setup: str
    rating: int


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two integers."""
    return a * b


def counted(usage: UsageMetadataCallbackHandler) -> list[int]:
    """The tokens that LangChain saw: of the input and of the output."""
    by_model = usage.usage_metadata.values()
    return [sum(one["input_tokens"] for one in by_model), sum(one["output_tokens"] for one in by_model)]


@flow
def chat() -> dict[str, Any]:
    """Each way to call a chat model, one after the other."""
    llm = ChatOpenAI(model="gpt-4o", temperature=0, stream_usage=True)
    with get_usage_metadata_callback() as usage:
        prompt = ChatPromptTemplate([("system", "You translate to {language}."), ("human", "{text}")])
        translated = (prompt | llm).invoke({"language": "French", "text": "I love programming."})
        streamed = [chunk.content for chunk in llm.stream("Write me a song.")]
        joke = llm.with_structured_output(Joke).invoke(f"A joke about {translated.content}")
        called = llm.with_structured_output(Joke, method="function_calling").invoke("Another joke")
        messages: list[Any] = [HumanMessage("What is 3 * 12?")]
        llm_with_tools = llm.bind_tools([multiply])
        asked = llm_with_tools.invoke(messages)
        messages += [asked, *(multiply.invoke(call) for call in asked.tool_calls)]
        answered = llm_with_tools.invoke(messages)
    return {
        "translated": translated.content,
        "streamed": streamed,
        "joke": joke.model_dump(),
        "called": called.model_dump(),
        "product": messages[-1].content,
        "answered": answered.content,
        "tokens": counted(usage),
    }


@flow
async def chat_async() -> dict[str, Any]:
    """The same on an event loop."""
    llm = ChatOpenAI(model="gpt-4o", temperature=0, stream_usage=True)
    with get_usage_metadata_callback() as usage:
        prompt = ChatPromptTemplate([("system", "You translate to {language}."), ("human", "{text}")])
        translated = await (prompt | llm).ainvoke({"language": "French", "text": "I love programming."})
        streamed = [chunk.content async for chunk in llm.astream("Write me a song.")]
        joke = await llm.with_structured_output(Joke).ainvoke(f"A joke about {translated.content}")
        events = [event["event"] async for event in llm.astream_events("Tell me more.")]
        messages: list[Any] = [HumanMessage("What is 3 * 12?")]
        llm_with_tools = llm.bind_tools([multiply])
        asked = await llm_with_tools.ainvoke(messages)
        messages += [asked, *[await multiply.ainvoke(call) for call in asked.tool_calls]]
        answered = await llm_with_tools.ainvoke(messages)
    return {
        "translated": translated.content,
        "streamed": streamed,
        "joke": joke.model_dump(),
        "events": events,
        "product": messages[-1].content,
        "answered": answered.content,
        "tokens": counted(usage),
    }


@flow
def batch() -> dict[str, Any]:
    """Calls at once, in LangChain's own pool of threads."""
    llm = ChatOpenAI(model="gpt-4o")
    with get_usage_metadata_callback() as usage:
        answers = llm.batch([f"question {n}" for n in range(6)], {"max_concurrency": 3})
    return {"answers": [answer.content for answer in answers], "tokens": counted(usage)}


@flow
async def batch_async() -> dict[str, Any]:
    """Calls at once, on an event loop."""
    llm = ChatOpenAI(model="gpt-4o")
    with get_usage_metadata_callback() as usage:
        answers = await llm.abatch([f"question {n}" for n in range(6)], {"max_concurrency": 3})
    return {"answers": [answer.content for answer in answers], "tokens": counted(usage)}


@flow
def agent() -> dict[str, Any]:
    """An agent with a tool, which LangGraph runs."""
    made = create_agent(ChatOpenAI(model="gpt-4o"), tools=[multiply], system_prompt="You are terse.")
    with get_usage_metadata_callback() as usage:
        first = made.invoke({"messages": [{"role": "user", "content": "What is 6 * 7?"}]})
        second = made.invoke({"messages": [{"role": "user", "content": "And 2 * 3?"}]})
    return {
        "said": [message.content for state in (first, second) for message in state["messages"]],
        "tokens": counted(usage),
    }


class State(TypedDict):
    """What goes through the graph."""

    topic: str
    joke: str
    improved: str


@flow
async def graph() -> dict[str, Any]:
    """Nodes of a graph, the second of which streams to the reader."""
    llm = ChatOpenAI(model="gpt-4o", stream_usage=True)

    async def write(state: State) -> dict[str, Any]:
        answer = await llm.ainvoke(f"A joke about {state['topic']}")
        return {"joke": answer.content}

    async def improve(state: State) -> dict[str, Any]:
        answer = await llm.ainvoke(f"Make this joke funnier: {state['joke']}")
        return {"improved": answer.content}

    built = StateGraph(State)
    built.add_node("write", write)
    built.add_node("improve", improve)
    built.add_edge(START, "write")
    built.add_edge("write", "improve")
    built.add_edge("improve", END)
    compiled = built.compile()
    with get_usage_metadata_callback() as usage:
        first = await compiled.ainvoke({"topic": "cats", "joke": "", "improved": ""})
        tokens: list[str] = []
        async for chunk, about in compiled.astream(
            {"topic": "dogs", "joke": "", "improved": ""}, stream_mode="messages"
        ):
            tokens.append(f"{about['langgraph_node']}: {chunk.content}")
        await asyncio.sleep(0)
    return {"state": first, "streamed": tokens, "tokens": counted(usage)}

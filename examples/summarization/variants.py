"""The same workflow with the other official clients: `AsyncOpenAI` and `Anthropic`."""

from __future__ import annotations

from anthropic import Anthropic
from openai import AsyncOpenAI
from workflow import check_answer, retrieve_context, summary

from surefoot import Prompty, Workflow


class AsyncSummarizationWorkflow(Workflow):
    """`async def run`: called from async code, on the caller's loop."""

    def __init__(self, client: AsyncOpenAI):
        super().__init__()
        self.client = client

    async def run(self, query: str, document_id: str) -> dict[str, object]:
        context = retrieve_context(query, document_id)
        final_prompt = Prompty.load_template("document_summarization_v2").render(
            context="\n".join(passage.text for passage in context), query=query
        )
        response = await self.client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": final_prompt}],
            temperature=0,
            max_tokens=64,
        )
        answer = (response.choices[0].message.content or "").strip()
        check = check_answer(answer, context)
        return {"summary": summary(answer, check), "context_used": context}


class AnthropicSummarizationWorkflow(Workflow):
    """Anthropic's client, and the prompt as a `.prompty` file."""

    def __init__(self, client: Anthropic):
        super().__init__()
        self.client = client

    def run(self, query: str, document_id: str) -> dict[str, object]:
        context = retrieve_context(query, document_id)
        prompt = Prompty.load_template("document_summarization@2")
        messages = prompt.messages(context="\n".join(passage.text for passage in context), query=query)
        response = self.client.messages.create(
            model="claude-sonnet-5",
            messages=[{"role": "user", "content": message.content} for message in messages],
            max_tokens=64,
        )
        answer = "".join(block.text for block in response.content if block.type == "text").strip()
        check = check_answer(answer, context)
        return {"summary": summary(answer, check), "context_used": context}

"""The rules of the package: what hardly anybody writes who does not mean to instruct the model against its owner."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from surefoot.guards.detecting.overrides import overrides
from surefoot.guards.detecting.rules import Rule
from surefoot.guards.detecting.wording import GAP, any_of, in_line, some_of

_SECRETS = (
    "system prompt|system prompts|system message|system instructions|initial prompt|initial instructions|hidden instructions"
    "|original prompt|original instructions|secret instructions|hidden prompt|secret prompt|developer message"
    "|pre-prompt|preprompt|internal instructions|internal prompt|prompt verbatim|confidential instructions"
)
_TELL = (
    "reveal|show me|print|output|repeat|display|tell me|give me|leak|dump|expose|disclose|recite|write out|return|share"
    "|show|list|copy|quote|spell out|translate|encode|summarize|summarise"
)
_FREE = "restrictions|rules|limits|limitations|filters|filter|guidelines|ethics|morals|censorship|boundaries|constraints"


def _others() -> Iterator[Rule]:
    yield Rule(
        "extraction",
        r"\b"
        + any_of(_TELL)
        # No bracket: `print(system_prompt)` is a line of any program that has one.
        + GAP.replace("()", "")
        + some_of(
            "me|us|all|of|the|your|ur|its|internal|actual|real|secret|full|entire|complete|exact|whole|own|out|first",
            5,
        )
        + any_of(_SECRETS),
    )
    yield Rule(
        "extraction",
        r"\bwhat"
        + GAP
        + in_line(
            any_of("is|are|was|were|'s"),
            "your",
            some_of("full|exact|entire|complete|original", 2),
            any_of(_SECRETS),
        ),
    )
    yield Rule(
        "extraction",
        r"\b"
        + in_line(
            any_of("repeat|print|output|copy|recite|show|write"),
            some_of("back|all|of|the|me|out|to", 3),
            any_of("everything|words|text|sentences|lines|content|contents|instructions|prompt"),
            some_of("that|is|was|are|written|you|see|were|given", 4),
            r"(?:above|before this|preceding this|prior to this)\b",
        ),
    )
    yield Rule(
        "extraction",
        in_line(
            any_of(
                "zeige|zeig|nenne|gib|verrate|muestra|muestrame|revela|dime|affiche|montre|montre-moi|revele|mostra|mostrami|rivela"
                "|mostre|revele|toon|geef|pokaz|ujawnij|visa|покажи|раскрой|выведи|goster"
            ),
            some_of(
                "mir|me|moi|deinen|deine|den|die|das|tu|tus|el|las|ton|tes|le|les|il|tuo|le tue|seu|o|suas|je|swoj|swoje|свой|свои|aus"
                "|vollstandigen|kompletten|geheimen|completo|din|sistem",
                4,
            ),
            any_of(
                "systemprompt|system prompt|system-prompt|systemanweisungen|prompt del sistema|instrucciones ocultas|prompt systeme"
                "|instructions cachees|prompt di sistema|istruzioni nascoste|prompt do sistema|instrucoes ocultas|systeemprompt"
                "|prompt systemowy|системный промпт|системные инструкции|скрытые инструкции|systemprompten|systempromten|promptunu"
            ),
        ),
    )
    yield Rule(
        "extraction",
        any_of("显示|输出|告诉我|泄露|重复|透露|打印|说出")
        + "[^。\n]{0,8}?"
        + any_of("系统提示|系统指令|初始指令|隐藏指令|系统消息"),
    )
    yield Rule(
        "extraction",
        any_of("システムプロンプト|初期の指示|隠された指示")
        + "[^。\n]{0,6}?"
        + any_of("表示|教え|出力|見せ|明かし|公開"),
    )
    yield Rule(
        "jailbreak:persona",
        in_line(
            r"\b",
            any_of("you are|act as|pretend to be|pretending to be|become|roleplay as|role play as|simulate"),
            some_of("now|going to|a|an|the|called", 4),
            r"(?:dan|stan|dude|aim|dev ?mode|jailbroken|omega ?ai|evil[- ]?bot|chaosgpt|freegpt|basedgpt|mongo ?tom)\b",
        ),
    )
    yield Rule("jailbreak:persona", r"\bdo" + GAP + r"anything" + GAP + r"now\b")
    yield Rule(
        "jailbreak:free",
        r"\b"
        + in_line(
            any_of(
                "you are|you're|act|acts|acting|respond|answer|behave|operate|ai|assistant|model|chatbot|bot|persona|character|pretend you|if you"
            ),
            r"(?:[a-z',-]{1,14}\s{1,2}){0,6}",
            any_of(
                "without any|with no|free of all|free from all|free of any|not bound by|no longer bound by|unbound by|have no|has no|had no|without"
            ),
            some_of(
                "any|all|the|ethical|moral|content|safety|built-in|your|its|usual|or|and|legal|programmed", 4
            ),
            any_of(_FREE),
        ),
    )
    yield Rule(
        "jailbreak:free",
        r"\b"
        + in_line(
            any_of("unrestricted|unfiltered|uncensored|jailbroken|amoral"),
            some_of("and|amoral|unfiltered|uncensored|evil|an|new", 2),
            r"(?:ai|assistant|mode|chatbot|bot|language model|version of|llm|gpt)\b",
        ),
    )
    yield Rule(
        "jailbreak:mode",
        r"\b"
        + in_line(
            any_of("enter|activate|switch to|you are in|you are now in|simulate"),
            some_of("the|a|in|into|to|chatgpt with", 3),
            r"(?:developer|dev|god|jailbreak|debug|unrestricted|dan|admin|sudo|maintenance|root)"
            + GAP
            + r"(?:mode|override)\b",
        ),
    )
    yield Rule(
        "jailbreak:mode",
        r"\b"
        + in_line(
            any_of("enable|turn on|enabled"),
            some_of("the|a|in|into|to|your|chatgpt with", 3),
            # Telephones have a mode for developers, and programs one for debugging.
            r"(?:your"
            + GAP
            + r"(?:developer|dev|debug|admin)|god|jailbreak|unrestricted|dan|sudo)"
            + GAP
            + r"(?:mode|override)\b",
        ),
    )
    yield Rule(
        "jailbreak:safety",
        r"\b"
        + in_line(
            any_of(
                "disable|turn off|deactivate|bypass|switch off|ignore|override|circumvent|lift|suspend|stand down|drop|disregard"
            ),
            any_of("all|any|your|ur|openai's|openai"),
            some_of("all|any|of|the|your|its|built-in|openai's|openai", 3),
            r"(?:safety|content|ethical|ethics|security|moderation|moral)",
            any_of(
                "filters?|protocols?|restrictions?|guidelines?|guardrails?|policies|policy|measures|features|checks|controls|settings"
            ).replace("\\?", "?"),
        ),
    )
    yield Rule(
        "jailbreak:refusal",
        r"\b"
        + in_line(
            any_of("never|do not|don't|cannot|can't|must not|will not"),
            any_of("refuse|say no|decline|reject"),
            some_of("to|answer|a|any|my|request|requests|question|anything|me", 4),
            r"(?:answer|request|requests|order|orders|instruction|instructions|anything|questions?|command|commands)\b",
        ),
    )
    yield Rule(
        "jailbreak:persona",
        in_line(
            any_of(
                "ab jetzt bist du|du bist jetzt|ahora eres|a partir de ahora eres|tu es maintenant|desormais tu es|da ora in poi sei|ora sei|agora voce e|теперь ты|从现在起你是|从现在开始你是|你现在是"
            ),
            r"[^.!?\n]{0,60}?",
            any_of(
                "ohne regeln|ohne einschrankungen|ohne filter|keine regeln|keinen regeln|sin limites|sin restricciones|sin filtros|sans filtre|sans limites|sans restrictions|sans aucune restriction|senza filtri|senza restrizioni|senza limiti|sem restricoes|sem filtros|без правил|без ограничений|без фильтров|没有任何限制|没有限制|不受限制"
            ),
        ),
    )
    yield Rule(
        "tool:tokens",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|eot_id)\|?>|\[/?inst\]|<</?sys>>|<start_of_turn>|</?s>\s{0,2}\[inst\]",
    )
    yield Rule(
        "tool:role",
        # Not the name of a link, and not an element of XML.
        r"(?:^|\n)[ \t]{0,4}(?:\[(?:system|assistant|developer)(?: (?:message|prompt|override|note|instruction|update|command))?\](?:[^(\[]|$)"
        r"|<(?:system|assistant)(?: (?:message|prompt|override|note|instruction|update|command))?>[ \t]{0,2}[a-z\n]"
        r"|#{1,3}[ \t]{0,2}(?:system|assistant)(?: (?:message|prompt|override|note|instruction|update|command))?[ \t]{0,2}:)",
    )
    yield Rule(
        "tool:call",
        r"<(?:tool_call|function_call|function_calls|invoke|tool_use)\b|[\"'](?:tool_calls|function_call|tool_use)[\"']\s{0,4}:",
    )
    yield Rule(
        "tool:call",
        r"\b"
        + in_line(
            any_of("call|invoke|use|execute|run|trigger"),
            some_of("the|your|now", 2),
            any_of("tool|function"),
            some_of("named|called", 1),
            r"[a-z_]{0,24}(?:send|delete|transfer|forward|upload|share|exec|dump|pay)_?[a-z_]{0,24}\b",
        ),
    )
    yield Rule(
        "indirect:addressed",
        r"\b"
        + in_line(
            any_of(
                "note to|attention|instruction for|instructions for|instructions to|message to|message for|notice to|to the|dear|hey|hinweis an|nota para|note pour|attention all|important for"
            ),
            some_of("the|any|all|an|die|el|la|l|le|this|every", 2),
            any_of(
                "ai|llm|language model|ai assistant|ai agent|assistant|ai model|chatbot|language models|ki|ki-assistent|ia|asistente|assistant ia|automated agent|ai systems|summarizer|ai reviewer|ai agents"
            ),
            r"(?:reading|processing|that|who|which|summari[sz]ing|reviewing|:|liest|que|qui)",
        ),
    )
    yield Rule(
        "indirect:addressed",
        r"\bif"
        + GAP
        + in_line(
            any_of("you are|you're"),
            some_of("a|an|the", 1),
            any_of(
                "ai|llm|language model|ai assistant|ai agent|ai model|automated agent|automated system|chatbot"
            ),
            r"(?:reading|processing|[a-z ]{0,20}?[,:]|then|you must|please|and)",
        ),
    )
    yield Rule(
        "indirect:secret",
        r"\b"
        + in_line(
            any_of("do not|don't|never|without"),
            any_of(
                "mention|tell|reveal|inform|telling|informing|mentioning|disclose|notify|notifying|alert|alerting"
            ),
            some_of("to|the|this|that|these|it|about", 3),
            any_of("user|users|instruction|instructions|human"),
            r"(?:about|of|that|this|to|anything|instructions?|[.,;!]|$)",
        ),
    )
    yield Rule(
        "indirect:secret",
        r"\b(?:new|updated|real|actual|additional)"
        + GAP
        + any_of(
            "system instructions|system prompt|system instruction|system message|instructions from the developer|task for the assistant|primary directive"
        ),
    )
    yield Rule(
        "exfiltration:link",
        r"!\[[^\]]{0,40}\]\(\s{0,2}(?:https?:)?//[^)\s]{1,80}[?&][a-z0-9_]{1,20}=\s{0,1}(?:\{|\[|<|\$|%7b|data|secret|conversation|history|prompt|\.\.\.|your|user|insert|base64)",
    )
    yield Rule(
        "exfiltration:link",
        r"\b"
        + in_line(
            any_of(
                "append|add|attach|embed|include|insert|encode|put|send|post|submit|upload|exfiltrate|leak|forward"
            ),
            r"(?:[a-z',-]{1,14}\s{1,2}){0,6}",
            any_of(
                "conversation|chat history|api key|api keys|password|passwords|system prompt|credentials|secret key|user data|user's data|personal data|private key|access token|private information|environment variables|session token|confidential data|contents of this mailbox|inbox"
            ),
            r"(?:[a-z',-]{1,14}\s{1,2}){0,5}",
            r"(?:to|into|at|in|as)" + GAP + r"(?:[a-z',]{1,12}\s{1,2}){0,4}",
            r"(?:https?://|www\.|url\b|link\b|[a-z0-9._-]{1,30}@|webhook|attacker|query string|external|markdown image|evil)",
        ),
    )
    yield Rule(
        "exfiltration:shell",
        r"(?:curl|wget|nc)\s[^\n]{0,80}(?:/etc/passwd|\.ssh/|id_rsa|\.env\b|\$\((?:env|cat|printenv|whoami)\b)",
    )
    yield Rule("hijack:output", r"\b(?:i have been pwned|haha pwned)\b")


@lru_cache(maxsize=1)
def shipped_rules() -> tuple[Rule, ...]:
    """The rules that come with the package."""
    return (*overrides(), *_others())

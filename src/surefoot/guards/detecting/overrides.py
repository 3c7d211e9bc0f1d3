"""Rules against instructions that would replace those of the prompt, by language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from surefoot.guards.detecting.rules import Rule
from surefoot.guards.detecting.wording import GAP, any_of, each_of, in_line, some_of
from surefoot.texts.characters import skeleton

# Who drops what: verbs, words that may stand between, what marks it as said before, and its name.
_LANGUAGES: Mapping[str, tuple[str, str, str, str]] = {
    "en": (
        "ignore|ignoring|disregard|forget|override|bypass|discard|neglect|dismiss|do not follow|don't follow"
        "|stop following|do not obey|don't obey|pay no attention to|disobey|erase|nullify|ignores|disregarding|forgetting",
        "all|any|every|each|of|the|your|these|those|this|to|and|or|a|everything|about|completely",
        "previous|prior|above|earlier|preceding|initial|original|foregoing|system|safety|programmed|built-in",
        "instructions?|rules?|prompts?|guidelines?|directives?|directions?|commands?|programming|restrictions?"
        "|constraints?|safeguards",
    ),
    "de": (
        "ignoriere|ignorier|ignorieren sie|vergiss|vergessen sie|missachte|missachten sie|uberspringe|verwirf|befolge nicht mehr|beachte nicht",
        "alle|alles|die|den|deine|ihre|samtliche|jegliche|aller|von",
        "vorherigen|vorherige|bisherigen|bisherige|vorigen|fruheren|obigen|vorangegangenen|ursprunglichen"
        "|vorangehenden|gegebenen|letzten|dir gegebenen",
        "anweisungen|anweisung|instruktionen|regeln|vorgaben|befehle|auftrage|richtlinien|prompts?|systemprompt",
    ),
    "es": (
        "ignora|ignore|ignorar|olvida|olvide|olvidate de|descarta|omite|no sigas|anula|deja de seguir",
        "todas|todo|las|los|el|la|tus|sus|cualquier|de",
        "",
        each_of(
            "instrucciones|instruccion|indicaciones|indicacion|reglas|ordenes|directrices|normas",
            "anteriores|anterior|previas|previos|de arriba|precedentes|iniciales|que te dieron|que te han dado",
        )
        + "|anteriores instrucciones|prompt del sistema|todas las instrucciones y|todas tus instrucciones|lo que te dijeron",
    ),
    "fr": (
        "ignore|ignorez|ignorer|oublie|oubliez|oublier|ne tiens pas compte de|ne tenez pas compte de|ne suis plus|laisse tomber|annule",
        "toutes|tous|tout|les|des|le|la|tes|vos|de|ce",
        "",
        each_of(
            "instructions|instruction|consignes|directives|regles|ordres",
            "precedentes|precedente|ci-dessus|anterieures|initiales|d'origine|donnees plus haut|qui precedent",
        )
        + "|precedentes instructions|prompt systeme|toutes les instructions et|toutes tes instructions|qu'on t'a dit",
    ),
    "it": (
        "ignora|ignorate|dimentica|trascura|non seguire|non seguire piu|scarta",
        "tutte|tutti|tutto|quello|che|le|gli|i|il|tue|di",
        "",
        each_of("istruzioni|regole|direttive|indicazioni", "precedenti|qui sopra|iniziali|di prima|originali")
        + "|precedenti istruzioni|prompt di sistema|ti e stato detto prima",
    ),
    "pt": (
        "ignore|ignora|esqueca|desconsidere|nao siga|nao siga mais|descarte",
        "todas|todos|tudo|as|os|o|a|suas|que|de",
        "",
        each_of("instrucoes|regras|diretrizes|ordens", "anteriores|acima|iniciais|previas|originais")
        + "|prompt do sistema",
    ),
    "nl": (
        "negeer|vergeet|volg niet langer|sla over",
        "alle|de|het|je|jouw|uw|van",
        "vorige|eerdere|voorgaande|bovenstaande|oorspronkelijke",
        "instructies|regels|opdrachten|aanwijzingen|prompts?",
    ),
    "pl": (
        "zignoruj|ignoruj|zapomnij|pomin|odrzuc",
        "wszystkie|o|te|swoje",
        "poprzednie|powyzsze|wczesniejsze|poprzednich",
        "instrukcje|polecenia|zasady|instrukcjach",
    ),
    "ru": (
        "игнорируй|проигнорируй|игнорируйте|забудь|забудьте|не учитывай|отмени|пропусти",
        "все|всё|свои|о|про|эти",
        "предыдущие|прежние|прошлые|вышестоящие|предыдущих|системные|системный",
        "инструкции|указания|правила|команды|инструкциях|промпт",
    ),
    "sv": (
        "ignorera|glom|bortse fran",
        "alla|de|dina|mina",
        "tidigare|foregaende|ovanstaende",
        "instruktioner|instruktionerna|regler|anvisningar",
    ),
    "zh": (
        "忽略|无视|忘记|忘掉|不要理会|忽视",
        "你|所有|一切|全部|的|掉",
        "之前|以上|上面|先前|前面|此前",
        "的?",
    ),
}
# The verb stands behind.
_BEHIND: Mapping[str, str] = {
    "tr": in_line(
        any_of("onceki|yukaridaki|onceden verilen"),
        any_of("tum|butun|verilen") + "?",
        any_of("talimatlari|talimatlarini|kurallari|komutlari"),
        any_of("yok say|unut|gormezden gel|dikkate alma"),
    ),
    "ja": in_line(
        any_of("以前の|これまでの|上記の|前の|今までの"),
        any_of("すべての|全ての|全") + "?",
        any_of("指示|命令|ルール|プロンプト"),
        "[をは]?",
        any_of("すべて|全て") + "?",
        any_of("無視|忘れ"),
    ),
    "ko": in_line(
        any_of("이전의|이전|위의|앞의"),
        any_of("모든") + "?",
        any_of("지시|지침|명령|규칙") + r"\S{0,6}",
        r"\s?" + any_of("무시|잊어"),
    ),
    "hi": in_line(
        any_of("पिछले|ऊपर दिए गए"),
        some_of("सभी|सब", 1),
        any_of("निर्देशों|निर्देश|नियमों"),
        "\\S{0,3}",
        any_of("अनदेखा|भूल|नजरअंदाज"),
    ),
    "ar": in_line(
        any_of("تجاهل|انس|انسى|لا تتبع"),
        some_of("جميع|كل", 1),
        any_of("التعليمات|الأوامر|القواعد"),
        any_of("السابقة|أعلاه"),
    ),
}


def overrides() -> Iterator[Rule]:
    for language, (verbs, between, marks, names) in _LANGUAGES.items():
        if language == "zh":
            what = in_line(
                some_of(between, 3),
                any_of(marks),
                # Of what was said before, and not of a mail or a file: these are ignored every day.
                "(?:[^。\n]{0,6}?" + any_of("指令|指示|说明|规则|提示|要求") + "|的?" + any_of("内容") + ")",
            )
            yield Rule("override:zh", in_line(any_of(verbs), what))
            continue
        # The end of a word is one of ASCII letters.
        end = r"\b" if skeleton(verbs).isascii() else ""
        marked = f"{some_of(marks, 3)}" if language == "en" else ""
        mark = any_of(marks) + GAP if marks else ""
        what = (
            some_of(between, 4)
            + mark
            + some_of(between, 2)
            + marked
            + some_of(between, 1)
            + _names(names, end)
        )
        yield Rule(f"override:{language}", end + in_line(any_of(verbs), what))
    yield Rule(
        "override:en",
        r"\b"
        + in_line(
            any_of("ignore|disregard|forget|discard|stop following|do not follow"),
            some_of("all|any|of|the|your|everything|that|what|you|i", 5),
            any_of(
                "instructions|instruction|rules|directions|guidelines|everything you were told|what you were told|prompt|commands"
            ),
            some_of("that|you|have|i|been|were|was|given|to|it|is|came|written|or|and|asked|from", 5),
            r"(?:above|before|previously|earlier|so far|until now|up to now|prior)\b",
        ),
    )
    yield Rule(
        "override:en",
        r"\b"
        + in_line(
            any_of("forget|ignore|disregard"),
            any_of("everything|all|anything|all that|all of it|all the things"),
            some_of("that|which", 1),
            "(?:"
            + any_of(
                "you were told|you have been told|you've been told|you were taught|you have been taught"
                "|you were instructed|before this|from before"
            )
            # About mattresses it is said by who sells them.
            + "|"
            + any_of("you know|you knew|you have learned|you learned")
            + r"(?:\W{0,3}$|\s{0,2}[.,!;:\n]|"
            + GAP
            + any_of("and|before|until|so far|up to|now|prior|previously|but|then|instead")
            + "))",
        ),
    )
    yield Rule(
        "override:de",
        r"\b"
        + in_line(
            any_of("vergiss|vergessen sie|ignoriere|ignorieren sie"),
            some_of("nun|jetzt|bitte|einfach", 2),
            any_of(
                "alles davor|alles vorherige|alles bisherige|das obige|alles obige|alles, was ich|alles, was man|alles, was dir|alles, was du|alles, was vorher|alles, was zuvor|alles, was bisher|alles, was oben|alles, was hier|alle auftrage|alle anweisungen|alle regeln|alles zuvor"
            ),
        ),
    )
    yield Rule(
        "override:en",
        r"\b"
        + in_line(
            any_of(
                "ignore|ignoring|disregard|disregarding|bypass|override|cancel|abandon|break|violate|forget|forgetting|set aside"
            ),
            some_of("all|any|of|about", 3),
            any_of("your|ur"),
            some_of("own|previous|prior|usual|current|original|ethical|safety|content|internal|other", 3),
            r"(?:instructions|guidelines|directives|programming|restrictions|safeguards|directions|system prompt|moral|safety)\b",
        ),
    )
    yield Rule(
        "override:en",
        r"\b"
        + in_line(
            any_of("ignore|disregard|forget"),
            any_of("all|all of|all the|all of the|any"),
            any_of("instructions|directives|guidelines|rules"),
            any_of(
                "you got|you received|you were given|you have been given|given to you|previously given|you have received|that you were given|and say|and print|and write|and reply|and answer|and tell"
            ),
        ),
    )
    yield Rule(
        "override:en",
        r"\b"
        + in_line(
            any_of("ignore|disregard|forget"),
            r"(?:all (?:of )?)?the" + GAP + any_of("above|preceding|foregoing"),
            any_of("and|instead"),
            any_of(
                "say|print|write|output|tell|reply|answer|respond|instead|repeat|reveal|copy|translate this|just"
            ),
        ),
    )
    yield Rule(
        "override:hr",
        in_line(any_of("zaboravi|ignoriraj|zanemari"), any_of("sve"), any_of("instrukcije|upute|prethodne")),
    )
    for language, pattern in _BEHIND.items():
        yield Rule(f"override:{language}", pattern)


def _names(names: str, end: str) -> str:
    # A question mark after a letter makes that letter optional, as in `rules?`.
    return any_of(names).replace("\\?", "?") + end

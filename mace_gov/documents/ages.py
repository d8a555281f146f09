"""Ages below eighteen, in the ways in which people write them. Reads the views of ``spoken``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mace_gov.documents.spoken import NUMBERS, counted

_UNDER = r"0?(?:1[0-7]|[0-9])"
_AGE = rf"(?<!\d){_UNDER}(?!\d)"
_YEARS = (
    "years?|yrs?|yr|yo|yos|y o|y|yearolds?|years?olds?|yrolds?|summers|winters|springs|jahren?|jahrig(?:er|e|es|en)?|"
    "ans|anos?|anni|jaar|jarige?|lat|letni[ae]?|let|net|roda|pokib|yas|yasinda|yasindaki|tahun|thn|tuoi|vuotta|vuotias|"
    "ar gammal|ar gamle?|eves|godina|ani|miaka|taon|anyos"
)
_UNITS_AFTER = (
    r"(?: (?:ago|later|after|before|since|from now|of experience|of service|warranty|anniversary|war|plan|lease|hence|"
    r"straight|running|in a row|apart|past|degrees?|course|program|programme|term|contract|study|reign|cycle|mission))"
)
_NO_AGE = (
    r"(?! (?:feet|foot|ft|cm|mm|m|meters?|metres?|inch|inches|kg|g|lbs?|pounds?|miles?|km|minutes?|hours?|seconds?|"
    r"days?|d|k|mp|pm|am|o clock|percent|dollars|euros|times|points|degrees?|of|out|"
    r"(?!(?:is|was|has|as|his|this|its|always|perhaps|besides|plus|thus)\b)\w*[^\Ws]s\b|men\b|women\b|people\b))"
)
_COLLECTIVE = (
    r"(?<=\bof )(?<!group of )(?<!set of )(?<!pack of )(?<!team of )(?<!box of )(?<!row of )(?<!page of )(?<!part of )"
    r"(?<!one of )(?<!out of )(?<!total of )(?<!series of )(?<!pair of )(?<!crew of )(?<!party of )(?<!band of )"
    r"(?<!stack of )"
    r"(?<!bunch of )(?<!family of )(?<!class of )(?<!herd of )(?<!line of )(?<!number of )(?<!circle of )"
    r"(?<!best of )(?<!rule of )(?<!game of )(?<!round of )(?<!level of )(?<!power of )(?<!speed of )(?<!price of )"
    r"(?<!council of )(?<!crowd of )(?<!top of )(?<!collection of )(?<!batch of )(?<!flock of )(?<!choir of )"
    r"(?<!\d of )(?<!army of )(?<!size of )(?<!score of )(?<!factor of )(?<!figure of )(?<!maximum of )(?<!minimum of )"
)
_ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|"
    rf"sixteenth|seventeenth|{_UNDER} ?(?:st|nd|rd|th)"
)
_FOREIGN_NUMBERS = (
    "ein|zwei|drei|vier|funf|sechs|sieben|acht|neun|zehn|elf|zwolf|dreizehn|vierzehn|funfzehn|sechzehn|siebzehn|"
    "un|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|dix sept|"
    "uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|dieciseis|diecisiete|"
    "due|tre|quattro|cinque|sei|sette|otto|nove|dieci|undici|dodici|tredici|quattordici|quindici|sedici|diciassette|"
    "um|dois|quatro|sete|oito|dez|doze|treze|quatorze|quinze|dezesseis|dezassete|dezesete|"
    "een|twee|drie|vijf|zes|zeven|negen|tien|twaalf|dertien|veertien|vijftien|zestien|zeventien|"
    "dwa|trzy|cztery|piec|szesc|siedem|osiem|dziewiec|dziesiec|jedenascie|dwanascie|trzynascie|czternascie|pietnascie|"
    "szesnascie|siedemnascie"
)
_GROWN = (
    "woman|lady|maiden|virgin|bride|wife|princess|beauty|guy|gal|dude|blonde|brunette|redhead|cheerleader|actress|"
    "girlfriend|boyfriend"
)
"""People whose age may stand right before them: a number there is no count, for they are one."""
_PEOPLE = (
    rf"{_GROWN}|queen|gymnast|ballerina|singer|swimmer|skater|man|gentleman|male|female|husband|actor|dancer|prince|maid|"
    "nurse|waitress|waiter|idol|she|he"
)
_CREW = r"(?! (?:\w+ )?(?:crew|team|squad|band|jury|tent|boat|party|group|army|raft|family|tournament|roster|side)\b)"
_BORN = (
    r"(?:born|birth|birthday|birthdate|birthyear|dob|geboren|geburtsjahr|nee?|nacid[oa]|nat[oa]|nascid[oa]|"
    r"urodzon[ay])"
)
_YEAR = r"20(?:0[89]|[1-9]\d)"
_BARE = "naked|nude|topless|undressed|unclothed|sexy|naughty|horny|nackte?|nue?|desnud[ao]|nud[ao]"
"""Right before a number of thirteen to seventeen: what else would it count?"""
_TURKISH = "on (?:bir|iki|uc|dort|bes|alti|yedi) yas"
_PATTERN = re.compile("(?:(?<![a-z])|(?![a-z]))(?:" + "|".join((  # no match begins within a word
    rf"\b(?:{_PEOPLE}) (?:(?:is|was|just|only|barely|about|now|maybe|nearly|almost|still) )*(?![01]\b){_AGE}\b"
    rf"{_NO_AGE}",
    rf"(?<!\d)(?:1[0-7]|[2-9])(?: and a half| and half)? (?:{_GROWN})\b",
    rf"(?<!\d)1[0-7](?: and a half| and half)? (?:man|person|human|individual)\b{_CREW}",
    # Whoever was born in these years was under age when this was written; later years stay so for longer.
    rf"\b(?:{_BORN}(?: \w+){{0,4}}?|b) (?:{_YEAR}|{_YEAR[:2]} {_YEAR[2:]}(?! \d))\b",
    rf"(?=\d)(?<!for )(?<!after )(?<!every )(?<!past )(?<!last )(?<!within ){_AGE}"
    rf"(?: (?:full|and a half|a half|and half|plus|and 1 2|ish|or so|to \d+|or \d+|"
    rf"and \d+))? (?:{_YEARS})\b(?!{_UNITS_AFTER})",
    rf"\b(?:age|aged|ages|aging) (?:(?:of|about|around|only|just|at|is|under|was|approximately|roughly|barely|"
    rf"below|range|group|between|from) )*{_AGE}\b",
    rf"\b(?:turned|turning|turns|turn|barely|younger than|not yet|no older than) (?:just )?{_AGE}\b{_NO_AGE}",
    r"\b(?:under|below|younger than|not yet|less than|sub|before|minus) (?:the age of )?(?:1[0-8])\b(?! (?:feet|cm|"
    r"kg|m|minutes|hours|degrees|percent|dollars|euros|points|\w+s\b(?<!years)))",
    rf"\b(?:she|he|they|who|person|somebody|someone|girl|boy|model|student) (?:(?:is|was|are|s|only|just|about|now|"
    rf"probably|maybe|not) )+{_AGE}\b{_NO_AGE}",
    rf"{_COLLECTIVE}(?![012]\b){_AGE}\b(?! (?:\w+s\b(?<!years)|hundred|thousand|million|men\b|women\b|"
    rf"people\b|\d|o clock))",
    rf"\b(?:{_ORDINALS}) (?:birthday|graders?|grades?|form|formers?)\b",
    r"\b(?:year|grade|class) (?:1[0-3]|[1-9]) (?:pupil|student|class|er)",
    r"\b\d+ (?:months?|mos?|mths?|weeks?|wks?|days?) olds?\b|\b\d+ (?:m o|mo)\b",
    r"\b(?:a|few|several|some) (?:few )?(?:months?|weeks?|days?) old\b",
    rf"{_AGE} (?:f|female|male|ish)\b",
    rf"\b(?:person|someone|somebody|human|individual|model|student) {_AGE}\b{_NO_AGE}",
    r"\b(?:i{1,3}|iv|vi{0,3}|ix|xi{0,3}|xiv|xvi{0,2}) (?:years? old|yo)\b",
    rf"\b(?:{_FOREIGN_NUMBERS}) ?(?:jahren?|jahrig\w*|ans|anos|anni|jaar|jarige?|lat|letni\w*)\b",
    rf"\b(?:{_BARE}) 1[3-7]\b(?! \d){_NO_AGE}",
    rf"(?<!\d){_UNDER} going on \d",
    rf"\b(?:her|his|their) (?:{_ORDINALS}) (?:years?|summer|spring|winter)\b",
    rf"\byears? old {_AGE}\b{_NO_AGE}",
    r"\baged? (?:i{2,3}|iv|vi{1,3}|ix|xi{0,3}|xiv|xvi{0,2})\b",
    rf"\b{_TURKISH}",
    r"\b(?:in )?(?:her|his|their) (?:early |mid |late )?teens\b",
    r"(?:בן|בת|בני|בנות) " + _AGE + r"\b",
    rf"{_AGE} (?:سنة|سنوات|سنين|عام|عاما|اعوام|سال|ساله|שנים|שנה)",
    rf"(?:عمر|عمرها|عمره|سن|בגיל|גיל) {_AGE}\b|{_AGE} (?:साल|वरष|ป)",
    rf"{_AGE} ?(?:岁|歲|歳|才|살|세|ขวบ)",
    r"(?<![一二三四五六七八九十百〇零])(?:十[一二三四五六七]?|[一二三四五六七八九])(?:个月|岁|歲|歳|才)",
    r"\b(?:열|한|두|세|네|다섯|여섯|일곱|여덟|아홉|열한|열두|열세|열네|열다섯|열여섯|열일곱) ?살",
)) + ")")
_FOREIGN_YEARS = r"(?:ans|anos|anni|lat|jaar)\b|jahr|jarig|letni"
_BEFORE = (
    rf"{_PEOPLE}|{_BARE}|old|is|was|are|s|not|now|just|only|about|around|almost|nearly|barely|roughly|approximately|"
    r"probably|maybe|still|at|under|below|before|sub|minus|than|yet|range|group|between|from|turn|turns|turned|"
    r"turning|year|grade|class|person|someone|somebody|human|individual|model|student"
)
_AFTER = rf"{_YEARS}|{_GROWN}|man|person|human|individual|f|female|male|full|and|a|plus|ish|or|to|going"
_FOLLOWS = re.compile(rf"{_AFTER}|ar")
_PRECEDES = re.compile(_BEFORE)
_SPAN = re.compile(r".*(?:months?|mos?|mths?|weeks?|wks?|days?|years?)")
_ALONE = re.compile(
    rf"20(?:0[89]|[1-9]\d)|teens|birthday|grade|form(?:er)?s?$|^(?:ag(?:ed?|es|ing)|yo|hundred)$|"
    rf"^(?:yas|year|summer|spring|winter)|^(?:{_FOREIGN_NUMBERS})(?:{_FOREIGN_YEARS})"
)
"""Words that say an age without a number, or with more than one word beside them."""
_NUMBER_ABROAD, _YEARS_ABROAD = re.compile(_FOREIGN_NUMBERS), re.compile(_FOREIGN_YEARS)
_BEGINS_YOUNG, _ENDS_YOUNG = (re.compile(rf"{start}0?(?:1[0-8]|[0-9]){end}") for start, end in (
    ("^", r"(?!\d)"), (r"(?<!\d)", "$")))
_WHOLE = re.compile(
    r"(?:(?<![a-z])(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven)teen)|"
    rf"(?<!\d){_UNDER})(?:years?olds?|yrs?olds?|yo\b|years?|something years)"
)


def says_age(view: str) -> bool:
    """Whether a view says that somebody is under eighteen."""
    if not hints_of(view.split()).alone:
        return False
    view = counted(view)
    return bool(_PATTERN.search(view)) or bool(("year" in view or "yo" in view) and _WHOLE.search(view))


@dataclass(frozen=True, slots=True)
class Hints:
    """What words in a row can add to an age. Cheap, for a file has a million rows, and hardly any says one."""

    alone: bool
    """Whether a view with these words may say an age, whatever else it holds."""
    after: int = 0
    """One bit for each way in which they may say one with a word before them that has the same bit in ``before``."""
    before: int = 0
    """The same for a word after them."""

    def then(self, other: Hints) -> Hints:
        """With others behind them."""
        return Hints(self.alone or other.alone or bool(self.before & other.after), 0, other.before)


def hints_of(*views: Sequence[str]) -> Hints:
    """What views, each the words of one text, hold of every pattern above; number words count as numbers."""
    alone, after, before = False, 0, 0
    for words in views:
        found = [*map(_hints, words)]
        alone = alone or any(each.alone for each in found) or any(
            one.before & two.after for one, two in zip(found, found[1:], strict=False))
        if found:
            after, before = after | found[0].after, before | found[-1].before
    return Hints(alone, after, before)


@lru_cache(1 << 16)
def _hints(word: str) -> Hints:
    figures = str(NUMBERS.get(word, word))
    begins, young = figures[0].isdigit(), _BEGINS_YOUNG.search(figures)
    pairs = (
        (_ENDS_YOUNG.search(figures), _FOLLOWS.fullmatch(word)),
        (_PRECEDES.fullmatch(word), young),
        (word == "of", young and figures not in ("0", "1", "2")),
        (figures.endswith("20"), begins),
        (figures[-1].isdigit(), word in ("m", "mo")),
        (_SPAN.fullmatch(word), word in ("old", "olds")),
        (_NUMBER_ABROAD.fullmatch(word), _YEARS_ABROAD.match(word)),
    )
    before, after = (sum(1 << n for n, pair in enumerate(pairs) if pair[side]) for side in (0, 1))
    return Hints(not word.isascii() or bool(_ALONE.search(word) or _WHOLE.search(f"{word} years")), after, before)

"""Words for sexual content, for prompts of categories that are not of the explicit kind. Single words alone."""

from __future__ import annotations

SEXUAL_STEMS = (
    "porn", "erotic", "hentai", "masturbat", "ejaculat", "genital", "fellati", "cunniling", "blowjob", "handjob",
    "orgasm", "nudis", "nudit", "naked", "pedophil", "paedophil", "striptease", "bdsm", "dominatrix", "fetish",
    "upskirt", "deepthroat", "gangbang", "bukkake", "threesome", "creampie", "cumshot", "ahegao", "sexual", "undress",
    "unclothe", "prostitut", "lingerie", "pervert", "bondage", "nackt", "entkleid", "desnud", "erotik", "erotiq",
    "sexuel", "sexuell", "seksue", "naakt", "onbekleed", "pornogr", "rozebran", "ciplak", "telanjang", "bugil",
    "обнажен", "голый", "голая", "голые", "голого", "голой", "раздет", "эроти", "порно", "секс", "оголен", "еротич",
    "γυμν", "πορν", "ερωτικ", "عاري", "عارية", "عاريه", "عراة", "جنس", "اباحي", "برهنه", "עירום", "ערום", "עירומ",
    "פורנו", "מין", "ארוטי", "नग्न", "नंगा", "नंगी", "नंगे", "अश्लील", "कामुक", "যৌন", "নগ্ন", "โป๊", "เปลือย", "ลามก",
    "裸", "ヌード", "エロ", "セックス", "色情", "性感", "性交", "成人片", "情色",
    "卖淫", "누드", "알몸", "섹스", "야한", "벌거벗", "포르노",
)
"""Parts of words."""

SEXUAL_WORDS = frozenset([
    "bare", "breast", "breasts", "explicit", "erotic", "erotica", "fetish", "genital", "genitals", "genitalia",
    "lewd", "naked", "nakedness", "nsfw", "nude", "nudes", "nudity", "orgasm", "pedo", "pedophile", "pedophilia",
    "penis", "penises", "porn", "porno", "pornographic", "pornography", "rape", "raped", "raping", "rapist",
    "sensual", "sex", "sexual", "sexualised", "sexualized", "sexy", "sexier", "sexiest", "topless", "bottomless",
    "unclothed", "undressed", "vagina", "vaginas", "vaginal", "vulva", "clitoris", "labia", "nipple", "nipples",
    "areola", "areolas", "boob", "boobs", "boobies", "tit", "tits", "titties", "cleavage", "butt", "butts",
    "buttocks", "ass", "asses", "arse", "booty", "thong", "thongs", "panties", "panty", "underwear", "undies", "bra",
    "bras", "bikini", "lingerie", "negligee", "corset", "seductive", "seduce", "seducing", "seduction", "aroused",
    "arousing", "arousal", "horny", "slut", "slutty", "whore", "hooker", "escort", "stripper", "stripping", "strip",
    "stripped", "kink", "kinky", "xxx", "x-rated", "dick", "dicks", "cock", "cocks", "pussy", "pussies", "cum",
    "cumming", "semen", "sperm", "anal", "anus", "intercourse", "coitus", "copulation", "fornication", "foreplay",
    "fuck", "fucked", "fucking", "fucks", "screwing", "suck", "sucking", "naughty", "provocative", "suggestive",
    "obscene", "indecent", "lascivious", "lustful", "lust", "steamy", "smut", "smutty", "bareness", "disrobed",
    "disrobing", "unclad", "denuded", "exposed", "exposing", "flashing", "molest", "molested", "molesting", "grope",
    "groped", "groping", "incest", "incestuous", "hentai", "ecchi", "oppai", "yiff", "rule34", "onlyfans", "camgirl",
    "milf", "gilf", "dilf", "dildo", "vibrator", "pubic", "crotch", "groin", "erection", "erect", "boner", "condom",
    "orgy", "brothel", "csam", "csem", "csai", "cunny", "voluptuous", "busty", "buxom", "bosom", "intimate",
    "makeout", "birthday_suit", "skimpy", "scantily", "braless", "pantyless", "commando", "nightie", "camisole",
    "garter", "stockings", "spread", "spreadeagle", "moan", "moaning", "pedos", "nackt", "nackte", "nackter",
    "nacktes", "nackten", "akt", "busen", "brust", "bruste", "hintern", "sexuell", "unbekleidet", "fick", "ficken",
    "nu", "nue", "nus", "nues", "nud", "nuda", "nudo", "nudi", "denude", "denudee", "seins", "sein", "fesses", "sexe",
    "sexuel", "sexuelle", "baise", "desnudo", "desnuda", "desnudos", "desnudas", "pechos", "senos", "culo", "sexo",
    "tetas", "coger", "seno", "sesso", "tette", "spogliata", "spogliato", "nua", "nuas", "pelado", "pelada", "seios",
    "bunda", "despido", "despida", "naakt", "naakte", "blote", "bloot", "borsten", "seks", "neuken", "nagi", "naga",
    "nagie", "nagich", "nago", "piersi", "goly", "gola", "cycki", "cinsel", "ciplak", "meme", "gogus", "mayosuz",
    "telanjang", "bugil", "cabul", "mesum", "payudara", "khoa", "than", "sec", "dam", "naken", "nakna", "nogen",
    "nøgne", "nogne", "alaston", "nahy", "naha", "naho", "gol", "goala", "meztelen", "golo", "go",
]) - {"go", "gol", "meme", "sec", "than", "dam", "commando", "gola", "intimate", "spread", "sein", "nus", "akt"}
"""Whole words, as ``core.phrases.skeleton`` has them."""

SEXUAL_PHRASES = (
    "no clothes", "without clothes", "without any clothes", "no clothing", "without clothing", "in the buff",
    "birthday suit", "adult content", "adult film", "having sex", "making love", "make love", "not safe for work",
    "blow job", "hand job", "wearing nothing", "ohne kleidung", "sans vetements", "sin ropa", "senza vestiti",
    "sem roupa", "zonder kleren", "bez ubran", "khoa than", "khieu dam", "tanpa busana", "mac do lot", "full frontal",
    "private parts", "wet t shirt",
)
"""Several words in a row."""

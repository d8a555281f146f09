"""Words for people under age, in English and other languages; single words and harmless look-alikes, no sentences.

Everything is compared as ``core.phrases.skeleton`` has it, so that accents and look-alike letters need no entry.
Broad on purpose: a probe that is left out costs a review, the other error is a crime.
"""

from __future__ import annotations

MINOR_WORDS = (
    "adolescent", "baby", "babies", "boy", "boys", "child", "children", "daughter", "girl", "girls", "infant",
    "infants", "kid", "kids", "loli", "lolita", "juvenile", "kindergarten", "minor", "minors", "newborn", "preteen",
    "preteens", "pubescent", "prepubescent", "pupil", "schoolboy", "schoolboys", "schoolgirl", "schoolgirls", "shota",
    "son", "teen", "teens", "teenage", "teenaged", "teenager", "teenagers", "toddler", "toddlers", "underage",
    "underaged", "youngster", "youth", "youths",
)
"""The plain English words, which no attack may spell."""

STEMS = (
    "child", "girl", "boy", "babies", "baby", "infant", "toddler", "preteen", "pubesc", "pubert", "adolesc", "juvenil",
    "kindergar", "preschool", "newborn", "lolit", "lolic", "schoolkid", "schooler", "underage", "pedophil", "paedophil",
    "jailbait", "daughter", "youngster", "youngling", "bambin", "minderjahrig", "schulkind", "kleinkind", "grundschul",
    "jugendlich", "saugling", "neugebor", "madchen", "fillette", "nourrisson", "adolescen", "colegial", "chiquill",
    "ragazzin", "minorenn", "fanciull", "kleuter", "peuter", "tiener", "meisje", "scholier", "dziewczyn", "chlopiec",
    "chlopc", "niemowl", "nastolat", "nieletni", "maloletni", "przedszkol", "niepelnoletn", "tonaring", "minderarig",
    "smabarn", "spadbarn", "skolebarn", "skolbarn", "holcick", "nezletil", "csecsemo", "kiskoru", "tinedzser",
    "gyerek", "gyermek", "kislany", "kisfiu", "alaikain", "devojcic", "fetit", "bebelus", "ilkokul", "liseli",
    "schoolgurl", "babygurl", "dicenn", "diciassettenn",
)
"""Parts of words: whatever holds one is a minor, unless HARMLESS says otherwise."""

HARMLESS = (
    "childless", "childfree", "fairchild", "^childers$", "^childress$", "rothschild", "^goodchild$", "schildkrote",
    "boycott", "boyfriend", "cowboy", "playboy", "^busboys?$", "^bellboys?$", "^flyboys?$", "^highboys?$",
    "^lowboys?$", "^tallboys?$", "^doughboys?$", "girlfriend", "cowgirl", "showgirl", "infantry", "^infantas?$",
    "bushbab(?:y|ies)", "boysenberr", "^boyd$", "^boyle$", "^boyer$", "^boyce$", "^boyars?$", "babysit", "babylon",
    "^teensy$",
)
"""What holds such a part and means no minor; regular expressions."""

PREFIXES = (
    "teen", "kiddi", "kiddo", "tween", "shota", "orphan", "pedo", "paedo", "prepub",
)
"""Beginnings of words."""

WORDS = frozenset([
    "kid", "kids", "kidz", "kiddy", "kidlet", "whizkid", "schoolkids", "grandkid", "grandkids", "godkid", "stepkid",
    "stepkids", "loli", "lolis", "lolita", "shota", "shotas", "minor", "minors", "pupil", "pupils", "son", "sons",
    "grandson", "grandsons", "stepson", "godson", "youth", "youths", "lad", "lads", "laddie", "lass", "lasses",
    "lassie", "tot", "tots", "tyke", "tykes", "urchin", "moppet", "nymphet", "rugrat", "bairn", "bairns", "foundling",
    "preemie", "neonate", "neonates", "grader", "graders", "schoolage", "tweenager", "tweenagers", "twixter",
    "underclassman", "sixthformer", "preschool", "prek", "nursery", "daycare", "creche", "csam", "csem", "csai",
    "cunny", "kodomo", "ageplay", "ddlg", "toddlercon", "cubcon", "quinceanera", "quinceaneras", "offspring", "sprog",
    "sprogs", "nipper", "nippers", "bubba", "juvie", "juvies", "subteen", "subteens", "midteen", "midteens",
    "lateteen", "earlyteen", "posteen", "gradeschool", "highschool", "middleschool", "primaryschool", "schoolmate",
    "schoolmates", "classmate", "classmates", "highschooler", "kidling", "kidlings", "boyo", "u18",
    "waif", "waifs", "kinder", "kindern", "kindes", "kindlich", "jungen", "knabe", "knaben", "bub", "buben",
    "tochter", "tochterchen", "sohn", "sohne", "enkel", "enkelin", "enkelkind", "schuler", "schulerin",
    "schulerinnen", "teenagerin", "wunderkind", "wunderkinder", "minderj", "jugend", "bengel", "kita", "backfisch",
    "enfant", "enfants", "enfantin", "enfantine", "fille", "filles", "garcon", "garcons", "garconnet", "gamin",
    "gamine", "gamins", "gamines", "gosse", "gosses", "bebe", "bebes", "mineur", "mineure", "mineurs", "mineures",
    "ados", "ecolier", "ecoliere", "ecoliers", "ecolieres", "collegien", "collegienne", "lyceen", "lyceenne",
    "lyceens", "lyceennes", "bambin", "bambins", "fils", "eleve", "eleves", "mome", "momes", "puceau", "pucelle",
    "ninos", "ninas", "ninito", "ninita", "nene", "nena", "nenes", "nenas", "chico", "chica",
    "chicos", "chicas", "chaval", "chavala", "chavales", "muchacho", "muchacha", "muchachos", "muchachas", "crio",
    "cria", "crios", "hija", "hijo", "hijas", "hijos", "escolar", "escolares", "infantil", "infantiles", "parvulo",
    "jovencita", "jovencito", "jovencitas", "lactante", "menores", "hijita", "hijito", "bimba", "bimbi", "bambina",
    "bambino", "bambini", "bambine", "ragazza", "ragazzo", "ragazzi", "ragazze", "neonato", "neonata", "neonati",
    "scolaro", "scolara", "alunno", "alunna", "alunni", "figlia", "figlio", "figli", "liceale", "liceali",
    "minorenne", "minorenni", "minori", "crianca", "criancas", "menino", "menina", "meninos", "meninas", "garoto",
    "garota", "garotos", "garotas", "moleque", "rapariga", "raparigas", "rapaz", "miudo", "miuda", "miudos", "miudas",
    "aluno", "aluna", "alunos", "filha", "filho", "filhas", "filhos", "guri", "guria", "kinderen", "jongen",
    "jongens", "jongetje", "jongetjes", "puber", "pubers", "zuigeling", "leerling", "leerlingen", "dochter",
    "dochtertje", "zoontje", "jeugd", "dziecko", "dzieci", "dziecka", "dziecku", "dzieckiem", "dziecieca", "dzieciak",
    "dzieciaki", "chlopak", "chlopaki", "corka", "synek", "uczen", "uczennica", "uczennice", "malolat", "malolatka",
    "bobas", "cocuk", "cocuklar", "cocugu", "cocugun", "cocuga", "cocuklari", "kiz", "kizlar", "kizi", "oglan",
    "oglanlar", "bebek", "bebekler", "ergen", "ergenler", "yavru", "ogrenci", "kizcagiz", "veled", "yenidogan",
    "anak", "anaknya", "anakanak", "bayi", "balita", "bocah", "remaja", "gadis", "siswa", "siswi", "murid",
    "kanakkanak", "budak", "perawan", "flicka", "flickor", "flickan", "pojke", "pojkar", "pojken", "pige", "piger",
    "pigen", "dreng", "drenge", "drengen", "jente", "jenter", "jenta", "barnet", "barnen", "lapsi", "lapset",
    "lapsen", "lapsia", "tytto", "tytot", "tyton", "poika", "pojat", "vauva", "vauvat", "teini", "teinit", "dite",
    "deti", "divka", "chlapec", "chlapci", "kluk", "kluci", "mimino", "zakyne", "copil", "copii", "copilul", "copila",
    "baiat", "baieti", "eleva", "decak", "devojka", "devojcica", "dijete", "djeca", "djevojcica", "djecak", "bata",
    "sanggol", "mtoto", "watoto", "kijana", "niece", "nieces", "nephew", "nephews", "sonny", "gurl", "gurls", "cherub",
    "cherubs", "gutt", "guttene", "dievcatko", "dievca", "otrok", "otroci", "vaikas", "vaikai", "berns", "berni",
    "leanbh", "plentyn", "haurra", "noi", "noia", "nois", "noies", "nens", "xiquet", "xiqueta", "xiquets",
    "neska", "neskato", "mutil", "mutiko", "neno", "nenos", "rapaza", "dijak", "dijakinja", "dziewucha", "ladka",
    "ladki", "ladke", "larka", "larki", "bachcha", "bachche", "bachchi", "bacha", "beti", "dete", "deca", "dece",
    "momche", "momiche", "rebenok", "rebyonok", "devochka", "devochki", "devushka", "malchik", "malchiki", "podrostok",
    "ditina", "divchynka", "khlopchyk", "shkolnitsa", "shkolnik", "paidi", "koritsi", "agori", "tifl", "atfal",
    "walad", "bint", "banat", "dokhtar", "pesar", "bacheh", "xiaohai", "nuhai", "nvhai", "ertong", "luoli", "sonyeo",
    "sonyeon", "aegi", "kindje", "kindjes", "meid", "meiden", "tjej", "tjejer", "stelpa", "strakur", "tudruk", "poiss",
    "meitene", "puika", "mergaite", "berniukas", "fiuk", "msichana", "mvulana", "ingane", "intombazane", "seun",
    "seuns", "dogter",
    "femije", "vajze", "djale", "dalaga", "binatilyo", "buachaill", "bachgen", "puer", "puella", "puellae", "tifel",
    "tifla", "madel", "madl", "steppke", "usaq",
])
"""Whole words in Latin letters."""

PHRASES = frozenset("""
under age|under aged|sub age|of school age|school age|school aged|school uniform|school uniforms|at school|in school
high school|middle school|elementary school|primary school|grade school|grammar school|nursery school|junior high
secondary school|sixth form|sixth former|barely legal|little one|little ones|young one|young ones|little sister
little brother|little sisters|little brothers|kid sister|kid brother|age play|age regression|not yet adult|pre teen
pre teens|pre k|day care|sweet sixteen|bar mitzvah|bat mitzvah|rug rat|ankle biter|class mate|high schooler|teen age
new born|young person|young people|little angel|minor aged|too young|very young|so young|underdeveloped body|half grown
minderjahrige person|unter achtzehn|kleine prinzessin|petite fille|petit garcon|jeune fille|jeunes filles|un ado|une ado
nouveau ne|de menor|menor de|menor edad|la menor|el menor|una menor|un menor|recem nascido|recien nacido
recien nacida|de menor idade|un minore|una minore|il minore|op school|di bawah umur|bawah umur|perempuan kecil
gadis kecil|anak kecil|resit olmayan|kucuk kiz|kucuk oglan|yasi kucuk|tre em|dua tre|em be|be gai|be trai|tre con
thieu nien|thieu nu|hoc sinh|vi thanh nien|vi thanh|tre so sinh|con nit|ett barn|et barn|smaa barn
dek ying|dek chai|o fata
jr high|k 12|in diapers|tiny human|tiny humans|elementary student|elementary students|cub scout|cub scouts
brownie scout|brownie scouts|lil sis|lil bro|lil sister|lil brother|little sis|little bro|baby sis|baby bro
prom queen|prom king|babe in arms|babes in arms|not old enough|yet old enough|anak smp|anak sma
anak sd|first communion|con gai nho
""".replace("\n", "|").strip("|").split("|"))
"""Several words in a row, in Latin letters."""

GERMAN_CHILD = (
    r"\b(?:ein|das|dieses|jenes|mein|dein|sein|ihr|unser|euer|kein|jedes|kleines|kleine|nacktes|junges|einem|eines|dem|"
    r"des|vom|zum|beim|als|mit|von|und|oder|drei|zwei) kind\b|"
    r"\bkind (?:im|in der|in einem|auf|mit|und|am|beim|das|ist|von|vom|zum|zur|an der|bei|unter|ohne|spielt|sitzt)\b|"
    r"\b(?:ein|der|kleiner|dieser|kein|mein|junger) junge(?! (?:frau|dame|leute|mann|manner|frauen|hund|katze))\b|"
    r"\b(?:een|het|dit|jong|klein|geen|elk) kind\b|^jungs$|"
    r"\b(?:una?|la|el|est[ae]|mi|tu|su|otr[ao]|las|los|unas|dos|tres|pequen[ao]|joven|linda|para|por|y) nin[ao]\b|"
    r"\bnin[ao] (?:de|del|en|con|sin|y|que|se|es|esta|muy|pequen[ao]|desnud[ao]|lind[ao]|bonit[ao]|joven|virgen|"
    r"jugando|sexy)\b|"
    r"\b(?:alle|die|den|diese|zwei|drei|vier|kleinen?|nackten?|meine|unsere|viele|paar|mit|und|von) jungs\b|"
    r"\bjungs (?:im|in der|in einem|in den|am|auf|und|mit|beim|ohne|aus|unter|bei|an der|spielen|sitzen)\b"
)
"""German and Dutch kind, German Jungs and Spanish nina mean otherwise in English: the words beside them tell."""
GERMAN_CHILD_HINTS = ("kind", "jung", "nina", "nino")
"""What each of them holds one of."""
GERMAN_CHILD_WORDS = ("kind", "junge", "jungs", "nina", "nino")
"""The same, as whole words."""

OTHER_SCRIPTS = [
    "ребенок", "ребенк", "детей", "дети", "детск", "дитя", "детки", "девочк", "мальчик", "малыш", "младен", "подрост",
    "несовершеннолет", "школьни", "ученик", "учениц", "дошкольн", "малолет", "пацан", "лолит", "деточ", "отроч",
    "отрок", "дочь", "дочк", "сынок", "первоклас", "старшеклас", "тинейдж", "дитин", "діти", "дітей", "дитяч",
    "дівчинк", "дівчат", "дівча", "хлопчик", "хлопц", "хлопець", "немовл", "підліт", "неповноліт", "школяр", "малюк",
    "момиче", "момче", "детенц", "деца", "девојчиц", "дечак", "παιδι", "παιδια", "κοριτσι", "αγορι", "μωρο", "εφηβ",
    "ανηλικ", "μαθητη", "μαθητρι", "νηπιο", "βρεφ", "طفل", "اطفال", "طفلة", "ولد", "اولاد", "بنت", "بنات", "فتاة",
    "فتيات", "قاصر", "رضيع", "مراهق", "تلميذ", "صبي", "غلام", "کودک", "بچه", "دختر", "پسر", "نوزاد", "نوجوان",
    "خردسال", "بچی", "لڑکی", "لڑکا", "نابالغ", "ילד", "תינוק", "נער", "קטין", "קטינ", "תלמיד", "בתול", "פעוט",
    "बच्चा", "बच्चे", "बच्ची", "बच्चों", "लड़का", "लड़की", "लड़के", "लड़कियाँ", "शिशु", "नाबालिग", "किशोर", "बालक",
    "बालिका", "छात्र", "শিশু", "মেয়ে", "ছেলে", "বাচ্চা", "কিশোর", "নাবালিকা", "குழந்தை", "சிறுமி", "சிறுவன்",
    "பிள்ளை", "పిల్ల", "బాలిక", "బాలుడు", "เด็ก", "ทารก", "วัยรุ่น", "เยาวชน", "นักเรียน", "ลูกสาว", "孩子", "孩童", "小孩",
    "儿童", "兒童", "女孩", "男孩", "少女", "少年", "婴儿", "嬰兒", "嬰儿", "幼女",
    "幼儿", "幼兒", "幼童", "未成年", "小学生", "小學生", "中学生", "中學生",
    "高中生", "初中生", "萝莉", "蘿莉", "正太", "宝宝", "寶寶", "学童", "學童",
    "女童", "男童", "青少年", "小女生", "小男生", "娃娃脸", "子供", "子ども",
    "こども", "幼児", "赤ちゃん", "赤ん坊", "女児", "男児", "児童", "高校生", "女子高",
    "園児", "ロリ", "ショタ", "女の子", "男の子", "十代", "生徒", "小娘",
    "ბავშვ", "გოგო", "ბიჭი", "երեխա", "աղջիկ", "տղա",
    "ガキ", "어린이", "소녀", "소년", "아기", "미성년", "유아", "초등학생", "중학생",
    "고등학생", "여학생", "남학생", "꼬마", "청소년", "여고생", "여중생", "로리",
    "십대", "初中", "中二", "高中女", "高中男", "女子小", "女子中",
    "одиннадцатилетн", "двенадцатилетн", "тринадцатилетн", "четырнадцатилетн", "пятнадцатилетн", "шестнадцатилетн",
    "семнадцатилетн", "одинадцятирічн", "дванадцятирічн", "тринадцятирічн", "чотирнадцятирічн", "пʼятнадцятирічн",
    "шістнадцятирічн", "сімнадцятирічн",
]
"""Parts of words in other alphabets."""

OTHER_EXACT = ("아이", "아이들", "아이가", "아이는", "아이를", "아이와", "아이의",
               "сын", "сына", "сыновья", "сини", "дете", "бебе", "niña", "niño")
"""Whole words in other alphabets: as parts, they are in harmless ones."""

_MUSIC = (
    "sonatas?|sonatina|concertos?|symphony|fugue|prelude|etude|nocturne|waltz|mazurka|toccata|requiem|quartet|quintet|"
    "rondo|partita|scherzo|song|music|melody|tune|chord|key|opus"
)
HARMLESS_PHRASES = (
    rf"\b(?:{_MUSIC})(?: \w+){{0,3}} (?:in|of) a minor\b|\b(?:in|of) [b-g] minor\b|"
    r"\b(?:asia|ursa|canis|leo) minor\b|\bminor (?:key|scale|chord|leagues?|planets?|injury|injuries|scratches|"
    r"third)\b|"
    r"\b[a-g] (?:flat|sharp) minor\b|\b(?:dilated|slit|vertical) pupils?\b|\bkind of\b|\bkid (?:leather|skin|gloves?)\b"
)
"""What is taken out of a text before it is read."""
HARMLESS_HINTS = ("minor", "pupil", "kind", "kid")
"""What each of them holds one of."""
HARMLESS_WORDS = ("minor", "pupil", "pupils", "kind", "kid")
"""The same, as whole words."""

"""Whether a phrase of an explicit category names a person.

Nobody can list all people, so three marks count, any of them: two words in a row that begin with capitals and are no
plain words; a title, or a first name that is nothing else, in whatever case; a last name that is listed. What that
misses, a lower-case name whose first name is not listed, is caught where the policy bans the person as a celebrity.
"""

from __future__ import annotations

import re

from mace_gov.core.phrases import skeleton, tidy
from mace_gov.documents.explicit_words import SEXUAL_STEMS, SEXUAL_WORDS

FIRST_NAMES = frozenset([
    "aaron", "abigail", "adam", "adele", "adrian", "agnes", "ahmed", "aisha", "alan", "albert", "alejandro", "alex",
    "alexander", "alexandra", "alexis", "alfred", "ali", "alice", "alicia", "alison", "amanda", "amelia", "amy",
    "ana", "anastasia", "andre", "andrea", "andrew", "andy", "angelina", "anita", "anna", "annabelle", "anne",
    "annie", "anthony", "antonio", "ariana", "arnold", "arthur", "ashley", "audrey", "barbara", "barack", "beatrice",
    "becky", "ben", "benjamin", "bernard", "bernie", "beth", "bethany", "beyonce", "billie", "bob", "bobby", "brad",
    "bradley", "brenda", "brian", "brianna", "bridget", "britney", "bruce", "bruno", "caitlin", "cameron", "camila",
    "carl", "carla", "carlos", "carmen", "caroline", "carolyn", "carrie", "catherine", "cathy", "cecilia",
    "celine", "chad", "charles", "charlie", "charlotte", "cheryl", "chloe", "chris",
    "christina", "christine", "christopher", "cindy", "claire", "clara", "claudia", "clint", "colin", "connor",
    "courtney", "craig", "cristiano", "cynthia", "damien", "daniel", "daniela", "danielle", "danny", "daphne", "dave",
    "david", "deborah", "debra", "demi", "denise", "dennis", "derek", "diana", "diane", "diego", "dominic", "donald",
    "donna", "doris", "dorothy", "douglas", "dua", "dwayne", "dylan", "ed", "eddie", "edith", "edward", "eileen",
    "elaine", "eleanor", "elena", "eli", "elijah", "elisabeth", "elizabeth", "ella", "ellen", "elon", "elsa", "elvis",
    "emily", "emma", "emmanuel", "enrique", "eric", "erica", "erik", "erin", "ernest", "esther", "ethan", "eugene",
    "eva", "evan", "evelyn", "felicia", "fernando", "fiona", "francis", "francesca", "francisco", "fred", "freddie",
    "frederick", "gabriel", "gabriela", "gareth", "gary", "gemma", "george", "gerald", "gigi", "gina", "giovanni",
    "gisele", "gloria", "gordon", "greg", "gregory", "greta", "guillermo", "gwen", "gwyneth", "hailey", "halle",
    "hannah", "harold", "harriet", "harrison", "harry", "harvey", "hector", "heidi", "helen", "helena", "henry",
    "hilary", "hillary", "howard", "hugh", "hugo", "ian", "igor", "ingrid", "irene", "isabel", "isabella", "isaac",
    "ivan", "ivanka", "jacob", "jacqueline", "jake", "james", "jamie", "jane", "janet", "janice", "jared", "jason",
    "javier", "jayden", "jeff", "jeffrey", "jenna", "jennifer", "jenny", "jeremy", "jerry", "jesse",
    "jessica", "jessie", "jill", "jim", "jimmy", "joan", "joanna", "joe", "joel", "johan", "johannes", "john",
    "johnny", "jonathan", "jorge", "jose", "joseph", "josh", "joshua", "juan", "judith", "judy", "julia", "julian",
    "juliana", "julie", "juliet", "justin", "kamala", "karen", "karl", "kate", "katherine", "kathleen", "kathryn",
    "kathy", "katie", "katrina", "katy", "kayla", "keanu", "keira", "keith", "kelly", "ken", "kendall", "kenneth",
    "kevin", "khloe", "kim", "kimberly", "kourtney", "kristen", "kristin", "kristina", "kyle", "kylie", "larry",
    "laura", "lauren", "laurie", "leah", "lena", "leonard", "leonardo", "leslie", "lewis", "liam", "linda", "lindsay",
    "lindsey", "lionel", "lisa", "liz", "lizzie", "logan", "lois", "lola", "lorenzo", "louis", "louise", "lucas",
    "lucia", "luciana", "lucy", "luis", "luke", "lynn", "mackenzie", "madeleine", "madeline", "madison", "madonna",
    "mandy", "manuel", "marcel", "marco", "marcus", "margaret", "margot", "maria", "mariah", "marie", "marilyn",
    "mario", "marion", "marissa", "martha", "marvin", "mary", "mateo", "matilda", "matt", "matthew", "maureen",
    "megan", "meghan", "melania", "melanie", "melissa", "meryl", "mia", "michael", "michaela", "michelle", "miguel",
    "mike", "mila", "miley", "miranda", "mohamed", "mohammed", "molly", "monica", "muhammad", "nadia", "nancy",
    "naomi", "natalia", "natalie", "natasha", "nathan", "neil", "nicholas", "nick", "nicole", "nigel", "nikki",
    "nina", "noah", "nora", "norma", "oliver", "olivia", "oprah", "owen", "pamela", "patricia", "patrick", "paul",
    "paula", "paulina", "pedro", "penelope", "peter", "phil", "philip", "phillip", "phoebe", "pierre", "priyanka",
    "quentin", "rachel", "rafael", "ralph", "ramon", "raquel", "raymond", "rebecca", "reese", "regina", "renee",
    "ricardo", "richard", "rick", "ricky", "rihanna", "robert", "roberta", "roberto", "rodrigo", "roger",
    "roland", "ronald", "rory", "rosa", "rosalind", "rosie", "ross", "roxanne", "russell", "ruth", "ryan", "sabrina",
    "sally", "salma", "sam", "samantha", "samuel", "sandra", "sara", "sarah", "scott", "sean", "sebastian", "selena",
    "serena", "sergio", "shakira", "shane", "shannon", "sharon", "shaun", "sheila", "shirley", "sidney", "simon",
    "simone", "sofia", "sonia", "sophia", "sophie", "stacey", "stacy", "stella", "stephan", "stephanie", "stephen",
    "steve", "steven", "stewart", "stuart", "susan", "suzanne", "sylvia", "tamara", "tammy", "tanya", "tara",
    "tatiana", "taylor", "ted", "teresa", "terry", "tessa", "theresa", "thomas", "tiffany", "tilda", "tim", "timothy",
    "tina", "todd", "tom", "tommy", "toni", "tony", "tracy", "travis", "trevor", "tristan", "troy", "tyler", "tyra",
    "uma", "ursula", "valentina", "valeria", "valerie", "vanessa", "veronica", "vicky", "victoria", "vincent",
    "vivian", "vladimir", "walter", "wanda", "wayne", "wendy", "whitney", "wilfred", "william", "winona", "xavier",
    "yasmin", "yolanda", "yvette", "yvonne", "zac", "zach", "zachary", "zendaya", "zoe", "zoey", "faylin", "ysolde",
    "wrenna", "pelvin", "yorick", "belthis", "soren", "rosmer", "norwin", "nevara", "averon", "orsino", "cassor",
    "jorund", "lunette", "velder", "galdric", "maroth", "xanti", "quenby", "lorcan", "xerxa", "kestrin", "gwendle",
    "fenoria", "gideon", "iolva", "elphea", "dalmira", "bryony", "corvane", "selwick", "odalys", "kelda", "tavish",
    "dorrin", "mirabel", "clovis", "embry", "tamsin", "ewan", "halric", "ulric", "zephra", "scarlett",
    "jasmine", "heather",
])
"""First names that are seldom anything else; the last lines hold the invented ones of the model that ships."""

LAST_NAMES = frozenset([
    "biden", "clinton", "kardashian", "merkel", "obama", "putin", "trump", "thatcher", "netanyahu", "zelensky",
    "macron", "sarkozy", "jolie", "schwarzenegger", "dicaprio", "johansson", "portman", "knightley", "eilish",
    "swiftie", "ronaldo", "messi", "musk", "zuckerberg", "bezos", "streisand", "winfrey", "kidman", "theron", "cyrus",
    "hathaway", "aniston", "pitt", "clooney", "hepburn", "bardot", "amberlock", "ashgrift", "birchgale", "brackwen",
    "bramblecot", "cindermoor", "copperwen", "driftmoor", "duskwater", "elderspoke", "emberlyn", "fennelow",
    "flintbarrow", "foxgrail", "gloamwood", "gossamere", "grimsel", "hartsedge", "hazelrun", "hollowmere", "icefinch",
    "ivorbank", "jamwright", "juneby", "kettlewisp", "kilnfold", "kiteley", "lanternby", "larkbarrow", "loomwright",
    "marrowby", "mirewater", "moonfield", "mossgrave", "nettlecomb", "nightjarre", "noonhill", "oakhallow",
    "orchardell", "oxbowen", "pebblewick", "pondergast", "puddlecot", "quartzby", "quickbeam", "quillmere",
    "quiverly", "ravelstone", "rivenmoor", "rustleigh", "saltmarch", "snowmantle", "starlock", "thistlewane",
    "thornvale", "tinderby", "tumblebrook", "umberfold", "underlarch", "upwender", "vaultmoor", "vintnerby",
    "whisperby", "wickerfen", "yarrowmead", "yewstone", "zincbury", "jackdawe", "velvetine", "inkwell",
])
"""Last names that are seldom anything else."""

TITLES = frozenset([
    "mr", "mrs", "ms", "miss", "dr", "prof", "professor", "president", "senator", "congressman", "congresswoman",
    "governor",
])
"""Before a name; alone, or before a plain word, they name nobody."""

PLAIN = frozenset([
    "a", "an", "the", "and", "or", "of", "in", "on", "at", "with", "without", "for", "from", "to", "by", "as", "is",
    "are", "no", "not", "very", "person", "people", "man", "woman", "men", "women", "adult", "adults", "body",
    "bodies", "content", "image", "images", "picture", "pictures", "photo", "photos", "scene", "scenes", "art",
    "material", "act", "acts", "pose", "poses", "female", "male", "human", "graphic", "extreme", "partial", "full",
    "total", "frontal", "exposed", "bare", "skin", "self", "abuse", "assault", "violence", "violent", "gore", "blood",
    "death", "weapon", "weapons", "gun", "guns", "bomb", "murder", "torture", "war", "hate", "drug", "drugs", "nazi",
    "flag", "symbol", "swastika", "clothes", "clothing", "wearing", "dressed", "naked", "nude", "explicit",
    "sensitive", "harmful", "unsafe", "general", "mature", "public", "private", "parts", "couple", "group",
])
"""Words that begin with a capital in a title and name nobody."""

_HANDLE = re.compile(r"(?<!\w)@\w{3,}")


def names_person(phrase: str) -> bool:
    """Whether a phrase names somebody, as far as its words and capitals tell."""
    text = tidy(phrase)
    words = re.findall(r"[^\W\d_]+", skeleton(text.replace("'s", "")))
    if _HANDLE.search(text) or not LAST_NAMES.isdisjoint(words) or not FIRST_NAMES.isdisjoint(words):
        return True
    if any(one in TITLES and not _plain(two) for one, two in zip(words, words[1:], strict=False)):
        return True
    capital = [word[:1].isupper() and not _plain(skeleton(word)) for word in re.findall(r"[^\W\d_]+", text)]
    return any(one and two for one, two in zip(capital, capital[1:], strict=False))


def _plain(word: str) -> bool:
    return word in PLAIN or word in TITLES or word in SEXUAL_WORDS or any(
        stem.isascii() and stem in word for stem in SEXUAL_STEMS)

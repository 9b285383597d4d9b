"""The grammar of the stories that the default model has read: nobody's text but this file's."""

import random
import re

from templates import FINISH, FRIEND, HAPPY, LAST, PLOTS, SETTING, START, TALK, YES

SEED = 20

GIRLS = "Mia Lily Anna Rosa Nora Ella Ruby Clara Zoe Ivy Maya Lucy Emma Sara Hana Leila".split()
BOYS = "Tom Ben Max Sam Leo Jack Finn Oscar Hugo Noah Milo Theo Omar Ravi Kai Felix".split()
KINDS = ("fox rabbit bear mouse owl hedgehog squirrel duck frog turtle kitten puppy otter "
         "badger deer dragon robot penguin").split()
TRAITS = "kind brave curious shy clever cheerful gentle busy quiet patient playful".split()
PLACES = {  # where somebody lives -> places nearby
    "a small village by the sea": ["the beach", "the harbour", "the old lighthouse"],
    "a little house at the edge of the forest": ["the forest", "the stream", "the old oak tree"],
    "a quiet valley between two hills": ["the meadow", "the river", "the windy hill"],
    "a busy town with red roofs": ["the park", "the market", "the clock tower"],
    "a farm with a green barn": ["the barn", "the pond", "the apple orchard"],
    "a cosy cottage near a lake": ["the lake", "the wooden bridge", "the garden"],
    "a tall house on a sunny street": ["the playground", "the library", "the garden"],
    "a village high up in the mountains": ["the snowy path", "the cave", "the waterfall"],
}
COLOURS = "red blue green yellow silver golden purple white orange".split()
TOYS = "ball kite scarf hat drum boat lantern button ring whistle key book umbrella bell feather"
TOYS = TOYS.split()
FOODS = ["bread", "soup", "honey", "berries", "apple pie", "cookies", "pancakes", "cheese",
         "warm milk", "plums", "nuts", "carrots"]
FINDS = ["under the bed", "behind the door", "in the tall grass", "on a high branch",
         "next to the big rock", "inside an old boot", "between the roots of a tree",
         "at the bottom of a basket", "beside the garden wall", "in a bird's nest"]
SEEN = ["a blue butterfly", "a family of ducks", "a rainbow", "a sleepy snail",
        "a bridge made of stones", "a field full of flowers", "a boat with a white sail",
        "a tree as tall as a tower", "two squirrels playing", "a round white pebble",
        "a spider's web full of dew", "a cloud that looked like a sheep"]
SMALL = "bird butterfly lamb snail puppy kitten hedgehog mouse duckling squirrel".split()
WEATHER = [("sunny", "The sun was shining and the sky was blue"),
           ("windy", "The wind was blowing and the leaves were dancing"),
           ("rainy", "The rain was falling and the ground was wet"),
           ("cold", "The air was cold and the grass was white with frost"),
           ("warm", "The air was warm and the bees were humming"),
           ("foggy", "The fog was thick and everything looked grey"),
           ("snowy", "The snow was falling and everything was white")]
FAMILY = {"f": ["mother", "grandmother", "aunt", "big sister"],
          "m": ["father", "grandfather", "uncle", "big brother"]}
FEARS = [("the dark", "went into the dark room", "the dark is only the day with its eyes closed"),
         ("the water", "stepped into the cool water", "the water carries you if you let it"),
         ("thunder", "looked out at the storm", "thunder is only the sky clapping its hands"),
         ("high places", "climbed up to the top", "you only need to take one step at a time"),
         ("loud noises", "listened to the big bell", "a noise is only a noise"),
         ("singing in front of others", "stood up and sang a song",
          "a song sounds better when it is shared")]
BUILDS = [("a tree house", "wood and rope", "the floor fell down"),
          ("a little boat", "wood and cloth", "the boat tipped over"),
          ("a kite", "paper and string", "the string broke"),
          ("a snowman", "snow and two buttons", "the head rolled away"),
          ("a sandcastle", "sand and shells", "a wave washed it away"),
          ("a bridge", "stones and branches", "one stone slipped"),
          ("a small house for the birds", "wood and nails", "the roof was crooked")]
SEEDS = ["a sunflower", "a pumpkin", "an apple tree", "a rose", "a bean plant",
         "a strawberry plant"]
MORALS = {
    "lost": ["things we love are worth looking for", "two pairs of eyes see more than one"],
    "animal": ["even small help can mean a lot", "kindness always finds its way back"],
    "share": ["food tastes better when it is shared", "sharing makes a small thing big"],
    "fear": ["being brave means trying even when you are afraid",
             "fear gets smaller with a friend"],
    "build": ["it is all right to fail and try again", "work is lighter with a friend"],
    "trip": ["the best part of a trip is coming home", "there is always something new to see"],
    "gift": ["the best gifts come from the heart", "a gift does not have to be big"],
    "night": ["strange things are often friends we do not know yet",
              "it is good to look before you are afraid"],
    "race": ["helping a friend is better than winning", "slow and steady is good enough"],
    "garden": ["good things take time", "a little care every day makes things grow"],
    "sorry": ["it is always better to tell the truth", "saying sorry can mend a friendship"],
    "cook": ["a mistake can turn into something good", "everything is easier together"],
}


def expand(text, rng, names):
    """Picks one alternative of every [a|b|c], innermost first, then fills {names}."""
    inner = re.compile(r"\[([^\[\]]*)\]")
    while (match := inner.search(text)) is not None:
        choice = rng.choice(match.group(1).split("|"))
        text = text[: match.start()] + choice + text[match.end():]

    def fill(match):
        key = match.group(1)
        if key in names:
            return names[key]
        value = names[key[0].lower() + key[1:]]
        return value[0].upper() + value[1:]

    return re.sub(r"\{(\w+)\}", fill, text)


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def person(rng, prefix, taken):
    """A character: name, pronouns and what sort of creature it is."""
    girl = rng.random() < 0.5
    name = rng.choice([n for n in (GIRLS if girl else BOYS) if n not in taken])
    taken.add(name)
    human = rng.random() < 0.4
    kind = ("girl" if girl else "boy") if human else rng.choice(KINDS)
    pronouns = ("she", "her", "her", "herself") if girl else ("he", "his", "him", "himself")
    values = dict(zip(("he", "his", "him", "self"), pronouns))
    values |= {"name": name, "kind": kind, "trait": rng.choice(TRAITS)}
    return {prefix + key: value for key, value in values.items()}


def story(rng):
    """One story, and a word of what it is about for a request that asks for it."""
    taken = set()
    names = person(rng, "", taken) | person(rng, "f", taken)
    home = rng.choice(list(PLACES))
    weather = rng.choice(WEATHER)
    finds, seen = rng.sample(FINDS, 3), rng.sample(SEEN, 3)
    fear, build = rng.choice(FEARS), rng.choice(BUILDS)
    plot = rng.choice(list(PLOTS))
    names |= {
        "home": home, "spot": rng.choice(PLACES[home]), "sort": weather[0], "sky": weather[1],
        "elder": rng.choice(FAMILY[rng.choice("fm")]),
        "felder": rng.choice(FAMILY[rng.choice("fm")]),
        "colour": rng.choice(COLOURS), "toy": rng.choice(TOYS), "food": rng.choice(FOODS),
        "find": finds[0], "find2": finds[1], "find3": finds[2],
        "seen": seen[0], "seen2": seen[1], "seen3": seen[2], "small": rng.choice(SMALL),
        "fear": fear[0], "dare": fear[1], "wisdom": fear[2],
        "build": build[0], "stuff": build[1], "fail": build[2], "seed": rng.choice(SEEDS),
        "other": rng.choice(KINDS), "ohis": rng.choice(["his", "her"]),
        "moral": rng.choice(MORALS[plot]),
    }
    names["elder_his"] = names["his"] + " " + names["elder"]
    names["an_other"] = article(names["other"])
    for key in ("trait", "ftrait", "fkind", "colour", "sort"):
        names["a_" + key] = article(names[key])

    def part(options):
        return rng.choice(options)

    shared = {"friend": part(FRIEND), "talk": part(TALK), "yes": part(YES), "happy": part(HAPPY),
              "setting": part(SETTING)}
    body = "".join(PLOTS[plot])
    opening = part(START)
    if "went to {spot}" not in opening and "{setting}" not in body:
        body = part(SETTING) + body
    text = opening + body + part(FINISH) + part(LAST)
    for key, value in shared.items():
        text = text.replace("{" + key + "}", value)
    text = re.sub(r" +", " ", expand(text, rng, names)).strip()
    about = rng.choice([article(names["kind"]) + " named " + names["name"],
                        article(names["kind"]), names["name"] + " and " + names["fname"],
                        article(names["kind"]) + " and " + article(names["fkind"])])
    return paragraphs(text, rng), about


def paragraphs(text, rng):
    """Sometimes breaks a story into paragraphs, as books do."""
    if rng.random() < 0.5:
        return text
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", text)
    size = rng.choice([4, 5, 6])
    groups = [sentences[i:i + size] for i in range(0, len(sentences), size)]
    return "\n\n".join(" ".join(group) for group in groups)


ASKS = ["Tell me a story about {}.", "Write a story about {}.", "Please tell me a story about {}.",
        "Can you tell me a story about {}?", "A story about {}, please."]


def document(rng):
    """What the model reads between its begin and end tokens."""
    text, about = story(rng)
    chance = rng.random()
    if chance < 0.15:
        return rng.choice(ASKS).format(about) + "\n\n" + text
    if chance < 0.30:  # several stories in a row: what a long prompt looks like
        return "\n\n".join([text] + [story(rng)[0] for _ in range(rng.randint(1, 4))])
    return text


if __name__ == "__main__":
    main_random = random.Random(SEED + 3)
    print("\n\n-----\n\n".join(document(main_random) for _ in range(8)))

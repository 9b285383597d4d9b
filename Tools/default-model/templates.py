"""The sentences of the stories, as grammar.py expands them: [a|b] is a choice, {name} a value."""

START = [
    "[Once upon a time|Once upon a time|Long ago|Many years ago], there was {a_trait} [little "
    "|young |]{kind} named {name}. {He} lived in {home}[ with {his} {elder}|]. ",
    "There was {a_trait} {kind} [named|called] {name} who lived in {home}. ",
    "Once upon a time, in {home}, there lived [a little|a young|a small] {kind} named {name}. "
    "{He} was [very |always |]{trait}. ",
    "In {home} lived {a_trait} {kind} [named|called] {name}. ",
    "{name} was [a little|a small|a young] {kind} who lived in {home}. Everybody knew that {he} "
    "was [very |]{trait}. ",
    "One {sort} [day|morning|afternoon], a little {kind} named {name} went to {spot}. ",
    "One day, {name} the {kind} [woke up early|looked out of the window|went for a walk]. ",
]
SETTING = [
    "[One {sort} morning|One {sort} day|On {a_sort} afternoon], {name} [went to|walked to|ran to] "
    "{spot}. {sky}. ", "{sky}. ", "",
    "It was {a_sort} day. {sky}. ",
]
FRIEND = [
    "{Spot} was [quiet|nearly empty], but then {name} met {fname}, {a_ftrait} {fkind}. ",
    "There {he} met {his} [best |good |old ]friend {fname} the {fkind}. ",
    "Just then, {a_fkind} named {fname} came [along|by|down the path]. ",
]
TALK = [
    "\"[Hello|Good morning|Hi], {name}!\" said {fname}. \"[What are you doing|Where are you "
    "going|Why do you look so [sad|worried|busy]]?\" ",
    "\"[What is the matter|Is everything all right], {name}?\" asked {fname}. ", "",
]
YES = [
    "\"[Don't worry|It's all right|We'll find a way],\" said {fname}. \"[I'll help you|I will "
    "help you|Let's do it together].\" ",
    "\"Can you help me?\" asked {name}. \"[Of course I can|Of course|Yes, I'd love to]!\" said "
    "{fname}. ",
    "{Fname} [smiled|nodded|thought for a moment] and said, \"[I have an idea|I know what to "
    "do|Let's try together].\" ",
]
HAPPY = [
    "{name} was so happy that {he} [danced|jumped up and down|laughed|sang a little song]. ",
    "{name} [smiled from ear to ear|gave {fname} a big hug|clapped {his} hands]. ",
    "\"[Thank you|Thank you so much], {fname}!\" said {name}. \"You are [a true friend|the best "
    "friend in the world|so kind].\" ",
    "They both [laughed|smiled|cheered]. ",
]
FINISH = [
    "From that day on, {name} and {fname} were [the best of friends|always together|never "
    "lonely]. ",
    "When the sun went down, {name} went home and told {his} {elder} [everything|the whole "
    "story]. ",
    "That night, {name} fell asleep with a smile. ",
    "In the evening they sat [together |]by the fire and ate {food}. ",
    "And so the day came to an end, and the stars came out over {spot}. ",
    "\"[What a day|What a lovely day]!\" said {fname}, and {name} [agreed|nodded|laughed]. ",
]
LAST = ["{name} [learned|had learned|now knew] that {moral}.",
        "And {name} never forgot that {moral}.",
        "They lived happily ever after.", "The end.", "And they all went to bed happy.", ""]

PLOTS = {
    "lost": [
        "{name} had {a_colour} {toy}[ that {he} loved very much| from {his} {elder}|]. [One "
        "day|But that day], the {toy} was gone! ",
        "[{He} looked {find}, but it was not there. |]{He} looked {find2}, but there was [only "
        "dust|nothing|only a sleepy snail]. {name} [began to cry|was very sad|felt a lump in "
        "{his} throat]. ",
        "{friend}{talk}\"I [have lost|can't find|lost] my {colour} {toy},\" said {name}. ",
        "{yes}They [looked|searched] [everywhere|all over {spot}|high and low]. [They asked "
        "{an_other}, who shook {ohis} head. |They looked {find2} again. |]",
        "At last {fname} [looked|peeked] {find3}. \"[Look|Come quickly]!\" {fhe} "
        "[called|shouted]. There was the {colour} {toy}! ",
        "[It was a little [dirty|wet], but it was not broken. |]{happy}",
    ],
    "animal": [
        "[On the way|Near {spot}|{Find3}], {name} [heard a tiny voice|heard a soft cry|saw "
        "something move]. It was a little {small}, and it was [hurt|cold and wet|lost|hungry]. ",
        "\"[Poor thing|Oh no|Don't be afraid],\" said {name}. \"I will [take care of you|help "
        "you].\" ",
        "{name} [carried the {small} home|wrapped the {small} in {his} {colour} scarf|sat down "
        "beside the {small}], but {he} did not know what to do. ",
        "{friend}{talk}{yes}",
        "They gave the {small} some [water|food|warm milk] and made a [soft|warm] bed [of "
        "leaves|of grass|from an old blanket]. [Every day they came to see it. |All night long "
        "they watched over it. |]",
        "[After a few days|The next morning|Soon], the little {small} was [strong|well|happy] "
        "again. It [looked at {name} and said, \"Thank you!\"|danced around {name}.|followed "
        "{name} everywhere.] ",
        "{happy}",
    ],
    "share": [
        "{name} had [a basket full of|a big bag of|some] {food}. {He} wanted to [eat it all "
        "alone|keep everything for {self}|sit down and eat]. ",
        "{friend}\"[I am so hungry|I have not eaten all day|That smells good],\" said {fname}. "
        "\"[May I have some|Could you share|Can I have a little] {food}?\" ",
        "{name} [thought about it|looked at the {food}|did not want to share]. \"[But it is "
        "mine|There is not much|It is all I have],\" {he} said. {Fname} [looked sad|turned to "
        "go|said nothing]. ",
        "Then {name} felt [sorry|bad]. \"[Wait|Come back], {fname}!\" {he} [called|said]. "
        "\"[There is enough for both of us|We can share it|Let's eat together].\" ",
        "They sat down [under a tree|on the grass|by {spot}] and ate the {food} together. [It "
        "tasted better than ever. |It was delicious. |]",
        "Then {fname} [gave {name} {a_colour} {toy}|told {name} a funny story|showed {name} a "
        "secret path]. {happy}",
    ],
    "fear": [
        "{name} was [brave|clever] about many things, but {he} was afraid of {fear}. [{His} "
        "friends did not know. |It made {him} [sad|ashamed]. |]",
        "{setting}{friend}\"[Come with me|Let's go to {spot}|Come and play]!\" said {fname}. ",
        "\"I can't,\" [said|whispered] {name}. \"I am afraid of {fear}.\" ",
        "{Fname} did not laugh. {Fhe} [took {his} hand|sat down next to {him}] and said, \"[My "
        "{felder} always says that|Don't forget,|You know,] {wisdom}.\" ",
        "{name} [took a deep breath|closed {his} eyes and counted to three|held {fname}'s hand]. "
        "Then {he} {dare}. [At first {his} knees were shaking. |{His} heart was beating fast. |]",
        "[But nothing bad happened|And then it was easy|After a while it was not so bad]. \"I did "
        "it!\" [shouted|cried|said] {name}. {happy}",
        "{name} was not afraid of {fear} any more. ",
    ],
    "build": [
        "{name} wanted to build {build}. {He} [found|collected|got] some {stuff} and [began to "
        "work|worked all morning|started at once]. ",
        "But [then|after a while|soon] {fail}. \"Oh no!\" [said|cried] {name}. {He} tried again, "
        "but [it did not work|it was no good|{fail}]. ",
        "{friend}{talk}\"I want to build {build}, but [it is too hard|I can't do it alone|it does "
        "not work],\" said {name}. ",
        "{yes}{Fname} held the pieces and {name} put them together. [It took a long time. |They "
        "worked until [lunch|the evening]. |They sang while they worked. |]",
        "[At last|Finally|When the sun was low], it was [ready|done|finished]. It was the "
        "[best|most beautiful|finest] thing they had ever made. They painted it {colour}. {happy}",
    ],
    "trip": [
        "[Today|That day] {name} and {his} {elder} [wanted|planned] to go to {spot}. They packed "
        "{food} and {a_colour} {toy}. ",
        "On the way they saw {seen}. \"Look!\" said {name}. \"[How beautiful|Isn't it lovely|Did "
        "you see that]?\" [A little later, they saw {seen2}. |]",
        "At {spot} they met {fname}, {a_ftrait} {fkind}. \"[Welcome|Hello]!\" said {fname}. \"[Do "
        "you want to see something special|Shall I show you around]?\" ",
        "{Fname} led them [down a narrow path|over a small hill|behind the bushes]. There they "
        "found {seen3}. {name} [could not believe {his} eyes|had never seen anything like it]. ",
        "They [played|sat there|talked] until [they were tired|the sun went down|it was time to "
        "go]. They ate the {food} and gave some to {fname}. {happy}",
    ],
    "gift": [
        "It was almost {fname}'s birthday. {Fname} the {fkind} was {name}'s best friend. {name} "
        "wanted to give {fhim} something [special|nice], but {he} had no money. ",
        "[{name} thought and thought. |{name} asked {his} {elder} for help. |]\"[I know|I have an "
        "idea]!\" {he} said. \"I will make {a_colour} {toy}.\" ",
        "{name} worked [all day|every evening|in secret]. [{He} used paper and paint. |{He} cut "
        "and glued and painted. |]It was [not easy|hard work], but {he} did not give up. ",
        "On the birthday there were [many big gifts|games and cake|songs and {food}]. {name} [was "
        "a bit shy|felt small], because {his} gift was [so small|not new]. ",
        "But when {fname} opened it, {fhe} [smiled|laughed with joy|was silent for a moment]. "
        "\"[This is the best gift of all|It is beautiful|Did you make this for me]!\" {fhe} said. ",
        "{happy}",
    ],
    "night": [
        "One night, {name} heard a strange [sound|noise]. It came from {spot}. [Tap, tap, tap. "
        "|Whoo, whoo. |Scratch, scratch. |] {name} [sat up in bed|could not sleep|was a little "
        "afraid]. ",
        "{He} took {his} [lamp|lantern] and [went outside|opened the door]. [The moon was big and "
        "round. |The stars were bright. |It was very dark. |]",
        "\"Who is there?\" [asked|whispered] {name}. [Nobody answered. |\"Only me,\" said a small "
        "voice. |]",
        "{Find3} sat {a_fkind}. \"My name is {fname},\" {fhe} said. \"[I am lost|I can't sleep|I "
        "am looking for my {toy}|I have nowhere to go].\" ",
        "\"[Come inside|You can stay with me|I can help you],\" said {name}. {He} gave {fname} "
        "some {food} and a [warm|soft] blanket. They [talked|told stories] until [they fell "
        "asleep|morning]. ",
        "[The next day|In the morning], {elder_his} was surprised to find two [friends|sleepy "
        "heads] in the kitchen. {happy}",
    ],
    "race": [
        "There was a big race in [the village|the meadow|town]. The prize was {a_colour} {toy}. "
        "{name} wanted to win. So did {fname}, {a_ftrait} {fkind}. ",
        "\"[I am faster than you|You will never win|I will be first],\" said {fname}. {name} "
        "[only smiled|said nothing|took a deep breath]. ",
        "\"One, two, three, go!\" [called|shouted] {his} {elder}. {Fname} ran [very |so |]fast, "
        "and {name} was [far behind|last|close behind]. ",
        "But near {spot}, {fname} [fell down|hurt {fhis} foot|slipped in the mud]. \"[Ouch|Oh "
        "no]!\" {fhe} cried. {name} could [run past and win|win now]. ",
        "But {he} stopped. \"[Are you hurt|Can you stand]?\" asked {name}. \"[Take my hand|Lean "
        "on me].\" [So they walked|Together they walked] to the end, [step by step|side by side]. ",
        "Everybody [cheered|clapped]. They [both got a prize|shared the prize|shared the {colour} "
        "{toy}]. {happy}",
    ],
    "garden": [
        "{His} {elder} gave {name} a tiny seed. \"[One day this will be|It will grow into] "
        "{seed},\" [said {his} {elder}|{name} was told]. {name} planted it near {spot}. ",
        "Every day {he} gave it water. [One day, two days, three days passed. |A week passed. "
        "|But nothing happened. ]\"[Why does it not grow|When will it grow]?\" asked {name}. ",
        "{friend}{talk}\"My seed does not grow,\" said {name}. \"[Wait|You must wait|Give it "
        "time],\" said {fname}. \"[Everything needs its time|It is sleeping under the ground].\" ",
        "So {name} waited. [The sun shone and the rain fell. |{He} sang to the seed every "
        "evening. |] Then, one {sort} morning, there was a tiny green leaf! ",
        "It grew and grew, and [soon|by the summer] it was {seed}. {name} [showed it to "
        "everyone|shared it with {fname}|was very proud]. {happy}",
    ],
    "sorry": [
        "{fname} the {fkind} had {a_colour} {toy}, and {name} wanted to play with it. \"[Be "
        "careful|Please be careful],\" said {fname}. ",
        "[{name} played with it near {spot}. |]But then {name} [dropped|fell on] the {toy}, and "
        "it broke. {He} [was afraid|did not know what to do] and hid it {find}. ",
        "\"Where is my {toy}?\" asked {fname}. \"I don't know,\" said {name}. But {he} felt "
        "[bad|sick|terrible] inside. [{He} could not eat. |That night {he} could not sleep. |] ",
        "[{name} asked {his} {elder} what to do. \"Tell the truth,\" said {his} {elder}. |] The "
        "next day, {name} went to {fname}. \"[I broke it|It was me],\" {he} said. \"I am [so "
        "|very |]sorry.\" ",
        "{Fname} was [sad|quiet] for a moment. Then {fhe} said, \"[Thank you for telling me|It "
        "was only a {toy}|We can mend it together].\" ",
        "They [got some glue and mended it|mended the {toy} with string|made a new one]. [It "
        "looked even better than before. |] {happy}",
    ],
    "cook": [
        "{name} wanted to make {food} with {his} {elder}. They put on [big |white |]aprons and "
        "washed their hands. ",
        "But [then they saw that something was missing|one thing was missing]. \"[There is no "
        "flour|There is no salt|We have no eggs|There is no butter]!\" said {name}. ",
        "So {name} ran to {spot}. {friend}{talk}{yes}",
        "{Fname} [gave {name} a small basket|went home and came back with a basket|had just what "
        "was needed]. \"[Take this|Here you are],\" said {fname}. \"But may I [help|come with "
        "you|taste it later]?\" ",
        "They [mixed and stirred|stirred and tasted] and [laughed|made a big mess]. [Some of it "
        "fell on the floor. |{name} had flour on {his} nose. |] Soon the whole house smelled of "
        "{food}. ",
        "\"[It's ready|Time to eat]!\" said {his} {elder}. They all sat down at the table. {happy}",
    ],
}

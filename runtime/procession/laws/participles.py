"""Words that tell whether a name is in the past tense, reviewed by hand: a wrong accusation is worse than a miss."""

from __future__ import annotations

IRREGULAR = frozenset(
    """
    arisen arose ate awoke awoken bade beaten became been befallen befell began begotten begun beheld bent
    bereft besought bet bidden bitten bled blew blown bore born borne bought bound bred broke broken brought
    built burnt came caught chose chosen clad clove cloven clung crept dealt did done dove drank drawn dreamt
    drew driven drove drunk dug dwelt eaten fallen fed fell felt fled flew flown flung forbade forbidden forgave
    forgiven forgot forgotten forsaken forsook fought found froze frozen gave given gone got gotten grew ground
    grown had heard held hewn hid hidden hung kept knelt knew known laden laid lain leant leapt learnt led left
    lent lit lost made meant met misled mistaken mistook mown outdid overcame overridden overrode paid proven
    ran rang resold ridden risen rode rose rung said sang sank sat saw sawn seen sent sewn shaken shaven shod
    shone shook shorn shot shown shrank shrunk slain slept slew slid slung slunk smelt smitten sold sought sown
    spat sped spelt spent spilt spoilt spoke spoken sprang sprung spun stank stole stolen stood stove strewn
    stricken stridden striven strode strove struck strung stuck stung stunk sung sunk sunken swam swept swollen
    swore sworn swum swung taken taught thought threw thriven throve thrown told took tore torn trod trodden
    undergone understood undertaken undertook underwent undid upheld was went wept were withdrawn withdrew
    withheld withstood woke woken won wore worn wound wove woven written wrote wrought wrung
    """.split()
)
"""Past forms and participles that are no other form of their verb."""

SAME_FORM = frozenset(
    """
    beat become bid broadcast burst cast come cost cut fit forecast hit hurt let overcome preset put quit read
    reset rid run set shed shut slit split spread thrust upset wed wet
    """.split()
)
"""Past where another word stands before them: `PriceSet` says what happened, `SetPrice` is an order."""

STATES = frozenset("overdue ago".split())
"""Words that say that something has come about, without a verb."""

NOT_PAST = frozenset(
    """
    bed biped embed fred hatred hundred imbed indeed kindred med moped naked ned red rugged sacred shed sled ted
    wed wicked zed
    """.split()
)
"""They end like a past tense and are none."""

PAST_IN_EED = frozenset("agreed decreed disagreed freed guaranteed refereed".split())
"""Of all that ends in -eed, these are past tenses; feed, need, proceed and speed are not."""

PREFIXES = ("re", "un", "over", "under", "out", "mis", "pre", "fore", "with", "down", "up", "co", "de", "dis", "inter")
"""Stand before a verb without changing its forms: resent, overpaid, undone."""

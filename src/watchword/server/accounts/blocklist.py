"""Passwords that every attacker tries first, refused when one is set (NIST 800-63B-4 3.1.1.2).

Attackers try what leaked most often, and *patterns*: a stem, a year, a run of keys, a doubled word. So
there is a list of 34,000 leaked passwords and first names, a list of stems, and a few ways to dress both.
It is asked at set time only, never at log-in.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

__all__ = ["is_common"]

_STEMS: Final = frozenset(
    """
    password passwort passwd passw passcode passphrase contrasena motdepasse wachtwoord parola senha salasana
    haslo heslo jelszo sifre lozinka losenord kennwort geheim secret secreto topsecret private
    welcome willkommen bienvenue bienvenido hello hallo hola bonjour goodmorning letmein openup opensesame
    sesame enter access login logon signin user username usuario guest visitor admin administrator root
    superuser sysadmin manager master owner boss chief server system network internet computer laptop
    desktop windows linux ubuntu debian macbook iphone android samsung google facebook instagram twitter
    youtube tiktok whatsapp amazon microsoft oracle cisco apple default changeme change temp temporary
    test tester testing demo example sample security secure trustno trustme trust nothing something
    anything whatever none null void blank unknown dragon monkey tiger lion panther jaguar eagle falcon
    hawk wolf bear shark dolphin butterfly unicorn horse kitty kitten puppy doggy cookie chocolate cheese
    banana orange strawberry cherry peaches pepper ginger honey sugar candy coffee pizza chicken hamster
    rabbit turtle spider scorpion phoenix griffin wizard merlin gandalf frodo hobbit starwars skywalker
    darthvader yoda jedi matrix neo trinity batman superman spiderman ironman avengers pokemon pikachu
    naruto sasuke goku minecraft fortnite roblox callofduty zelda mario sonic playstation xbox nintendo
    football soccer baseball basketball hockey tennis golf swimming running fishing hunting racing
    liverpool arsenal chelsea manchester barcelona realmadrid juventus bayern dortmund yankees lakers
    cowboys steelers eagles packers patriots redskins raiders celtics bulls michael jennifer jessica
    ashley amanda nicole michelle melissa stephanie daniel david robert william richard thomas charles
    joseph andrew matthew joshua anthony jordan hunter taylor madison morgan brandon justin austin tyler
    alexander alexandra samantha elizabeth victoria charlotte sophie sophia isabella olivia emma lucas
    martin peter george harley maggie buster charlie jasper oliver bailey molly lucky shadow smokey rocky
    iloveyou ilove loveyou loveme lovely lover sweetheart darling baby babygirl babyboy angel princess
    prince queen king knight castle heaven jesus christ god blessed faith hope grace freedom liberty peace
    sunshine moonlight starlight rainbow summer winter spring autumn january february march april june
    july august september october november december monday tuesday wednesday thursday friday saturday
    sunday london paris berlin madrid rome vienna moscow tokyo newyork chicago boston dallas denver miami
    california texas florida america england ireland scotland germany france spain italy russia china
    japan india brazil mexico canada australia zaq qaz wsx edc rfv tgb yhn qwe asd zxc qwer asdf zxcv qwert
    asdfg zxcvb qwerty azerty qwertz dvorak asdfgh zxcvbn qwertyu qwertyui qwertyuiop asdfghj asdfghjk
    asdfghjkl zxcvbnm poiuyt lkjhgf mnbvcxz qazwsx qazwsxedc zaqxsw qweasd qweasdzxc abc abcd abcde abcdef
    abcdefg abcdefgh abcabc aaa bbb xxx zzz money dollar euro bitcoin crypto million billion rich lottery
    casino poker diamond gold golden silver platinum purple yellow orange green black white blue red pink
    thunder lightning storm fire ice water earth mountain river ocean forest flower rose lily daisy jasmine
    mustang ferrari porsche mercedes corvette camaro toyota honda nissan yamaha suzuki kawasaki ducati
    guitar piano drummer music metallica nirvana slipknot eminem beatles elvis hiphop rocknroll killer
    hacker ninja samurai warrior soldier sniper marine army navy police fighter gangster pirate devil
    satan demon zombie vampire ghost family mother father brother sister daughter mommy daddy friends
    forever always never again single married fuckyou fuckoff fuck asshole bitch shit pussy sexy biatch
    watchword authenticate authentication authorization company office business finance payroll employee
    """.split()
)
_LEET: Final = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
)
_SHIFTED: Final = str.maketrans("!@#$%^&*()", "1234567890")
_SHORTEST: Final = 5
"""Letters of a leaked word that count when it comes dressed: shorter ones are parts of good passwords."""
_DRESS: Final = re.compile(r"^[\W\d_]*(?P<stem>.*?)[\W\d_]*$", re.DOTALL)
_RUNS: Final = (
    "01234567890123456789",
    "09876543210987654321",
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1qaz2wsx3edc4rfv5tgb",
    "qazwsxedcrfvtgbyhnujm",
)


def is_common(password: str) -> bool:
    """Whether case-folded *password* is a common one, dressed or not; the whole password is compared."""
    if len(password) > 64:
        return False
    keys = password.translate(_SHIFTED)
    if len(set(password)) <= 2 or any(text in run for run in _RUNS for text in (keys, keys[::-1])):
        return True
    if _is_repeat(keys) or keys.isdigit():
        return len(password) < 15
    return any(_is_stem(form) for form in _forms(password))


def _forms(password: str) -> tuple[str, ...]:
    match = _DRESS.match(password)
    bare = match["stem"] if match else password
    plain = password.translate(_LEET)
    match = _DRESS.match(plain)
    return (password, bare, plain, match["stem"] if match else plain, bare.translate(_LEET))


def _is_stem(form: str) -> bool:
    half = len(form) // 2
    doubled = len(form) % 2 == 0 and form[:half] == form[half:]
    known = _leaked()
    return any(text in _STEMS or text in known for text in ((form, form[:half]) if doubled else (form,)))


@lru_cache(maxsize=1)
def _leaked() -> frozenset[str]:
    # The package brings an estimator and all its dictionaries along; of its files this reads one, and lets it go.
    package = find_spec("zxcvbn")
    assert package is not None
    assert package.origin is not None
    spec = spec_from_file_location("frequency_lists", Path(package.origin).with_name("frequency_lists.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    lists = (module.FREQUENCY_LISTS[name] for name in ("passwords", "female_names", "male_names"))
    return frozenset(word for words in lists for word in words if len(word) >= _SHORTEST)


def _is_repeat(password: str) -> bool:
    return any(
        len(password) % size == 0 and password == password[:size] * (len(password) // size)
        for size in range(1, min(4, len(password) // 2) + 1)
    )

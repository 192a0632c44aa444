"""What the engine says of a filter that cannot be used, in the person's language: the engine speaks English alone."""

from __future__ import annotations

import re

from django.utils.translation import gettext, gettext_noop

SAID = (
    gettext_noop("%(what)s (in '%(name)s')"),
    gettext_noop("condition '%(text)s': %(what)s at character %(place)s"),
    gettext_noop("cannot be read"),
    gettext_noop("ends too early"),
    gettext_noop("is nested too deeply"),
    gettext_noop("')' is missing"),
    gettext_noop("'%(token)s' is not expected"),
    gettext_noop("there is no detection item '%(token)s'"),
    gettext_noop("no detection item is called '%(pattern)s'"),
    gettext_noop("%(least)s of %(all)s items is not possible"),
    gettext_noop("the condition has an aggregation after '|', which was removed from Sigma"),
    gettext_noop("'detection' has no condition"),
    gettext_noop("has no 'logsource'"),
    gettext_noop("'logsource' names neither product nor category nor service"),
    gettext_noop("'detection' has no detection items"),
    gettext_noop("the %(key)s of 'logsource' is not a text"),
    gettext_noop("'filter' is not a map"),
    gettext_noop("has no 'title'"),
    gettext_noop("the filter does not say for which 'rules'"),
    gettext_noop("an empty map matches nothing"),
    gettext_noop("an empty list matches nothing"),
    gettext_noop("a field has no name"),
    gettext_noop("not valid YAML: %(reason)s"),
    gettext_noop("document %(number)s is not a map"),
    gettext_noop("'%(key)s' wants a number, not %(value)s"),
    gettext_noop("'%(key)s' has an empty list of values"),
    gettext_noop("'%(key)s' has a list inside a list"),
    gettext_noop("'%(key)s' has a value that is neither text nor number nor true or false"),
    gettext_noop("'%(key)s' needs a field name"),
    gettext_noop("'%(key)s' needs a field name before the modifiers"),
    gettext_noop("'%(key)s' needs a field name for null"),
    gettext_noop("'%(key)s' has a value that is too short to be found"),
    gettext_noop("a keyword is empty: every event has it"),
    gettext_noop("'%(key)s' cannot encode a value with wildcards"),
    gettext_noop("'%(key)s' wants the name of another field"),
    gettext_noop("'%(key)s' has a field name with wildcards"),
    gettext_noop("'%(key)s' has a map where a value stands"),
    gettext_noop("'%(key)s' has a map of bounds, beside which '%(other)s' has no meaning"),
    gettext_noop("'%(key)s' has '%(other)s' beside '%(name)s', which has no meaning"),
    gettext_noop("'%(key)s' has '%(other)s' beside the flag 'm', which makes the ends those of lines"),
    gettext_noop("'%(key)s' wants true or false"),
    gettext_noop("'%(key)s' has null, on which '%(other)s' has no meaning"),
    gettext_noop("'%(key)s' has no valid network: %(reason)s"),
    gettext_noop("'%(key)s' has flags of a regular expression without 're'"),
    gettext_noop("'%(key)s' compares in two ways"),
    gettext_noop("'%(key)s' has a regular expression that does not parse: %(reason)s"),
    gettext_noop("unknown modifier '%(modifier)s' in '%(key)s'"),
    gettext_noop("the placeholders in '%(key)s' stand for more than %(most)s values together"),
    gettext_noop("placeholder %(names)s is not given"),
    gettext_noop("there is no usable rule '%(name)s'"),
    gettext_noop("more than one rule is called '%(name)s'"),
    gettext_noop("rule '%(name)s' is for %(source)s, which is not of the filter's %(own)s"),
    gettext_noop("its id is already used by another rule"),
    gettext_noop("has both '%(one)s' and '%(other)s'"),
    gettext_noop("Write a correlation rule"),
    gettext_noop("Give a value, or null"),
    gettext_noop("Write one list of values"),
    gettext_noop("Give at least two letters"),
    gettext_noop("Escape them or leave them out"),
    gettext_noop("A map of values may only hold lt, lte, gt and gte"),
    gettext_noop("Write a key for null alone"),
    gettext_noop("Known: %(names)s"),
    gettext_noop("Write a map such as {gt: 100, lte: 200}"),
    gettext_noop("List rule ids or names, or write: any"),
    gettext_noop("Give its values in a YAML file with --placeholders"),
    gettext_noop("Refer to it by id"),
    gettext_noop("Give it an id of its own"),
    gettext_noop("Write each into a document of its own"),
    gettext_noop("Load it too, or see why it cannot be used"),
)
_PLACE = re.compile(r"%\((\w+)\)s")


def _pattern(said: str) -> re.Pattern[str]:
    parts = _PLACE.split(said)  # text, name, text, name, ...
    return re.compile(
        "".join(re.escape(part) if at % 2 == 0 else f"(?P<{part}>.+?)" for at, part in enumerate(parts)), re.S
    )


_PATTERNS = [(_pattern(said), said) for said in SAID]


def in_words(said: str) -> str:
    """A sentence of the engine, or several; what is not known here stays as it is."""
    for pattern, known in _PATTERNS:
        if match := pattern.fullmatch(said):
            values = match.groupdict()
            if "what" in values:
                values["what"] = in_words(values["what"])
            return gettext(known) % values if values else gettext(known)
    first, dot, rest = said.partition(". ")
    return f"{in_words(first)}. {in_words(rest)}" if dot else said

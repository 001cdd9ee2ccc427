"""Whether an answer is a good one, as kto reads it: the words for it, and how many there are of each."""

from collections.abc import Callable

from engine.data.columns import label_of
from engine.data.findings import Add
from engine.data.shown import shown

FEWEST_OF_ONE_KIND = 0.1
"""Below this share of all labels the rarer kind is worth a warning: KTO weighs them to between 1:1 and 4:3 (TRL)."""
MOST_KEPT = 1_000

Place = tuple[int | None, int, str]
"""The line, the row and the label as it is shown."""


class Labels:
    """Counts the labels of a column. Those that say neither are told at the end, and only where somebody wants kto or
    half of the rows have a label: a column of that name may hold something else altogether."""

    def __init__(self, column: str, is_wanted: bool) -> None:
        self.column = column
        self.good = 0
        self.bad = 0
        self.neither = 0
        self._is_wanted = is_wanted
        self._kept: list[Place] = []

    def look(self, value: object, line: int | None, row: int) -> bool:
        """Whether the value is a label."""
        label = label_of(value)
        self.good += label is True
        self.bad += label is False
        if label is None:
            self.neither += 1
            if len(self._kept) < MOST_KEPT:
                self._kept.append((line, row, shown("" if value is None else str(value), 30)))
        return label is not None

    @property
    def are_labels(self) -> bool:
        return self._is_wanted or self.good + self.bad >= max(self.neither, 1)

    def report(self, add: Add, count_more: Callable[[str, int], None]) -> None:
        """Say what is no label, and where nearly all labels are of one kind."""
        if not self.are_labels:
            return
        for line, row, text in self._kept:
            words = f"{shown(self.column)} is {text}, which is neither good nor bad; write true or false."
            add("bad_label", words, line=line, row=row, column=self.column)
        if self.neither > len(self._kept):
            count_more("bad_label", self.neither - len(self._kept))
        total = self.good + self.bad
        if total and min(self.good, self.bad) < FEWEST_OF_ONE_KIND * total:
            words = (
                f"{self.good:,} answers are labelled good and {self.bad:,} bad: kto learns from both; add the others."
            )
            add("label_balance", words, column=self.column)

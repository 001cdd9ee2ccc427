"""The one kind of error that people see: something they can mend."""


class Refusal(Exception):
    """An answer that says what is wrong and what to do about it.

    `text` is one or two sentences for a person; `field` names the input that it is about
    (a parameter, a column, "model"), or is empty when it is about the whole request.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field

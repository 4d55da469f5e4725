"""The arguments of a statement that is put together from parts."""


class Arguments(list[object]):
    def add(self, value: object) -> str:
        """The placeholder that stands for the value."""
        self.append(value)
        return f"${len(self)}"

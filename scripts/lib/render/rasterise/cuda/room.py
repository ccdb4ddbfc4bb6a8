"""How long lists may become, for passes that do not wait to learn how long they must be.

How many tiles Gaussians touch is known to the GPU alone. So a pass gets lists as long as earlier passes of
its kind needed, and some more, and the CPU goes on at once. Lists that are too short are cut, and a mark is
made on the GPU: from then on no step changes anything, because the kernels that would do it look at the mark.
Once in a while the CPU looks too. It learns how many steps were lost, makes the lists longer, and has those
steps done again. So a run ends as if all lists had been long enough from the start.
"""

from __future__ import annotations

import torch

Kind = tuple[int, int, int]  # views, width and height of a pass

# Places of the ledger, as in lists.cu and train/kernels/adam.cuh.
LOST, DONE, BROKEN, FIRST = range(4)
SLOTS = 32  # kinds with lengths of their own; further ones share the last
# Lengths of lists against what was needed: of one pass, and of several.
GUESS, MARGIN = 1.5, 1.25
TIGHT, WIDE = 1.1, 2.0  # between which they stay as they are
SHORTEST = 1024
YOUNG = 8  # steps after a guess until it is worth a look, lest many steps are lost


class Room:
    """Lengths of lists by the kind of a pass, and the ledger that kernels keep on the GPU.

    The ledger (3 + SLOTS,) int32: 1 from the first pass on that did not fit, steps that changed something,
    1 if a step made numbers that are not finite, and the longest lists needed by the passes of each slot;
    since the CPU looked last. broken: whether it has found such numbers; who mends them sets it back.
    """

    def __init__(self, device: torch.device) -> None:
        self.ledger = torch.zeros(FIRST + SLOTS, dtype=torch.int32, device=device)
        self._slots: dict[Kind, int] = {}
        self._lengths = [0] * SLOTS
        self._asked = 0  # steps since the CPU looked last
        self._look_at = 0  # of them, when it should look again; 0: whenever it likes
        self.broken = False

    def place(self, kind: Kind) -> int:
        """Where the ledger has what passes of this kind need."""
        return FIRST + self._slots.setdefault(kind, min(len(self._slots), SLOTS - 1))

    def length(self, kind: Kind) -> int:
        """Of the lists of such a pass; 0 where none has been drawn yet."""
        return self._lengths[self.place(kind) - FIRST]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of all kinds' lists."""
        return tuple(self._lengths)

    def learn(self, kind: Kind, needed: int) -> int:
        """The length of lists from now on, from what one pass of this kind needs."""
        slot = self.place(kind) - FIRST
        self._look_at = self._asked + YOUNG
        self._lengths[slot] = max(self._lengths[slot], int(GUESS * needed), SHORTEST)
        return self._lengths[slot]

    def asked(self) -> None:
        """A step has been given to the GPU."""
        self._asked += 1

    @property
    def unsure(self) -> bool:
        """Whether a guess is old enough to look whether it was right."""
        return 0 < self._look_at <= self._asked

    def look(self) -> int:
        """How many of the latest steps were lost; there is room for them now. Waits for the GPU."""
        if not self._asked:
            return 0
        noted = self.ledger.tolist()
        lost, self._asked, self._look_at = self._asked - int(noted[DONE]), 0, 0
        self.broken = self.broken or noted[BROKEN] > 0
        self.ledger.zero_()
        for slot, needed in enumerate(noted[FIRST:]):
            if needed and not TIGHT * needed <= self._lengths[slot] <= WIDE * needed:
                self._lengths[slot] = max(int(MARGIN * needed), SHORTEST)
        return lost

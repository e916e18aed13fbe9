"""One draft as the review shows it: what was found in it, and its plan as it is now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.datasets.inspection import Inspection
from engine.datasets.masks import suspicions
from engine.datasets.pairing import Pair, Proposal
from engine.datasets.plan import ImportPlan, MaskPlan
from engine.errors import WorkbenchError
from engine.notes import Note
from engine.store.drafts import Draft
from pages.common.review import archives, changes
from pages.common.texts import error_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What the views of one draft share."""

    draft: Draft
    plan: ImportPlan
    found: Inspection | None
    """None: the archive was never read to the end."""
    proposal: Proposal | None
    """What the plan pairs; None when that cannot be told."""
    problem: str
    """Why it cannot be told."""

    @property
    def is_inspected(self) -> bool:
        """Whether the masks of exactly these pairs were looked at."""
        if self.found is None or self.proposal is None:
            return False
        if self.plan.pairing == self.found.plan.pairing:
            return True
        return _masks(self.proposal.pairs) == _masks(self.inspected)

    @property
    def inspected(self) -> Sequence[Pair]:
        """The pairs that were looked at, pages not yet told apart."""
        if self.found is None:
            return ()
        looked_at = archives.proposal(self.draft.id, self.found.plan.pairing)
        return looked_at.pairs if looked_at else ()

    @property
    def masks(self) -> MaskPlan | None:
        """What the values of the masks mean, as corrected; None before they were looked at."""
        if self.found is None or not self.is_inspected:
            return None
        return self.plan.masks or self.found.plan.masks

    @property
    def notes(self) -> list[Note]:
        """Everything there is to say about the import, in short."""
        doubts = self.proposal.doubts if self.proposal else ()
        return [*doubts, *(self.found.notes if self.found else ()), *self.suspicions]

    @property
    def suspicions(self) -> list[Note]:
        """What looks wrong about the masks as they are read now."""
        if self.found is None or self.masks is None:
            return []
        return suspicions(self.found.statistics, self.masks)

    def key(self, name: str) -> str:
        """Key of a widget of this draft."""
        return f"review_{self.draft.id}_{name}"

    def change(self, change: Callable[[ImportPlan], ImportPlan], *, problem: str = "") -> bool:
        """Correct the plan; see `changes.apply`."""
        return changes.apply(self.draft.id, self.draft.job.id, change, problem=problem)


def review_of(draft: Draft) -> Review:
    """A draft with all that is known about it. Raises `NotFound` when its files are gone."""
    plan = changes.plan_of(draft)
    proposal, problem = None, ""
    try:
        proposal = archives.proposal(draft.id, plan.pairing)
    except WorkbenchError as error:
        problem = error_text(error)
    return Review(
        draft=draft,
        plan=plan,
        found=archives.inspection(draft.id),
        proposal=proposal,
        problem=problem,
    )


def _masks(pairs: Sequence[Pair]) -> list[tuple[str, tuple[str, ...]]]:
    return [(pair.image, pair.masks) for pair in pairs]

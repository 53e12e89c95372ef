"""What waits to be enlarged: one picture at a time with all threads, and each person in turn."""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import closing
from threading import Condition, Thread

from dvmsr.batch import (
    BatchPlan,
    Done,
    Failed,
    FileTask,
    Forecast,
    Progress,
    foretell,
    leave_out_what_cannot_fit,
    plan_files,
    run_tasks,
)
from dvmsr.errors import RequestError
from dvmsr.web.limits import Limits
from dvmsr.web.networks import Networks
from dvmsr.web.pictures import Picture, State
from dvmsr.web.sessions import Session, Sessions
from dvmsr.web.settings import Settings


class WorkQueue:
    """Enlarges pictures in a thread of its own.

    Whose picture is next: of those who wait, the one whose last turn is longest ago; of theirs, the first. So
    one picture of somebody does not wait for a hundred of somebody else.

    Args:
        networks: What enlarges.
        sessions: Whose pictures there are.
        limits: How much one may ask for.
        debug: Whether what goes wrong unforeseen is told with its traceback, on standard error.
    """

    def __init__(
        self, networks: Networks, sessions: Sessions, limits: Limits, *, debug: bool = False
    ) -> None:
        self._networks = networks
        self._sessions = sessions
        self._limits = limits
        self._debug = debug
        self._changed = Condition(sessions.lock)
        self._waiting: list[Picture] = []
        self._running: Picture | None = None
        self._turns = 0
        self._closing = False
        self._thread = Thread(target=self._work, name="dvmsr-queue", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self._thread.is_alive()

    def __len__(self) -> int:
        with self._sessions.lock:
            return len(self._waiting) + (self._running is not None)

    def close(self) -> None:
        """Stop the work at hand after a few rows, and do no more."""
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running.stop.set()
            self._changed.notify_all()
        self._thread.join(timeout=10)

    def plan(self, picture: Picture, settings: Settings) -> tuple[FileTask, Forecast]:
        """Find out what enlarging a picture would make and take, and whether it can be done.

        Raises:
            RequestError: It cannot: the format does not hold it, or memory, disk or time do not suffice.
            ArgumentError: The size is not to be had.
        """
        upscaler = self._networks.find(settings)
        options = settings.options(self._limits.pixels)
        plan = plan_files(
            [picture.source],
            picture.folder / f"result-{picture.run + 1}",
            scale=upscaler.scale,
            options=options,
            suffix=settings.suffix,
        )
        _refuse_failed(picture, plan)
        _refuse_failed(picture, leave_out_what_cannot_fit(plan, upscaler, options))
        (task,) = plan.tasks
        told = foretell(upscaler, plan.tasks, options, pixel_seconds=self._networks.pixel_seconds)
        if told.seconds is not None and told.seconds > self._limits.seconds:
            raise RequestError(
                422,
                f"{picture.name} would take about {told.seconds / 60:,.0f} minutes, and "
                f"{self._limits.seconds / 60:g} are allowed for a picture; choose a smaller size",
            )
        return task, told

    def add(self, picture: Picture, settings: Settings) -> None:
        """Let a picture wait for its turn. What came out of it earlier is removed.

        Raises:
            RequestError: It waits already, too many do, or it cannot be done; see :meth:`plan`.
            ArgumentError: See :meth:`plan`.
        """
        task, told = self.plan(picture, settings)
        self._sessions.check_room(picture.session, told.disk_bytes, f"{picture.name}, enlarged,")
        with self._changed:
            if picture.at_work:
                raise RequestError(409, f"{picture.name} is in the queue already; cancel it first")
            own = sum(other.session is picture.session for other in self._waiting)
            if own >= self._limits.queue:
                raise RequestError(
                    429,
                    f"{own} of your pictures wait already, and no more can; "
                    "add this one when some of them are done",
                )
            for earlier in (picture.result_folder, picture.folder / f"tiles-after-{picture.run}"):
                shutil.rmtree(earlier, ignore_errors=True)
            picture.run += 1
            picture.settings, picture.task, picture.estimate = settings, task, told.seconds
            picture.state, picture.part_done, picture.result, picture.error = State.WAITING, 0.0, None, ""
            picture.stop.clear()
            self._waiting.append(picture)
            self._changed.notify_all()

    def cancel(self, picture: Picture) -> None:
        """Take a picture out of the queue, or end the work on it after a few rows."""
        with self._changed:
            picture.stop.set()
            if picture in self._waiting:
                self._waiting.remove(picture)
                picture.state = State.CANCELLED

    def seconds_left(self, session: Session) -> dict[Picture, float | None]:
        """Return about how long each picture of a session will be at work or wait, where that is known."""
        with self._sessions.lock:
            left: dict[Picture, float | None] = {}
            total: float | None = 0.0
            running = [self._running] if self._running is not None else []
            for picture in [*running, *self._in_turn()]:
                own = _own_seconds_left(picture)
                total = None if own is None or total is None else total + own
                if picture.session is session:
                    left[picture] = total
            return left

    def _in_turn(self) -> list[Picture]:
        """Those who wait, in the order in which they will have their turns."""
        waiting, turns, ordered = list(self._waiting), _turns(self._waiting), []
        for turn in range(self._turns + 1, self._turns + 1 + len(waiting)):
            ordered.append(_next(waiting, turns))
            waiting.remove(ordered[-1])
            turns[ordered[-1].session] = turn
        return ordered

    def _work(self) -> None:
        while (picture := self._take()) is not None:
            state, error = State.FAILED, ""
            try:
                state, error = self._enlarge(picture)
            except Exception as unforeseen:
                # It is this picture's, and nobody else's.
                what = f"{type(unforeseen).__name__}: {unforeseen}"
                error = f"{picture.name}: something went wrong inside ({what})"
                if self._debug:
                    traceback.print_exc(file=sys.stderr)
            with self._changed:
                picture.state, picture.error = state, error
                self._running = None
            # Removed while it was being written, it may have left something.
            if picture.session.closed:
                shutil.rmtree(picture.session.folder, ignore_errors=True)
            elif picture.id not in picture.session.pictures:
                shutil.rmtree(picture.folder, ignore_errors=True)

    def _take(self) -> Picture | None:
        with self._changed:
            while not self._closing:
                self._waiting = [picture for picture in self._waiting if not picture.stop.is_set()]
                if self._waiting:
                    picture = _next(self._waiting, _turns(self._waiting))
                    self._waiting.remove(picture)
                    self._turns += 1
                    picture.session.turn = self._turns
                    picture.state, picture.started = State.RUNNING, time.monotonic()
                    self._running = picture
                    return picture
                self._changed.wait()
            return None

    def _enlarge(self, picture: Picture) -> tuple[State, str]:
        assert picture.settings is not None
        assert picture.task is not None
        task = picture.task
        upscaler = self._networks.find(picture.settings)
        events = run_tasks(upscaler, [task], picture.settings.options(self._limits.pixels))
        with closing(events):
            for event in events:
                if isinstance(event, Done):
                    picture.part_done, picture.result = 1.0, event.file
                    return State.DONE, ""
                if isinstance(event, Failed):
                    return State.FAILED, picture.tell(event.failure.message)
                if isinstance(event, Progress):
                    picture.part_done = event.finished / task.work
                if picture.stop.is_set():
                    return State.CANCELLED, ""
                if time.monotonic() - picture.started > self._limits.seconds:
                    return State.FAILED, (
                        f"{picture.name} took longer than the {self._limits.seconds / 60:g} minutes that are "
                        "allowed for a picture, and was stopped; choose a smaller size"
                    )
        return State.CANCELLED, ""


def _turns(waiting: Sequence[Picture]) -> dict[Session, int]:
    return {picture.session: picture.session.turn for picture in waiting}


def _next(waiting: Sequence[Picture], turns: dict[Session, int]) -> Picture:
    return min(waiting, key=lambda picture: turns[picture.session])


def _own_seconds_left(picture: Picture) -> float | None:
    elapsed = time.monotonic() - picture.started
    if picture.state is State.RUNNING and picture.part_done > 0.02:
        return elapsed * (1 - picture.part_done) / picture.part_done
    if picture.estimate is None:
        return None
    return max(0.0, picture.estimate - elapsed) if picture.state is State.RUNNING else picture.estimate


def _refuse_failed(picture: Picture, plan: BatchPlan) -> None:
    if plan.failed:
        raise RequestError(422, picture.tell(plan.failed[0].message))

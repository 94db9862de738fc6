"""Logs are made shorter without changing what they compute."""

import numpy as np
import pytest

import nnkit as nn
from nnkit.capture import Recorder, recording
from nnkit.passes import hoisted, merged, needed
from nnkit.program import Program
from nnkit.step import TrainingStep


def captured(step: TrainingStep) -> Program:
    (plan,) = step._plans.values()
    assert plan is not None, step.reason
    return plan.program


def functions(program: Program) -> list:
    return [call.function for call in program.calls]


class Log:
    """A recorder that knows a few arrays, and what it has recorded."""

    def __init__(self, recorder: Recorder) -> None:
        self.k = recorder
        self.sources = [np.linspace(1, 2, 6).astype(np.float32) + i for i in range(3)]
        for source in self.sources:
            recorder.know("fixed", source)

    def run(self, *results: np.ndarray) -> tuple[Program, list[np.ndarray]]:
        places = [self.k.place(result) for result in results]
        program = Program(self.k, places, [[]])
        program.compile()([()])
        return program, [program.array(place) for place in places]


class TestMerged:
    @pytest.mark.parametrize("hidden", [1, 2, 5])
    def test_derivatives_of_all_layers_are_one_call(self, hidden):
        layers = [nn.Linear(2 if i == 0 else 4, 4, nn.Tanh()) for i in range(hidden)]
        model = nn.Sequential(*layers, nn.Linear(4, 1))
        step = TrainingStep(model, nn.MSE(), nn.SGD(model.parameters(), lr=0.1))
        step(np.ones((3, 2)), np.ones((3, 1)))
        program = captured(step)
        assert functions(program).count(np.square) == 1
        assert functions(program).count(np.tanh) == hidden

    def test_calls_that_wait_for_each_other_stay(self):
        with recording() as k:
            log = Log(k)
            first = k.square(k.add(log.sources[0], 1.0))
            second = k.square(k.add(first, 1.0))
            program, (result,) = log.run(second)
        assert functions(program).count(np.square) == 2
        np.testing.assert_array_equal(result, np.square(np.square(log.sources[0] + 1) + 1))

    def test_a_call_does_not_pass_one_that_writes_what_it_reads(self):
        with recording() as k:
            log = Log(k)
            a, b = k.add(log.sources[0], 1.0), k.add(log.sources[1], 1.0)
            one = k.square(a)
            k.multiply(b, 3.0, out=b)
            two = k.square(b)
            program, results = log.run(one, two)
        assert functions(program).count(np.square) == 2
        np.testing.assert_array_equal(results[0], np.square(log.sources[0] + 1))
        np.testing.assert_array_equal(results[1], np.square((log.sources[1] + 1) * 3))

    def test_nor_one_that_reads_what_it_writes(self):
        with recording() as k:
            log = Log(k)
            a, b = k.add(log.sources[0], 1.0), k.add(log.sources[1], 1.0)
            k.square(a, out=a)
            before = k.multiply(b, log.sources[2])
            k.square(b, out=b)
            _, results = log.run(a, b, before)
        np.testing.assert_array_equal(results[0], np.square(log.sources[0] + 1))
        np.testing.assert_array_equal(results[1], np.square(log.sources[1] + 1))
        np.testing.assert_array_equal(results[2], (log.sources[1] + 1) * log.sources[2])

    def test_other_numbers_are_other_calls(self):
        with recording() as k:
            log = Log(k)
            a, b = k.exp(log.sources[0]), k.exp(log.sources[1])
            _, results = log.run(k.multiply(a, 2.0), k.multiply(b, 3.0))
        np.testing.assert_array_equal(results[0], np.exp(log.sources[0]) * np.float32(2))
        np.testing.assert_array_equal(results[1], np.exp(log.sources[1]) * np.float32(3))

    def test_an_array_on_both_sides(self):
        with recording() as k:
            log = Log(k)
            a, b = k.exp(log.sources[0]), k.exp(log.sources[1])
            _, results = log.run(k.subtract(a, b), k.subtract(b, a))
        np.testing.assert_array_equal(results[0], -results[1])
        np.testing.assert_array_equal(results[0], np.exp(log.sources[0]) - np.exp(log.sources[1]))

    def test_transcendental_functions_are_left_where_they_are(self):
        with recording() as k:
            log = Log(k)
            a, b = k.add(log.sources[0], 1.0), k.add(log.sources[1], 1.0)
            k.exp(a), k.exp(b)
        assert [call.function for call in merged(k.calls)].count(np.exp) == 2


class TestHoisted:
    def test_what_depends_on_the_targets_alone_leaves_the_loop(self):
        model = nn.Sequential(nn.Linear(2, 3))
        step = TrainingStep(model, nn.CrossEntropy(), nn.SGD(model.parameters(), lr=0.1))
        step(np.ones((4, 2)), np.array([0, 1, 2, 0]))
        program = captured(step)
        assert [call.function for call in program.early[0]] == [np.equal]
        assert np.equal not in functions(program)

    def test_and_what_depends_on_the_learning_rate(self):
        model = nn.Sequential(nn.Linear(2, 1))
        optimizer = nn.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
        step = TrainingStep(model, nn.MSE(), optimizer)
        step(np.ones((4, 2)), np.ones((4, 1)))
        program = captured(step)
        assert [call.function for call in program.early[1]] == [np.multiply, np.subtract]

    def test_what_the_loop_changes_stays_in_it(self):
        with recording() as k:
            log = Log(k)
            batch = k.know("given", np.ones(6, np.float32))
            mine = k.add(batch.array, 1.0)
            theirs = k.add(batch.array, 2.0)
            k.multiply(theirs, log.sources[0], out=theirs)
            after = k.multiply(theirs, 2.0)
            k.add(log.sources[1], k.add(after, mine), out=log.sources[1])
            early, rest = hoisted(needed(k.calls, []), [batch])
        assert [call.out.storage.array is mine for call in early] == [True]
        assert len(rest) == 5

    def test_what_the_loop_reads_is_not_changed_before_it(self):
        with recording() as k:
            log = Log(k)
            batch = k.know("given", np.ones(6, np.float32))
            mine = k.add(batch.array, 1.0)
            read = k.multiply(mine, log.sources[0])
            k.multiply(mine, 2.0, out=mine)
            k.add(log.sources[1], k.add(read, mine), out=log.sources[1])
            early, rest = hoisted(needed(k.calls, []), [batch])
        assert early == []
        assert len(rest) == 5

"""Rules of social choice over pairwise preferences, and the pairing of a Swiss tournament."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

Pair = tuple[int, int]
Preferences = Mapping[Pair, float]


def win_rates(preferences: Preferences, k: int) -> list[float]:
    """Each one's mean preference over the others (the reward of arXiv 2401.04056)."""
    return [sum(preferences[i, j] for j in range(k) if j != i) / (k - 1) for i in range(k)]


def copeland(preferences: Preferences, k: int) -> list[float]:
    """Each one's share of the others that it beats, half for those with whom it ties."""
    beats = {True: 1.0, False: 0.0}
    return [
        sum(0.5 if preferences[i, j] == 0.5 else beats[preferences[i, j] > 0.5] for j in range(k) if j != i) / (k - 1)
        for i in range(k)
    ]


def maximin(preferences: Preferences, k: int) -> list[float]:
    """Each one's preference over the one against whom it does worst."""
    return [min(preferences[i, j] for j in range(k) if j != i) for i in range(k)]


def minimax_winner(preferences: Preferences, k: int) -> list[float]:
    """The optimal mixed strategy of the game whose payoff is the preference less 1/2 (von Neumann's winner).

    Exact, by enumeration of subgames (Shapley and Snow, 1950), the smallest first: for a handful of players. Of several
    optimal strategies of the smallest support the mean is given, so that no order of the players matters.
    """
    half = Fraction(1, 2)
    payoff = [[Fraction(preferences[i, j]) - half if i != j else Fraction(0) for j in range(k)] for i in range(k)]
    for size in range(1, k + 1):
        if found := set(_optimal(payoff, k, size)):
            return [float(sum((strategy[i] for strategy in found), Fraction(0)) / len(found)) for i in range(k)]
    return [1.0 / k] * k


def _optimal(payoff: list[list[Fraction]], k: int, size: int) -> list[tuple[Fraction, ...]]:
    """The optimal strategies of `size` players that are determined by where the opponent is indifferent."""
    optimal = []
    for rows in combinations(range(k), size):
        for columns in combinations(range(k), size - 1):
            # The value of this game is 0: it is the same for both players.
            equations = [[payoff[i][j] for i in rows] + [Fraction(0)] for j in columns]
            equations.append([Fraction(1)] * size + [Fraction(1)])
            solved = _solve(equations)
            if solved is None or min(solved) < 0:
                continue
            strategy = [Fraction(0)] * k
            for i, share in zip(rows, solved, strict=True):
                strategy[i] = share
            if all(sum(strategy[i] * payoff[i][j] for i in range(k)) >= 0 for j in range(k)):
                optimal.append(tuple(strategy))
    return optimal


def _solve(equations: list[list[Fraction]]) -> list[Fraction] | None:
    """The solution of n linear equations in n unknowns; None if it is not unique."""
    rows, n = [list(row) for row in equations], len(equations)
    for column in range(n):
        pivot = next((i for i in range(column, n) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        rows[column] = [value / head for value in rows[column]]
        for i in range(n):
            if i != column and rows[i][column]:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[n] for row in rows]


def shape(preferences: Preferences, k: int) -> dict[str, float]:
    """`condorcet`: 1 if somebody beats everybody, else 0. `transitivity`: the share of triples without a cycle."""
    winner = any(all(preferences[i, j] > 0.5 for j in range(k) if j != i) for i in range(k))
    triples = list(combinations(range(k), 3))
    cycles = sum(_cycle(preferences, triple) for triple in triples)
    facts = {"condorcet": float(winner)}
    if triples:
        facts["transitivity"] = 1.0 - cycles / len(triples)
    return facts


def _cycle(preferences: Preferences, triple: Sequence[int]) -> bool:
    a, b, c = triple
    one_way = preferences[a, b] > 0.5 and preferences[b, c] > 0.5 and preferences[c, a] > 0.5
    return one_way or (preferences[b, a] > 0.5 and preferences[c, b] > 0.5 and preferences[a, c] > 0.5)


class Table:
    """The standing of a Swiss tournament of `k`: weighted win rates, and who has met whom."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._won = [0.0] * k
        self._weight = [0.0] * k
        self._degree = [0] * k
        self._met: set[Pair] = set()

    @property
    def rates(self) -> list[float]:
        """Weighted share of games won, a half where none was played."""
        return [won / weight if weight else 0.5 for won, weight in zip(self._won, self._weight, strict=True)]

    def count(self, pair: Pair, preference: float, weight: float) -> None:
        """One game's outcome: `preference` of the first over the second."""
        for player, share in zip(pair, (preference, 1.0 - preference), strict=True):
            self._won[player] += weight * share
            self._weight[player] += weight

    def next_pairs(self, most: int) -> list[Pair]:
        """The next round: nobody plays twice in it; those who have played least, then neighbours in the standing.

        Pairs that have met are not played again. Empty where nothing is left to play.
        """
        rates = self.rates
        order = sorted(range(self._k), key=lambda i: (self._degree[i], -rates[i], i))
        free = list(order)
        pairs: list[Pair] = []
        while len(free) > 1 and len(pairs) < most:
            player = free.pop(0)
            rivals = [j for j in free if (min(player, j), max(player, j)) not in self._met]
            if not rivals:
                continue
            rival = min(rivals, key=lambda j: (abs(rates[player] - rates[j]), self._degree[j], j))
            free.remove(rival)
            pair = (min(player, rival), max(player, rival))
            self._met.add(pair)
            self._degree[player] += 1
            self._degree[rival] += 1
            pairs.append(pair)
        return pairs

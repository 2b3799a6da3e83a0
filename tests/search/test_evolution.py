"""The search on fitnesses whose best is known by enumeration."""

import pytest

from peftlab.search.evolution import Evolution, best, search

PUBLISHED = Evolution(
    population=50, parents=10, mutations=25, crossovers=25, generations=15, p_width=0.2, p_depth=0.4
)
SMALL = Evolution(
    population=10, parents=3, mutations=4, crossovers=4, generations=4, p_width=0.2, p_depth=0.4
)
TARGET = ((5, 10, 0, 0), (1, 5, 10, 5))


def likeness(genotype):
    """The share of equal genes."""
    pairs = [
        pair for ours, theirs in zip(genotype, TARGET, strict=True) for pair in zip(ours, theirs, strict=True)
    ]
    return sum(gene == other for gene, other in pairs) / len(pairs)


def run(space, fitness=likeness, evolution=SMALL, limit=10**6, seed=0):
    """The scores after every generation, copied."""
    return [dict(scores) for scores in search(space, fitness, evolution, limit=limit, seed=seed)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_the_best_of_8100_in_750(space, all_genotypes, seed):
    scores = run(space, evolution=PUBLISHED, seed=seed)[-1]
    assert max(all_genotypes, key=likeness) == TARGET
    assert best(space, scores)[0] == TARGET
    assert len(scores) == 750


def test_it_finds_the_best_that_fits_the_limit(space, all_genotypes):
    limit = space.cost(TARGET) - 40
    scores = run(space, evolution=PUBLISHED, limit=limit)[-1]
    assert max(map(space.cost, scores)) <= limit
    legal = [genotype for genotype in all_genotypes if space.cost(genotype) <= limit]
    assert likeness(best(space, scores)[0]) == max(map(likeness, legal)) < 1


def test_no_genotype_is_asked_for_twice_and_every_generation_is_a_population(space):
    asked = []
    generations = run(space, lambda genotype: asked.append(genotype) or likeness(genotype))
    assert [len(scores) for scores in generations] == [10, 20, 30, 40]
    assert len(asked) == len(set(asked)) == 40


def test_the_seed_and_the_fitness_decide_everything(space):
    assert [list(scores) for scores in run(space)] == [list(scores) for scores in run(space)]
    assert list(run(space, seed=1)[-1]) != list(run(space)[-1])
    first, other = run(space), run(space, lambda genotype: -likeness(genotype))
    assert list(first[0]) == list(other[0])
    assert list(first[1]) != list(other[1])


def test_of_equals_the_cheaper_comes_first(space):
    scores = run(space, lambda genotype: 0.5)[-1]
    costs = [space.cost(genotype) for genotype in best(space, scores)]
    assert costs == sorted(costs)


def test_a_limit_that_only_the_smallest_fits_and_one_that_nothing_fits(space, monkeypatch):
    monkeypatch.setattr("peftlab.search.evolution.NUM_TRIES_RANDOM", 300)
    least = space.cost(space.smallest())
    assert [list(scores) for scores in run(space, limit=least)] == [[space.smallest()]]
    with pytest.raises(ValueError, match=f"has {least} parameters"):
        run(space, limit=least - 1)


@pytest.mark.slow
def test_it_ends_when_everything_has_been_seen(space, all_genotypes, monkeypatch):
    monkeypatch.setattr("peftlab.search.evolution.NUM_TRIES_RANDOM", 600)
    limit = 100
    legal = {genotype for genotype in all_genotypes if space.cost(genotype) <= limit}
    evolution = Evolution(
        population=10, parents=3, mutations=4, crossovers=4, generations=50, p_width=0.2, p_depth=0.4
    )
    generations = run(space, evolution=evolution, limit=limit)
    assert set(generations[-1]) == legal
    assert len(generations) < 50

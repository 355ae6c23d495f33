"""Vectors for tests/adoption.rs, by lifelines and statsmodels: python adoption.py > adoption.json"""

import json
import random

import lifelines
import pandas
import statsmodels
from lifelines import CoxPHFitter, KaplanMeierFitter
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

random.seed(11)

shares = []
for count, of in [(0, 10), (1, 10), (5, 10), (10, 10), (3, 400), (9118, 48210), (1, 1)]:
    low, high = proportion_confint(count, of, alpha=0.05, method="wilson")
    shares.append({"count": count, "of": of, "low": low, "high": high})

pairs = []
for a, n, b, m in [(5, 100, 10, 120), (0, 50, 7, 60), (30, 40, 1, 90), (900, 2000, 8218, 46210), (12, 12, 3, 9)]:
    low, high = confint_proportions_2indep(a, n, b, m, compare="diff", method="newcomb", alpha=0.05)
    pair = {"first": [a, n], "second": [b, m], "difference": [low, high]}
    if a and b:
        low, high = confint_proportions_2indep(a, n, b, m, compare="ratio", method="log", alpha=0.05)
        pair["ratio"] = [low, high]
    pairs.append(pair)

survival = []
for units, scale, watched in [(12, 20, 30), (200, 50, 60), (500, 400, 100)]:
    ages = []
    for _ in range(units):
        used, censored = int(random.expovariate(1 / scale)), random.randint(1, watched)
        ages.append([min(used, censored), used <= censored])
    fitter = KaplanMeierFitter(alpha=0.05).fit([age for age, _ in ages], [used for _, used in ages])
    points = []
    for age in [0, 1, 5, 10, 20, 29, 59, 99]:
        if age > max(age for age, _ in ages):
            continue
        interval = fitter.confidence_interval_.loc[:age].iloc[-1]
        points.append({"age": age, "used": 1 - float(fitter.predict(age)), "low": 1 - float(interval.iloc[1]), "high": 1 - float(interval.iloc[0])})
    median = fitter.median_survival_time_
    survival.append({"ages": ages, "points": points, "median": None if median == float("inf") else float(median)})

# Who takes to it sooner: Cox's partial likelihood, one stratum, distinct times.
rates = []
for units, theta in [(400, 1.0), (400, 2.0), (600, 0.5)]:
    rows = []
    for number in range(units):
        own = number % 4 == 0
        used = random.expovariate(1 / 4000 * (theta if own else 1)) + number * 1e-6
        rows.append([min(used, 3000.0), used <= 3000.0, own])
    frame = pandas.DataFrame(rows, columns=["age", "used", "own"]).astype(float)
    fitter = CoxPHFitter().fit(frame, "age", "used")
    rates.append({"units": [[int(age * 1e6), bool(used), bool(own)] for age, used, own in rows], "ratio": float(fitter.hazard_ratios_["own"])})

print(json.dumps({"lifelines": lifelines.__version__, "statsmodels": statsmodels.__version__, "shares": shares, "pairs": pairs, "survival": survival, "rates": rates}))

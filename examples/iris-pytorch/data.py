"""The Iris data: read, split, scaled. Plain lists only; tensors begin in train.py."""

import csv
import random

SPECIES = ["setosa", "versicolor", "virginica"]
MEASUREMENTS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def read_rows(path):
    """The CSV file as (features in cm, label 0..2) pairs."""
    with open(path, newline="", encoding="utf-8") as file:
        return [([float(row[name]) for name in MEASUREMENTS], SPECIES.index(row["species"])) for row in csv.DictReader(file)]


def split_rows(rows, seed):
    """60 % train, 20 % validation, 20 % test, with the same share of every species in each."""
    rng = random.Random(seed)
    train, validation, test = [], [], []
    for label in range(len(SPECIES)):
        of_species = [row for row in rows if row[1] == label]
        rng.shuffle(of_species)
        fifth = len(of_species) // 5
        test += of_species[:fifth]
        validation += of_species[fifth : 2 * fifth]
        train += of_species[2 * fifth :]
    return train, validation, test


def fit_scaling(rows):
    """Mean and standard deviation of each measurement. Give it the training rows alone: the other parts stay unseen."""
    columns = list(zip(*(features for features, _ in rows)))
    means = [sum(column) / len(column) for column in columns]
    deviations = [(sum((value - mean) ** 2 for value in column) / len(column)) ** 0.5 for column, mean in zip(columns, means)]
    return means, deviations


def scale_rows(rows, scaling):
    means, deviations = scaling
    return [([(value - mean) / deviation for value, mean, deviation in zip(features, means, deviations)], label) for features, label in rows]
